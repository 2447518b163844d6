# SPDX-License-Identifier: MIT
"""Signals, pipes, poll and job control: sigtest says on a node what it says on the host."""
import subprocess

from cluster_lib import build_dir


def test_sigtest_as_on_the_host(cluster):
    on_host = subprocess.run([build_dir() / "tests/os/sigtest"], capture_output=True, timeout=60)
    assert on_host.returncode == 0, on_host.stdout.decode()
    on_node = cluster(1).exec(1, "/bin/sigtest")
    assert on_node.stdout.decode() == on_host.stdout.decode()
    assert on_node.returncode == 0
