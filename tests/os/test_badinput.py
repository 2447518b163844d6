# SPDX-License-Identifier: MIT
"""Bad input: damaged programs, random system calls, a full disk, garbage from the network. The node must go on as before."""
import random
import socket
import struct
import time

import pytest

from cluster_lib.cluster import wait_until
from cluster_lib.programs import counters


def alive_and_well(c, node=1):
    assert c.sh(node, "echo still here; sync") == "still here\n"
    sad = [line for line in c.sad_lines() if line.startswith(f"node {node}:")]
    assert not sad, "the node's log:\n" + "\n".join(sad)


# ---- programs

def test_damaged_programs_give_enoexec(cluster):
    c = cluster(1)
    text = c.sh(1, "mkdir -p /tmp/bad && t_badelf /tmp/bad --seed 7 --count 300; s=$?; rm -r /tmp/bad; exit $s", ok=False)
    bad = [line for line in text.splitlines() if line.startswith("not ok")]
    assert not bad and text.count("ok ") > 30, "\n".join(bad) or text
    alive_and_well(c)


def test_random_bytes_are_no_program(cluster):
    c = cluster(1)
    assert c.sh(1, "for i in $(seq 20); do head -c $((i*97)) /dev/urandom >/tmp/junk; chmod +x /tmp/junk; "
                   "(exec /tmp/junk) 2>/dev/null && echo $i ran; done; rm /tmp/junk; echo end", timeout=60).endswith("end\n")
    alive_and_well(c)


# ---- system calls

@pytest.mark.parametrize("seed, calls, uid", [
    (1, 120_000, 31999), (2, 80_000, 0),
    pytest.param(3, 700_000, 31999, marks=pytest.mark.long), pytest.param(4, 300_000, 0, marks=pytest.mark.long),
], ids=["unprivileged", "as root", "unprivileged, many", "as root, many"])
def test_random_system_calls(fresh_cluster, seed, calls, uid):
    c = fresh_cluster(1)
    pipes = counters(c, 1)["pipes"]
    r = c.exec(1, "t_fuzz", "--calls", calls, "--seed", seed, "--uid", uid, timeout=1200)
    assert r.returncode == 0, f"exit status {r.returncode}\n{r.stdout.decode()[-2000:]}{r.stderr.decode()[-500:]}"
    print(r.stdout.decode())
    log = c.log(1)
    assert "PANIC" not in log, log[-3000:]
    wait_until(lambda: counters(c, 1)["pipes"] <= pipes, what="the pipes of the dead are gone")
    alive_and_well(c)


# ---- disk

def test_a_full_disk(fresh_cluster):
    c = fresh_cluster(1)
    before = counters(c, 1)["fs_free_blocks"]
    r = c.exec(1, "sh", "-c", "mkdir /tmp/full && t_enospc /tmp/full", timeout=300)
    text = r.stdout.decode()
    assert r.returncode == 0 and "not ok" not in text, f"exit status {r.returncode}\n{text}{r.stderr.decode()}"
    assert "No space left" in c.exec(1, "sh", "-c", "dd if=/dev/zero of=/tmp/full/zeros bs=64k 2>&1; rm /tmp/full/zeros",
                                     timeout=300).stdout.decode()
    c.sh(1, "rm -r /tmp/full; sync")
    after = counters(c, 1)["fs_free_blocks"]
    assert after >= before - 16, f"{before - after} blocks are lost"
    alive_and_well(c)


# ---- network

