# SPDX-License-Identifier: MIT
"""Nodes killed in the middle of a migration, at each step of the protocol (docs/guarantees.md). All frames are slowed
down, so that the source can be watched, and the victim killed, step by step. Node 1, where the parent waits, survives."""
import collections
import re
import time

import pytest

from cluster_lib.cluster import wait_until

DELAY_MS = 120  # of every frame: a step takes two of them
# As `migrate --status` on the source names them; "moved": when the command has said so.
STEPS = ("greeting", "offering", "sending", "committed", "moved")
# source, destination, victim: the home of the process is node 1, so it is source, destination, or a third
CASES = [(1, 2, 2), (2, 1, 2), (2, 3, 2), (2, 3, 3)]


def leftovers(c, node):
    """What a process that has gone must not have left behind."""
    counters = dict(line.split() for line in c.sh(node, "t_counters").splitlines())
    return {name: int(counters[name]) for name in ("procs", "stubs", "fobjs", "fs_holds", "fs_locks")}


def slow(c, on):
    for node in range(1, c.n + 1):
        c.verb("net", node, f"delay={DELAY_MS if on else 0}ms")


def places(c, pid, states="(?!away|ended)", but=0):
    """Nodes on which it is more than a stub."""
    return [node for node in range(1, c.n + 1) if node != but and
            re.search(rf" on node {node}: {states}", c.sh(node, f"view {pid} 2>&1", ok=False))]


def settled(c):
    return not any(re.search(r"^\d+ (to|from) node", c.sh(k, "migrate --status"), re.M) for k in range(1, c.n + 1))


def watch(c, source, pid, mover, step):
    """Wait until the migration is at this step or beyond; the step it is at then."""
    while mover.poll() is None:
        seen = re.search(rf"^{pid} to node \d+: (\w+)", c.sh(source, "migrate --status"), re.M)
        if seen and seen[1] in STEPS and STEPS.index(seen[1]) >= STEPS.index(step):
            return seen[1]
    return "moved"


def one(c, source, dest, victim, step):
    """(The step at which the victim was killed, what became of the process: "lives" or "lost")"""
    shell = c.start(1, "sh", "-c", "sleep 600 </dev/null >/root/out 2>&1 & echo $!; wait $!; echo $?")
    pid = int(shell.stdout.readline())
    time.sleep(0.2)
    if source != 1:
        c.sh(1, f"migrate {pid} {source}")
    slow(c, True)
    mover = c.start(source, "migrate", str(pid), str(dest))
    step = watch(c, source, pid, mover, step)
    c.verb("kill", victim)
    slow(c, False)
    alive = places(c, pid, "(running|asleep)", but=victim)
    assert len(alive) <= 1, f"{pid} runs on {alive}"
    c.verb("restart", victim)
    mover.communicate(timeout=60)
    wait_until(lambda: settled(c), 30, what="the end of the migration")
    wait_until(lambda: shell.poll() is not None or len(places(c, pid)) == 1, 30, what="the fate of the process")
    where = places(c, pid)
    if shell.poll() is None:
        assert len(where) == 1, f"{pid} is on {where}, its parent waits"
        c.sh(1, f"kill {pid}")
        fate, status = "lives", "143"
    else:
        assert where == [], f"{pid} is on {where}, its parent was told that it has ended"
        fate, status = "lost", "137"
    assert shell.communicate(timeout=30)[0].split()[-1].decode() == status
    return step, fate


def crashes(c, steps, times=1):
    c.sh(1, "load off")
    before = {node: leftovers(c, node) for node in range(1, c.n + 1)}
    fates = collections.defaultdict(set)
    for case in CASES:
        for step in steps * times:
            step, fate = one(c, *case, step)
            fates[case, step].add(fate)
            print(f"{case[0]} -> {case[1]}, node {case[2]} killed at {step}: {fate}")
    wait_until(lambda: settled(c), 10, what="the end of all migrations")
    for node in range(1, c.n + 1):
        c.sh(node, "migrate --status | grep '^0 processes of other nodes here, 0 of this node away'")
    end = time.monotonic() + 10
    while (after := {node: leftovers(c, node) for node in before}) != before and time.monotonic() < end:
        time.sleep(0.5)
    assert after == before
    # Before COMMIT the death of the destination costs nothing; that of the source costs the process.
    for (source, _, victim), step in fates:
        if step in STEPS[:2]:
            assert fates[(source, _, victim), step] == {"lost" if victim == source else "lives"}
    return fates


def test_some_crashes(fresh_cluster):
    crashes(fresh_cluster(3), ["offering", "sending", "moved"])


@pytest.mark.long
def test_forty_crashes(fresh_cluster):
    fates = crashes(fresh_cluster(3), list(STEPS), times=2)
    assert {step for _, step in fates} == set(STEPS), "a step was never hit"
