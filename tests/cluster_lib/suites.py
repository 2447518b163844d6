# SPDX-License-Identifier: MIT
"""Third-party programs (user/third/): built on demand, installed on a node and beside it on the host, run alike on both."""
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import ROOT, build_dir

THIRD = (ROOT / os.environ.get("THIRD", "build/third")).resolve()
BUSYBOX = shutil.which("busybox")
# Where the programs are on a node, on its peers and on the Linux peer.
PLACE = "/suites"
# Big files that go to a node only when a test asks for them (Node.add).
ON_DEMAND = ("sqlite/fuzzdata*.db", "gnugo/regression/games/*")


@functools.lru_cache(maxsize=None)
def tarball(name):
    """The program with what its tests need, built if it is not there yet."""
    r = subprocess.run(["make", "-s", f"BUILD={build_dir()}", f"THIRD={THIRD}", f"suite-{name}"], cwd=ROOT, capture_output=True,
                       text=True, timeout=1200, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, f"make suite-{name} failed:\n{r.stdout[-2000:]}{r.stderr[-3000:]}"
    return THIRD / "suites" / f"{name}.tar"


class Host:
    """The same files and the same tools (busybox) on the machine that runs the tests."""

    def __init__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="wh-suites-"))
        farm = self.top / "bin"
        farm.mkdir()
        for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
            os.symlink(BUSYBOX, farm / applet)
        self.env = {"PATH": str(farm), "HOME": "/root", "TERM": "vt100", "TZ": "UTC0", "RUN": ""}
        self.installed = set()

    def install(self, name):
        if name not in self.installed:
            subprocess.run(["tar", "xf", tarball(name), "-C", self.top, "--no-same-owner"], check=True)
            self.installed.add(name)

    def add(self, name, path):
        """One more file beside the program; its place on the host."""
        self.install(name)
        return shutil.copy(path, self.top / name)

    def run(self, name, script, timeout=600):
        self.install(name)
        return subprocess.run([BUSYBOX, "sh", "-c", script], cwd=self.top / name, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout, env=self.env, umask=0o022)

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)


class Node:
    """The programs on a node. `prefix`: a command put before the program under test, as in `restless -k 300`: scripts say
    `$RUN ./program`."""

    def __init__(self, cluster, node=1, prefix=""):
        self.c, self.node, self.prefix = cluster, node, prefix
        self.installed = set()

    def install(self, name):
        if name in self.installed:
            return
        self.c.sh(self.node, f"mkdir -p {PLACE}")
        with tempfile.TemporaryDirectory(prefix="wh-suite-") as d:
            small = f"{d}/small.tar"
            subprocess.run(f"mkdir {d}/x && tar xf {tarball(name)} -C {d}/x --no-same-owner " +
                           " ".join(f"--exclude='{f}'" for f in ON_DEMAND) +
                           f" && tar cf {small} --owner=0 --group=0 -C {d}/x {name}", shell=True, check=True)
            self.c.put(self.node, small, f"{PLACE}/{name}.tar")
        self.c.sh(self.node, f"cd {PLACE} && rm -rf {name} && tar xf {name}.tar && rm {name}.tar")
        self.installed.add(name)

    def add(self, name, path):
        """One more file beside the program; its place on the node."""
        self.install(name)
        to = f"{PLACE}/{name}/{os.path.basename(path)}"
        self.c.put(self.node, path, to)
        return to

    def run(self, name, script, timeout=600):
        self.install(name)
        script = f"export TZ=UTC0 RUN='{self.prefix}'; umask 022; {script}"
        return subprocess.run(self.c.whctl(self.node, "-d", f"{PLACE}/{name}", "exec", "sh", "-c", script), capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=timeout)


def show(r, lines=30):
    out, err = (x.decode(errors="replace").splitlines() for x in (r.stdout, r.stderr))
    return "\n".join([f"exit status {r.returncode}", *out[-lines:], "--- errors", *err[-lines:]])


def same(node, host, name, script, timeout=600, status=0):
    """The script does on the node what it does on the host, and what it does is right. What it printed."""
    expected = host.run(name, script, timeout)
    assert expected.returncode == status, f"not even the host can do this: {script}\n{show(expected)}"
    got = node.run(name, script, timeout)
    if (got.returncode, got.stdout) != (expected.returncode, expected.stdout):
        a, b = expected.stdout.decode(errors="replace").splitlines(), got.stdout.decode(errors="replace").splitlines()
        first = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
        raise AssertionError(f"{name}: {script}\nline {first + 1} is\n  {b[first:first + 1]} but on the host\n  {a[first:first + 1]}\n{show(got)}")
    return got.stdout.decode(errors="replace")
