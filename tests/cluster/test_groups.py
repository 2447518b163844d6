# SPDX-License-Identifier: MIT
"""Signals to process groups whose members are on several nodes: each member gets each once."""
import re

import pytest

from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program, sign


@pytest.fixture
def c(cluster):
    c = cluster(2)
    for node in (1, 2):
        c.sh(node, "load off")
    yield c
    for node in (1, 2):
        c.sh(node, "load on")


def judge(c, node, *args, timeout=240):
    r = c.exec(node, "t_group", *args, timeout=timeout)
    text = r.stdout.decode() + r.stderr.decode()
    assert r.returncode == 0 and "not ok" not in text, f"t_group {args} on node {node}: status {r.returncode}\n{text}"


def moved(c):
    return sum(int(re.search(r"^moved (\d+)$", c.sh(k, "migrate --stats"), re.M)[1]) for k in (1, 2))


def pids(c, node):
    return [int(p) for p in c.sh(node, "ps -o pid").split()[1:]]


@pytest.mark.parametrize("sender", [1, 2])
def test_each_member_gets_each_signal_once(c, sender):
    """At home, moved, born on the other node, and one that moves all the time."""
    d = c.sh(1, "mktemp -d /tmp/group.XXXXXX").strip()
    p = Program(c, 1, f"t_group members {d}")
    try:
        names = wait_until(lambda: re.findall(r"pid-(\w+)-(\d+)", c.sh(1, f"ls {d}")) if c.exec(1, "test", "-s", f"{d}/restless").returncode == 0
                           else None, what="the members live")
        pid = {name: int(number) for name, number in names}
        c.sh(1, f"migrate {pid['moved']} 2")
        sign(c, 1, d, "fork")
        wait_until(lambda: c.exec(1, "test", "-s", f"{d}/born").returncode == 0, what="a member is born on node 2")
        before = moved(c)
        c.sh(1, f"restless -k 10 -p {pid['restless']}")
        there = f"/n/1{d}" if sender == 2 else d
        judge(c, sender, "send", there, 25)
        assert moved(c) - before >= 10, "it hardly moved"
        judge(c, sender, "kill", there)
        p.end_well()
    finally:
        c.sh(1, f"kill -9 -{c.sh(1, f'cut -c1-20 {d}/home').strip()}", ok=False)
        p.kill()
        c.sh(1, f"rm -rf {d}")


def test_a_fork_bomb_on_two_nodes_is_put_out_by_one_signal(fresh_cluster):
    c = fresh_cluster(2)
    before = set(pids(c, 2))
    bomb = c.start(1, "t_abuse", "bomb", "--seconds", 15)
    born_there = set()

    def burning():
        born_there.update(p for p in set(pids(c, 2)) - before if p >> 20 == 2)
        return bomb.poll() is not None
    wait_until(burning, 120, step=1, what="its end")
    text = bomb.stdout.read().decode()
    assert bomb.returncode == 0 and "not ok" not in text, text + bomb.stderr.read().decode()
    assert len(born_there) > 5, "the bomb was not spread"
    wait_until(lambda: not [k for k in (1, 2) if "t_abuse" in c.sh(k, "ps")], what="nobody is left")
