# SPDX-License-Identifier: MIT
"""Clocks, sleeps and timers: clocktest says on a node what it says on the host; and a node's clock can be set."""
import subprocess

from cluster_lib import build_dir


def test_clocktest_as_on_the_host(cluster):
    on_host = subprocess.run([build_dir() / "tests/os/clocktest"], capture_output=True, timeout=60)
    assert on_host.returncode == 0, on_host.stdout.decode()
    on_node = cluster(1).exec(1, "/bin/clocktest")
    assert on_node.stdout.decode() == on_host.stdout.decode()
    assert on_node.returncode == 0


def test_date_sets_the_clock_back_for_all(cluster):
    """The setter and those who already follow the node's clock see it; the checker is not alarmed."""
    c = cluster(1)
    out = c.sh(1, "a=$(date +%s); (date >/dev/null; sleep 1; date +%s >/tmp/other) & "
                  "date -s @$((a - 1000)) >/dev/null; b=$(date +%s); wait; o=$(cat /tmp/other); rm /tmp/other; "
                  "date -s @$((b + 1000)) >/dev/null; echo $((a - b)) $((a - o))")
    back, other = map(int, out.split())
    assert 990 <= back <= 1000 and 990 <= other <= 1000


def test_only_root_sets_the_clock(cluster):
    c = cluster(1)
    assert b"not permitted" in c.exec(1, "su", "student", "-c", "date -s @5").stderr
    assert int(c.sh(1, "date +%s")) > 1000000000
