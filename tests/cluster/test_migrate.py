# SPDX-License-Identifier: MIT
"""Processes that are moved while they run, and do not notice: names, files, locks, refusals, and results equal to the host's."""
import hashlib
import random
import shutil
import subprocess

import pytest

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until
from cluster_lib.programs import Program, sign, wait_sign

PEER_MIGR = f"{build_dir()}/user/test/migr"  # built where ../shared/peer/migr.c is there


@pytest.fixture(scope="module")
def c(cluster):
    c = cluster(3)
    for node in (1, 2, 3):
        c.sh(node, "load off")  # only commands move here
    yield c
    for node in (1, 2, 3):
        c.sh(node, "load on")


@pytest.fixture
def directory(c):
    """A fresh directory of node 1's tree."""
    d = c.sh(1, "mktemp -d /tmp/migrate.XXXXXX").strip()
    yield d
    c.sh(1, f"rm -rf {d}")


# ---- names

def test_names_look_the_same(c, directory):
    p = Program(c, 1, f"t_names {directory}", directory)
    wait_sign(c, 1, directory, "noted")
    p.route(2, 3)
    assert p.runs_on(3) and not p.runs_on(2), "ps must show it on node 3, and only there"
    sign(c, 1, directory, "go")
    out = p.end_well()
    assert f"pid {p.pid} node node1 cwd {directory}" in out, out


# ---- files

def files_rounds(c, directory, route, while_away=None):
    """t_files, moved along the route, one node a round. while_away() is called before the first move."""
    p = Program(c, 1, f"t_files {directory} {len(route)}")
    for k, node in enumerate(route, 1):
        wait_sign(c, 1, directory, f"ready-{k}")
        if k == 1 and while_away:
            while_away()
        p.move(node)
        if k == 1:  # not used yet on this node
            c.sh(1, f"rm {directory}/gone")
        sign(c, 1, directory, f"go-{k}")
    wait_sign(c, 1, directory, "done")
    return p


def test_open_files_and_a_lock(c, directory):
    started = []
    tries = lambda: started.append(Program(c, 1, f"t_lock {directory}/lock {directory}"))
    try:
        started.append(files_rounds(c, directory, [2, 3, 1, 2], tries))
        tries, p = started
        sign(c, 1, directory, "unlock-tries-end")
        out = tries.end_well()
        count = int(out.split("tries ")[1])
        assert count > 20, f"the lock was tried only {count} times"
        assert c.exec(1, "t_lock", f"{directory}/lock").returncode == 1, "the lock was free while its owner still ran"
        sign(c, 1, directory, "end")
        p.end_well()
        assert c.exec(1, "t_lock", f"{directory}/lock").returncode == 0, "the lock outlived its owner"
        assert "gone" not in c.sh(1, f"ls {directory}").split(), "the unlinked file came back"
    finally:
        for each in started:
            each.kill()


def test_the_lock_is_kept_from_other_nodes_too(c, directory):
    p = files_rounds(c, directory, [2])
    try:
        for node in (2, 3):
            r = c.exec(node, "t_lock", f"/n/1{directory}/lock")
            assert r.returncode == 1 and b"Resource temporarily unavailable" in r.stdout, f"node {node}: {r.stdout!r}"
        sign(c, 1, directory, "end")
        p.end_well()
    finally:
        p.kill()


def test_a_killed_process_gives_its_lock_back(c, directory):
    p = files_rounds(c, directory, [2, 3])
    p.kill()
    wait_until(lambda: c.exec(1, "t_lock", f"{directory}/lock").returncode == 0, what="the lock is free")


# ---- what cannot be kept

