# SPDX-License-Identifier: MIT
"""Programs that misuse the machine: the offender gets the error or the signal, others go on, and everything is given back."""
import subprocess
import time

import pytest

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until
from cluster_lib.programs import counters, held, wait_held

SLACK_FRAMES = 48  # tables of the kernel and the servers, grown once


class Innocent:
    """Another user's process with 4 MB, half of which it touches again and again: nobody else's greed may end it."""

    def __init__(self, c, node=1):
        self.c, self.node = c, node
        self.pid = c.spawn(node, "t_creds --as 500 t_beat /tmp/innocent/beat --kib 4096", output="/tmp/innocent.out")

    def beats(self):
        return int((self.c.sh(self.node, "tail -n 1 /tmp/innocent/beat").strip() or "0"))

    def end(self):
        self.c.sh(self.node, f"kill {self.pid}; while kill -0 {self.pid} 2>/dev/null; do sleep 0.1; done")
        text = self.c.sh(self.node, "cat /tmp/innocent.out; rm -r /tmp/innocent /tmp/innocent.out")
        assert "ok the memory is what it was" in text and "not ok" not in text, f"the innocent process said: {text!r}"


def run(c, *args, timeout=120):
    r = c.exec(1, "t_abuse", *args, timeout=timeout)
    text = r.stdout.decode()
    bad = [line for line in text.splitlines() if line.startswith("not ok")]
    assert r.returncode == 0 and not bad, f"exit status {r.returncode}\n{text}{r.stderr.decode()}"
    return text


@pytest.fixture
def node(fresh_cluster):
    c = fresh_cluster(1)
    c.sh(1, "mkdir -m 777 /tmp/innocent")
    return c


@pytest.mark.parametrize("what", ["bomb", "memory", "share", "shm", "timers"])
def test_others_go_on(node, what):
    innocent = Innocent(node)
    wait_until(lambda: node.exec(1, "test", "-s", "/tmp/innocent/beat").returncode == 0, what="it beats")
    run(node, what)  # what is made once is made now
    before, first = held(node, 1), innocent.beats()
    started = node.start(1, "t_abuse", what)
    worst = 0.0
    while started.poll() is None:  # root can still start programs, and they answer
        at = time.monotonic()
        assert node.sh(1, "echo alive; ps >/dev/null", timeout=30).startswith("alive")
        worst = max(worst, time.monotonic() - at)
    text = started.stdout.read().decode()
    assert started.returncode == 0 and "not ok" not in text, text + started.stderr.read().decode()
    print(f"{text}the slowest command meanwhile took {worst:.2f} s")
    assert innocent.beats() > first, "the innocent process made no progress"
    wait_held(node, 1, before, frames=SLACK_FRAMES)
    innocent.end()
    assert "PANIC" not in node.log(1)


def test_a_stack_without_end(cluster):
    run(cluster(1), "stack")


@pytest.mark.parametrize("procs", [1000, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_processes_are_made_and_reaped(cluster, procs):
    c = cluster(1)
    run(c, "reap", "--procs", 100)
    before = held(c, 1)
    run(c, "reap", "--procs", procs)
    wait_held(c, 1, before, frames=SLACK_FRAMES)


# ---- what is another's

def test_what_an_ordinary_user_may_not_do(cluster):
    host = subprocess.run([f"{build_dir()}/user/test/t_creds"], capture_output=True, text=True, timeout=30, check=False)
    r = cluster(1).exec(1, "t_creds", timeout=60)
    text = r.stdout.decode()
    bad = [line for line in text.splitlines() if line.startswith("not ok")]
    assert r.returncode == 0 and not bad, f"exit status {r.returncode}\n" + "\n".join(bad) + r.stderr.decode()
    assert text.count("ok ") > 45
    if host.returncode != 2:  # only root of the host can make the comparison
        assert host.returncode == 0 and host.stdout.count("ok ") == text.count("ok "), host.stdout


def test_a_user_moves_and_sees_only_what_is_his(cluster):
    c = cluster(2)
    c.sh(1, "rm -rf /tmp/his; mkdir -m 777 /tmp/his")
    mine = c.spawn(1, "t_beat /tmp/beat")
    his = c.spawn(1, "t_creds --as 500 t_beat /tmp/his/beat")
    wait_until(lambda: c.exec(1, "test", "-s", "/tmp/his/beat").returncode == 0, what="it beats")

    def as_user(*cmd):
        r = c.exec(1, "t_creds", "--as", 500, *cmd)
        return r.returncode, (r.stdout + r.stderr).decode()
    try:
        status, text = as_user("migrate", mine, 2)
        assert status == 1 and "only its owner" in text, text
        status, text = as_user("view", mine)
        assert status == 1 and "only its owner" in text, text
        status, text = as_user("trace")
        assert status == 1 and "root" in text, text
        status, text = as_user("kill", mine)
        assert status == 1 and "not permitted" in text, text
        assert as_user("view", his)[0] == 0
        status, text = as_user("migrate", his, 2)
        assert status == 0, text
        status, text = as_user("kill", his)  # wherever it runs
        assert status == 0, text
        wait_until(lambda: str(his) not in c.sh(1, "ps -o pid"), what="it has ended")
    finally:
        c.sh(1, f"kill -9 {mine} {his} 2>/dev/null; rm -rf /tmp/his /tmp/beat", ok=False)
