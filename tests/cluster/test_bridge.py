# SPDX-License-Identifier: MIT
"""Nodes on Linux bridges: two network namespaces stand for two hosts, a veth pair between their bridges for the wire."""
import os
import subprocess

import pytest

from cluster_lib.cluster import Cluster, wait_until
from cluster_lib.programs import Program

ENV = dict(os.environ, PATH=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def ip(*args, ok=True):
    r = subprocess.run(["ip", *args], env=ENV, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert not ok or r.returncode == 0, f"ip {' '.join(args)}: {r.stderr}"
    return r


def devices(name):
    return [line.split(": ")[1].split("@")[0] for line in ip("-n", name, "-o", "link", "show").stdout.splitlines()]


@pytest.fixture
def hosts():
    """Two namespaces with a bridge br0 each, and a cable between them."""
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("no /dev/net/tun on this machine")
    names = [f"wh{os.getpid()}{side}" for side in "ab"]
    made = []
    try:
        for name in names:
            r = ip("netns", "add", name, ok=False)
            if r.returncode != 0:
                pytest.skip(f"no network namespaces for us: {r.stderr.strip()}")
            made.append(name)
            r = ip("-n", name, "link", "add", "br0", "type", "bridge", ok=False)
            if r.returncode != 0:
                pytest.skip(f"no bridges on this machine: {r.stderr.strip()}")
        ip("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name in names:
            ip("-n", name, "link", "set", "cable", "master", "br0", "up")
            ip("-n", name, "link", "set", "br0", "up")
        yield names
    finally:
        for name in made:
            ip("netns", "del", name)


class Part(Cluster):
    """The nodes of a cluster that one host boots."""

    def __init__(self, host, key, n, mine, *options):
        super().__init__(n, "--bridge", "br0", "--mine", ",".join(map(str, mine)), "--key", key, *options)
        self.prefix = ["ip", "netns", "exec", host]


def alive(part, node):
    return [line.split()[0] for line in part.sh(node, "nodes").splitlines() if line.split()[1] == "alive"]


def test_two_hosts(hosts, tmp_path):
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    left, right = Part(hosts[0], key, 4, (1, 2)), Part(hosts[1], key, 4, (3, 4))
    try:
        left.up()
        right.up()
        for part, node in (left, 1), (left, 2), (right, 3), (right, 4):
            wait_until(lambda p=part, n=node: alive(p, n) == ["1", "2", "3", "4"], what=f"node {node} sees all")
        r = left.verb("exec", 3, "--", "true", ok=False)
        assert r.returncode != 0 and b"another host" in r.stderr
        r = left.verb("net", "all", "loss=1%", ok=False)
        assert r.returncode != 0 and b"bridge br0" in r.stderr
        # A process with an open file crosses the cable and comes back.
        left.sh(1, "seq 1 20000 >/tmp/in")
        p = Program(left, 1, """awk 'BEGIN { getline s <"/tmp/in"; while (i < 600000) i++; while (getline l <"/tmp/in" > 0) s += l; print s }'""")
        p.move(3)
        back = right.exec(3, "migrate", p.pid, 1)
        assert back.returncode == 0, back.stderr
        assert p.end_well(120) == "200010000\n"
        # A cut cable, and healed.
        ip("-n", hosts[0], "link", "set", "cable", "down")
        wait_until(lambda: alive(left, 1) == ["1", "2"], what="the other host is suspected")
        ip("-n", hosts[0], "link", "set", "cable", "up")
        wait_until(lambda: alive(left, 1) == ["1", "2", "3", "4"], what="the other host is back")
    finally:
        left.down()
        right.down()
    assert [d for host in hosts for d in devices(host) if d.startswith("wh")] == [], "tap devices are left"


def test_what_is_missing_is_named(hosts):
    part = Part(hosts[0], "/dev/null", 2, (1, 2))
    ip("-n", hosts[0], "link", "add", "dull", "type", "veth", "peer", "name", "dull2")
    for options, words in ((("--bridge", "nobr"), b"not a bridge"), (("--bridge", "dull"), b"not a bridge"),
                           (("--bridge", "br0", "--mtu", "9999"), b"ip link set br0 mtu 9999"),
                           (("--bridge", "br0", "--mine", "1,9"), b"1 to 3"),
                           (("--mine", "1"), b"wants --bridge")):
        r = part.verb("up", "--no-build", *options, ok=False)
        assert r.returncode != 0 and words in r.stderr, (options, r.stderr)
    # Without the right to make devices.
    r = subprocess.run(["ip", "netns", "exec", hosts[0], "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin",
                        "./run-qemu.sh", "up", "--no-build", "--bridge", "br0", "-n", "1"], cwd=os.path.join(os.path.dirname(__file__), "../.."),
                       env=dict(ENV, WHIMBREL_RUN=f"{part.run_dir}/x", BUILD=os.environ.get("BUILD", "build")), capture_output=True,
                       stdin=subprocess.DEVNULL)
    assert r.returncode != 0 and b"CAP_NET_ADMIN" in r.stderr, r.stderr
    assert [d for d in devices(hosts[0]) if d.startswith("wh")] == []
    part.down()
