# SPDX-License-Identifier: MIT
"""What the tests share: where the build is, and clusters (cluster.py)."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build_dir():
    """The build under test: BUILD, as for make."""
    return (ROOT / os.environ.get("BUILD", "build")).resolve()
