# SPDX-License-Identifier: MIT
"""The virtual switch, driven by sockets that play the nodes. No node is booted."""
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from cluster_lib import build_dir


def mac(k):
    return bytes([0x52, 0x54, 0, 0, 0, k])


def frame(dst, src, payload):
    return mac(dst) + mac(src) + b"\x08\x00" + payload


# abi/link.h
ASK, TELL, ACK = 1, 2, 3
CLEAN, CHECKED, OPEN = 1, 2, 3
LINK = struct.Struct("<IHHII")
MAGIC = 0x314b4c57


def link_frame(src, kind, mode=0, epoch=0):
    return mac(0) + mac(src) + b"\x88\xb5" + LINK.pack(MAGIC, kind, mode, epoch, 0)


def link_of(data):
    """(type, mode, epoch), or None for any other frame."""
    if data[12:14] != b"\x88\xb5" or LINK.unpack(data[14:30])[0] != MAGIC:
        return None
    return LINK.unpack(data[14:30])[1:4]


class Port:
    """One node's end of its cable. What the switch tells of the wire is kept apart."""

    def __init__(self, directory, k, sock=None):
        self.k = k
        self.sock = sock or socket.socket(socket.AF_UNIX)
        if not sock:
            self.sock.connect(f"{directory}/sw-{k}.sock")
        self.buf = b""
        self.told = []  # (mode, epoch)

    def send(self, data):
        self.sock.sendall(struct.pack(">I", len(data)) + data)

    def recv(self, timeout=2.0):
        """The next frame that is not the switch's own, or None."""
        end = time.monotonic() + timeout
        while (f := self.recv_any(end - time.monotonic())) is not None and (link := link_of(f)):
            assert link[0] == TELL and f[:12] == mac(self.k) + mac(0)
            self.told.append(link[1:])
        return f

    def recv_any(self, timeout):
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
    def __init__(self, directory, n, seed, *options, join=True):
        self.dir, self.n, self.seed, self.options = str(directory), n, seed, options
        self.start()
        self.ports = {k: Port(self.dir, k) for k in range(1, n + 1) if join}

    def start(self):
        self.proc = subprocess.Popen([f"{build_dir()}/host/switch", *self.options, self.dir, str(self.n), str(self.seed)])
        while not os.path.exists(f"{self.dir}/sw-ctl.sock"):
            assert self.proc.poll() is None
            time.sleep(0.005)

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        os.unlink(f"{self.dir}/sw-ctl.sock")

    def ask(self, *words, ok=True):
        r = subprocess.run([f"{build_dir()}/host/ask", "switch", f"{self.dir}/sw-ctl.sock", *words],
                           capture_output=True, text=True, timeout=10)
        assert (r.returncode == 0) == ok, r.stderr
        return r.stdout + r.stderr


    def link(self, name):
        """The counters of one link, as in 1:2."""
        head, *rows = self.ask("stats", name).splitlines()
        assert len(rows) == 1
        return dict(zip(head.split()[1:], map(int, rows[0].split()[1:])))


@pytest.fixture
def switch(tmp_path):
    started = []

    def start(n=3, seed=1, *options, join=True):
        started.append(Switch(tmp_path, n, seed, *options, join=join))
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
    f = b"\xff" * 6 + mac(1) + b"\x08\x06all"
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
            s.ask("set", "2", "loss=25%")
            results.append(lost_of(s, 2000))
        finally:
            s.proc.terminate()
            s.proc.wait()
    assert 400 < len(results[0]) < 600
    assert results[0] == results[1] != results[2]


def test_delay(switch):
    s = switch(2)
    s.ask("set", "2", "delay=120ms")
    start = time.monotonic()
    s.ports[1].send(frame(2, 1, b"late"))
    assert s.ports[2].recv() == frame(2, 1, b"late")
    assert 0.119 < time.monotonic() - start < 0.4


def test_duplicates_and_reordering(switch):
    s = switch(2)
    s.ask("set", "1", "dup=100")
    s.ports[1].send(frame(2, 1, b"two"))
    assert s.ports[2].drain() == [frame(2, 1, b"two")] * 2
    s.ask("heal")
    s.ask("set", "all", "reorder=30")
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


def other(n):
    """The address of a station that is no node."""
    return b"\x02\x00\x00\x00\x00" + bytes([n])


