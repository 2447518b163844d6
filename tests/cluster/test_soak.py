# SPDX-License-Identifier: MIT
"""A mixed load for an hour (WHIMBREL_SOAK seconds): every result must be the normal one, and at the end nothing may be left.

On two nodes, at the same time: workloads that are moved to and fro, a user's random system calls, hogs of memory, fork bombs, files made,
compared and removed, pipelines, and processes made and reaped.
"""
import os
import random
import subprocess
import threading
import time

import pytest

from cluster_lib import build_dir
from cluster_lib.programs import Program, held, wait_held

SECONDS = float(os.environ.get("WHIMBREL_SOAK", "3600"))
SLACK_FRAMES = 96  # tables of the kernel and the servers, grown once by the largest load
SLACK_REGIONS = 16  # and what the malloc of the servers maps for theirs

WORKLOADS = ["nbody --steps 6000", "montecarlo --paths 30000", "solve --systems 4", "touchmem --rounds 3000"]


def servers(c, node):
    """Regions and resident pages of every process that is there now: who has grown, should anything."""
    rows = c.sh(node, "for p in /proc/[0-9]*; do echo $(cat $p/comm) $(wc -l <$p/maps) $(cut -d' ' -f2 $p/statm); done")
    return {name: f"{regions} regions, {pages} pages" for name, regions, pages in (row.split() for row in rows.splitlines() if row.count(" ") == 2)}


class Soak:
    def __init__(self, c, seconds):
        self.c, self.end = c, time.monotonic() + seconds
        self.rounds, self.failure = {}, None

    def repeat(self, name, job):
        """Run a job again and again until the time is up or something has failed."""
        self.rounds[name] = 0
        try:
            while time.monotonic() < self.end and not self.failure:
                job()
                self.rounds[name] += 1
        except BaseException as e:  # noqa: B902 - handed to the main thread
            self.failure = self.failure or e

    def run(self, jobs):
        threads = [threading.Thread(target=self.repeat, args=(name, job)) for name, job in jobs.items()]
        for t in threads:
            t.start()
        said = time.monotonic()
        while any(t.is_alive() for t in threads):
            time.sleep(1)
            if time.monotonic() - said > 60:
                said = time.monotonic()
                print(f"{self.end - said:5.0f} s left: {self.rounds}", flush=True)
                for k in (1, 2):
                    print(f"        node {k}: {servers(self.c, k)}", flush=True)
        for t in threads:
            t.join()
        if self.failure:
            raise self.failure


def normal_result(command):
    name, *args = command.split()
    return subprocess.run([f"{build_dir()}/user/work/{name}", *args, "--progress", "none"], capture_output=True, text=True, timeout=120, check=True).stdout


def check_soak(c, seconds):
    normal = {w: normal_result(w) for w in WORKLOADS}
    rng = random.Random(1)
    moves = 0

    def moved_workload():
        nonlocal moves
        command = rng.choice(WORKLOADS)
        p = Program(c, rng.choice((1, 2)), f"{command} --progress none")
        for _ in range(4):
            time.sleep(0.2)
            there = 3 - p.at
            r = c.exec(p.at, "migrate", p.pid, there)
            if r.returncode == 0:
                p.at, moves = there, moves + 1
            else:  # it has ended meanwhile, or the destination is full: both said in words
                assert r.stdout + r.stderr, "a refusal without a reason"
        status, out = p.end(900)
        assert (status, out) == (0, normal[command]), f"{command}: exit status {status}\n{out}"

    def sure(node, *args, timeout=900):
        r = c.exec(node, *args, timeout=timeout)
        assert r.returncode == 0, f"{args} on node {node}: exit status {r.returncode}\n{r.stdout.decode()[-1500:]}{r.stderr.decode()[-500:]}"

    jobs = {
        "moved workloads": moved_workload,
        "random calls": lambda: sure(2, "t_fuzz", "--calls", 20_000, "--seed", rng.randrange(1 << 30)),
        "hogs": lambda: sure(1, "sh", "-c", f"t_abuse {rng.choice(('memory', 'share', 'stack', 'bomb'))} --seconds 2 && sleep 2"),
        "files": lambda: sure(1, "sh", "-c", "mkdir -p /tmp/f && cd /tmp/f && mkdir -p in out && for i in $(seq 80); do "
                              "seq $i 500 >in/$i; done; tar cf all in && tar xf all -C out && diff -r in out/in; s=$?; "
                              "rm -r /tmp/f; exit $s"),
        "pipelines": lambda: sure(2, "sh", "-c", "seq 1 3000 | sort -rn | sha256sum | grep -q . && cd /tmp && "
                                  "mkdir -p soak && cp -r /bin/busybox soak/ && cmp /bin/busybox soak/busybox && rm -r soak"),
        "processes": lambda: sure(2, "t_abuse", "reap", "--procs", 200),
    }
    for k in (1, 2):  # t_fuzz leaves files of odd names behind: the file server's cache of inodes gets as full now as it may
        sure(k, "sh", "-c", "mkdir /tmp/full && cd /tmp/full && for i in $(seq 700); do : >$i; done && ls -l >/dev/null")
    warm = Soak(c, min(20, seconds / 4))
    warm.run(jobs)  # what is made once is made now
    time.sleep(2)
    before = {k: held(c, k) for k in (1, 2)}
    soak = Soak(c, seconds)
    soak.run(jobs)
    print(f"{soak.rounds}, {moves} moves")
    assert all(soak.rounds.values()) and moves > 0
    for k in (1, 2):
        before[k]["regions"] += SLACK_REGIONS
        wait_held(c, k, before[k], seconds=60, frames=SLACK_FRAMES)
        assert "PANIC" not in c.log(k)
    return soak.rounds


@pytest.mark.long
def test_a_mixed_load_for_an_hour(fresh_cluster):
    check_soak(fresh_cluster(2), SECONDS)
