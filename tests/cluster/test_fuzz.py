# SPDX-License-Identifier: MIT
"""Frames and messages that nobody should send, from one who has the cluster's key: nodes log them and go on. (Without the key:
test_net_garbage.py. On the host, half a million and guided by what they reach: tests/host/fuzz.)"""
import random
import struct
import subprocess

import pytest

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until
from peer import Peer, Sayer
from test_net_garbage import netstats, noise, servers
from wire import PORTS, Wire

SEED = 20062
WIRE_MSG = struct.Struct("<HHIIIIIQIIIIII160s")  # abi/wire.h: struct wire_msg
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 64, 255, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff]


def number(rng):
    return rng.choice([rng.choice(NUMBERS), rng.getrandbits(32)])


def migrate_message(rng, incarnation):
    """A message of the migration protocol: its head mostly right, all else not."""
    kind = rng.randrange(0, 23)
    extra = rng.randbytes(rng.choice([0, 0, 16, 200])) if kind == 7 else b""
    body = b"".join(struct.pack("<I", number(rng)) for _ in range(40))
    m = WIRE_MSG.pack(rng.choice([kind, kind, kind, number(rng) & 0xffff]), 1, len(extra), rng.choice([3, 3, 3, 1, 77]), incarnation,
                      1, rng.choice([0, 1, 1, number(rng)]), rng.getrandbits(64), rng.choice([1, 3, 2, number(rng)]), rng.choice([1, incarnation]),
                      number(rng) % 5, number(rng) % 5, rng.choice([0, 1, 2, number(rng)]), 0, body)
    return kind, m[:rng.choice([len(m)] * 8 + [rng.randrange(len(m))])] + extra


def file_message(rng, _):
    """A request to the file server, or an answer that nobody waits for: a type, and a body of small and nasty numbers and paths."""
    words = b"".join(struct.pack("<I", number(rng) if rng.randrange(3) else rng.randrange(12)) for _ in range(46))
    path = rng.choice([b"/tmp/x", b"/", b"", b"/" * 300, b"/tmp/" + b"y" * 300, b"/proc/1", rng.randbytes(40)]) + b"\0"
    data = rng.choice([path, rng.randbytes(rng.randrange(300))])
    head = struct.pack("<II", rng.choice([0, len(data), 4096, 65536, number(rng)]), rng.randrange(5))
    msg = struct.pack("<Ii", rng.choice([rng.randrange(48), number(rng)]), 0) + words
    return rng.choice([1, 1, 1, 2, 3, 9]), rng.choice([head + msg + data, head + msg, msg + data, head])


def load_report(rng, incarnation, seq):
    """abi: servers/load/report.h, with its own sum right."""
    r = bytearray(struct.pack("<IHHIIQQQIIIHH", 0x57484c44, 1, 248, 0, 3, incarnation, seq, number(rng), number(rng), number(rng),
                              rng.randrange(3), rng.choice([0, 1, 8, 9, 65535]), rng.choice([0, 0, 0, 9, 65535])))
    r += b"".join(struct.pack("<II", rng.choice([1, 2, 3, number(rng)]), number(rng)) for _ in range(8))
    r += bytes(16 * 8)  # a fence that is right would end a node: that is what they are for
    h = 2166136261
    for byte in r:
        h = ((h ^ byte) * 16777619) & 0xffffffff
    r[8:12] = struct.pack("<I", h)
    return bytes(r)


def open_all(c):
    """Every channel that nodes 1 and 2 may want is open before anything is counted, and none comes by itself."""
    for node in (1, 2):
        c.sh(node, "load off")
    pid = c.spawn(1, "sleep 1000")
    c.sh(1, f"migrate {pid} 2")
    c.sh(2, f"migrate {pid} 1")
    c.sh(1, f"kill -9 {pid}; cat /n/2/etc/passwd >/dev/null")
    c.sh(2, "cat /n/1/etc/passwd >/dev/null")


