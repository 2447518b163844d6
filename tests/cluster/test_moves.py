# SPDX-License-Identifier: MIT
"""Processes moved between two nodes that have neither disk nor file server: handlers, net server and kernel alone."""
import os
import subprocess
from pathlib import Path

from cluster_lib import build_dir


def test_moves_between_bare_nodes():
    script = Path(__file__).with_name("moves.sh")
    done = subprocess.run([script], env={**os.environ, "BUILD": str(build_dir())}, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") >= 9 and "ok nothing is left behind" in done.stdout
