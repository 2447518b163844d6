# SPDX-License-Identifier: MIT
"""Source or destination cut off at each step of a migration: never two copies, never lost unless its owner died, nothing kept.

Process P is born on node 3, which keeps its parent and its files and stays alive, moves to node 1, and is on its way to
node 2 when node 1 or 2 is killed. Slow links make each step last long enough to be met by looking at `migrate --status`.
P appends numbers to a file on node 3: two copies of it would write one twice.
"""
import itertools
import time

import pytest

from cluster_lib.cluster import Cluster, wait_until
from cluster_lib.programs import Program, held, wait_held

SOURCE, DESTINATION, HOME = 1, 2, 3
LINK_DELAY = "50ms"
P_KIB = 1200
SLACK_FRAMES = 200  # of the servers' own memory, which grows with what they meet; P has more

# Who shows the step, what it says, and what becomes of P if the source or the destination dies there:
# "lives", "dies" with its owner, or None where the messages under way decide it (docs/migration-protocol.md).
STEPS = {
    "greeting": (SOURCE, "greeting", "dies", "lives"),
    "offering": (SOURCE, "offering", "dies", "lives"),
    "sending": (SOURCE, "sending", None, "lives"),
    "receiving": (DESTINATION, "receiving", "dies", "lives"),
    "adopting": (DESTINATION, "taking its files", None, None),
    "prepared": (DESTINATION, "prepared", None, None),
    "committed": (SOURCE, "committed", None, None),
    "running": (DESTINATION, "running, not yet released", "lives", "dies"),
}
EVERY = [(step, victim) for step in STEPS for victim in (SOURCE, DESTINATION)]
QUICK = [("offering", SOURCE), ("receiving", DESTINATION), ("prepared", SOURCE), ("committed", DESTINATION), ("running", SOURCE),
         ("running", DESTINATION)]
REPEATS = 3  # in the long run: 48 runs, more than the 40 that are asked for
serial = itertools.count()


@pytest.fixture(scope="module")
def c():
    cluster = Cluster(3, direct=True).up()
    for node in (1, 2, 3):
        cluster.sh(node, "load off")
    yield cluster
    cluster.down()


def back_at_baseline(c, baseline):
    for node in (1, 2, 3):
        wait_held(c, node, {**baseline[node], "regions": baseline[node]["regions"] + 16}, 30, frames=SLACK_FRAMES)


@pytest.fixture
def baseline(c):
    """Of a node that has just booted, or of one that has not."""
    return {node: held(c, node) for node in (1, 2, 3)}


def beats(c, file):
    """The numbers that P wrote, which must be 0, 1, 2, ...; how many."""
    text = c.sh(HOME, f"cat {file}")
    lines = text.splitlines()
    if not text.endswith("\n"):
        lines = lines[:-1]
    for k, line in enumerate(lines):
        assert line == str(k), f"beat {k} is '{line}' after {lines[max(0, k - 3):k]}: P ran twice, or lost what it had done"
    return len(lines)


def wait_step(c, p, node, words):
    """Until the node says that it is at this step with P. Looks as often as it can: a step lasts a few messages."""
    end = time.monotonic() + 20
    last = ""
    while time.monotonic() < end:
        last = c.sh(node, "migrate --status")
        for line in last.splitlines():
            if line.startswith(f"{p.pid} ") and words in line:
                return
    pytest.fail(f"node {node} was never seen '{words}' with {p.pid}; at last it said:\n{last}")


def where_it_runs(c, p):
    return [node for node in (SOURCE, DESTINATION) if p.runs_on(node)]