class FakeNode:
    """In place of node 2 on the switch: sends node 1 whatever frames it likes."""

    MAC1, MAC2 = bytes.fromhex("525400000001"), bytes.fromhex("525400000002")
    IP1, IP2 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])

    def __init__(self, c):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(f"{c.run_dir}/sw-2.sock")
        self.sock.settimeout(0.05)
        self.seen = b""
        self.rng = random.Random(12)

    def send(self, frame):
        self.sock.sendall(struct.pack(">I", len(frame)) + frame)

    def frames(self):
        """Frames that have arrived."""
        try:
            while True:
                self.seen += self.sock.recv(65536)
        except TimeoutError:
            pass
        while len(self.seen) >= 4 and len(self.seen) >= 4 + (n := struct.unpack(">I", self.seen[:4])[0]):
            yield self.seen[4:4 + n]
            self.seen = self.seen[4 + n:]

    @staticmethod
    def checksum(data):
        data += b"\0" * (len(data) % 2)
        s = sum(struct.unpack(f">{len(data) // 2}H", data))
        while s >> 16:
            s = (s & 0xffff) + (s >> 16)
        return ~s & 0xffff

    def ip(self, protocol, payload):
        head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), self.rng.getrandbits(16), 0, 64, protocol, 0,
                           self.IP2, self.IP1)
        head = head[:10] + struct.pack(">H", self.checksum(head)) + head[12:]
        return self.MAC1 + self.MAC2 + b"\x08\x00" + head + payload

    def l4(self, protocol, segment, at):
        pseudo = self.IP2 + self.IP1 + struct.pack(">BBH", 0, protocol, len(segment))
        return self.ip(protocol, segment[:at] + struct.pack(">H", self.checksum(pseudo + segment)) + segment[at + 2:])

    def udp(self, port, data):
        self.send(self.l4(17, struct.pack(">HHHH", 7000, port, 8 + len(data), 0) + data, 6))

    def tcp(self, sport, port, seq, ack, flags, data=b""):
        self.send(self.l4(6, struct.pack(">HHIIBBHHH", sport, port, seq, ack, 0x50, flags, 8192, 0, 0) + data, 16))

    def connect_and_say(self, sport, port, pieces):
        """A TCP connection that says garbage. Returns False if it was refused."""
        list(self.frames())
        self.tcp(sport, port, 1000, 0, 2)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for f in self.frames():
                if len(f) < 54 or f[12:14] != b"\x08\x00" or f[23] != 6:
                    continue
                from_port, to_port, seq, _, _, flags = struct.unpack(">HHIIBB", f[34:48])
                if (from_port, to_port) != (port, sport):
                    continue
                if flags & 4:
                    return False
                if flags & 0x12 == 0x12:
                    at = 1001
                    self.tcp(sport, port, at, seq + 1, 0x10)
                    for data in pieces:
                        self.tcp(sport, port, at, seq + 1, 0x18, data)
                        at += len(data)
                    return True
        return False


SERVICE_PORTS = (702, 703, 704, 705)  # abi/services.def


def garbage(rng, n):
    """Random bytes, now and then with a beginning that looks right to somebody."""
    data = rng.randbytes(n)
    return struct.pack("<I", rng.choice([0, 1, 16, 200, 65536, 2**31, 2**32 - 1])) + data if rng.random() < 0.5 else data


def test_garbage_from_the_network(fresh_cluster):
    c = fresh_cluster(2)
    c.sh(1, "echo kept >/root/kept; sync")
    before = counters(c, 1)
    c.verb("kill", 2)
    fake = FakeNode(c)
    rng = fake.rng
    for _ in range(300):  # frames that are none
        fake.send(rng.randbytes(rng.randrange(1, 1500)))
    for _ in range(300):  # of a known kind, but damaged
        kind = rng.choice([b"\x08\x00", b"\x08\x06", b"\x86\xdd"])
        fake.send(fake.MAC1 + fake.MAC2 + kind + rng.randbytes(rng.randrange(0, 400)))
    for protocol in range(256):
        fake.send(fake.ip(protocol, rng.randbytes(rng.randrange(0, 100))))
    for port in (*SERVICE_PORTS, *rng.sample(range(1, 65536), 200)):
        for _ in range(20 if port in SERVICE_PORTS else 1):
            fake.udp(port, garbage(rng, rng.randrange(0, 1300)))
    accepted = sum(fake.connect_and_say(10000 + 10 * port + k, port, [garbage(rng, rng.randrange(1, 1300)) for _ in range(5)])
                   for port in SERVICE_PORTS for k in range(4))
    refused = [fake.connect_and_say(10000 + k, port, []) for k, port in enumerate((1, 80, 700, 9999))]
    for _ in range(200):  # segments of connections that do not exist
        fake.tcp(rng.randrange(65536), rng.choice(SERVICE_PORTS), rng.getrandbits(32), rng.getrandbits(32), rng.randrange(256),
                 rng.randbytes(rng.randrange(0, 100)))
    fake.sock.close()
    assert accepted >= 4, f"only {accepted} connections to the services' ports were accepted: nothing was tested"
    assert not any(refused), f"a port where nobody listens accepted: {refused}"
    assert c.sh(1, "cat /root/kept; ls / | wc -l").startswith("kept\n")
    servers = ("net", "file", "clock", "migrate", "load", "agent", "init")
    ps = c.sh(1, "ps")
    assert all(name in ps for name in servers), f"a server is gone:\n{ps}"
    alive_and_well(c)
    c.verb("restart", 2)
    wait_until(lambda: c.sh(1, "nodes").count("alive") == 2, 30, what="node 1 sees the real node 2 again")
    kept = ("procs", "stubs", "ofiles", "fs_holds", "fs_locks")
    # Looking takes some itself for a moment.
    wait_until(lambda: all(after[name] <= before[name] for after in [counters(c, 1)] for name in kept),
               what=f"{kept} as before: {[before[name] for name in kept]}")
    assert c.sh(2, "cat /n/1/root/kept") == "kept\n"