def test_addresses_are_learnt_and_forgotten(switch):
    s = switch()
    to_7, from_7 = other(7) + mac(1) + b"\x08\x00to 7", mac(1) + other(7) + b"\x08\x00from 7"
    s.ports[1].send(to_7)
    assert s.ports[2].recv() == to_7 and s.ports[3].recv() == to_7, "an unknown station may be anywhere"
    s.ports[3].send(from_7)
    assert s.ports[1].recv() == from_7
    s.ports[1].send(to_7)
    assert s.ports[3].recv() == to_7 and s.ports[2].drain() == []
    s.ports[2].send(from_7)  # it has moved
    s.ports[1].recv()
    s.ports[1].send(to_7)
    assert s.ports[2].recv() == to_7 and s.ports[3].drain() == []
    s.ports[2].sock.close()
    time.sleep(0.1)
    s.ports[1].send(to_7)
    assert s.ports[3].recv() == to_7, "its port is gone: it may be anywhere"


def test_nobody_takes_a_nodes_address(switch):
    s = switch()
    s.ports[3].send(mac(1) + mac(2) + b"\x08\x00I am 2")
    assert s.ports[1].recv().endswith(b"I am 2")
    s.ports[1].send(frame(2, 1, b"secret"))
    assert s.ports[2].recv() == frame(2, 1, b"secret") and s.ports[3].drain() == []
    assert s.ask("stats").splitlines()[3].split()[-1] == "1", "foreign frames of port 3"


def test_faults_of_a_pair_and_a_direction(switch):
    s = switch()
    s.ask("set", "1:2", "loss=100%")
    for a, b, lost in ((1, 2, True), (2, 1, False), (1, 3, False), (3, 2, False)):
        s.ports[a].send(frame(b, a, b"x"))
        assert (s.ports[b].recv(0.3) is None) == lost, (a, b)
    assert s.link("1:2")["lost"] == 1 and s.link("2:1")["lost"] == 0
    s.ask("set", "1-2", "loss=100%")
    s.ports[2].send(frame(1, 2, b"x"))
    assert s.ports[1].recv(0.3) is None
    assert s.ask("show").splitlines()[1:3] == ["set 1:2 loss=100%", "set 2:1 loss=100%"]
    s.ask("set", "1:2", "loss=0")
    s.ask("heal", "2:1")
    assert "loss" not in s.ask("show")
    s.ports[2].send(frame(1, 2, b"x"))
    assert s.ports[1].recv() is not None


def test_jitter_delays_and_keeps_order(switch):
    s = switch(2)
    s.ask("set", "1:2", "delay=5ms", "jitter=30ms")
    start = time.monotonic()
    for i in range(200):
        s.ports[1].send(frame(2, 1, struct.pack(">I", i)))
    got = [struct.unpack(">I", s.ports[2].recv()[14:18])[0] for _ in range(200)]
    assert got == list(range(200)) and 0.005 < time.monotonic() - start < 1
    assert s.link("1:2")["delayed"] == 200


def test_rate(switch):
    s = switch(2)
    s.ask("set", "2", "rate=1M")
    for _ in range(40):
        s.ports[1].send(frame(2, 1, bytes(4986)))  # 200 kB towards node 2 ...
    start = time.monotonic()
    got = [s.ports[2].recv() for _ in range(40)]
    assert None not in got and 0.15 < time.monotonic() - start < 0.6
    for _ in range(200):
        s.ports[1].send(frame(2, 1, bytes(4986)))  # ... and 1 MB: a quarter may wait
    got = len(s.ports[2].drain())
    assert 50 <= got < 70 and s.link("1:2")["limited"] == 200 - got
    s.ports[2].send(frame(1, 2, b"the other way is free"))
    assert s.ports[1].recv(0.1) is not None


def test_heal_takes_all_back(switch):
    s = switch()
    empty = s.ask("show")
    s.ask("set", "all", "loss=100", "delay=50ms", "rate=1k", "corrupt=3", "header=4", "bits=5", "dup=6", "reorder=7", "jitter=8")
    s.ask("set", "all-all", "loss=100")
    s.ask("partition", "1", "2,3")
    assert len(s.ask("show").splitlines()) > 9
    s.ask("heal")
    assert s.ask("show").splitlines()[0] == empty.splitlines()[0] and len(s.ask("show").splitlines()) == 2
    s.ports[1].send(frame(2, 1, b"x"))
    assert s.ports[2].recv() == frame(2, 1, b"x")


