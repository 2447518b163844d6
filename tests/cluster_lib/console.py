# SPDX-License-Identifier: MIT
"""The console of a node, as a person uses it."""
import re
import socket
import time

import pytest

PROMPT = b"ready> "


class Console:
    """Types on a node's console and reads what it shows."""

    def __init__(self, cluster, node):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(f"{cluster.run_dir}/{node}.com1")
        self.seen = b""

    def type(self, text):
        self.sock.sendall(text.encode())

    def expect(self, pattern, seconds=10):
        """Read until the pattern shows up; the text up to its end, which is taken away."""
        end = time.monotonic() + seconds
        while not (m := re.search(pattern, self.seen, re.S)):
            self.sock.settimeout(max(end - time.monotonic(), 0.01))
            try:
                self.seen += self.sock.recv(65536)
            except TimeoutError:
                pytest.fail(f"no {pattern!r} on the console within {seconds} s; it shows {self.seen!r}")
        text, self.seen = self.seen[: m.end()], self.seen[m.end():]
        return text

    def run(self, command):
        """A command's output, as the screen shows it, without the echoed command and the prompt."""
        self.type(command + "\r")
        text = self.expect(re.escape(PROMPT)).decode()
        return text[text.index("\n") + 1:].removesuffix(PROMPT.decode()).replace("\r\n", "\n")

    def begin(self):
        """Whatever was left: end it, and begin with a prompt that is easy to see."""
        self.type("\x03\x03\r")
        self.type("cd /tmp; PS1='rea''dy> '; echo begin-$((6*7))\r")
        self.expect(rb"begin-42\r\n" + PROMPT)
        return self
