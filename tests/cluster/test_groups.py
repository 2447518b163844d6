# SPDX-License-Identifier: MIT
"""Signals to process groups whose members are on several nodes: each member gets each once."""
import re
import time

import pytest

from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program, sign


@pytest.fixture
def c(cluster):
    c = cluster(3)
    for node in (1, 2, 3):
        c.sh(node, "load off")
    yield c
    c.verb("net", "heal")
    for node in (1, 2, 3):
        c.sh(node, "load on")


def judge(c, node, *args, timeout=240):
    r = c.exec(node, "t_group", *args, timeout=timeout)
    text = r.stdout.decode() + r.stderr.decode()
    assert r.returncode == 0 and "not ok" not in text, f"t_group {args} on node {node}: status {r.returncode}\n{text}"


def moved(c):
    return sum(int(re.search(r"^moved (\d+)$", c.sh(k, "migrate --stats"), re.M)[1]) for k in (1, 2, 3))


def pids(c, node):
    return [int(p) for p in c.sh(node, "ps -o pid").split()[1:]]


class Members:
    """Of one group: at home on node 1, moved to node 2, born there, and one that is still to move."""

    def __init__(self, c):
        self.c, self.d = c, c.sh(1, "mktemp -d /tmp/group.XXXXXX").strip()
        self.program = Program(c, 1, f"t_group members {self.d}")
        self.wait("restless")
        self.pid = {name: int(pid) for name, pid in re.findall(r"pid-(\w+)-(\d+)", c.sh(1, f"ls {self.d}"))}
        self.pgid = self.pid["home"]
        c.sh(1, f"migrate {self.pid['moved']} 2")
        sign(c, 1, self.d, "fork")
        self.wait("born")

    def wait(self, name):
        wait_until(lambda: self.c.exec(1, "test", "-s", f"{self.d}/{name}").returncode == 0, what=f"{name} lives")

    def usr1(self, name):
        return int(self.c.sh(1, f"cat {self.d}/{name}").split()[1])

    def end(self):
        self.c.sh(1, f"kill -9 -{self.pgid}", ok=False)
        self.program.kill()
        self.c.sh(1, f"rm -rf {self.d}")


@pytest.fixture
def members(c):
    m = Members(c)
    yield m
    m.end()


@pytest.mark.parametrize("sender", [1, 2])
def test_each_member_gets_each_signal_once(c, members, sender):
    """One moves all the time."""
    before = moved(c)
    c.sh(1, f"restless -k 4 -p {members.pid['restless']}")
    there = members.d if sender == 1 else f"/n/1{members.d}"
    judge(c, sender, "send", there, 50)
    assert moved(c) - before >= 10, "it hardly moved"
    judge(c, sender, "kill", there)
    members.program.end_well()


def test_a_member_may_be_faster_than_the_signal(c, members):
    """Node 2 hears of it late, when one that has had it has come there."""
    pid = members.pid["restless"]
    for count in (1, 2):
        c.verb("net", "partition", "1,3", "2")
        sender = c.start(3, "sh", "-c", f"kill -USR1 -{members.pgid}")
        wait_until(lambda: members.usr1("restless") == count, what="it is heard on node 1")
        time.sleep(2)  # the longer it is not answered, the later it is sent again
        c.verb("net", "heal")
        c.sh(1, f"migrate {pid} 2")
        assert sender.wait(30) == 0
        judge(c, 1, "send", members.d, 0)
        c.sh(2, f"migrate {pid} 1")


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
