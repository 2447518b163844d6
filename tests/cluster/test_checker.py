# SPDX-License-Identifier: MIT
"""The online checker sees what processes see, and `view` shows what they have seen: markers, duplicates, verdicts."""
import re

from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program, counters, sign, wait_sign


def test_the_checker_sees_every_observation(cluster):
    c = cluster(2)
    before = counters(c, 1)["checker_observations"]
    out = c.sh(1, "t_clock --seconds 1")
    reads = int(re.search(r"reads of each clock (\d+)", out).group(1))
    clocks = out.count("ok ")
    seen = counters(c, 1)["checker_observations"] - before
    assert reads * clocks > 10_000, "too few to tell anything"
    assert seen >= 0.95 * reads * clocks, f"{reads * clocks} reads of {clocks} clocks, but only {seen} observations"


def test_its_record_travels_with_the_process(cluster, request):
    c = cluster(2)
    directory = c.sh(1, "mktemp -d /tmp/checker.XXXXXX").strip()
    p = Program(c, 1, f"t_names {directory}")
    request.addfinalizer(p.kill)
    wait_sign(c, 1, directory, "noted")

    def observations(node):
        text = c.sh(node, f"view {p.pid}")
        m = re.search(r"checker: (\d+) observations, (\d+) inconsistent", text)
        assert m, f"view does not show the checker:\n{text}"
        assert m.group(2) == "0", text
        return int(m.group(1))
    here = observations(1)
    p.move(2)
    there = observations(2)
    assert there >= here > 0, f"{here} observations before the move, {there} after"
    sign(c, 1, directory, "go")
    p.end_well()
    c.sh(1, f"rm -r {directory}")


def test_view_shows_names_markers_and_verdicts(cluster, request):
    c = cluster(2)
    c.sh(1, "rm -f /tmp/viewed")
    p = Program(c, 1, "t_beat /tmp/viewed")
    request.addfinalizer(p.kill)
    # The shell that starts it has the pid first.
    wait_until(lambda: c.exec(1, "test", "-s", "/tmp/viewed").returncode == 0, what="it beats")
    text = c.sh(1, f"view {p.pid}")
    for word in (str(p.pid), "t_beat", "/tmp/viewed", "node 2"):
        assert word in text, f"view does not mention {word}:\n{text}"
    p.move(2)
    moved = c.sh(2, f"view {p.pid}")
    for word in (str(p.pid), "t_beat", "/tmp/viewed", "node 1"):
        assert word in moved, f"after the move view does not mention {word}:\n{moved}"
    assert c.exec(1, "view", p.pid).returncode != 0 or "node 2" in c.sh(1, f"view {p.pid}"), "node 1 knows no better"


def test_the_log_of_moves_names_each(cluster, request):
    c = cluster(2)
    p = Program(c, 1, "t_beat /tmp/logged")
    request.addfinalizer(p.kill)
    said = p.move(2)
    assert re.search(r"frozen for [\d.]+ ms", said), said
    row = [line.split("\t") for line in c.sh(1, "migrate --log").splitlines() if str(p.pid) in line]
    assert row and row[-1][2:7] == ["t_beat", "1", "2", "1", "moved"], row
