# SPDX-License-Identifier: MIT
"""A process moves with all its threads, whatever they are doing: what comes out is what comes out on the host."""
import subprocess

import pytest

from cluster_lib import build_dir
from cluster_lib.programs import Program, held, wait_held

STEPS = 1500


@pytest.fixture(scope="module")
def c(cluster):
    c = cluster(3)
    for node in (1, 2, 3):
        c.sh(node, "load off")
    yield c
    for node in (1, 2, 3):
        c.sh(node, "load on")


def result(text):
    """The workers end in any order, and what they add meets in any order."""
    return sorted(text.split("total")[0].splitlines()), text.split("consumed")[1]


def moved(c, *route):
    p = Program(c, 1, f"t_threadmove {STEPS}")
    try:
        p.route(*route, pause=0.3)
        return p.end_well()
    finally:
        p.kill()


def test_threads_do_not_notice(c):
    host = subprocess.run([f"{build_dir()}/user/test/t_threadmove", str(STEPS)], capture_output=True, text=True, timeout=60,
                          check=True)
    assert result(moved(c, 2, 3, 1)) == result(host.stdout)  # the servers have grown to their size
    base = {node: held(c, node) for node in (1, 2, 3)}
    for each in base.values():
        del each["regions"]  # a server's heap may grow by one; what a process leaves would show in the frames
    assert result(moved(c, 2, 3, 1, 2)) == result(host.stdout)
    for node in (1, 2, 3):
        wait_held(c, node, base[node], frames=32)


def test_ps_shows_the_process_once(c):
    p = Program(c, 1, f"t_threadmove {STEPS}")
    try:
        p.route(2, pause=0.3)
        lines = [line for line in c.sh(2, "ps").splitlines() if "t_threadmove" in line]
        assert len(lines) == 1, lines
        stat = c.sh(2, f"cat /proc/{p.pid}/stat").rsplit(")", 1)[1].split()
        assert int(stat[17]) == 8, f"num_threads {stat[17]}"
        p.end_well()
    finally:
        p.kill()


def test_kill_finds_it_elsewhere(c):
    p = Program(c, 1, f"t_threadmove {STEPS}")
    p.route(2, pause=0.3)
    c.sh(1, f"kill -KILL {p.pid}")
    status, _ = p.end(30)
    assert status == 137
