# SPDX-License-Identifier: MIT
"""The verbs of run-qemu.sh on booted nodes."""
import os
import re
import socket
import subprocess
import time

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until


def incarnation(c, node):
    """Of a node's disk, as the node itself says in its own row of `nodes`."""
    for line in c.sh(node, "nodes").splitlines():
        words = line.split()
        if words and words[0] == str(node):
            return int(words[2])
    raise AssertionError("no row of its own")


def test_direct_boot_is_quick(fresh_cluster):
    c = fresh_cluster(1)
    print(f"direct boot to a shell: {c.up_seconds:.2f} s")
    assert c.up_seconds < 4 and c.sh(1, "echo hello") == "hello\n"


def test_grub_boot(fresh_cluster):
    c = fresh_cluster(1, direct=False)
    print(f"GRUB boot to a shell: {c.up_seconds:.2f} s")
    assert c.up_seconds < 8 and c.sh(1, "uname -n") == "node1\n"


def test_exec_passes_status_and_streams(cluster):
    c = cluster(2)
    r = c.verb("exec", 2, "--", "sh", "-c", "cat; echo err >&2; exit 3", input=b"in", ok=False)
    assert (r.stdout, r.returncode) == (b"in", 3) and b"err" in r.stderr


def test_cp_both_ways_and_between_nodes(cluster, tmp_path):
    c = cluster(2)
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    c.verb("cp", tmp_path / "a", "1:/tmp/a")
    c.verb("cp", "1:/tmp/a", "2:/tmp/b")
    c.verb("cp", "2:/tmp/b", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == data


def test_second_up_is_refused(cluster):
    r = cluster(2).verb("up", "--no-build", ok=False)
    assert r.returncode != 0 and b"already running" in r.stderr


def test_bad_uses_name_cause_and_cure(cluster):
    c = cluster(2)
    for args, words in (
            (["exec", "3", "--", "true"], b"nodes 1 to 2"),
            (["exec", "x", "--", "true"], b"number of a node"),
            (["exec", "1"], b"which command"),
            (["net", "1", "loss=200%"], b"0 to 100"),
            (["net", "1", "colour=red"], b"want loss="),
            (["cp", "a", "b"], b"NODE:PATH"),
            (["fly"], b"unknown command")):
        r = c.verb(*args, ok=False)
        assert r.returncode != 0 and words in r.stderr, (args, r.stderr)


def test_kill_and_restart(fresh_cluster):
    c = fresh_cluster(2)
    c.sh(2, "echo kept > /root/kept; sync")
    before = incarnation(c, 2)
    c.verb("kill", 2)
    r = c.verb("exec", 2, "--", "true", ok=False)
    assert r.returncode != 0 and b"restart 2" in r.stderr
    assert c.verb("status", ok=False).returncode != 0
    c.verb("restart", 2)
    assert c.sh(2, "cat /root/kept") == "kept\n"
    wait_until(lambda: incarnation(c, 2) == before + 1, what="a new incarnation")
    wait_until(lambda: c.sh(1, "nodes").count("alive") == 2, what="node 1 hears node 2 again")


def test_pids_are_not_reused_after_a_restart(fresh_cluster):
    c = fresh_cluster(1)
    before = int(c.sh(1, "sh -c 'echo $$'"))
    c.verb("kill", 1)
    c.verb("restart", 1)
    assert int(c.sh(1, "sh -c 'echo $$'")) > before


def test_pause_and_resume(cluster):
    c = cluster(2)
    c.verb("pause", 2)
    try:
        r = subprocess.run(c.whctl(2, "-t", "1", "exec", "true"), capture_output=True, stdin=subprocess.DEVNULL)
        assert r.returncode == 255 and b"does not answer" in r.stderr
        assert b"paused" in c.verb("status", ok=False).stdout
    finally:
        c.verb("resume", 2)
    assert c.sh(2, "echo back") == "back\n"


def test_partition_is_noticed_and_heals(fresh_cluster):
    c = fresh_cluster(3)
    c.verb("net", "partition", "1,2", "3")
    wait_until(lambda: c.sh(1, "nodes").count("alive") == 2, what="node 3 unheard")
    wait_until(lambda: c.sh(3, "nodes").count("alive") < 3, what="node 3 hears nobody")
    c.verb("net", "heal")
    wait_until(lambda: c.sh(1, "nodes").count("alive") == 3, what="node 3 heard again")


def test_capture(cluster, tmp_path):
    c = cluster(2)
    c.verb("net", "pcap", "start", tmp_path / "x.pcap")
    time.sleep(2)
    c.verb("net", "pcap", "stop")
    assert (tmp_path / "x.pcap").stat().st_size > 24, "two nodes that see each other send something in 2 s"


def test_console_gives_a_shell(cluster):
    c = cluster(2)
    env = dict(os.environ, WHIMBREL_RUN=c.run_dir)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = subprocess.Popen([f"{root}/run-qemu.sh", "console", "1"], env=dict(env, BUILD=os.environ.get("BUILD", "build")),
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
    p.stdin.write(b"echo $((6*7))-on-$(uname -n)\n")
    p.stdin.flush()
    seen = b""
    end = time.monotonic() + 10
    os.set_blocking(p.stdout.fileno(), False)
    while b"42-on-node1" not in seen and time.monotonic() < end:
        seen += p.stdout.read() or b""
        time.sleep(0.05)
    p.kill()
    p.wait()
    assert b"42-on-node1" in seen


def processes_of(run_dir):
    """Command lines of this machine's processes that have to do with a run directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read()
        except OSError:
            continue
        if run_dir.encode() in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_down_leaves_nothing(fresh_cluster):
    c = fresh_cluster(2)
    c.start(1, "sleep", "1000")
    c.verb("kill", 2)
    c.verb("restart", 2)
    c.verb("kill", 1)
    assert len(processes_of(c.run_dir)) >= 2, "a node and the switch"
    c.verb("down")
    assert not os.path.exists(c.run_dir), os.listdir(c.run_dir)
    wait_until(lambda: not processes_of(c.run_dir), 5, what="the end of the last process")
    assert b"no cluster" in c.verb("down").stderr


def test_a_panic_says_where(fresh_cluster):
    c = fresh_cluster(1)
    # A non-maskable interrupt, for which the kernel has no use.
    subprocess.run([f"{build_dir()}/host/ask", "monitor", f"{c.run_dir}/1.mon", "nmi"], check=True, timeout=10,
                   capture_output=True)
    log = wait_until(lambda: "last events" in c.log(1) and c.log(1), 10, what="the panic")
    assert "PANIC node 1: NMI" in log
    nm = subprocess.run(["nm", f"{build_dir()}/whimbrel.elf"], capture_output=True, text=True, check=True).stdout
    at = {name: int(addr, 16) for addr, _, name in (line.split() for line in nm.splitlines())}
    trace = re.findall(r"  ([0-9a-f]{16}) (\w+)\+([0-9a-f]+)$", log[log.index("PANIC"):], re.M)
    assert len(trace) >= 3 and "trap_dispatch" in [name for _, name, _ in trace], log[-3000:]
    assert all(at[name] + int(offset, 16) == int(addr, 16) for addr, name, offset in trace), trace


def test_gdb_target(fresh_cluster):
    c = fresh_cluster(1, "--gdb")
    with socket.socket(socket.AF_UNIX) as gdb:
        gdb.settimeout(10)
        gdb.connect(f"{c.run_dir}/1.gdb")
        gdb.sendall(b"$?#3f")  # why did it stop? which stops it
        seen = b""
        while b"#" not in seen:
            seen += gdb.recv(4096)
        assert b"$T" in seen, seen
        gdb.sendall(b"+$D#44")
    assert c.sh(1, "echo goes on") == "goes on\n"


def test_an_idle_node_is_idle(fresh_cluster):
    """No periodic tick: its machine needs next to no time of the host."""
    c = fresh_cluster(1)
    time.sleep(2)

    def ticks():
        with open(f"/proc/{c.pid(1)}/stat", encoding="ascii") as f:
            words = f.read().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])
    before = ticks()
    time.sleep(5)
    share = (ticks() - before) / os.sysconf("SC_CLK_TCK") / 5
    print(f"an idle node uses {100 * share:.1f} % of a host's processor")
    assert share < 0.06
