# SPDX-License-Identifier: MIT
"""Signals, pipes, poll and job control: sigtest says on a node what it says on the host, frozen now and then or not."""
import re
import subprocess
import time

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until


def on_host(*args):
    r = subprocess.run([build_dir() / "tests/os/sigtest", *args], capture_output=True, timeout=60)
    assert r.returncode == 0, r.stdout.decode()
    return r.stdout.decode()


def test_sigtest_as_on_the_host(cluster):
    on_node = cluster(1).exec(1, "/bin/sigtest")
    assert on_node.stdout.decode() == on_host()
    assert on_node.returncode == 0


def test_freezes_are_not_noticed(tmp_path):
    """freezer.c, started as the boot module, freezes sigtest's processes hundreds of times while it runs."""
    log = tmp_path / "log"
    log.touch()
    qemu = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-nodefaults", "-no-user-config", "-m", "64M",
         "-display", "none", "-no-reboot", "-kernel", build_dir() / "whimbrel.elf",
         "-initrd", f"{build_dir() / 'tests/os/freezer'} freezer", "-append", "node=1 nodes=1",
         "-debugcon", f"file:{log}"], stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and qemu.poll() is None and "freezer: status" not in log.read_text(errors="replace"):
            time.sleep(0.2)
    finally:
        qemu.kill()
        qemu.wait()
    lines = [line.split("] ", 1)[-1] for line in log.read_text(errors="replace").splitlines()]
    said = [line for line in lines if re.match(r"ok |not ok |\d+ failures", line)]
    assert said == on_host("no-exec").splitlines(), "\n".join(lines[-20:])
    assert "freezer: status 0" in lines
    asked, frozen = map(int, re.search(r"asked (\d+) frozen (\d+)", "\n".join(lines)).groups())
    assert frozen > 100 and frozen > asked // 2


def test_interrupted_calls_travel(cluster):
    """pause, sigsuspend, sleeps and poll are interrupted by moves all the time; timers go along."""
    c = cluster(2)
    pid = c.spawn(1, "/bin/sigtest travel 30", "/tmp/travel")
    moves = 0
    for node in [2, 1] * 20:
        at = 3 - node
        if c.exec(at, "migrate", str(pid), str(node)).returncode != 0:
            break  # it has ended
        moves += 1
    wait_until(lambda: not c.sh(1, f"ps | grep '{pid} ' | grep -v grep", ok=False), 30, what="its end")
    assert c.sh(1, "cat /tmp/travel") == on_host("travel", "30")
    assert moves >= 5


def test_signals_reach_a_process_that_is_away(cluster):
    c = cluster(2)
    script = ("sleep 1000 </dev/null >/dev/null 2>&1 & p=$!; sleep 0.2; migrate $p 2 >/dev/null || exit 9; "
              "kill -STOP $p; sleep 0.3; kill -TERM $p; sleep 0.3; kill -0 $p && echo there; kill -CONT $p; wait $p; echo $?")
    assert c.sh(1, script) == "there\n143\n"
    assert "sleep 1000" not in c.sh(2, "ps")
