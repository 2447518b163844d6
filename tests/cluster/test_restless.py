# SPDX-License-Identifier: MIT
"""Restless programs: whatever they do, they do it on another node after every few calls, and nobody can tell."""
import re
import time

import pytest

from cluster_lib.cluster import wait_until
from cluster_lib.console import PROMPT, Console
from cluster_lib.programs import held, wait_held

# Pipes, shared offsets, terminals that are none, signals, exit statuses: what test suites consist of.
SCRIPT = r"""
i=0; while [ $i -lt 30 ]; do echo "line $((i*7919%1000)) of $i"; i=$((i+1)); done >in
sort -n -k2 in | awk '{ s += $2; print NR, $2, s }' | sed -e 's/1/one/g' >a
gzip -c a | gunzip -c | cmp - a && echo same
(head -n 3 a; tail -n 3 a; grep -c one a)
cut -d' ' -f2 in | sort -n | uniq -c | sort -rn | head -n 5
for f in 1 2 3; do echo $f; done | while read x; do echo got $x; done
{ echo a; echo b >&2; } 2>&1 | sort
sh -c 'exit 3'; echo status $?
sleep 0.1 & wait $!; echo waited $?
sh -c 'kill -TERM $$'; echo killed $?
yes | head -n 2
(read one; read two; echo "$one+$two"; cat) <a | tail -n 4
dd if=in bs=100 count=3 2>/dev/null | md5sum
tar cf - in a | tar tf -
echo out; echo err >&2
"""
FEW = r"""
for f in 1 2 3; do echo "$f of 3"; done | sort -r | awk '{ print NR, $1 }' >a; cat a
(read one; read two; echo "$one+$two"; cat) <a
sh -c 'kill -TERM $$'; echo killed $?
echo out; echo err >&2
"""
HOW = {"-k 1": 60, "-k 7": 20, "-k 300": 0, "-t 5": 5}  # and the least number of moves from each node
SLACK_FRAMES, SLACK_REGIONS = 256, 32  # the kernel's and the servers' own tables, grown once: answers kept to be repeated


def stats(c, node):
    """(moves from this node, {reason: how often one stayed})"""
    text = c.sh(node, "migrate --stats")
    reasons = {m[2]: int(m[1]) for m in re.finditer(r"^ +(\d+) (.*)$", text, re.M)}
    return int(re.search(r"^moved (\d+)$", text, re.M)[1]), reasons


def moves(c):
    return sum(stats(c, node)[0] for node in range(1, c.n + 1))


def run(c, script, prefix=""):
    """A script on node 1, in a fresh directory: its status, stdout, stderr."""
    d = "/tmp/restless"
    c.sh(1, f"rm -rf {d}; mkdir {d}; cat >{d}/s <<'END'\n{script}END")
    status = c.sh(1, f"cd {d}; {prefix} sh ./s >out 2>err </dev/null; echo $?", timeout=120)
    return status, c.sh(1, f"cat {d}/out"), c.sh(1, f"cat {d}/err")


@pytest.fixture(scope="module")
def c(cluster):
    c = cluster(3)
    for node in range(1, 4):
        c.sh(node, "load off")  # what moves does so by itself
    run(c, SCRIPT, "restless -k 50")  # what is made once is made now
    yield c
    c.sh(1, "rm -rf /tmp/restless")
    for node in range(1, 4):
        c.sh(node, "load on")


@pytest.mark.parametrize("how", HOW)
def test_a_script_computes_the_same(c, how):
    """Every node is visited, the results are equal, and nothing is left anywhere."""
    before = {k: held(c, k) for k in range(1, 4)}
    counted = [stats(c, k)[0] for k in range(1, 4)]
    script = FEW if how == "-k 1" else SCRIPT
    at_rest = run(c, script)
    assert run(c, script, f"restless {how}") == at_rest, "differs from the run at rest"
    made = [stats(c, k)[0] - counted[k - 1] for k in range(1, 4)]
    assert all(m >= HOW[how] for m in made), f"moves from the three nodes: {made}"
    for k in range(1, 4):
        before[k]["regions"] += SLACK_REGIONS
        wait_held(c, k, before[k], frames=SLACK_FRAMES)
    print(f"{how}: {made} moves")


