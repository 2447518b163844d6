# SPDX-License-Identifier: MIT
"""A node's services in the hands of a test that has the cluster's key: handshake (servers/lib/auth.h) and plain frames and datagrams."""
import hashlib
import os
import struct

from wire import PORTS, Stranger, udp_frame

OPEN = 0x32504857
HELLO, CONFIRM = 0x10000, 0x10002
PRIME = 2**255 - 19


def x25519(scalar, point):
    """RFC 7748."""
    k = int.from_bytes(scalar, "little") & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(point, "little") & ~(1 << 255)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for i in range(254, -1, -1):
        bit = k >> i & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % PRIME, c * b % PRIME, a * a % PRIME, b * b % PRIME
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def siphash(key, data):
    """SipHash-2-4 with 16 bytes."""
    m64 = (1 << 64) - 1
    k0, k1 = struct.unpack("<QQ", key[:16])
    v0, v1, v2, v3 = 0x736f6d6570736575 ^ k0, 0x646f72616e646f6d ^ k1 ^ 0xee, 0x6c7967656e657261 ^ k0, 0x7465646279746573 ^ k1

    def rounds(n):
        nonlocal v0, v1, v2, v3
        for _ in range(n):
            v0 = (v0 + v1) & m64
            v1 = ((v1 << 13 | v1 >> 51) & m64) ^ v0
            v0 = (v0 << 32 | v0 >> 32) & m64
            v2 = (v2 + v3) & m64
            v3 = ((v3 << 16 | v3 >> 48) & m64) ^ v2
            v0 = (v0 + v3) & m64
            v3 = ((v3 << 21 | v3 >> 43) & m64) ^ v0
            v2 = (v2 + v1) & m64
            v1 = ((v1 << 17 | v1 >> 47) & m64) ^ v2
            v2 = (v2 << 32 | v2 >> 32) & m64

    whole = len(data) & ~7
    for (word,) in struct.iter_unpack("<Q", data[:whole] + (data[whole:].ljust(7, b"\0") + bytes([len(data) & 255]))):
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xee
    rounds(4)
    low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xdd
    rounds(4)
    return struct.pack("<QQ", low, v0 ^ v1 ^ v2 ^ v3)


class Peer:
    """One service of node `wire.k`, connected to the same one of node `dst`, with --plain."""

    def __init__(self, wire, dst, service, key, incarnation, sport):
        self.stranger = Stranger(wire, dst, PORTS[service], sport)
        assert self.stranger.open, "no connection to the port"
        self.number = 0
        secret = os.urandom(32)
        body = struct.pack("<IIIIIIQ", 2, 1, PORTS[service], wire.k, dst, 0, incarnation) + os.urandom(16) + x25519(
            secret, (9).to_bytes(32, "little"))
        hello = struct.pack("<IIQII", OPEN, len(body), 0, HELLO, 0) + body

        def tag(data, size=16, person=b"whimbrel tag v2\0"):
            return hashlib.blake2b(data, digest_size=size, key=key, person=person).digest()

        hello += tag(hello)
        self.stranger.send(hello)
        assert self.stranger.listen(10, lambda: len(self.stranger.received) >= 120), "no WELCOME"
        welcome = self.stranger.received[:120]
        assert welcome[104:] == tag(welcome[:104] + hello), "node %d does not know the key" % dst
        confirm = struct.pack("<IIQII", OPEN, 0, 0, CONFIRM, 0)
        self.stranger.send(confirm + tag(confirm + welcome + hello))
        self.key = tag(x25519(secret, welcome[72:104]) + hello + welcome, 32, b"whimbrel key v2\0")

    def send(self, kind, body, ident=1, lie=None):
        """One message; lie: the length that its frame claims."""
        frame = struct.pack("<IIQII", OPEN, len(body) if lie is None else lie, ident, kind, 0) + body + bytes(-len(body) % 8)
        self.stranger.send(frame + siphash(self.key, frame + struct.pack("<Q", self.number)))
        self.number += 1

    @property
    def ended(self):
        self.stranger.listen(0.01, lambda: self.stranger.ended)
        return self.stranger.ended


class Sayer:
    """Datagrams of one service of node `wire.k` to node `dst`, with --plain."""

    def __init__(self, wire, dst, service, key, incarnation):
        self.wire, self.dst, self.port, self.cluster_key = wire, dst, PORTS[service], key
        self.salt, self.to_salt, self.counter, self.incarnation = os.urandom(16), bytes(16), 0, incarnation
        about = struct.pack("<IHHHHIQQ", 0x32444857, wire.k, dst, self.port, self.port, 0, incarnation, 1) + self.salt
        self.key = hashlib.blake2b(about, digest_size=32, key=key, person=b"whimbrel dgram 2").digest()

    def send(self, payload):
        self.counter += 1
        d = struct.pack("<IHHHHHHQQQ", 0x32444857, self.wire.k, self.dst, self.port, self.port, 0, 0, self.incarnation, 1,
                        self.counter) + self.salt + self.to_salt + payload
        d += siphash(self.key, d + struct.pack("<Q", self.counter))
        self.wire.send(udp_frame(self.wire.k, self.dst, self.port, self.port, d))

    def meet(self, payload):
        """Be told the receiver's salt; from now on what is sent is believed."""
        self.send(payload)
        for _ in range(2000):
            f = self.wire.recv(1)
            if f and len(f) > 42 + 72 and f[23] == 17 and f[34:38] == struct.pack(">HH", self.port, self.port):
                head = f[42:]
                if head[:4] == b"WHD2" and head[56:72] == self.salt:
                    self.to_salt = head[40:56]
                    return
        raise AssertionError("nobody told us a salt")
