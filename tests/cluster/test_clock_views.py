# SPDX-License-Identifier: MIT
"""Views of time across nodes that disagree: node 1 is 65 s ahead of node 2 and runs 0.5 % fast."""
import time

CLOCKS = ("--skew", "1=40s", "--skew", "2=-25s", "--drift", "1=5000ppm")


def moved(c, command, route, pause=0.4):
    """Run a command on the first node of a route and move it along; its exit status and output."""
    first = route[0]
    out = f"/tmp/out-{time.monotonic_ns()}"
    shell = c.start(first, "sh", "-c", f"{command} </dev/null >{out} 2>&1 & echo $!; wait $!; echo $?")
    pid = int(shell.stdout.readline())
    for here, there in zip(route, route[1:]):
        time.sleep(pause)
        c.sh(here, f"migrate {pid} {there}")
    status = int(shell.communicate(timeout=60)[0])
    return status, c.sh(first, f"cat {out}; rm {out}")


def counter(c, name):
    return sum(int(line.split()[1]) for k in range(1, c.n + 1) for line in c.sh(k, "t_counters").splitlines()
               if line.split()[0] == name)


def test_no_clock_runs_backwards(cluster):
    c = cluster(2, *CLOCKS)
    before = counter(c, "checker_violations")
    status, text = moved(c, "t_clock --seconds 5", [1, 2, 1, 2, 1, 2])
    assert status == 0, text
    assert counter(c, "checker_violations") == before


def test_from_the_slow_to_the_fast(cluster):
    status, text = moved(cluster(2, *CLOCKS), "t_clock --seconds 3", [2, 1])
    assert status == 0, text


def test_without_views_it_does(cluster):
    c = cluster(2, *CLOCKS, "--no-views")
    status, text = moved(c, "t_clock --seconds 5", [1, 2])
    assert status == 1 and "backwards" in text
    assert counter(c, "checker_violations") > 0
    assert "ran backwards" in c.log(2)


def test_half_a_sleep_remains_half_a_sleep(cluster):
    c = cluster(2, *CLOCKS)
    for command in ("t_sleep --ms 3000", "t_sleep --ms 3000 --absolute 1"):
        start = time.monotonic()
        status, text = moved(c, command, [1, 2], pause=0.8)
        assert status == 0, text
        assert 2.9 < time.monotonic() - start < 5.5


def test_a_signal_follows_and_the_status_comes_back(cluster):
    c = cluster(2, *CLOCKS)
    assert c.sh(1, "sleep 30 </dev/null >/dev/null 2>&1 & p=$!; sleep 0.3; migrate $p 2 >/dev/null; "
                   "kill -TERM $p; wait $p; echo $?").strip() == "143"
    assert c.sh(1, "sh -c 'sleep 1; exit 7' </dev/null >/dev/null 2>&1 & p=$!; wait $p; echo $?").strip() == "7"
