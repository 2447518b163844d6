# SPDX-License-Identifier: MIT
"""Sockets of user programs: what they say is what they say on Linux; across nodes; what they leave; what they may not do."""
import re
import subprocess

import pytest

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program, counters


def checks(text):
    return re.findall(r"^(?:not )?ok (.*?)(?:: .*)?$", text, re.M)


def users(c, node):
    """What the net server has of users: sockets, connections, memory."""
    text = c.sh(node, "netstats")
    return {name: int(value) for name, value in re.findall(r"^(user\.(?:sockets|connections|orphans|ring_bytes|rx_bytes)|heap\.used) (\d+)$",
                                                          text, re.M)}


def wait_nothing_left(c, node):
    def clean():
        return not any(v for k, v in users(c, node).items() if k.startswith("user."))
    wait_until(clean, seconds=40, step=0.5, what=f"no sockets of users on node {node}: {users(c, node)}")


@pytest.mark.parametrize("program", ["t_sockets", "t_datagrams"])
def test_program(cluster, program):
    host = subprocess.run([f"{build_dir()}/user/test/{program}"], capture_output=True, text=True, timeout=60, check=False)
    assert host.returncode == 0, f"on the host, whose result is the normal one:\n{host.stdout}{host.stderr}"
    c = cluster(1)
    before = counters(c, 1)["ofiles"]
    text = c.exec(1, program, timeout=90).stdout.decode()
    bad = [line for line in text.splitlines() if line.startswith("not ok")]
    missing = set(checks(host.stdout)) - set(checks(text))
    assert text and not bad and not missing, "\n".join(bad) + f"\nmade on the host, but not on the node: {missing}"
    wait_nothing_left(c, 1)
    wait_until(lambda: counters(c, 1)["ofiles"] <= before + 1, what="the descriptions are gone")


def test_between_nodes(cluster):
    """busybox's nc and ping: a program on the other node reads a file and answers."""
    c = cluster(2)
    c.sh(1, "dd if=/dev/urandom of=/tmp/blob bs=64k count=48 2>/dev/null")
    want = c.sh(1, "md5sum </tmp/blob")
    c.spawn(2, "nc -l -p 7001 -e md5sum")
    wait_until(lambda: users(c, 2)["user.sockets"] > 0, what="nc listens")
    assert c.sh(1, "nc 10.0.0.2 7001 </tmp/blob", timeout=60) == want
    assert "2 packets received" in c.sh(1, "ping -c 2 -i 0.1 -s 3000 10.0.0.2")
    for node in (1, 2):
        wait_nothing_left(c, node)


def test_an_open_socket_is_a_refusal_that_names_it(cluster):
    c = cluster(2)
    p = Program(c, 1, "nc -l -p 4000")
    q = Program(c, 1, "sh -c 'while :; do sleep 1; done'")
    try:
        wait_until(lambda: users(c, 1)["user.sockets"] > 0, what="nc listens")
        why = p.refused(2)
        for word in ("tcp *:4000 listening", "rule local", "it is open", "node 2", "close it"):
            assert word in why, f"the refusal does not name '{word}': {why!r}"
        assert "tcp *:4000 listening" in c.sh(1, f"view {p.pid}")
    finally:
        p.kill()
        q.kill()
    wait_nothing_left(c, 1)


def test_the_killed_leave_nothing(cluster):
    """Connections with bytes under way in both directions, whose holders are killed; kernel and lwIP are as before."""
    c = cluster(2)
    before = users(c, 1)["heap.used"]
    pids = [c.spawn(1, f"nc -l -p {7100 + i} -e yes") for i in range(5)]
    wait_until(lambda: users(c, 1)["user.sockets"] == 5, what="five listen")
    pids2 = [c.spawn(2, f"nc 10.0.0.1 {7100 + i} -e yes") for i in range(5)]
    wait_until(lambda: users(c, 1)["user.rx_bytes"] > 0, what="bytes wait")
    for node, what in ((1, pids), (2, pids2)):
        c.sh(node, "killall -9 yes nc; true")
        assert what
    for node in (1, 2):
        wait_nothing_left(c, node)
    wait_until(lambda: users(c, 1)["heap.used"] <= before, what="lwIP's heap is as it was")


def test_the_ports_of_services_are_closed_to_programs(cluster):
    """Root's too: there is nothing for them to say. (That low ports are root's, t_sockets says.)"""
    c = cluster(1)
    text = c.sh(1, "nc -l -p 702 2>&1; nc 10.0.0.1 703 2>&1; tftp -g -l /tmp/x -r x 127.0.0.1 705 2>&1; true", timeout=60)
    assert text.lower().count("permission denied") == 3, text


@pytest.mark.long
def test_twenty_at_once(cluster):
    """More than all windows together hold: what is refused is sent again, and every byte comes."""
    c = cluster(2)
    c.sh(1, "mkdir -p /tmp/www; dd if=/dev/urandom of=/tmp/www/f bs=64k count=80 2>/dev/null; httpd -p 8080 -h /tmp/www")
    want = c.sh(1, "md5sum </tmp/www/f")
    try:
        got = c.sh(2, "for i in $(seq 20); do (wget -q -O - http://10.0.0.1:8080/f | md5sum) & done; wait", timeout=300)
        assert got == want * 20
    finally:
        c.sh(1, "killall httpd; rm -r /tmp/www")
    for node in (1, 2):
        wait_nothing_left(c, node)
