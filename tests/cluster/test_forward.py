# SPDX-License-Identifier: MIT
"""Ordinary programs of the host reach nodes through QEMU's user-mode network: up --forward."""
import hashlib
import re
import socket
import subprocess
import threading
import urllib.request

import pytest

from cluster_lib.cluster import Failed


def free_ports(n):
    """Of the host's loopback."""
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="module")
def forwarded(cluster):
    web, perf = free_ports(2)
    c = cluster(2, "--forward", f"{web}:80@2", "--forward", f"{perf}:5001")
    c.web, c.perf = web, perf
    c.sh(2, "mkdir -p /tmp/www && busybox httpd -p 80 -h /tmp/www")
    return c


def fetch(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=300) as answer:
        return hashlib.md5(answer.read()).hexdigest()


def fetch_in_parallel(c, megabytes, times):
    right = c.sh(2, f"dd if=/dev/urandom of=/tmp/www/file bs=64k count={megabytes * 16} 2>/dev/null; md5sum < /tmp/www/file").split()[0]
    got = []
    threads = [threading.Thread(target=lambda: got.append(fetch(c.web, "file"))) for _ in range(times)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [right] * times


def test_files_from_httpd_on_a_node(forwarded):
    fetch_in_parallel(forwarded, 2, 4)


@pytest.mark.long
def test_twenty_megabytes_ten_times_at_once(forwarded):
    fetch_in_parallel(forwarded, 20, 10)


def test_iperf_of_the_host_is_served_by_lwip(forwarded):
    c = forwarded
    assert "not served" in c.sh(1, "iperfd")
    try:
        assert "served at port 5001" in c.sh(1, "iperfd start 5001")
        r = subprocess.run(["iperf", "-c", "127.0.0.1", "-p", str(c.perf), "-t", "1"], text=True, capture_output=True, timeout=60)
        assert r.returncode == 0 and re.search(r"[\d.]+ [KMG]bits/sec", r.stdout), r.stdout + r.stderr
        sent = int(re.search(r": (\d+) bytes in", c.sh(1, "iperfd")).group(1))
        assert sent > 100000
        assert c.exec(1, "iperfd", "start", "70000").returncode != 0
    finally:
        c.sh(1, "iperfd stop")
    assert "not served" in c.sh(1, "iperfd")


def test_the_way_leads_in_only(forwarded):
    r = forwarded.exec(1, "sh", "-c", "echo | busybox nc -w 2 10.0.2.2 22", timeout=60)
    assert r.returncode != 0


def test_mistakes(fresh_cluster):
    for wrong in ("80", "0:80", "8080:80@0", "8080:80@3", "70000:80"):
        with pytest.raises(Failed, match="--forward"):
            fresh_cluster(2, "--forward", wrong)
