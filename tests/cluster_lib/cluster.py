# SPDX-License-Identifier: MIT
"""A running cluster, driven the way a user drives it: by ./run-qemu.sh."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from . import ROOT, build_dir

SAD = re.compile(r"panic|BUG|died of signal|ended with status|assertion", re.I)


class Failed(Exception):
    """A verb of run-qemu.sh that should have worked did not."""


class Cluster:
    def __init__(self, n, *options, direct=True):
        # Short, since sockets' names are at most 107 bytes long.
        self.run_dir = tempfile.mkdtemp(prefix="wh-", dir="/tmp")
        self.n = n
        self.up_seconds = 0.0
        self.broken = None  # why it did not come up
        self.prefix = []  # a command that runs run-qemu.sh
        self.options = [*options, "--direct"] if direct else list(options)

    def verb(self, *args, timeout=120, ok=True, **kw):
        """./run-qemu.sh ARGS on this cluster; the finished process. ok=False: failing is fine."""
        env = dict(os.environ, WHIMBREL_RUN=self.run_dir, BUILD=str(build_dir()))
        if "input" not in kw:
            kw.setdefault("stdin", subprocess.DEVNULL)
        r = subprocess.run([*self.prefix, f"{ROOT}/run-qemu.sh", *map(str, args)], env=env, timeout=timeout,
                           capture_output=True, **kw)
        if ok and r.returncode != 0:
            raise Failed(f"{' '.join(map(str, args))}: exit status {r.returncode}\n"
                         f"{r.stdout.decode(errors='replace')[-2000:]}{r.stderr.decode(errors='replace')[-3000:]}")
        return r

    def up(self):
        start = time.monotonic()
        try:
            self.verb("up", "--no-build", "-n", self.n, *self.options, timeout=180)
        except Failed as e:
            raise Failed(f"{e}\n{self.logs_tail()}") from None
        self.up_seconds = time.monotonic() - start
        return self

    def down(self):
        if os.path.exists(f"{self.run_dir}/cluster.conf"):
            self.verb("down")
        shutil.rmtree(self.run_dir, ignore_errors=True)

    # ---- commands on nodes

    def whctl(self, node, *args):
        return [f"{build_dir()}/host/whctl", self.run_dir, str(node), *map(str, args)]

    def exec(self, node, *cmd, input=None, timeout=120):
        """Run a command on a node; stdout and stderr are bytes."""
        kw = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(self.whctl(node, "exec", *cmd), capture_output=True, timeout=timeout, **kw)

    def start(self, node, *cmd):
        """Start a command on a node and do not wait for it."""
        return subprocess.Popen(self.whctl(node, "exec", *cmd), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def sh(self, node, script, timeout=120, ok=True):
        """Run a shell script on a node; its stdout as text. It must end with status 0 unless ok=False."""
        r = self.exec(node, "sh", "-c", script, timeout=timeout)
        if ok:
            assert r.returncode == 0, f"node {node}: {script}\nexit status {r.returncode}\n{r.stdout.decode()}{r.stderr.decode()}"
        return r.stdout.decode(errors="replace")

    def spawn(self, node, command, output="/dev/null"):
        """Start a command in the background of a node, free to migrate (it holds no pipe or terminal); its pid."""
        return int(self.sh(node, f"{command} </dev/null >{output} 2>&1 & echo $!"))

    def put(self, node, src, dst):
        self.verb("cp", src, f"{node}:{dst}")

    def get(self, node, src, dst):
        self.verb("cp", f"{node}:{src}", dst)

    # ---- state

    def log(self, node):
        """Everything a node's kernel and servers said, earlier boots included."""
        text = ""
        for name in (f"kernel-{node}.log.old", f"kernel-{node}.log"):
            try:
                with open(f"{self.run_dir}/{name}", encoding="utf-8", errors="replace") as f:
                    text += f.read()
            except FileNotFoundError:
                pass
        return text

    def logs_tail(self, lines=15):
        return "\n".join(f"--- node {k}\n" + "\n".join(self.log(k).splitlines()[-lines:]) for k in range(1, self.n + 1))

    def sad_lines(self):
        """Lines of the logs that no healthy node writes."""
        return [f"node {k}: {line}" for k in range(1, self.n + 1) for line in self.log(k).splitlines() if SAD.search(line)]

    def pid(self, node):
        """The host's process of a node."""
        with open(f"{self.run_dir}/{node}.pid", encoding="ascii") as f:
            return int(f.read())


def wait_until(condition, seconds=20, step=0.1, what="the condition"):
    """Poll until the condition holds; its last value. Fails the test after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not become true in {seconds} s"
        time.sleep(step)
    return value
