# SPDX-License-Identifier: MIT
"""Ordinary network programs between nodes, unmodified: Debian's busybox (glibc), and busybox with musl (check --long)."""
import contextlib
import os
import select
import subprocess
import time

import pytest

from cluster_lib import ROOT
from cluster_lib.cluster import wait_until
from cluster_lib.programs import counters

MUSL = ROOT / "build/third/suites/busybox/stage/busybox/busybox"


def has(c, bb, *applets):
    there = c.sh(1, f"{bb} --list").split()
    missing = [a for a in applets if a not in there]
    if missing:
        pytest.skip(f"this busybox has no {' '.join(missing)}")


@pytest.fixture(params=["/bin/busybox", pytest.param("/tmp/musl/busybox", marks=pytest.mark.long)])
def net(request, cluster):
    """A cluster, and the busybox to use on both nodes."""
    c, bb = cluster(2), request.param
    if bb == "/tmp/musl/busybox":
        if not MUSL.exists():
            pytest.skip("make suites has not been run")
        for node in (1, 2):
            c.sh(node, "mkdir -p /tmp/musl")
            c.put(node, MUSL, bb)
            c.sh(node, f"chmod 755 {bb}")
    files = [counters(c, k)["ofiles"] for k in (1, 2)]
    yield c, bb
    for k in (1, 2):  # whatever was used, nothing is left
        wait_until(lambda k=k: counters(c, k)["ofiles"] <= files[k - 1], 30, what=f"the open files of node {k} are gone")


@contextlib.contextmanager
def server(c, node, command):
    """A server while the test runs. Not in a shell's background, where it and its children would ignore SIGINT."""
    p = c.start(node, "sh", "-c", f"echo $$ >/tmp/server.pid; exec {command}")
    try:
        yield
    finally:
        c.sh(node, "kill $(cat /tmp/server.pid) 2>/dev/null", ok=False)
        p.communicate(timeout=60)


def random_file(c, node, name, kilobytes):
    return c.sh(node, f"dd if=/dev/urandom of={name} bs=1k count={kilobytes} 2>/dev/null; md5sum <{name}").split()[0]


def md5(c, node, name):
    return c.sh(node, f"md5sum <{name}").split()[0]


def until_it_works(c, node, command, seconds=30):
    """The server is about to listen."""
    wait_until(lambda: c.exec(node, "sh", "-c", command).returncode == 0, seconds, what=command)


def test_who_and_where(net):
    c, bb = net
    assert [c.sh(k, f"{bb} hostname").strip() for k in (1, 2)] == ["node1", "node2"]
    said = c.sh(1, f"{bb} ping -c 3 -i 0.2 node2" if "musl" not in bb else f"{bb} ping -c 2 node2")
    assert "10.0.0.2" in said and " 0% packet loss" in said, said
    r = c.exec(1, bb, "ping", "-c", "1", "nobody.there")
    assert r.returncode != 0 and b"bad address" in r.stderr, r


def test_nc(net):
    c, bb = net
    want = random_file(c, 1, "/tmp/nc.in", 1500)
    # Its own input must not end first: nc ends when the other side has shut down, on Linux, too.
    with server(c, 2, f"sh -c 'sleep 100 | {bb} nc -l -p 5001 >/tmp/nc.out'"):
        until_it_works(c, 1, f"{bb} nc node2 5001 </tmp/nc.in")
        wait_until(lambda: md5(c, 2, "/tmp/nc.out") == want, what="the file arrives whole")
        c.sh(2, "killall sleep")


def test_wget_from_httpd(net):
    c, bb = net
    c.sh(2, "mkdir -p /tmp/web/dir")
    want = random_file(c, 2, "/tmp/web/dir/file", 3000)
    with server(c, 2, f"{bb} httpd -f -p 80 -h /tmp/web"):
        until_it_works(c, 1, f"{bb} wget -q -O /tmp/wget.out http://node2/dir/file")
        assert md5(c, 1, "/tmp/wget.out") == want
        r = c.exec(1, bb, "wget", "-q", "-O", "/dev/null", "http://node2/none")
        assert r.returncode != 0
        assert b"404" in r.stderr
    r = c.exec(1, bb, "wget", "-q", "-O", "/dev/null", "http://node2/dir/file")
    assert r.returncode != 0 and b"refused" in r.stderr


class Terminal:
    """A program whose input is typed when what it says asks for it."""

    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = ""

    def expect(self, words, seconds=60):
        end = time.monotonic() + seconds
        while words not in self.said:
            ready, _, _ = select.select([self.p.stdout], [], [], max(0, end - time.monotonic()))
            piece = os.read(self.p.stdout.fileno(), 4096) if ready else b""
            assert piece, f"{words!r} was not said, but {self.said!r}"
            self.said += piece.decode(errors="replace").replace("\r", "")
        self.said = self.said.partition(words)[2]

    def type(self, text):
        self.p.stdin.write(text.encode())
        self.p.stdin.flush()


def test_telnet(net):
    c, bb = net
    has(c, bb, "telnetd", "telnet")
    with server(c, 2, f"{bb} telnetd -F -p 2323 -l /bin/sh"):
        until_it_works(c, 1, f"(sleep 1; echo exit; sleep 1) | {bb} telnet node2 2323 | grep -q Enter")
        t = Terminal(c.whctl(1, "exec", bb, "telnet", "node2", "2323"))
        t.expect("# ")
        t.type("tty; hostname; stty -a | grep -o ' icanon'; echo sum $((6*7))\n")
        for words in ("/dev/pts/", "node2\n", " icanon\n", "sum 42\n"):
            t.expect(words)
        t.type("echo be''gins; sleep 100\n")
        t.expect("begins\n")
        time.sleep(1)
        t.type("\003")
        t.expect("# ")
        t.type("echo got $?\n")
        t.expect("got 130\n")
        t.type("exit\n")
        assert t.p.wait(timeout=30) is not None
        t.p.stdin.close()
        t.p.stdout.close()
    wait_until(lambda: counters(c, 2)["ptys"] == 0, what="the terminal is gone")


def test_tftp(net):
    c, bb = net
    has(c, bb, "tftpd", "tftp", "udpsvd")
    c.sh(2, "rm -rf /tmp/tftp; mkdir -p /tmp/tftp")
    there, back = random_file(c, 2, "/tmp/tftp/there", 100), random_file(c, 1, "/tmp/back", 100)
    with server(c, 2, f"sh -c 'cd /tmp/tftp && exec {bb} udpsvd -E 0 69 {bb} tftpd -c'"):  # not its option: there is no chroot
        until_it_works(c, 1, f"cd /tmp && {bb} tftp -g -r there -l tftp.out node2")
        assert md5(c, 1, "/tmp/tftp.out") == there
        c.sh(1, f"cd /tmp && {bb} tftp -p -l back -r back node2")
        assert md5(c, 2, "/tmp/tftp/back") == back
