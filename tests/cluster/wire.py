# SPDX-License-Identifier: MIT
"""A port of the virtual switch in the hands of a test: frames, and just enough IP and TCP to be a nuisance."""
import socket
import struct
import time

PORTS = {"file": 702, "clock": 703, "migrate": 704, "load": 705}


def mac(k):
    return bytes([0x52, 0x54, 0, 0, 0, k])


def ip(k):
    return bytes([10, 0, 0, k])


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_frame(src, dst, proto, payload, **wrong):
    """A correct frame, unless `wrong` says otherwise: version, total, frag."""
    head = struct.pack(">BBHHHBBH4s4s", wrong.get("version", 0x45), 0, wrong.get("total", 20 + len(payload)), 1,
                       wrong.get("frag", 0), 64, proto, 0, ip(src), ip(dst))
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return mac(dst) + mac(src) + b"\x08\x00" + head + payload


def udp_frame(src, dst, sport, dport, data, **wrong):
    return ip_frame(src, dst, 17, struct.pack(">HHHH", sport, dport, wrong.get("length", 8 + len(data)), 0) + data, **wrong)


SYN, RST, PSH, ACK, FIN = 2, 4, 8, 16, 1


def tcp_frame(src, dst, sport, dport, seq, ack, flags, data=b"", window=60000, options=b"", offset=None):
    offset = (20 + len(options)) // 4 if offset is None else offset
    seg = struct.pack(">HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, offset << 4, flags, window, 0, 0)
    seg += options + data
    pseudo = ip(src) + ip(dst) + struct.pack(">BBH", 0, 6, len(seg))
    seg = seg[:16] + struct.pack(">H", checksum(pseudo + seg)) + seg[18:]
    return ip_frame(src, dst, 6, seg)


class Wire:
    """The end of node `k`'s cable. The node itself must not be running."""

    def __init__(self, run_dir, k):
        self.k = k
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(f"{run_dir}/sw-{k}.sock")
        self.buf = b""

    def close(self):
        self.sock.close()

    def send(self, frame):
        self.sock.settimeout(10)
        self.sock.sendall(struct.pack(">I", len(frame)) + frame)

    def recv(self, timeout):
        """The next frame, or None."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buf) >= 4:
                n = struct.unpack(">I", self.buf[:4])[0]
                if len(self.buf) >= 4 + n:
                    out, self.buf = self.buf[4:4 + n], self.buf[4 + n:]
                    return out
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                got = self.sock.recv(1 << 20)
            except socket.timeout:
                return None
            assert got, "the switch closed the cable"
            self.buf += got

    def drain(self):
        while self.recv(0.01) is not None:
            pass


class Stranger:
    """A TCP connection made of raw frames from the wire's node to a port of another node."""

    def __init__(self, wire, dst, dport, sport):
        self.wire, self.dst, self.dport, self.sport = wire, dst, dport, sport
        self.seq, self.ack = 1000, 0
        self.ended = False  # the node has closed or reset it
        self.received = b""
        self._send(SYN)
        self.seq += 1
        self.open = self.listen(5, lambda: self.ack != 0)

    def _send(self, flags, data=b""):
        self.wire.send(tcp_frame(self.wire.k, self.dst, self.sport, self.dport, self.seq, self.ack, flags, data))

    def send(self, data):
        self._send(PSH | ACK, data)
        self.seq += len(data)

    def listen(self, seconds, until):
        """Take in what comes for this connection until the condition holds; does it?"""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            f = self.wire.recv(left)
            if f is None or len(f) < 54 or f[12:14] != b"\x08\x00" or f[23] != 6:
                continue
            seg = f[34:14 + struct.unpack(">H", f[16:18])[0]]
            sport, dport, seq, _, off, flags = struct.unpack(">HHIIBB", seg[:14])
            if (sport, dport) != (self.dport, self.sport):
                continue
            if flags & RST:
                self.ended = True
            data = seg[(off >> 4) * 4:]
            if flags & SYN:
                self.ack = seq + 1
                self._send(ACK)
            elif seq == self.ack and (data or flags & FIN):
                self.received += data
                self.ack += len(data) + (flags & FIN)
                self.ended |= bool(flags & FIN)
                self._send(ACK)
        return until()
