# SPDX-License-Identifier: MIT
"""Lua, zlib, bc and GNU Go, unmodified: what they print on a node is what the same files print on the host."""
import hashlib
import pathlib
import random
import subprocess

import pytest

from cluster_lib.suites import PLACE, same

HERE = pathlib.Path(__file__).parent
# bc's own tests by the time they take (checklib.b: all of the library to many digits).
BC = ["array", "arrayp", "aryprm", "atan", "div", "exp", "fact", "jn", "ln", "mul", "raise", "sine", "sqrt", "sqrt1", "sqrt2", "testfn"]
BC_SHORT = ["array", "arrayp", "aryprm", "sine", "sqrt", "testfn"]


# ---- Lua 5.4; its distribution has no tests

@pytest.mark.parametrize("program", ["strings", "language", "files", "numbers"])
def test_lua(node, host, program):
    for place in (node, host):
        place.add("lua", HERE / "lua" / f"{program}.lua")
    assert same(node, host, "lua", f"$RUN ./lua {program}.lua")


def test_lua_compiled(node, host):
    for place in (node, host):
        place.add("lua", HERE / "lua" / "strings.lua")
    same(node, host, "lua", "$RUN ./luac -o s.out strings.lua && sha256sum s.out && $RUN ./lua s.out && $RUN ./luac -l -l strings.lua | tail -n 40 "
         "| sed 's/0x[0-9a-f]*//g'")


@pytest.mark.long
def test_lua_computes(node, host):
    for place in (node, host):
        place.add("lua", HERE / "lua" / "numbers.lua")
    same(node, host, "lua", "$RUN ./lua numbers.lua 5")


# ---- zlib's tests: example, minigzip, infcover

def test_zlib_example(node, host):
    assert "large_inflate(): OK" in same(node, host, "zlib", "$RUN ./example && ls -l *.gz | awk '{print $5}'")


def test_zlib_infcover(node, host):
    same(node, host, "zlib", "$RUN ./infcover 2>&1")


def test_zlib_minigzip(node, host, tmp_path):
    rng = random.Random(7)
    text = "".join(rng.choice("abcdefgh \n") for _ in range(1_000_000)).encode() + rng.randbytes(500_000)
    (tmp_path / "text").write_bytes(text)
    for place in (node, host):
        place.add("zlib", tmp_path / "text")
    out = same(node, host, "zlib", "for l in 1 6 9; do $RUN ./minigzip -$l <text >text.gz; sha256sum text.gz; gunzip -c text.gz | sha256sum; "
               "$RUN ./minigzip -d <text.gz | sha256sum; done; cp text t; $RUN ./minigzip t; ls t*; $RUN ./minigzip -d t.gz; sha256sum t")
    assert out.count(hashlib.sha256(text).hexdigest()) == 7


# ---- GNU bc and dc

def bc_same(node, host, names):
    same(node, host, "bc", f"cd Test; for t in {' '.join(names)}; do echo == $t; $RUN ../bc -l $t.b </dev/null; done")


def test_bc(node, host):
    bc_same(node, host, BC_SHORT)
    same(node, host, "bc", "echo 'scale=100; 4*a(1); 2^1000; sqrt(2)' | $RUN ./bc -l; echo '100k 2v p 16o 255p [la1+dsa*pla10>x]sx 0sa1lxxp' | $RUN ./dc")


@pytest.mark.long
def test_bc_all(node, host):
    bc_same(node, host, BC + ["checklib"])


# ---- GNU Go computes for minutes

def go(commands, level=8):
    script = "\\n".join([*commands, "quit"])
    return f"printf '{script}\\n' | $RUN ./gnugo --mode gtp --seed 42 --level {level}"


def self_play(size, moves, level=8):
    return go([f"boardsize {size}", "clear_board", "set_random_seed 42", *["genmove black", "genmove white"] * moves,
               "showboard", "final_score"], level)


@pytest.mark.long
def test_gnugo_plays_itself(node, host):
    assert "= " in same(node, host, "gnugo", self_play(9, 35))


@pytest.mark.long
def test_gnugo_plays_a_big_board(node, host):
    same(node, host, "gnugo", self_play(19, 25, level=6))


@pytest.mark.long
@pytest.mark.parametrize("part", ["reading", "connection"])
def test_gnugo_regression(node, host, part):
    """Its own regression: the same answers, right and wrong ones, on both."""
    host.install("gnugo")
    games = host.top / "games.tar"
    subprocess.run(["tar", "cf", games, "-C", host.top / "gnugo", "regression/games"], check=True)
    node.add("gnugo", games)
    node.c.sh(node.node, f"cd {PLACE}/gnugo && tar xf games.tar && rm games.tar", timeout=300)
    same(node, host, "gnugo", f"cd regression && $RUN ../gnugo --mode gtp <{part}.tst", timeout=1200)
