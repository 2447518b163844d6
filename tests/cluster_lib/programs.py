# SPDX-License-Identifier: MIT
"""Programs started on a node, moved while they run, and judged when they end."""
import itertools
import time

from .cluster import wait_until

_serial = itertools.count()


class Program:
    """A command started on a node, free to move: its files are its own, and it holds no pipe or terminal.

    Its parent is a shell on that node that waits for it, so its exit status comes back wherever it ends.
    """

    def __init__(self, cluster, node, command, directory="/tmp"):
        self.c, self.home, self.at = cluster, node, node
        self.command = command
        self.out = f"/tmp/out-{next(_serial)}"
        self.shell = cluster.start(node, "sh", "-c", f"cd {directory} && {{ {command} </dev/null >{self.out} 2>&1 & "
                                                     "echo $!; wait $!; echo $?; }")
        line = self.shell.stdout.readline()
        assert line.strip().isdigit(), f"{command} did not start: {line!r} {self.shell.stderr.read()!r}"
        self.pid = int(line)

    def move(self, node):
        """migrate; what it said."""
        r = self.c.exec(self.at, "migrate", self.pid, node)
        assert r.returncode == 0, (f"{self.command}: migrate {self.pid} {node} on node {self.at}: exit status {r.returncode}: "
                                   f"{r.stdout.decode()}{r.stderr.decode()}\nits output so far: {self.output()}")
        self.at = node
        return r.stdout.decode()

    def refused(self, node):
        """migrate must fail; the reason it gave."""
        r = self.c.exec(self.at, "migrate", self.pid, node)
        assert r.returncode == 1, f"{self.command}: the move to {node} was not refused: exit status {r.returncode}: {r.stdout!r}"
        return (r.stdout + r.stderr).decode()

    def route(self, *nodes, pause=0.3):
        for node in nodes:
            time.sleep(pause)
            self.move(node)

    def runs_on(self, node):
        return any(line.split()[0] == str(self.pid) for line in self.c.sh(node, "ps").splitlines()[1:])

    def output(self):
        return self.c.sh(self.home, f"cat {self.out}", ok=False)

    def end(self, seconds=60):
        """Wait for it: its exit status and its output."""
        text, err = self.shell.communicate(timeout=seconds)
        assert text.strip().isdigit(), f"{self.command}: its shell said {text!r} {err!r}"
        out = self.output()
        self.c.sh(self.home, f"rm -f {self.out}")
        return int(text), out

    def end_well(self, seconds=60):
        """Wait for it; it must have found everything right. Its output."""
        status, out = self.end(seconds)
        assert status == 0 and "not ok" not in out, f"{self.command}: exit status {status}\n{out}"
        return out

    def kill(self):
        if self.shell.poll() is None:
            self.c.sh(self.home, f"kill -KILL {self.pid}", ok=False)
            self.shell.communicate(timeout=60)


def sign(cluster, node, directory, name):
    cluster.sh(node, f": >{directory}/{name}")


def wait_sign(cluster, node, directory, name, seconds=30):
    """Wait for a sign of a test program (user/test/t.h)."""
    wait_until(lambda: cluster.exec(node, "test", "-e", f"{directory}/{name}").returncode == 0, seconds,
               what=f"the sign {directory}/{name} on node {node}")


# What must be the same before a process came and after it has gone (t_counters).
HELD = ("procs", "stubs", "ofiles", "pipes", "ptys", "regions", "fs_holds", "fs_locks", "fs_pending")


def counters(cluster, node):
    c = {}
    for line in cluster.sh(node, "t_counters").splitlines():
        name, value = line.split()
        c[name] = int(value)
    return c


def held(cluster, node):
    """The counters of HELD, and the frames that are neither free nor a reclaimable page of a file."""
    c = counters(cluster, node)
    return {**{name: c[name] for name in HELD}, "frames_used": c["frames_total"] - c["frames_free"] - c["frames_cache"]}


def wait_held(cluster, node, baseline, seconds=20, frames=0):
    """Until a node holds no more than its baseline. `frames`: more frames in use that are not a leak."""
    last = {}

    def back():
        last.update(held(cluster, node))
        return all(last[name] <= baseline[name] + (frames if name == "frames_used" else 0) for name in baseline)
    try:
        wait_until(back, seconds, step=0.3)
    except AssertionError:
        more = {name: f"{baseline[name]} -> {last[name]}" for name in baseline if last[name] > baseline[name]}
        raise AssertionError(f"node {node} does not get back to its baseline in {seconds} s: {more}") from None