def test_over_two_nodes(cluster):
    c = cluster(2)
    for node in (1, 2):
        c.sh(node, "load off")
    rest = run(c, FEW)
    counted = moves(c)
    assert run(c, FEW, "restless -k 3") == rest
    assert moves(c) - counted >= 40
    for node in (1, 2):
        c.sh(node, "load on")


@pytest.mark.parametrize("how, program", [
    ("-k 500", "t_pipe"), ("-k 7", "t_fork"), ("-k 20", "t_vfs d"), ("-t 5", "t_signal"), ("-k 40", "t_signal"),
    ("-t 20", "t_sleep --ms 1500"), ("-k 9", "t_keeps d"),
])
def test_programs_that_judge_themselves(c, how, program):
    counted = moves(c)
    out = c.sh(1, f"cd /tmp/restless; rm -rf d; mkdir d; restless {how} {program} >t.out 2>&1 </dev/null; echo status $?; cat t.out",
               timeout=120)
    assert out.startswith("status 0\n") and "not ok" not in out, out
    assert moves(c) - counted >= 10, f"only {moves(c) - counted} moves"


@pytest.mark.parametrize("work", ["nbody --steps 3000", "format --effort 2 /usr/share/work/text", "solve --systems 8",
                                  "queueing --events 500000", "touchmem --rounds 10000 --kib 1024"])
def test_workloads(c, work):
    counted = moves(c)
    at_rest = c.sh(1, f"{work} --progress none </dev/null")
    restless = c.sh(1, f"restless -t 10 {work} --progress none </dev/null", timeout=120)
    if work.startswith("queueing"):  # the clock is its input
        at_rest, restless = ("\n".join(line for line in t.splitlines() if not line.startswith("clock")) for t in (at_rest, restless))
    assert restless == at_rest
    assert moves(c) - counted >= 5


# ---- the other side of what is used from afar

def away(c, command, output="/tmp/restless/far"):
    """A command on node 1 that soon runs elsewhere and stays there; its pid and its node."""
    pid = c.spawn(1, command, output)
    c.sh(1, f"migrate {pid} 2")
    return pid


def test_a_reader_from_afar_can_be_killed(c):
    pid = int(c.sh(1, "mkfifo /tmp/none 2>/dev/null; sleep 60 </dev/null 2>/dev/null | cat >/dev/null 2>&1 & sleep 0.3; echo $!"))
    c.sh(1, f"migrate {pid} 2")
    assert "stays on node 1" in c.sh(2, f"view {pid}")
    assert c.sh(2, f"view {pid}").count("current call: read(0") == 1, "it does not wait in read()"
    c.sh(1, f"kill {pid}")
    wait_until(lambda: c.exec(2, "view", str(pid)).returncode != 0, what="it has ended")
    c.sh(1, "killall sleep", ok=False)


def test_a_writer_from_afar_learns_that_nobody_reads(c):
    c.sh(1, "rm -f /tmp/restless/pid; sh -c 'echo $$ >/tmp/restless/pid; exec yes' 2>/dev/null </dev/null | "
            "{ sleep 2; head -n 1 >/tmp/restless/far; } >/dev/null 2>&1 & sleep 0.5")
    pid = c.sh(1, "cat /tmp/restless/pid").strip()
    c.sh(1, f"migrate {pid} 3")
    wait_until(lambda: c.exec(3, "view", pid).returncode != 0, what="SIGPIPE has ended it")
    wait_until(lambda: c.sh(1, "cat /tmp/restless/far") == "y\n", what="what it wrote first is there")


