# SPDX-License-Identifier: MIT
"""The virtual switch, driven by sockets that play the nodes. No node is booted."""
import os
import socket
import struct
import subprocess
import time

import pytest

from cluster_lib import build_dir


def mac(k):
    return bytes([0x52, 0x54, 0, 0, 0, k])


def frame(dst, src, payload):
    return mac(dst) + mac(src) + b"\x88\xb5" + payload


class Port:
    """One node's end of its cable."""

    def __init__(self, directory, k):
        self.k = k
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(f"{directory}/sw-{k}.sock")
        self.sock.settimeout(2)
        self.buf = b""

    def send(self, data):
        self.sock.sendall(struct.pack(">I", len(data)) + data)

    def recv(self, timeout=2.0):
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
            if not got:
                raise EOFError
            self.buf += got

    def drain(self, quiet=0.15):
        out = []
        while (f := self.recv(quiet)) is not None:
            out.append(f)
        return out


class Switch:
    def __init__(self, directory, n, seed):
        self.dir = str(directory)
        self.proc = subprocess.Popen([f"{build_dir()}/host/switch", self.dir, str(n), str(seed)])
        while not os.path.exists(f"{self.dir}/sw-ctl.sock"):
            assert self.proc.poll() is None
            time.sleep(0.005)
        self.ports = {k: Port(self.dir, k) for k in range(1, n + 1)}

    def ask(self, *words, ok=True):
        r = subprocess.run([f"{build_dir()}/host/ask", "switch", f"{self.dir}/sw-ctl.sock", *words],
                           capture_output=True, text=True, timeout=10)
        assert (r.returncode == 0) == ok, r.stderr
        return r.stdout + r.stderr


@pytest.fixture
def switch(tmp_path):
    started = []

    def start(n=3, seed=1):
        started.append(Switch(tmp_path, n, seed))
        return started[-1]
    yield start
    for s in started:
        s.proc.terminate()
        s.proc.wait()


def test_unicast_goes_to_its_port_only(switch):
    s = switch()
    s.ports[1].send(frame(2, 1, b"hello"))
    assert s.ports[2].recv() == frame(2, 1, b"hello")
    assert s.ports[3].drain() == [] and s.ports[1].drain() == []


def test_broadcast_goes_to_all_others(switch):
    s = switch()
    f = b"\xff" * 6 + mac(1) + b"\x88\xb5all"
    s.ports[1].send(f)
    assert s.ports[2].recv() == f and s.ports[3].recv() == f and s.ports[1].drain() == []


def test_large_frames_in_order(switch):
    s = switch(2)
    sent = [frame(2, 1, struct.pack(">I", i) + os.urandom(60000)) for i in range(40)]
    for f in sent:
        s.ports[1].send(f)
    assert [s.ports[2].recv() for _ in sent] == sent


def test_partition_and_heal(switch):
    s = switch()
    s.ask("partition", "1,2", "3")
    s.ports[1].send(frame(3, 1, b"cut"))
    s.ports[1].send(frame(2, 1, b"kept"))
    assert s.ports[2].recv() == frame(2, 1, b"kept") and s.ports[3].drain() == []
    s.ask("heal")
    s.ports[1].send(frame(3, 1, b"again"))
    assert s.ports[3].recv() == frame(3, 1, b"again")


def lost_of(switch_, count):
    for i in range(count):
        switch_.ports[1].send(frame(2, 1, struct.pack(">I", i)))
    got = {struct.unpack(">I", f[14:18])[0] for f in switch_.ports[2].drain()}
    return set(range(count)) - got


def test_loss_is_near_its_rate_and_repeats_with_the_seed(switch, tmp_path):
    results = []
    for run, seed in enumerate((7, 7, 8)):
        d = tmp_path / str(run)
        d.mkdir()
        s = Switch(d, 2, seed)
        try:
            s.ask("loss", "2", "25%")
            results.append(lost_of(s, 2000))
        finally:
            s.proc.terminate()
            s.proc.wait()
    assert 400 < len(results[0]) < 600
    assert results[0] == results[1] != results[2]


def test_delay(switch):
    s = switch(2)
    s.ask("delay", "2", "120ms")
    start = time.monotonic()
    s.ports[1].send(frame(2, 1, b"late"))
    assert s.ports[2].recv() == frame(2, 1, b"late")
    assert 0.119 < time.monotonic() - start < 0.4


def test_duplicates_and_reordering(switch):
    s = switch(2)
    s.ask("dup", "1", "100")
    s.ports[1].send(frame(2, 1, b"two"))
    assert s.ports[2].drain() == [frame(2, 1, b"two")] * 2
    s.ask("heal")
    s.ask("reorder", "all", "30")
    for i in range(300):
        s.ports[1].send(frame(2, 1, struct.pack(">I", i)))
        time.sleep(0.0002)
    got = [struct.unpack(">I", f[14:18])[0] for f in s.ports[2].drain()]
    assert sorted(got) == list(range(300)) and got != sorted(got)


def test_node_dies_and_returns(switch):
    s = switch(2)
    s.ports[2].sock.close()
    time.sleep(0.05)
    s.ports[1].send(frame(2, 1, b"to nobody"))
    s.ports[2] = Port(s.dir, 2)
    time.sleep(0.05)
    s.ports[1].send(frame(2, 1, b"to the new one"))
    assert s.ports[2].recv() == frame(2, 1, b"to the new one")


def test_full_queue_drops_and_does_not_stall(switch):
    s = switch()
    for i in range(400):  # 24 MB towards a node that does not read
        s.ports[1].send(frame(2, 1, bytes(60000)))
    s.ports[1].send(frame(3, 1, b"still alive"))
    assert s.ports[3].recv() == frame(3, 1, b"still alive")
    dropped = int(s.ask("stats").splitlines()[1].split()[-1]) + int(s.ask("stats").splitlines()[2].split()[-1])
    assert dropped > 0
    assert all(len(f) == 60014 for f in s.ports[2].drain())


def test_garbage_cuts_only_the_guilty(switch):
    s = switch()
    s.ports[1].sock.sendall(b"\xff" * 64)
    with pytest.raises((EOFError, ConnectionError)):
        s.ports[1].recv()
    s.ports[2].send(frame(3, 2, b"fine"))
    assert s.ports[3].recv() == frame(3, 2, b"fine")


@pytest.mark.parametrize("bad", ["loss 9 5", "loss 1 101", "loss 1", "delay 1 x", "partition", "partition 1,9", "fly", "pcap /nonexistent/x"])
def test_bad_commands_are_refused(switch, bad):
    assert "error:" in switch().ask(*bad.split(), ok=False)


def test_capture(switch, tmp_path):
    s = switch(2)
    s.ask("pcap", str(tmp_path / "x.pcap"))
    s.ports[1].send(frame(2, 1, b"seen"))
    s.ports[2].recv()
    s.ask("pcap", "off")
    data = (tmp_path / "x.pcap").read_bytes()
    assert data[:4] == bytes.fromhex("4d3cb2a1") and data.endswith(frame(2, 1, b"seen"))
    assert struct.unpack("<I", data[32:36])[0] == 18
