# SPDX-License-Identifier: MIT
"""The clang static analyser finds nothing (tools/lint.sh, .clang-tidy). It takes minutes, so only `check --long` runs it."""

import os
import subprocess

import pytest

from cluster_lib import ROOT


@pytest.mark.long
def test_analyser_finds_nothing():
    run = subprocess.run(["make", "-s", f"BUILD={os.environ.get('BUILD', 'build')}", "lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-1000:]
