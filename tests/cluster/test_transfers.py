# SPDX-License-Identifier: MIT
"""TCP transfers of user programs over a wire that loses, repeats, reorders and damages frames: every byte right, none lost."""
import re

import pytest

BAD_WIRE = ("loss=5%", "dup=5%", "reorder=5%", "corrupt=1%")


def counted(c, what):
    """The sum of a column of the links' table of `net stats`."""
    lines = [line.split() for line in c.verb("net", "stats", "all").stdout.decode().splitlines()]
    top = next(i for i, words in enumerate(lines) if words and words[0] == "link")
    return sum(int(words[lines[top].index(what)]) for words in lines[top + 1:] if len(words) == len(lines[top]))


def transfers(c, count, seconds):
    server = c.start(1, "t_transfers", "serve", "5999", count, "--seconds", seconds)
    assert server.stdout.readline() == b"listening\n"
    sender = c.exec(2, "t_transfers", "send", "10.0.0.1", "5999", count, "--seconds", seconds, timeout=seconds + 60)
    print(sender.stdout.decode())
    out, err = server.communicate(timeout=60 if sender.returncode == 0 else seconds + 60)
    assert sender.returncode == 0, f"sender:\n{sender.stdout.decode()[-3000:]}{sender.stderr.decode()}\nserver:\n{out.decode()[-3000:]}"
    assert server.returncode == 0, f"server:\n{out.decode()[-3000:]}{err.decode()}"
    assert re.search(rf"^{count} transfers", out.decode(), re.M)


@pytest.mark.parametrize("count", [300, pytest.param(10000, marks=pytest.mark.long)])
def test_transfers_over_a_bad_wire(fresh_cluster, count):
    c = fresh_cluster(2)
    c.verb("net", "1-2", *BAD_WIRE)
    transfers(c, count, 90 if count < 1000 else 900)
    for what in ("lost", "dup", "reorder", "damaged"):
        assert counted(c, what) > 0, f"the wire did no {what}"
    c.verb("net", "heal")
    assert not c.sad_lines()