def told(port, mode, seconds=2):
    """Wait until the switch tells this mode; the epoch."""
    end = time.monotonic() + seconds
    while not port.told or port.told[-1][0] != mode:
        assert time.monotonic() < end, f"node {port.k} was told {port.told}, not {mode}"
        port.recv(0.02)
    return port.told[-1][1]


def acknowledge(port, mode):
    port.send(link_frame(port.k, ACK, mode, told(port, mode)))


def damaged(s, count=200, size=100):
    """Of so many frames from 1 to 2, those that arrive different."""
    sent = [frame(2, 1, struct.pack(">I", i) + bytes(size)) for i in range(count)]
    for f in sent:
        s.ports[1].send(f)
    got = s.ports[2].drain()
    assert len(got) == count
    return [(a, b) for a, b in zip(sent, got) if a != b]


def test_damage_begins_when_all_nodes_know(switch):
    s = switch()
    for k in (1, 2):  # port 3 is a stranger: it never asks
        s.ports[k].send(link_frame(k, ASK))
        acknowledge(s.ports[k], CLEAN)
    assert "mode clean" in s.ask("link")
    s.ask("set", "1:2", "corrupt=50%", "bits=4")
    assert told(s.ports[3], CHECKED) == told(s.ports[1], CHECKED)
    assert "not acknowledged by node 1 2" in s.ask("link", ok=False)
    acknowledge(s.ports[1], CHECKED)
    assert "by node 2" in s.ask("link", ok=False)
    assert damaged(s) == []
    n = len(s.ports[2].told)
    s.ports[2].recv(1.3)
    assert len(s.ports[2].told) > n, "it is told again and again"
    acknowledge(s.ports[2], CHECKED)
    s.ask("link")
    bad = damaged(s)
    assert 60 < len(bad) < 140
    for a, b in bad:
        assert a[:14] == b[:14] and sum((x ^ y).bit_count() for x, y in zip(a, b)) == 4 and len(a) == len(b)
    assert s.link("1:2")["damaged"] == len(bad)
    s.ask("heal")
    told(s.ports[1], CLEAN)
    assert damaged(s) == []


def test_damage_in_the_header(switch):
    s = switch(2)
    s.ask("set", "1:2", "header=100%")
    for a, b in damaged(s):
        assert a[:14] != b[:14] and a[14:] == b[14:]


def test_a_damaged_frame_under_way_keeps_the_nodes_checking(switch):
    s = switch(2)
    for k in (1, 2):
        s.ports[k].send(link_frame(k, ASK))
        acknowledge(s.ports[k], CLEAN)
    s.ask("set", "1:2", "corrupt=100%", "delay=400ms")
    for k in (1, 2):
        acknowledge(s.ports[k], CHECKED)
    s.ask("link")
    s.ports[1].send(frame(2, 1, bytes(50)))
    s.ask("link")  # it has arrived at the switch
    s.ask("heal")
    got = s.ports[2].recv_any(2)
    while (link := link_of(got)):
        assert link[1] == CHECKED, "clean was told before the damaged frame arrived"
        got = s.ports[2].recv_any(2)
    assert got != frame(2, 1, bytes(50))
    told(s.ports[2], CLEAN)


def test_link_frames_stay_between_node_and_switch(switch):
    s = switch(2)
    s.ports[1].send(mac(2) + link_frame(1, TELL, CLEAN, 99)[6:])
    s.ports[1].send(b"\xff" * 6 + link_frame(1, ASK)[6:])
    told(s.ports[1], CLEAN)
    s.ports[2].drain()
    assert s.ports[2].told == [(CLEAN, 1)]
    strange = frame(2, 1, b"")[:12] + b"\x88\xb5" + b"experiment of somebody else"
    s.ports[1].send(strange)
    assert s.ports[2].recv() == strange


def test_open_wire(switch):
    s = switch(2, 1, "--open")
    told(s.ports[1], OPEN)
    s.ask("open", "off")
    told(s.ports[1], CLEAN)
    s.ask("open", "on")
    s.ask("set", "all", "corrupt=1%")
    told(s.ports[1], OPEN)


class Nic:
    """QEMU's end with server=on: it is called by the switch."""

    def __init__(self, directory, k):
        self.k, self.path = k, f"{directory}/nic-{k}.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(0)
        self.listener.settimeout(3)

    def accept(self):
        return Port(None, self.k, self.listener.accept()[0])

    def close(self):
        self.listener.close()
        os.unlink(self.path)


