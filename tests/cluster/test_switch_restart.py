# SPDX-License-Identifier: MIT
"""The switch dies and returns under nodes that are talking: they notice nothing but a pause."""
import os
import signal

from cluster_lib.cluster import wait_until

READ = "md5sum < /n/1/tmp/big | cut -d' ' -f1"


def switch_pid(c):
    with open(f"{c.run_dir}/switch.pid", encoding="ascii") as f:
        return int(f.read())


def test_connections_outlive_the_switch(fresh_cluster):
    c = fresh_cluster(2)
    right = c.sh(1, "dd if=/dev/urandom of=/tmp/big bs=64k count=48 2>/dev/null; md5sum < /tmp/big | cut -d' ' -f1").strip()
    assert c.sh(2, READ).strip() == right  # connects
    c.verb("net", "2", "dup=1%")
    before = c.sh(1, "netstats").splitlines()
    reader = c.start(2, "sh", "-c", f"for i in 1 2 3 4; do {READ}; done")

    def frames():
        return int(c.verb("net", "stats").stdout.splitlines()[1].split()[3])
    wait_until(lambda: frames() > 200, what="traffic")
    c.verb("net", "restart")
    wait_until(lambda: frames() > 200, what="traffic after a restart")
    os.kill(switch_pid(c), signal.SIGKILL)
    wait_until(lambda: b"switch   down" in c.verb("status", ok=False).stdout, what="status that tells")
    r = c.verb("net", "stats", ok=False)
    assert r.returncode != 0 and b"net restart" in r.stderr
    c.verb("net", "restart")
    wait_until(lambda: frames() > 200, what="traffic after the switch was killed")
    assert b"dup=1%" in c.verb("net", "show").stdout
    out, _ = reader.communicate(timeout=100)
    assert out.decode().split() == [right] * 4
    for name in ("client.timed_out", "client.connections"):
        was, now = ([line for line in lines if line.startswith(name)] for lines in (before, c.sh(1, "netstats").splitlines()))
        assert was == now, "no connection had to be made again"