def test_local_is_refused_with_a_reason(c, directory):
    p = Program(c, 1, f"t_local {directory}")
    try:
        wait_sign(c, 1, directory, "free")
        p.route(2, 1)
        sign(c, 1, directory, "open")
        wait_sign(c, 1, directory, "opened")
        why = p.refused(2)
        for word in ("file: fd ", "(proc)", "read() returned 5", "rule local", "node 2"):
            assert word in why, f"the refusal does not name '{word}': {why!r}"
        view = c.sh(1, f"view {p.pid}")
        assert "local" in view, f"view does not show the verdict:\n{view}"
        sign(c, 1, directory, "close")
        wait_sign(c, 1, directory, "closed")
        for words, ask, done in ((("file: fd ", "(eventfd)", "rule local"), "unevent", "unevented"),
                                 (("mmap(MAP_SHARED) of anonymous memory", "rule local", "munmap"), "unmap", "unmapped")):
            why = p.refused(2)
            assert all(word in why for word in words), f"the refusal does not name {words}: {why!r}"
            sign(c, 1, directory, ask)
            wait_sign(c, 1, directory, done)
        p.route(2, 3)  # with both ends of a pipe
        assert "stays on node 1" in c.sh(3, f"view {p.pid}"), "view does not show what stayed behind"
        sign(c, 1, directory, "end")
        p.end_well()
    finally:
        p.kill()


@pytest.mark.parametrize("what, pid, node, words", [
    ("no such process", 1048000, 2, ("no process", "1048000", "not here")),
    ("init", "1048577", 2, ("no such process",)),
    ("no such node", "own", 9, ("node 9", "9")),
    ("the node where it is", "own", 1, ("already", "here", "is on node 1")),
])
def test_a_senseless_move_is_refused(c, what, pid, node, words):
    p = Program(c, 1, "sleep 30")
    try:
        r = c.exec(1, "migrate", p.pid if pid == "own" else pid, node)
        said = (r.stdout + r.stderr).decode()
        assert r.returncode == 1 and any(w in said for w in words), f"{what}: exit status {r.returncode}: {said!r}"
    finally:
        p.kill()


def test_a_parent_is_refused(c):
    p = Program(c, 1, "sh -c 'sleep 20 >/dev/null 2>&1; true'")
    try:
        wait_until(lambda: c.sh(1, "ps").count("sleep 20") >= 3, what="its child is there")
        assert "child" in p.refused(2)
    finally:
        c.sh(1, f"kill {p.pid}; killall sleep", ok=False)
        p.kill()


def test_a_pipe_stays_and_its_reader_moves(c):
    pid = c.sh(1, "{ echo one; sleep 3; echo two; } </dev/null 2>/dev/null | awk '{ print NR, $1 }' >/tmp/piped 2>&1 & sleep 0.5; "
                  "echo $!").strip()
    for here, there in ((1, 2), (2, 3)):
        c.sh(here, f"migrate {pid} {there}")
    wait_until(lambda: c.sh(1, "cat /tmp/piped") == "1 one\n2 two\n", what="what came through the pipe")


# ---- results

def test_sha256_moved_in_the_middle(c, tmp_path):
    data = random.Random(20).randbytes(20_000_000)
    (tmp_path / "big").write_bytes(data)
    c.put(1, tmp_path / "big", "/tmp/big")
    p = Program(c, 1, "sha256sum /tmp/big")
    try:
        p.route(2, 1, pause=0.15)
        assert p.end_well(120).split()[0] == hashlib.sha256(data).hexdigest()
    finally:
        p.kill()
        c.sh(1, "rm -f /tmp/big")


def test_sort_moved_in_the_middle(c, tmp_path):
    rng = random.Random(5)
    lines = [b"%016x\n" % rng.getrandbits(64) for _ in range(300_000)]
    (tmp_path / "lines").write_bytes(b"".join(lines))
    c.put(1, tmp_path / "lines", "/tmp/lines")
    p = Program(c, 1, "sort /tmp/lines -o /tmp/sorted")
    try:
        p.route(2, 3, pause=0.3)
        p.end_well(180)
        c.get(1, "/tmp/sorted", tmp_path / "sorted")
        assert (tmp_path / "sorted").read_bytes() == b"".join(sorted(lines)), "the sorted file differs from the host's"
    finally:
        p.kill()
        c.sh(1, "rm -f /tmp/lines /tmp/sorted")