def one_run(c, baseline, step, victim):
    shows, words, if_source_dies, if_destination_dies = STEPS[step]
    expected = if_source_dies if victim == SOURCE else if_destination_dies
    survivor = DESTINATION if victim == SOURCE else SOURCE
    file = f"/tmp/beat-{next(serial)}"
    p = Program(c, HOME, f"t_beat {file} --kib {P_KIB}")
    mover = None
    try:
        p.move(SOURCE)
        wait_until(lambda: beats(c, file) > 5, what="P works on node 1")
        c.verb("net", "all", f"delay={LINK_DELAY}")
        mover = c.start(SOURCE, "migrate", p.pid, DESTINATION)
        wait_step(c, p, shows, words)
        c.verb("kill", victim)
        c.verb("net", "all", "delay=0ms")
        c.verb("restart", victim)
        c.sh(victim, "load off")
        wait_until(lambda: all(c.sh(k, "nodes").count("alive") == 3 for k in (1, 2, 3)), 30, what="all nodes see all nodes")
        # Either it goes on, or its parent is told that it was killed.
        before = beats(c, file)
        wait_until(lambda: p.shell.poll() is not None or beats(c, file) > before + 10, 40,
                   what="P goes on, or its parent hears of its end")
        if p.shell.poll() is None:
            # One node; a destination that was only greeted may be greeted again when it is back.
            places = [[survivor], [DESTINATION]] if step == "greeting" else [[survivor]]
            assert where_it_runs(c, p) in places, f"P runs on {where_it_runs(c, p)}, not on node {survivor} alone"
            fate = "lives"
            c.sh(HOME, f"kill -TERM {p.pid}")
            p.end_well()
        else:
            status, _ = p.end()
            assert status == 137, f"its parent was told {status} instead of 137, killed by signal 9"
            assert not where_it_runs(c, p), f"its parent was told it is dead, but it runs on {where_it_runs(c, p)}"
            fate = "dies"
        print(f"{step}, node {victim} killed: P {fate}")
        assert expected in (None, fate), f"at '{step}' the owner of P was node {'1' if expected == fate else survivor}, but P {fate}"
        total = beats(c, file)
        time.sleep(0.3)
        assert beats(c, file) == total, "somebody still writes P's beats after its end"
    finally:
        c.verb("net", "all", "delay=0ms", ok=False)
        p.kill()
        if mover:
            mover.kill()
            mover.communicate()
        c.sh(HOME, f"rm -f {file}", ok=False)
    back_at_baseline(c, baseline)


@pytest.mark.parametrize("step, victim", QUICK)
def test_killed_at(c, baseline, step, victim):
    one_run(c, baseline, step, victim)


@pytest.mark.long
@pytest.mark.parametrize("repeat", range(REPEATS))
@pytest.mark.parametrize("step, victim", EVERY)
def test_killed_at_every_step(c, baseline, step, victim, repeat):
    one_run(c, baseline, step, victim)


def test_a_partition_in_the_middle(c, baseline):
    """P may stand still while the two cannot hear each other; it never runs twice, and goes on afterwards."""
    file = "/tmp/beat-partition"
    p = Program(c, HOME, f"t_beat {file} --kib {P_KIB}")
    mover = None
    try:
        p.move(SOURCE)
        c.verb("net", "all", f"delay={LINK_DELAY}")
        mover = c.start(SOURCE, "migrate", p.pid, DESTINATION)
        wait_step(c, p, SOURCE, "committed")
        c.verb("net", "partition", "1,3", "2")
        time.sleep(3)
        beats(c, file)
        c.verb("net", "heal")
        c.verb("net", "all", "delay=0ms")
        before = beats(c, file)
        wait_until(lambda: beats(c, file) > before + 10, 40, what="P goes on")
        # The source keeps its frozen copy until it hears DONE.
        wait_until(lambda: where_it_runs(c, p) == [DESTINATION], 20, what="after COMMIT P is on node 2 and nowhere else")
        c.sh(HOME, f"kill -TERM {p.pid}")
        p.end_well()
        beats(c, file)
    finally:
        c.verb("net", "heal", ok=False)
        c.verb("net", "all", "delay=0ms", ok=False)
        p.kill()
        if mover:
            mover.kill()
            mover.communicate()
    back_at_baseline(c, baseline)


def test_lossy_links(c, baseline):
    """Frames lost, doubled and out of order only cost time."""
    file = "/tmp/beat-lossy"
    p = Program(c, HOME, f"t_beat {file} --kib {P_KIB}")
    try:
        c.verb("net", "all", "loss=2%", "dup=2%", "reorder=3%")
        for node in (1, 2, 3):
            p.move(node)
            before = beats(c, file)
            wait_until(lambda at=before: beats(c, file) > at, 60, what=f"P works on node {node}")
        c.verb("net", "all", "loss=0%", "dup=0%", "reorder=0%")
        c.sh(HOME, f"kill -TERM {p.pid}")
        p.end_well()
        beats(c, file)
    finally:
        c.verb("net", "all", "loss=0%", "dup=0%", "reorder=0%", ok=False)
        p.kill()
    back_at_baseline(c, baseline)