@pytest.fixture
def insider(fresh_cluster):
    """Node 3 is compromised: its cable and the cluster's key are ours."""
    c = fresh_cluster(3, "--plain")
    c.sh(2, "echo precious >/n/1/tmp/kept && cat /n/1/tmp/kept")
    open_all(c)
    c.verb("kill", 3)
    wait_until(lambda: "silent: suspected" in c.log(1), what="node 3 is missed")
    with open(f"{c.run_dir}/key", "rb") as f:
        key = f.read()
    wire = Wire(c.run_dir, 3)
    yield c, wire, key
    wire.close()


def throw(c, wire, key, messages, seed):
    rng = random.Random(seed)
    # A node's next life, so that what its dead one said is no matter.
    incarnation, sport, peers, seq = 2, 42000, {}, 0
    sayer = Sayer(wire, 1, "load", key, incarnation)
    sayer.meet(load_report(rng, incarnation, 1))
    for i in range(messages):
        what = rng.randrange(10)
        if what == 0:
            seq += 1
            sayer.send(load_report(rng, incarnation, seq + 1) if rng.randrange(4) else rng.randbytes(rng.randrange(400)))
            continue
        service = "migrate" if what < 6 else "file"
        if service not in peers or peers[service].ended:
            sport += 1
            peers[service] = Peer(wire, 1, service, key, incarnation, sport)
        kind, body = (migrate_message if service == "migrate" else file_message)(rng, incarnation)
        lie = rng.choice([None] * 60 + [0, 131072, 131073, 0xffffffff, len(body) + 8])
        peers[service].send(rng.choice([kind] * 30 + [0, 0x10000, 0xffffffff]), body, number(rng), lie)
        if i % 20 == 0:
            wire.drain()
    wire.drain()
    wire.close()


def assert_whole(c, before, heap):
    for k in (1, 2):
        assert c.sh(k, "cat /n/1/bin/busybox | md5sum") == c.sh(k, "md5sum </n/2/bin/busybox")
        assert c.sh(k, "ps | grep -c '[/]servers/'") == before[k], "a server is missing"
    wait_until(lambda: netstats(c, 1)["card.buffers_held"] == 0, 10, 0.3, "the return of the receive buffers")
    wait_until(lambda: netstats(c, 1)["client.connections"] <= heap["client.connections"], 60, 1, "the end of the connections")
    wait_until(lambda: netstats(c, 1)["heap.used"] <= heap["heap.used"] + 4096, 20, 0.5, "the return of lwIP's memory")
    sad = [line for line in c.sad_lines() if line.startswith(("node 1", "node 2"))]
    assert not sad, sad
    c.verb("restart", 3)
    wait_until(lambda: c.sh(3, "cat /n/1/etc/passwd", ok=False).startswith("root"), 20, 0.5, "node 3 in its next life")


@pytest.mark.parametrize("messages", [600, pytest.param(20000, marks=pytest.mark.long)])
def test_an_insider_that_says_anything(insider, messages):
    c, wire, key = insider
    before, heap = servers(c), netstats(c, 1)
    throw(c, wire, key, messages, SEED)
    for said in "migrate: malformed message", "load: rejected", "migrate: closing a connection from node 3", "file: ":
        assert said in c.log(1), f"nothing came so far that it was answered by '{said}'"
    assert_whole(c, before, heap)


@pytest.mark.long
def test_half_a_million_frames_without_the_key(fresh_cluster):
    c = fresh_cluster(3)
    open_all(c)
    c.verb("kill", 3)
    wire = Wire(c.run_dir, 3)
    before, heap = servers(c), netstats(c, 1)
    rng = random.Random(SEED)
    for i in range(500000):
        wire.send(noise(rng))
        if i % 200 == 0:
            wire.drain()
    wire.close()
    assert_whole(c, before, heap)


@pytest.mark.long
def test_half_a_million_messages_on_the_host(tmp_path):
    r = subprocess.run([f"{build_dir()}/tests/host/test_fuzz", "--messages", "500000", "--seed", "3"], cwd=tmp_path, timeout=1800,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout.count("ok fuzz") == 4, r.stdout + r.stderr
