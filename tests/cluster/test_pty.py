# SPDX-License-Identifier: MIT
"""Pseudo-terminals: nothing is left of them, also when their users are killed; and who moves uses his from afar."""
import re
import time

from cluster_lib.programs import counters, held, wait_held


def test_killed_users_leave_nothing(cluster):
    c = cluster(2)
    killed = ("for i in 1 2 3 4 5 6 7 8; do t_pty >/dev/null & sleep 0.05; kill -KILL $!; done; "
              "for i in 1 2 3 4 5 6 7 8; do t_pty --run sleep 100 </dev/null & done; sleep 0.5; killall -KILL t_pty; wait; sleep 1")
    c.sh(1, killed)  # what grows once has grown
    before = held(c, 1)
    assert before["ptys"] == 0
    c.sh(1, killed)
    wait_held(c, 1, before, frames=16)
    assert "sleep 100" not in c.sh(1, "ps"), "whose terminal has gone has been told"


def test_from_afar(cluster):
    """A shell on a pseudo-terminal that moves every other call; its master stays."""
    c = cluster(2)
    script = ("tty; tty; stty size; read x; echo got $x; stty raw -echo; stty -a | grep -o -e -icanon; stty cooked; "
              "for i in 1 2 3 4 5; do echo $i; done; read y; echo $y | tr a-z A-Z; exit 7")
    moved = counters(c, 1)["migrations_out"]
    r = c.exec(1, "t_pty", "--run", "restless", "-k", "2", "sh", "-c", script, input=b"one\ntwo\n", timeout=60)
    text = r.stdout.decode()  # somewhere in it, before "got one", is the echo of what was typed
    assert r.returncode == 7, f"{r.returncode}\n{r.stdout}{r.stderr}"
    names = re.findall(r"/dev/pts/\d+", text)
    assert len(names) == 2 and names[0] == names[1], text
    for words in ("24 80", "got one", "-icanon", "1 2 3 4 5", "TWO"):
        assert words in " ".join(text.split()), f"{words} in {text}"
    assert counters(c, 1)["migrations_out"] > moved


def test_a_master_stays(cluster):
    c = cluster(2)
    shell = c.start(1, "sh", "-c", "t_pty --run sleep 3 </dev/null >/dev/null 2>&1")
    time.sleep(1)
    pid = c.sh(1, "pidof t_pty").split()[0]
    r = c.exec(1, "migrate", pid, 2)
    assert r.returncode == 1 and b"ptmx" in r.stdout + r.stderr, r
    shell.communicate(timeout=20)