def test_the_switch_calls_nodes_and_calls_again(switch):
    s = switch(2, join=False)
    nics = {k: Nic(s.dir, k) for k in (1, 2)}
    s.ports = {k: n.accept() for k, n in nics.items()}
    s.ports[1].send(frame(2, 1, b"one"))
    assert s.ports[2].recv() == frame(2, 1, b"one")
    s.ports[2].sock.close()  # a node dies and another takes its place
    nics[2].close()
    time.sleep(0.1)
    nics[2] = Nic(s.dir, 2)
    s.ports[2] = nics[2].accept()
    s.ports[1].send(frame(2, 1, b"two"))
    assert s.ports[2].recv() == frame(2, 1, b"two")


def test_settings_outlive_the_switch(switch):
    s = switch(2, 5, join=False)
    nics = {k: Nic(s.dir, k) for k in (1, 2)}
    s.ports = {k: n.accept() for k, n in nics.items()}
    for k in (1, 2):
        s.ports[k].send(link_frame(k, ASK))
        acknowledge(s.ports[k], CLEAN)
    s.ask("set", "1:2", "corrupt=100%", "delay=1.5ms")
    s.ask("partition", "1,2")
    s.ask("seed", "77")
    epoch = told(s.ports[1], CHECKED)
    before = s.ask("show")
    s.kill()
    s.start()
    s.ports = {k: n.accept() for k, n in nics.items()}
    assert s.ask("show").splitlines()[:-1] == before.splitlines()[:-1]
    assert damaged(s) == [], "nodes that have not acknowledged it to the new switch may have missed it"
    assert told(s.ports[1], CHECKED) > epoch
    for k in (1, 2):
        acknowledge(s.ports[k], CHECKED)
    s.ask("link")
    assert len(damaged(s)) == 200


def test_the_rest_of_a_frame_is_skipped():
    """QEMU 7.2 begins a new connection with the rest of what it could not send on the last one."""
    for rest in (b"\x00" * 3, os.urandom(5000), bytes(60000), b"\x00\x00\x10\x00" * 4000):
        s = Switch(tempfile.mkdtemp(prefix="wh-sw-", dir="/tmp"), 2, 1, join=False)
        try:
            nics = {k: Nic(s.dir, k) for k in (1, 2)}
            s.ports = {k: n.accept() for k, n in nics.items()}
            s.ports[1].sock.sendall(rest)
            for i in range(3):
                s.ports[1].send(frame(2, 1, b"%d" % i))
            assert [s.ports[2].recv() for _ in range(3)] == [frame(2, 1, b"%d" % i) for i in range(3)], rest[:10]
        finally:
            s.kill()
            shutil.rmtree(s.dir)


def test_full_queue_drops_and_does_not_stall(switch):
    s = switch()
    for i in range(400):  # 24 MB towards a node that does not read
        s.ports[1].send(frame(2, 1, bytes(60000)))
    s.ports[1].send(frame(3, 1, b"still alive"))
    assert s.ports[3].recv() == frame(3, 1, b"still alive")
    assert s.link("1:2")["dropped"] > 0
    assert all(len(f) == 60014 for f in s.ports[2].drain())


def test_garbage_cuts_only_the_guilty(switch):
    s = switch()
    s.ports[1].sock.sendall(b"\xff" * 64)
    with pytest.raises((EOFError, ConnectionError)):
        s.ports[1].recv()
    s.ports[2].send(frame(3, 2, b"fine"))
    assert s.ports[3].recv() == frame(3, 2, b"fine")


@pytest.mark.parametrize("bad", ["set 9 loss=5", "set 1 loss=101", "set 1", "set 1 delay=x", "set 1:9 loss=1", "set 1-", "set 1 colour=5",
                                 "set 1 delay=2h", "set 1 bits=0", "set 1 bits=65", "partition", "partition 1,9", "fly", "seed x", "open",
                                 "heal 7", "pcap start /nonexistent/x", "pcap start", "pcap"])
def test_bad_commands_are_refused(switch, bad):
    assert "error:" in switch().ask(*bad.split(), ok=False)


def test_capture(switch, tmp_path):
    s = switch(2)
    s.ask("pcap", "start", str(tmp_path / "x.pcap"))
    s.ports[1].send(frame(2, 1, b"seen"))
    s.ports[2].recv()
    s.ask("pcap", "stop")
    data = (tmp_path / "x.pcap").read_bytes()
    assert data[:4] == bytes.fromhex("4d3cb2a1") and data.endswith(frame(2, 1, b"seen"))
    assert struct.unpack("<I", data[32:36])[0] == 18
