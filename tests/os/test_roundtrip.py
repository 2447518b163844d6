# SPDX-License-Identifier: MIT
"""The kernel's half of a migration on one node without a disk: roundtrip.c, started as the boot module, is the handler."""
import subprocess
import time

import pytest

from cluster_lib import build_dir


def run(tmp_path, *options):
    """Boot it; the lines it printed, by what they say about each check."""
    log = tmp_path / "log"
    log.touch()
    qemu = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-nodefaults", "-no-user-config", "-m", "128M",
         "-display", "none", "-no-reboot", "-kernel", build_dir() / "whimbrel.elf",
         "-initrd", f"{build_dir() / 'tests/os/roundtrip'} roundtrip",
         "-append", " ".join(("node=1", "nodes=2", *options)), "-debugcon", f"file:{log}"],
        stdin=subprocess.DEVNULL)
    try:
        for _ in range(600):
            text = log.read_text(errors="replace")
            if "roundtrip: " in text or "PANIC" in text or qemu.poll() is not None:
                break
            time.sleep(0.2)
    finally:
        qemu.kill()
        qemu.wait()
    lines = [line.split("] ", 1)[-1] for line in log.read_text(errors="replace").splitlines()]
    return ([line for line in lines if line.startswith("ok ")],
            [line for line in lines if line.startswith("not ok ")], lines)


def test_a_process_does_not_notice(tmp_path):
    good, bad, lines = run(tmp_path)
    assert not bad
    assert "roundtrip: passed" in lines, "\n".join(lines[-20:])
    assert len(good) > 40


def test_without_views_it_notices(tmp_path):
    """The checker and the child itself see the clock run backwards, there are no duplicates, and nothing else changes."""
    good, bad, lines = run(tmp_path, "views=0")
    assert [line[7:26] for line in bad] == ["nor on a node whose", "nor for who is told", "the checker saw it ",
                                               "the view names epoc"]
    assert any("ran backwards" in line for line in lines)


@pytest.mark.parametrize("policy", ["block", "slew"])
def test_other_ways_to_keep_time(tmp_path, policy):
    good, bad, lines = run(tmp_path, f"clock={policy}")
    assert not bad
    assert "roundtrip: passed" in lines, "\n".join(lines[-20:])
