# SPDX-License-Identifier: MIT
"""The switch dies and returns under nodes that are talking: they notice nothing but a pause."""
import os
import signal
import time

from cluster_lib.cluster import wait_until

READ = "md5sum < /n/1/tmp/big | cut -d' ' -f1"


def switch_pid(c):
    with open(f"{c.run_dir}/switch.pid", encoding="ascii") as f:
        return int(f.read())


def test_connections_outlive_the_switch(fresh_cluster):
    c = fresh_cluster(2)
    right = c.sh(1, "dd if=/dev/urandom of=/tmp/big bs=64k count=8 2>/dev/null; md5sum < /tmp/big | cut -d' ' -f1").strip()
    assert c.sh(2, READ).strip() == right  # connects
    c.verb("net", "2", "dup=1%")
    before = c.sh(1, "netstats").splitlines()
    reader = c.start(2, "sh", "-c", f"until [ -e /tmp/enough ]; do {READ}; done")

    def traffic(when):
        def frames():
            return int(c.verb("net", "stats").stdout.splitlines()[1].split()[3])
        first = frames()
        wait_until(lambda: frames() > first + 60, 40, what=f"traffic {when}")
    traffic("at first")
    c.verb("net", "restart")
    traffic("after a restart")
    os.kill(switch_pid(c), signal.SIGKILL)
    wait_until(lambda: b"switch   down" in c.verb("status", ok=False).stdout, what="status that tells")
    r = c.verb("net", "stats", ok=False)
    assert r.returncode != 0 and b"net restart" in r.stderr
    c.verb("net", "restart")
    traffic("after the switch was killed")
    assert b"dup=1%" in c.verb("net", "show").stdout
    c.sh(2, "touch /tmp/enough")
    out, _ = reader.communicate(timeout=60)
    assert len(out.split()) > 1 and set(out.decode().split()) == {right}
    for name in ("client.timed_out", "client.connections"):
        was, now = ([line for line in lines if line.startswith(name)] for lines in (before, c.sh(1, "netstats").splitlines()))
        assert was == now, "no connection had to be made again"


def test_a_machine_that_was_full_goes_on(cluster):
    """The switch stands still until node 1's QEMU cannot send, and dies: QEMU 7.2 by itself would never send again."""
    c = cluster(2)
    for node in (1, 2):
        c.sh(node, "load off")
    pid = c.spawn(1, "touchmem --kib 24000 --rounds 900000 --share 1")

    def received():
        return int(c.verb("net", "stats").stdout.splitlines()[1].split()[4])
    try:
        time.sleep(2)  # it fills its memory
        before = received()
        migrate = c.start(1, "migrate", str(pid), "2")
        wait_until(lambda: received() > before + 1000000, step=0.01, what="the move")
        os.kill(switch_pid(c), signal.SIGSTOP)
        time.sleep(1)
        os.kill(switch_pid(c), signal.SIGKILL)
        c.verb("net", "restart")
        out, _ = migrate.communicate(timeout=60)
        assert migrate.returncode == 0 and b"moved from node 1 to node 2" in out, out
    finally:
        for node in (1, 2):
            c.sh(node, f"kill -9 {pid}; load on", ok=False)


def stat(c, node, name):
    return next(int(line.split()[1]) for line in c.sh(node, "netstats").splitlines() if line.startswith(name + " "))


def test_damage_waits_for_the_nodes_and_is_found(cluster):
    c = cluster(2)
    right = c.sh(1, "dd if=/dev/urandom of=/tmp/big bs=64k count=4 2>/dev/null; md5sum < /tmp/big | cut -d' ' -f1")
    wait_until(lambda: b"not acknowledged" not in c.verb("net", "show").stdout, 10, what="nodes that know what the wire is like")
    assert b"mode clean" in c.verb("net", "show").stdout
    found = stat(c, 2, "wire.bad_tail")
    c.verb("pause", 2)
    try:
        r = c.verb("net", "1-2", "corrupt=10%", "bits=2", ok=False)
        assert r.returncode != 0 and b"not acknowledged by node 2;" in r.stderr
        c.verb("resume", 2)
        c.verb("net", "1-2", "corrupt=10%")
        assert b"mode checked" in c.verb("net", "show").stdout and b"damage on" in c.verb("net", "show").stdout
        while stat(c, 2, "wire.bad_tail") < found + 3:
            assert c.sh(2, READ) == right
    finally:
        c.verb("resume", 2)
        c.verb("net", "heal")
    wait_until(lambda: b"mode clean" in c.verb("net", "show").stdout, 5, what="a clean wire")