@pytest.mark.parametrize("prefix", ["", "restless -k 5"])
def test_three_writers_share_a_description(c, prefix):
    """On one node or on three: each line arrives once and whole."""
    c.sh(1, "cat >/tmp/restless/w <<'END'\ni=0; while [ $i -lt 40 ]; do echo \"$1 line $i\"; i=$((i+1)); done\nEND")
    c.sh(1, f"cd /tmp/restless; (for n in a b c; do {prefix} sh ./w $n & done; wait) >shared </dev/null 2>&1", timeout=120)
    lines = c.sh(1, "cat /tmp/restless/shared").splitlines()
    assert sorted(lines) == sorted(f"{n} line {i}" for n in "abc" for i in range(40)), lines
    for n in "abc":
        mine = [line for line in lines if line[0] == n]
        assert mine == [f"{n} line {i}" for i in range(40)], "its own order"


def test_permissions(c):
    pid = c.spawn(1, "sleep 20")
    try:
        r = c.exec(1, "su", "student", "-c", f"restless -p {pid}")
        assert r.returncode == 1 and b"another user's" in r.stderr, r
        assert c.exec(1, "restless", "-p", "1").returncode == 1
        assert c.exec(1, "restless", "-k", "0", "true").returncode == 2
        assert c.exec(1, "restless", "/nowhere").returncode == 127
        c.sh(1, f"restless -t 50 -p {pid}")
        wait_until(lambda: any(f"{pid} " in c.sh(k, "ps") for k in (2, 3)), what="it travels")
        for k in (1, 2, 3):
            c.exec(k, "restless", "-o", "-p", str(pid))
    finally:
        for k in (1, 2, 3):
            c.exec(k, "kill", str(pid))


def test_without_other_nodes_it_goes_on(cluster):
    c = cluster(1)
    began = time.monotonic()
    assert c.sh(1, "restless -k 1 sh -c 'echo a | cat; echo b'") == "a\nb\n"
    assert time.monotonic() - began < 10
    moved, reasons = stats(c, 1)
    assert moved == 0 and reasons.get("no other node is alive", 0) > 10, reasons


# ---- the terminal

def test_the_terminal_from_afar(c):
    """A program that moves all the time reads lines, asks for the size, is interrupted and stopped by keys."""
    console = Console(c, 1).begin()
    try:
        counted = moves(c)
        console.type("restless -k 2 sh -c 'tty; stty size; read x; echo got $x; sort'\r")
        console.expect(rb"24 80\r\n", 60)
        console.type("one\r")
        console.expect(rb"got one\r\n", 60)
        console.type("b\ra\r\x04")
        console.expect(rb"a\r\nb\r\n" + PROMPT, 60)
        assert moves(c) - counted >= 10
        console.type("restless -t 30 sleep 100\r")
        time.sleep(1)
        console.type("\x1a")
        console.expect(rb"Stopped.*" + PROMPT, 60)
        console.type("fg\r")
        console.expect(rb"sleep 100\r\n", 60)
        time.sleep(0.5)
        console.type("\x03")
        console.expect(PROMPT, 60)
        assert console.run("echo $?") == "130\n"
        # One that writes from the background is stopped once, and goes on once.
        console.run("stty tostop")
        console.type("restless -k 2 sh -c 'i=0; while [ $i -lt 20 ]; do i=$((i+1)); kill -0 $$; done; echo from $((i/2)) afar' &\r")
        console.expect(PROMPT)
        wait_until(lambda: "Stopped" in console.run("jobs"), what="it wanted to write")
        console.type("fg\r")
        console.expect(rb"from 10 afar\r\n" + PROMPT, 60)
        assert "Stopped" not in console.run("jobs; stty -tostop")
    finally:
        console.type("\x03\r")
        console.sock.close()


# ---- when nodes die

def test_the_home_node_dies(fresh_cluster):
    """What was used from afar is gone: EIO, and the reader ends; nobody panics."""
    c = fresh_cluster(3)
    pid = int(c.sh(1, "sleep 100 </dev/null 2>/dev/null | cat >/n/2/tmp/far 2>/n/2/tmp/err & sleep 0.3; echo $!"))
    c.sh(1, f"migrate {pid} 2")
    c.verb("kill", 1)
    wait_until(lambda: c.exec(2, "nodes", "dead", "1").returncode == 0, what="the operator is believed")
    wait_until(lambda: c.exec(2, "view", str(pid)).returncode != 0, 30, what="the reader has ended")
    assert "Input/output error" in c.sh(2, "cat /tmp/err")