@pytest.mark.parametrize("peer", [PEER_MIGR] if shutil.which(PEER_MIGR) else [])
def test_the_peers_program_with_16_mb(c, peer):
    c.put(1, peer, "/tmp/migr")
    p = Program(c, 1, "/tmp/migr 16 0.5 6 /tmp/migr.out")
    try:
        wait_until(lambda: "START" in c.sh(1, "cat /tmp/migr.out", ok=False), what="its memory is ready")
        p.route(2, 3, 2, 1, pause=0.2)
        status, _ = p.end(120)
        out = c.sh(1, "cat /tmp/migr.out")
        assert status == 0 and "END ok=1" in out, out
        print(out)
    finally:
        p.kill()
        c.sh(1, "rm -f /tmp/migr /tmp/migr.out")


# At least three seconds each on an idle host; {i} is where the input is.
WORK = {
    "montecarlo": "montecarlo --paths 270000",
    "nbody": "nbody --steps 27000",
    "format": "format --effort 72 {i}/text",
    "solve": "solve --systems 22",
    "crack": "crack {i}/shadow {words}",
    "touchmem": "touchmem --rounds 9000 --kib 4096",
    "queueing": "queueing --events 2700000",
}
CRACK_WORDS = 150


def without_clock(text):
    return [line for line in text.splitlines() if not line.startswith("clock")]


@pytest.mark.parametrize("name", WORK)
def test_a_workload_there_and_back(c, name, tmp_path):
    work = f"{build_dir()}/user/work"
    words = tmp_path / "words"
    with open(f"{work}/input/words", encoding="utf-8") as f:
        words.write_text("".join(line for _, line in zip(range(CRACK_WORDS), f)))
    c.put(1, words, "/tmp/words")
    host = subprocess.run(f"{work}/{WORK[name].format(i=work + '/input', words=words)} --progress none", shell=True,
                          capture_output=True, text=True, timeout=120, check=False)
    assert host.returncode == 0, host.stderr
    p = Program(c, 1, WORK[name].format(i="/usr/share/work", words="/tmp/words") + " --progress none")
    try:
        p.route(2, 3, 1, pause=0.2)
        status, out = p.end(180)
        assert status == 0, out
        if name == "queueing":  # the clock is its input; what does not depend on it must be the same
            assert without_clock(out) == without_clock(host.stdout), "differs from the normal result"
        else:
            assert out == host.stdout, "differs from the normal result, which the host computed"
    finally:
        p.kill()


SCRIPT = "i=0; s=0; while [ $i -lt 60000 ]; do i=$((i+1)); s=$(((s*31+i)%1000003)); done; echo $s"


def test_a_shell_in_a_loop(c):
    expected = 0
    for i in range(1, 60001):
        expected = (expected * 31 + i) % 1000003
    p = Program(c, 1, f"sh -c '{SCRIPT}'")
    try:
        p.route(2, 3, 1, 2, pause=0.1)
        assert p.end_well().strip() == str(expected)
    finally:
        p.kill()


def test_many_at_once(c):
    """Ten processes cross each other's ways."""
    ps = [Program(c, 1 + k % 3, f"t_sleep --ms {4000 + 100 * k}") for k in range(10)]
    try:
        for step in range(2):
            for k, p in enumerate(ps):
                p.move((p.at + (k + step) % 2) % 3 + 1)
        for p in ps:
            p.end_well()
    finally:
        for p in ps:
            p.kill()


def test_nothing_inconsistent_was_seen(c):
    """The online checker of all these runs (it runs last here)."""
    for node in (1, 2, 3):
        text = c.sh(node, "t_counters")
        assert "checker_violations 0\n" in text, f"node {node}:\n{text}\n" + "\n".join(
            line for line in c.log(node).splitlines() if "check:" in line)
