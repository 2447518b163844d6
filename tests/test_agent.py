# SPDX-License-Identifier: MIT
"""exec and cp: the client (whctl) and the agent's sessions, on the host and on a booted node."""
import hashlib
import os
import random
import signal
import subprocess
import time

import pytest

from cluster_lib import build_dir


class Agent:
    """A whctl bound to one agent."""

    def __init__(self, directory, cwd):
        self.prefix = [f"{build_dir()}/host/whctl", str(directory), "1", "-d", cwd, "-t", "20"]

    def popen(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([*self.prefix, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

    def run(self, *args, **kw):
        if "input" not in kw:
            kw["stdin"] = subprocess.DEVNULL
        return subprocess.run([*self.prefix, *args], capture_output=True, timeout=60, **kw)

    def sh(self, script, **kw):
        return self.run("exec", "sh", "-c", script, **kw)


@pytest.fixture(scope="module", params=["host", "node"])
def agent(request, tmp_path_factory):
    if request.param == "node":
        c = request.getfixturevalue("cluster")(1)
        yield Agent(c.run_dir, "/tmp")
        return
    d = tmp_path_factory.mktemp("agent")
    server = subprocess.Popen([f"{build_dir()}/tests/host/agent_on_host", str(d)])
    while not os.path.exists(f"{d}/a1-8.sock"):
        assert server.poll() is None
        time.sleep(0.01)
    yield Agent(d, str(d))
    assert server.poll() is None, "the agent died"
    server.kill()
    server.wait()


def test_output_error_and_status_pass_through(agent):
    r = agent.sh("echo out; echo err >&2; exit 7")
    assert (r.stdout, r.stderr, r.returncode) == (b"out\n", b"err\n", 7)


def test_arguments_are_not_reinterpreted(agent):
    args = ["a b", "", "*", "$HOME", "'", '"', "\\", "\u00e9", "-x"]
    r = agent.run("exec", "sh", "-c", 'for a; do printf "[%s]\\n" "$a"; done', "sh", *args)
    assert r.stdout.decode() == "".join(f"[{a}]\n" for a in args)


def test_signal_becomes_128_plus(agent):
    assert agent.sh("kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_missing_command_is_127(agent):
    r = agent.run("exec", "no-such-command")
    assert r.returncode == 127 and b"no-such-command" in r.stderr


def test_bad_directory_is_126(agent):
    r = agent.run("-d", "/no/such", "exec", "true")
    assert r.returncode == 126 and b"/no/such" in r.stderr


def test_stdin_reaches_the_command(agent):
    data = random.Random(1).randbytes(300_000)
    r = agent.run("exec", "cat", input=data)
    assert r.stdout == data and r.returncode == 0


def test_stdin_ends(agent):
    assert agent.run("exec", "wc", "-c", input=b"x" * 1000).stdout.split()[0] == b"1000"


def test_unread_stdin_does_not_hang(agent):
    r = agent.run("exec", "sh", "-c", "echo done", input=b"y" * 1_000_000)
    assert r.stdout == b"done\n" and r.returncode == 0


def test_environment(agent):
    r = agent.run("-e", "COLOUR=blue", "exec", "sh", "-c", "echo $COLOUR $HOME")
    assert r.stdout == b"blue /root\n"


def test_large_output_in_order(agent):
    r = agent.sh("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
    assert r.stdout == b"".join(b"line %d\n" % i for i in range(20000))


def test_a_background_child_does_not_hold_the_session(agent):
    start = time.monotonic()
    assert agent.sh("sleep 8 & echo started").stdout == b"started\n"
    assert time.monotonic() - start < 6


def test_eight_sessions_at_once(agent):
    ps = [agent.popen("exec", "sh", "-c", f"sleep 0.5; echo {i}") for i in range(8)]
    outs = [p.communicate(timeout=60)[0] for p in ps]
    assert outs == [b"%d\n" % i for i in range(8)]


def test_more_clients_than_ports_wait_for_their_turn(agent):
    ps = [agent.popen("exec", "sh", "-c", f"sleep 0.2; echo {i}") for i in range(20)]
    assert [p.communicate(timeout=60)[0] for p in ps] == [b"%d\n" % i for i in range(20)]


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.1)


def test_hanging_up_ends_the_command(agent):
    p = agent.popen("exec", "sh", "-c", "echo $$ > hup.pid; while :; do echo x; sleep 0.1; done")
    wait_until(lambda: agent.sh("cat hup.pid").stdout.strip().isdigit())
    p.kill()
    p.communicate()
    wait_until(lambda: agent.sh("kill -0 $(cat hup.pid)").returncode != 0)


def test_a_command_that_ignores_the_hangup_is_killed(agent):
    p = agent.popen("exec", "sh", "-c", "trap '' HUP PIPE; echo $$ > hup2.pid; while :; do sleep 0.1; done")
    wait_until(lambda: agent.sh("cat hup2.pid").stdout.strip().isdigit())
    p.kill()
    p.communicate()
    wait_until(lambda: agent.sh("kill -0 $(cat hup2.pid)").returncode != 0)


def test_killed_clients_leave_working_ports(agent):
    rng = random.Random(3)
    for _ in range(12):
        p = agent.popen("exec", "sh", "-c", "cat; while :; do echo whimbrel/agent/1; done", stdin=subprocess.PIPE)
        p.stdin.write(b"z" * rng.randrange(50_000))
        time.sleep(rng.random() * 0.15)
        p.kill()
        p.communicate()
    for i in range(10):
        assert agent.sh(f"echo {i}").stdout == b"%d\n" % i


def test_put_and_get(agent, tmp_path):
    data = random.Random(2).randbytes(2_000_000)
    src, back = tmp_path / "src", tmp_path / "back"
    src.write_bytes(data)
    src.chmod(0o750)
    assert agent.run("put", str(src), "put-dst").returncode == 0
    r = agent.sh("sha256sum < put-dst; stat -c %a put-dst")
    assert r.stdout.decode().split() == [hashlib.sha256(data).hexdigest(), "-", "750"]
    assert agent.run("get", "put-dst", str(back)).returncode == 0
    assert back.read_bytes() == data


def test_put_into_a_directory_and_get_of_nothing(agent, tmp_path):
    (tmp_path / "named").write_text("hello\n")
    assert agent.sh("mkdir -p putdir").returncode == 0
    assert agent.run("put", str(tmp_path / "named"), "putdir").returncode == 0
    assert agent.sh("cat putdir/named").stdout == b"hello\n"
    r = agent.run("get", "no-such-file", str(tmp_path / "x"))
    assert r.returncode != 0 and b"no-such-file" in r.stderr and not (tmp_path / "x").exists()
