# SPDX-License-Identifier: MIT
"""The node and the host that the programs run on. SUITES_RUN='restless -k 300' puts that before each program under test, on two nodes."""
import os

import pytest

from cluster_lib import suites

PREFIX = os.environ.get("SUITES_RUN", "")


@pytest.fixture(scope="session")
def node(cluster):
    """A node with memory for programs made for bigger machines."""
    return suites.Node(cluster(2 if PREFIX else 1, "--mem", "512M"), prefix=PREFIX)


@pytest.fixture(scope="session")
def host():
    h = suites.Host()
    yield h
    h.remove()
