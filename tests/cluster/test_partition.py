# SPDX-License-Identifier: MIT
"""A cluster cut in two for a while, and healed: everything finds together again by itself, nothing hangs, nothing is done twice."""
import threading
import time

import pytest

from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program

FILE = "/n/2/tmp/beats"
MD5 = "cat /n/2/tmp/big | md5sum"


def beats(c):
    """What P wrote on node 2, as node 2 reads it: 0, 1, 2, ... and nothing twice; how many."""
    lines = c.sh(2, "cat /tmp/beats").split("\n")[:-1]
    assert lines == [str(k) for k in range(len(lines))], "P ran twice, or lost what it had done"
    return len(lines)


def sees_all(c, node):
    return c.sh(node, "nodes").count(" alive ") == 3


class Traveller(threading.Thread):
    """A process is sent to and fro between nodes 1 and 2 until told to stop. A move may fail, with a reason and in time."""

    def __init__(self, c, program):
        super().__init__()
        self.c, self.p = c, program
        self.stop, self.moved, self.refused, self.wrong = False, 0, 0, None

    def run(self):
        try:
            while not self.stop:
                r = self.c.exec(self.p.at, "migrate", self.p.pid, 3 - self.p.at, timeout=60)
                if r.returncode == 0:
                    self.p.at, self.moved = 3 - self.p.at, self.moved + 1
                else:
                    self.refused += 1
                    time.sleep(0.5)
                    # A move whose answer was lost in the cut may have been made.
                    self.p.at = 2 if self.p.runs_on(2) else 1 if self.p.runs_on(1) else self.p.at
        except Exception as e:  # pylint: disable=broad-except  # told to the test
            self.wrong = e


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.long)])
def test_cut_and_healed(fresh_cluster, seconds):
    c = fresh_cluster(3)
    for node in (1, 2, 3):
        c.sh(node, "load off")
    c.sh(2, "head -c 3000000 /dev/urandom >/tmp/big")
    right = c.sh(2, "md5sum </tmp/big")
    assert c.sh(3, MD5) == right
    # P, of node 1, works on node 2, with a file there. R wanders between the two.
    p = Program(c, 1, f"t_beat {FILE}")
    p.move(2)
    r = Program(c, 1, "t_beat /dev/null --kib 512")
    wanderer = Traveller(c, r)
    wanderer.start()
    doomed = Program(c, 1, "t_beat /dev/null")
    doomed.move(2)
    wait_until(lambda: wanderer.moved > 2 and beats(c) > 5, 60, what="P works, R wanders")

    c.verb("net", "partition", "1,3", "2")
    cut_at = time.monotonic()
    before = beats(c)
    # A signal for a process on the other side waits, its sender does not.
    c.sh(1, f"kill -TERM {doomed.pid}", timeout=30)
    # Who wants something of the other side gets an error, in time.
    reader, move = c.start(3, "cat", "/n/2/tmp/big"), c.start(2, "migrate", p.pid, 3)
    for what, end in ("reader", reader), ("move", move):
        out, err = end.communicate(timeout=40)
        assert end.returncode == 1 and out + err, f"the {what} across the cut ended with {end.returncode}: {out!r} {err!r}"
    wait_until(lambda: "suspect" in c.sh(1, "nodes") and "suspect" in c.sh(2, "nodes"), what="both sides suspect the other")
    time.sleep(max(0.0, cut_at + seconds - time.monotonic()))
    assert beats(c) > before + 20, "P works on during the cut: all that it needs is on its side"
    assert doomed.shell.poll() is None, "a signal crossed the cut"

    c.verb("net", "heal")
    healed_at = time.monotonic()
    wait_until(lambda: all(sees_all(c, node) for node in (1, 2, 3)), 10, what="all nodes see all nodes")
    wait_until(lambda: c.sh(3, MD5, ok=False) == right, 30, what="node 3 reads node 2's file again")
    print(f"cut for {healed_at - cut_at:.1f} s; files from the other side {time.monotonic() - healed_at:.1f} s after the heal")
    doomed.end_well()
    before = wanderer.moved
    wait_until(lambda: wanderer.moved > before + 2 or wanderer.wrong, 60, what="R wanders again")
    wanderer.stop = True
    wanderer.join(90)
    assert not wanderer.is_alive() and not wanderer.wrong, wanderer.wrong
    print(f"R: {wanderer.moved} moves, {wanderer.refused} refused")
    p.move(3)
    wait_until(lambda at=beats(c): beats(c) > at, what="P works on node 3")
    for program in (p, r):
        c.sh(1, f"kill -TERM {program.pid}")
        program.end_well()
    beats(c)
    assert not c.sad_lines()
