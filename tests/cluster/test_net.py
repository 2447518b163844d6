# SPDX-License-Identifier: MIT
"""The network between nodes when the wire is bad, a node stalls, or a node dies."""
import time

import pytest

from cluster_lib.cluster import wait_until

MD5 = "md5sum < /n/1/tmp/big | cut -d' ' -f1"


def stat(cluster, node, name):
    return next(int(v) for k, v in (line.split() for line in cluster.sh(node, "netstats").splitlines()) if k == name)


def make_big(c, megabytes=4):
    return c.sh(1, f"dd if=/dev/urandom of=/tmp/big bs=64k count={megabytes * 16} 2>/dev/null; md5sum < /tmp/big | cut -d' ' -f1")


@pytest.mark.parametrize("fault", ["loss=3%", "dup=10%", "reorder=10%", "delay=20ms"])
def test_data_is_right_on_a_bad_wire(cluster, fault):
    c = cluster(3)
    right = make_big(c, 2)
    name = fault.split("=")[0]
    c.verb("net", 1, fault)
    try:
        assert c.sh(2, MD5, timeout=110) == right
    finally:
        c.verb("net", 1, f"{name}=0")


def test_a_stall_of_five_seconds_ends_no_connection(fresh_cluster):
    c = fresh_cluster(2)
    right = make_big(c)
    assert c.sh(2, MD5) == right
    timed_out = [stat(c, k, "client.timed_out") for k in (1, 2)]
    reader = c.start(2, "sh", "-c", f"for i in 1 2 3 4; do {MD5}; done")
    time.sleep(0.2)
    c.verb("pause", 1)
    time.sleep(5)
    c.verb("resume", 1)
    out, _ = reader.communicate(timeout=60)
    assert out.decode().split() == [right.strip()] * 4
    assert [stat(c, k, "client.timed_out") for k in (1, 2)] == timed_out


def test_a_dead_node_is_noticed_and_found_again(fresh_cluster):
    c = fresh_cluster(2)
    right = make_big(c, 1)
    assert c.sh(2, MD5) == right
    c.sh(1, "sync")
    c.verb("kill", 1)
    start = time.monotonic()
    reader = c.exec(2, "sh", "-c", f"{MD5}; ls /n/1/tmp", timeout=60)
    assert time.monotonic() - start < 40, "a request to a dead node must end"
    assert reader.returncode != 0
    c.verb("restart", 1)
    wait_until(lambda: c.sh(2, MD5, ok=False) == right, 30, 0.5, "node 1's files from node 2")


def test_an_idle_network_is_quiet(cluster):
    """No polling: a node that does nothing sends its load reports and keep-alives, and no more."""
    c = cluster(3)
    time.sleep(1)
    before = stat(c, 3, "card.sent")
    time.sleep(5)
    sent = stat(c, 3, "card.sent") - before
    assert sent < 5 * 40, f"{sent} frames in 5 s"
