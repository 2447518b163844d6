# SPDX-License-Identifier: MIT
"""Bytes from the wire that mean nothing: they may cost a log line and their own connection, nothing else."""
import random
import struct

import pytest

from cluster_lib.cluster import wait_until
from wire import ACK, PORTS, Stranger, Wire, ip_frame, mac, tcp_frame, udp_frame

SEED = 20061
OPEN, SEALED = 0x32504857, 0x32534857


def netstats(cluster, node):
    return {k: int(v) for k, v in (line.split() for line in cluster.sh(node, "netstats").splitlines())}


@pytest.fixture
def attacked(fresh_cluster):
    """Nodes 1 and 2 at work, and node 3's cable in our hands."""
    c = fresh_cluster(3)
    c.sh(2, "echo precious > /n/1/tmp/kept && cat /n/1/tmp/kept")
    c.verb("kill", 3)
    wire = Wire(c.run_dir, 3)
    yield c, wire
    wire.close()


def assert_healthy(c, ports_before):
    for k in (1, 2):
        other = 3 - k
        assert c.sh(k, f"cat /n/{other}/bin/busybox | wc -c").strip() != "0"
        assert c.sh(k, "ps | grep -c '[/]servers/'") == ports_before[k], "a server is missing"
    assert c.sh(2, "cat /n/1/tmp/kept") == "precious\n"
    # Nothing of it is kept: every buffer is back.
    wait_until(lambda: netstats(c, 1)["card.buffers_held"] == 0, 10, 0.3, "the return of the receive buffers")
    sad = [line for line in c.sad_lines() if line.startswith(("node 1", "node 2"))]
    assert not sad, sad


def servers(c):
    return {k: c.sh(k, "ps | grep -c '[/]servers/'") for k in (1, 2)}


def noise(rng):
    """One frame that is wrong in some way, at any depth."""
    data = rng.randbytes(rng.choice([0, 1, 8, 24, 100, 1400, 8000]))
    port = rng.choice([*PORTS.values(), 0, 1, 65535, rng.randrange(65536)])
    src = rng.choice([1, 2, 3, 3, 3, 77, 255])
    kind = rng.randrange(8)
    if kind == 0:
        return rng.randbytes(rng.randrange(14, 2000))
    if kind == 1:
        return mac(1) + mac(src) + rng.choice([b"\x08\x00", b"\x08\x06", b"\x86\xdd"]) + data
    if kind == 2:
        return ip_frame(src, 1, rng.randrange(256), data, version=rng.choice([0x45, 0x4f, 0x40, 0x65]),
                        total=rng.choice([20 + len(data), 0, 19, 65535]), frag=rng.choice([0, 0x2000, 0x1fff]))
    if kind == 3:
        return udp_frame(src, 1, port, rng.choice(list(PORTS.values())), data,
                         length=rng.choice([8 + len(data), 0, 7, 65535]))
    if kind == 4:
        return tcp_frame(src, 1, port, rng.choice(list(PORTS.values())), rng.getrandbits(32), rng.getrandbits(32),
                         rng.randrange(64), data, offset=rng.choice([None, 0, 4, 15]))
    if kind == 5:  # options that lie about their length
        return tcp_frame(src, 1, port, 702, 1, 0, 2, b"", options=bytes([2, rng.randrange(256), 5, 0] * 3))
    if kind == 6:
        return udp_frame(src, 1, rng.choice(list(PORTS.values())), rng.choice(list(PORTS.values())), data)
    return ip_frame(src, 1, 1, struct.pack(">BBH", rng.randrange(256), rng.randrange(256), 0) + data)


def test_random_frames(attacked):
    c, wire = attacked
    before = servers(c)
    rng = random.Random(SEED)
    for i in range(20000):
        wire.send(noise(rng))
        if i % 200 == 0:
            wire.drain()
    assert_healthy(c, before)
    assert "damaged or malformed frames" in c.log(1)
    # Half-open connections of the attack end by themselves.
    wait_until(lambda: netstats(c, 1)["client.connections"] < 12, 40, 1, "the end of half-open connections")


@pytest.mark.parametrize("service", ["file", "migrate"])
def test_garbage_on_a_peer_port(attacked, service):
    c, wire = attacked
    before = servers(c)
    rng = random.Random(SEED)
    frame = struct.Struct("<IIQII")  # servers/lib/peer_frame.h
    openings = [
        rng.randbytes(3000),
        b"GET / HTTP/1.0\r\n\r\n" * 10,
        frame.pack(OPEN, 0xffffffff, 0, 0x10000, 0),  # a length beyond all
        frame.pack(OPEN, 80, 0, 0x10000, 0) + struct.pack("<IIIIIIQ", 2, 0, PORTS[service], 3, 1, 0, 9) + bytes(64),  # no tag
        frame.pack(OPEN, 0, 0, 0x10002, 0) + bytes(16),  # CONFIRM without a HELLO
        frame.pack(OPEN, 0, 1, 7, 0) + bytes(16),  # a message without a handshake
        frame.pack(SEALED, 64, 1, 7, 0) + bytes(80),
    ]
    for i, data in enumerate(openings):
        s = Stranger(wire, 1, PORTS[service], 40000 + i)
        assert s.open, "no connection to the port"
        s.send(data)
        assert s.listen(10, lambda s=s: s.ended), f"opening {i} was not answered by a close"
    assert f"{service}: closing a connection from node 3" in c.log(1)
    assert_healthy(c, before)


def test_silent_connections_do_not_pile_up(attacked):
    c, wire = attacked
    before = servers(c)
    strangers = [Stranger(wire, 1, PORTS["migrate"], 41000 + i) for i in range(40)]
    assert all(s.open for s in strangers)
    assert netstats(c, 1)["client.connections"] < 20
    # The last one is still there; it ends when it does not answer keep-alive.
    wait_until(lambda: netstats(c, 1)["client.connections"] < 8, 30, 1, "the end of the last one")
    assert_healthy(c, before)


def test_forged_segments_do_not_end_a_connection(attacked):
    """A blind attacker at the wire, speaking as node 2 without knowing the sequence numbers."""
    c, wire = attacked
    before = servers(c)
    rng = random.Random(SEED)
    reader = c.start(2, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do md5sum < /n/1/bin/busybox; sleep 0.3; done")
    for _ in range(3000):
        wire.send(tcp_frame(2, 1, rng.randrange(49152, 65536), 702, rng.getrandbits(32), rng.getrandbits(32),
                            ACK | rng.choice([0, 1, 4, 8]), rng.randbytes(20)))
    out, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0 and len(set(out.split(b"\n")[:8])) == 1
    assert_healthy(c, before)
