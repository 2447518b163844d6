# SPDX-License-Identifier: MIT
"""The system calls that a Linux program makes: the same static test program says the same on the host and on a node."""
import re
import subprocess
import time

import pytest

from cluster_lib import build_dir
from cluster_lib.cluster import wait_until
from cluster_lib.programs import counters


def checks(text):
    return re.findall(r"^(?:not )?ok (.*?)(?:: .*)?$", text, re.M)


@pytest.mark.parametrize("program", ["t_fork", "t_signal", "t_mem", "t_pipe", "t_clock", "t_reclock", "t_shared", "t_event", "t_calls",
                                     "t_timers", "t_pty", "t_unix", "t_threads", "t_threadsig", "t_futex"])
def test_program(cluster, program):
    host = subprocess.run([f"{build_dir()}/user/test/{program}"], capture_output=True, text=True, timeout=60, check=False)
    assert host.returncode == 0, f"on the host, whose result is the normal one:\n{host.stdout}{host.stderr}"
    r = cluster(1).exec(1, program, timeout=90)
    text = r.stdout.decode()
    bad = [line for line in text.splitlines() if line.startswith("not ok")]
    assert r.returncode == 0 and not bad, f"exit status {r.returncode}\n" + "\n".join(bad) + r.stderr.decode()
    missing = set(checks(host.stdout)) - set(checks(text)) - {"rdtscp"}  # not every processor has it
    assert not missing, f"made on the host, but not on the node: {missing}"


def test_a_bad_pointer_in_every_call_gives_efault(cluster):
    r = cluster(1).exec(1, "t_efault", timeout=60)
    text = r.stdout.decode()
    bad = [line for line in text.splitlines() if line.startswith("not ok")]
    assert r.returncode == 0 and not bad, f"exit status {r.returncode}\n" + "\n".join(bad) + r.stderr.decode()
    assert len(checks(text)) > 100, f"only {len(checks(text))} calls were tried"


def test_a_file_of_the_base_image_mapped_shared(cluster):
    r = cluster(1).exec(1, "t_shared", "/etc/passwd", timeout=60)
    assert r.returncode == 0, r.stdout.decode()


def test_ten_thousand_threads_leave_nothing(cluster):
    c = cluster(1)

    def left():
        now = counters(c, 1)
        return {"frames": now["frames_free"] + now["frames_cache"], "kmem": now["kmem_bytes"], "procs": now["procs"]}

    assert c.exec(1, "t_threads", "--cycles", 500, timeout=60).returncode == 0
    time.sleep(0.5)
    before = left()
    assert c.exec(1, "t_threads", "--cycles", 10000, timeout=120).returncode == 0
    time.sleep(0.5)
    after = left()
    assert before["procs"] == after["procs"]
    assert before["frames"] - after["frames"] <= 16, f"{before} {after}"
    assert after["kmem"] - before["kmem"] < 16384, f"{before} {after}"


def test_nothing_is_left_behind(cluster):
    """Descriptors used up, thousands of regions and mapped files: all of it is given back when the program ends."""
    c, names = cluster(1), ("pipes", "ofiles", "fobjs", "procs", "fs_holds")

    def left():
        now = counters(c, 1)
        return {name: now[name] for name in names} | {"frames": now["frames_free"] + now["frames_cache"]}

    def settled():
        """Files are closed behind a process that has ended: the counters when they change no more."""
        last = None
        while (now := left()) != last:
            last = now
            time.sleep(0.5)
        return now

    for program in ("t_pipe", "t_mem", "t_shared"):  # their text and the buffers they make grow are there then
        c.exec(1, program, timeout=60)
    before = settled()
    for program in ("t_pipe", "t_mem", "t_shared"):
        assert c.exec(1, program, timeout=60).returncode == 0
    after = settled()
    more = {name: f"{before[name]} -> {after[name]}" for name in names if after[name] > before[name] + (name == "ofiles")}
    assert not more, f"kept: {more}"
    lost = before["frames"] - after["frames"]
    assert lost <= 16, f"{lost} frames are lost"


def test_sockets_that_hold_each_other_are_found(cluster):
    """Pairs in their own queues, which no process can come to any more; and users that are killed."""
    c = cluster(1)
    begun = {}

    def left():
        now = counters(c, 1)
        return {name: now[name] for name in ("ofiles", "kmem_bytes")}

    def use(loops):
        c.sh(1, f"t_unix --loops {loops}")
        c.sh(1, "for i in 1 2 3 4 5 6; do t_unix >/dev/null & sleep 0.1; kill -KILL $!; done; wait; rm -rf /tmp/t_unix*")
        wait_until(lambda: left()["ofiles"] <= begun["ofiles"], 20, what="all sockets are gone")

    begun.update(left())
    use(20)  # what grows once has grown
    before = left()
    use(300)
    assert left()["kmem_bytes"] - before["kmem_bytes"] < 8192, f"{before} {left()}"
