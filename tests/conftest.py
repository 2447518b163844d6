# SPDX-License-Identifier: MIT
"""Fixtures: `cluster` shares booted clusters between tests; `fresh_cluster` is for a test that breaks one."""
import pytest

from cluster_lib.cluster import Cluster, Failed


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; run by check --long")


@pytest.fixture(scope="session")
def cluster():
    """cluster(N, *options, direct=True): a running cluster, shared by all who ask for the same. Leave it as you found it."""
    shared = {}

    def get(n, *options, direct=True):
        key = (n, options, direct)
        if key not in shared:
            c = shared[key] = Cluster(n, *options, direct=direct)
            try:
                c.up()
            except Failed as e:  # the others that want it fail at once
                c.broken = e
        if shared[key].broken:
            raise shared[key].broken
        return shared[key]
    yield get
    for c in shared.values():
        c.down()


@pytest.fixture
def fresh_cluster():
    """fresh_cluster(N, *options, direct=True): a running cluster of this test's own."""
    mine = []

    def get(n, *options, direct=True):
        mine.append(Cluster(n, *options, direct=direct))
        return mine[-1].up()
    yield get
    for c in mine:
        c.down()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the ends of the logs of the clusters it used."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed:
        return
    for value in item.funcargs.values():
        if isinstance(value, Cluster):
            report.sections.append(("logs", value.logs_tail()))
