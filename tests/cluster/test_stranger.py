# SPDX-License-Identifier: MIT
"""A stranger on the wire gets nothing in and reads nothing (docs/security.md)."""
import os
import struct

import pytest

from cluster_lib.cluster import wait_until
from wire import PORTS, Stranger, Wire

TOKEN = "under the gorse by the third milestone"


def frames(pcap):
    """The frames of a capture."""
    with open(pcap, "rb") as f:
        data = f.read()
    at = 24
    while at + 16 <= len(data):
        n = struct.unpack("<I", data[at + 8:at + 12])[0]
        yield data[at + 16:at + 16 + n]
        at += 16 + n


def ip_parts(frame):
    """(protocol, source node, destination node, ports, TCP sequence number, payload) of a frame of our network, or None."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17):
        return None
    total = struct.unpack(">H", frame[16:18])[0]
    seg = frame[34:14 + total]
    sport, dport, seq = struct.unpack(">HHI", seg[:8])
    payload = seg[(seg[12] >> 4) * 4:] if frame[23] == 6 else seg[8:]
    return frame[23], frame[29], frame[33], (sport, dport), seq, payload


def stream(pcap, src, dst, dport):
    """What src said to dst's port on the first connection in the capture."""
    pieces, sport, start = {}, None, None
    for f in frames(pcap):
        p = ip_parts(f)
        if not p or p[:3] != (6, src, dst) or p[3][1] != dport or sport not in (None, p[3][0]):
            continue
        if f[47] & 2:
            sport, start = p[3][0], p[4] + 1
        elif start is not None and p[5]:
            pieces[(p[4] - start) & 0xffffffff] = p[5]
    out = b""
    while len(out) in pieces:
        out += pieces[len(out)]
    return out


def alive(c, node):
    return [int(line.split()[0]) for line in c.sh(node, "nodes").splitlines() if line.split()[1] == "alive"]


@pytest.mark.parametrize("options, readable", [((), False), (("--plain",), True)])
def test_who_listens(cluster, tmp_path, options, readable):
    """The memory of a process that moves, and a file that another node reads."""
    c = cluster(2, *options)
    pcap = tmp_path / "all.pcap"
    c.sh(1, f"load off; for i in 1 2 3 4; do echo 'file: {TOKEN}'; done >/tmp/told")
    c.sh(2, "load off")
    pid = c.spawn(1, f"SECRET='memory: {TOKEN}' sleep 1000")
    c.verb("net", "pcap", "start", pcap)
    c.sh(1, f"migrate {pid} 2")
    assert TOKEN in c.sh(2, "cat /n/1/tmp/told")
    c.verb("net", "pcap", "stop")
    c.sh(2, f"kill -9 {pid}")
    data = pcap.read_bytes()
    assert len(data) > 40000, "a process has moved"  # sleep has touched some 15 pages
    for what in "memory", "file":
        assert (f"{what}: {TOKEN}".encode() in data) == readable, what
    for node in (1, 2):
        c.sh(node, "rm -f /tmp/told; load on")


@pytest.fixture
def recorded(fresh_cluster, tmp_path):
    """Node 3 has appended a line to a file of node 1, and all of it was recorded. It is dead now and its cable in our hands."""
    c = fresh_cluster(3)
    pcap = tmp_path / "first.pcap"
    c.sh(1, "load off; echo first >/tmp/lines; chmod 666 /tmp/lines")
    c.verb("net", "pcap", "start", pcap)
    c.verb("restart", 3)  # its connections begin in the capture
    wait_until(lambda: alive(c, 1) == [1, 2, 3], what="node 3 is back")
    c.sh(3, "echo second >>/n/1/tmp/lines")
    wait_until(lambda: c.sh(1, "cat /tmp/lines") == "first\nsecond\n", what="the line")
    c.verb("net", "pcap", "stop")
    c.verb("kill", 3)
    wait_until(lambda: alive(c, 1) == [1, 2], what="node 3 is missed")
    wire = Wire(c.run_dir, 3)
    yield c, wire, pcap
    wire.close()


def test_a_recorded_session_is_no_session(recorded):
    c, wire, pcap = recorded
    said = stream(pcap, 3, 1, PORTS["file"])
    assert len(said) > 120 + 40 + 100 and said[:4] == b"WHP2" and said[120:124] == b"WHP2" and said[160:164] == b"WHS2", said[:200]
    s = Stranger(wire, 1, PORTS["file"], 40001)
    assert s.open
    s.send(said[:120])  # HELLO
    assert s.listen(10, lambda: len(s.received) >= 120), "a HELLO that was right once is answered"
    for at in range(120, len(said), 1000):  # CONFIRM, and what followed
        s.send(said[at:at + 1000])
    assert s.listen(10, lambda: s.ended), "and that is all"
    assert "closing a connection from node 3: a wrong tag: somebody repeats an old connection" in c.log(1)
    # Its datagrams, and node 1's own, in that order and backwards.
    datagrams = [f for f in frames(pcap) if (p := ip_parts(f)) and p[0] == 17 and p[1] in (1, 3)]
    assert len(datagrams) > 8
    for f in datagrams + datagrams[::-1]:
        wire.send(f)
        if f[29] == 1:  # back to where it came from, as if node 3 had said it
            wire.send(f[6:12] + f[:6] + f[12:26] + f[30:34] + f[26:30] + f[34:])
    wire.drain()
    # What is damaged, or was not even sent by node 3, is no sign of life either.
    assert alive(c, 1) == [1, 2]
    assert c.sh(1, "cat /tmp/lines") == "first\nsecond\n"
    # The node itself, in its next life, is welcome at once.
    wire.close()
    c.verb("restart", 3)
    wait_until(lambda: alive(c, 1) == [1, 2, 3], 10, what="node 3 is back")
    c.sh(3, "echo third >>/n/1/tmp/lines")
    assert c.sh(1, "tail -n 1 /tmp/lines") == "third\n"
    sad = c.sad_lines()
    assert not sad, sad


@pytest.mark.parametrize("key, says", [(None, "no cluster key"), (32, "")])
def test_a_node_without_the_key_stays_alone(fresh_cluster, key, says):
    c = fresh_cluster(2)
    with open(f"{c.run_dir}/key", "wb") as f:
        f.write(os.urandom(key or 5))
    c.verb("restart", 2)
    assert says in c.log(2)
    assert c.sh(2, "echo it works alone") == "it works alone\n"
    wait_until(lambda: alive(c, 1) == [1], what="node 1 misses it")
    assert alive(c, 2) == [2]
    assert c.exec(2, "cat", "/n/1/etc/passwd", timeout=60).returncode != 0
    if key:
        wait_until(lambda: "a wrong tag" in c.log(1), what="node 1 says why")
        assert len([line for line in c.log(1).splitlines() if "wrong tag" in line]) < 60, "and not too often"
    assert not c.sad_lines(), c.sad_lines()
