# SPDX-License-Identifier: MIT
"""Nothing of a process stays where it has been: after many moves back and forth the counters of both nodes are at their baseline."""
import pytest

from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program, counters, held, sign, wait_held, wait_sign

# Frames in use that are not a leak: the kernel's and the servers' own tables, grown once.
SLACK_FRAMES = 24


def holder(c, moves, directory):
    """A process with open files, a lock, and an unlinked file, in the middle of its work."""
    c.sh(1, f"rm -rf {directory}; mkdir {directory}")
    p = Program(c, 1, f"t_files {directory} 2")
    wait_sign(c, 1, directory, "ready-1")
    p.move(2)
    c.sh(1, f"rm {directory}/gone")
    sign(c, 1, directory, "go-1")
    wait_sign(c, 1, directory, "ready-2")
    for _ in range(moves - 1):
        p.move(2 if p.at == 1 else 1)
    sign(c, 1, directory, "go-2")
    wait_sign(c, 1, directory, "done")
    sign(c, 1, directory, "end")
    p.end_well()
    c.sh(1, f"rm -r {directory}")


def check_leaks(c, moves):
    holder(c, 4, "/tmp/leak")  # what is made once is made now
    before = {k: held(c, k) for k in (1, 2)}
    kernel = {k: counters(c, k)["kmem_bytes"] for k in (1, 2)}
    arrivals = counters(c, 2)["migrations_in"]
    holder(c, moves, "/tmp/leak")
    assert counters(c, 2)["migrations_in"] - arrivals == (moves + 1) // 2, "not all the moves were made"
    for k in (1, 2):
        wait_held(c, k, before[k], frames=SLACK_FRAMES)
        more = counters(c, k)["kmem_bytes"] - kernel[k]
        assert more < 64 * 1024, f"node {k}: the kernel keeps {more} bytes more, {more / moves:.0f} for each move"


def test_fifty_moves_leave_nothing(cluster):
    check_leaks(cluster(2), 50)


@pytest.mark.long
def test_a_thousand_moves_leave_nothing(cluster):
    check_leaks(cluster(2), 1000)


def test_the_source_is_empty_at_once(cluster):
    """While the process lives elsewhere, its home keeps the stub for its parent, and the files' custodian their holds: no more."""
    c = cluster(2)
    c.sh(1, "rm -f /tmp/beat")
    before = {k: held(c, k) for k in (1, 2)}
    p = Program(c, 1, "t_beat /tmp/beat --kib 4096")
    try:
        wait_until(lambda: c.exec(1, "test", "-s", "/tmp/beat").returncode == 0, what="all its memory is in use")
        here = held(c, 1)
        p.move(2)
        away = held(c, 1)
        assert away["stubs"] == before[1]["stubs"] + 1, f"stubs: {before[1]['stubs']} -> {away['stubs']}"
        freed = here["frames_used"] - away["frames_used"]
        assert freed > 1024, f"only {freed} frames were given back of a process of 4 MB"
        assert away["regions"] < here["regions"] and away["ofiles"] < here["ofiles"], f"{here} -> {away}"
        assert held(c, 2)["procs"] == before[2]["procs"] + 1
    finally:
        p.kill()
    for k in (1, 2):
        wait_held(c, k, before[k], frames=SLACK_FRAMES)


def test_refused_and_failed_moves_leave_nothing(cluster):
    c = cluster(2)
    p = Program(c, 1, "sh -c 'sleep 60 >/dev/null 2>&1; true'")
    try:
        before = {k: held(c, k) for k in (1, 2)}
        for _ in range(10):
            p.refused(2)
        for k in (1, 2):
            wait_held(c, k, before[k], frames=SLACK_FRAMES)
    finally:
        c.sh(1, "killall sleep", ok=False)
        p.kill()
