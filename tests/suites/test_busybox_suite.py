# SPDX-License-Identifier: MIT
"""BusyBox's own tests on a node and on the Linux peer, the same files in the same run: what passes there passes here.

busybox.exceptions names the tests that may fail here, each with the reason. One that passes must be taken off the list.
"""
import collections
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from cluster_lib import ROOT, build_dir
from cluster_lib.suites import PLACE, tarball

HERE = pathlib.Path(__file__).parent
PROGRAMS = {"musl": "./busybox", "debian": "/bin/busybox"}
QUICK = "cat cut date expr grep ls od printf sort test tr uniq wc xargs"
# Two of bc's tests print millions of numbers.
ALL = "$(./busybox --list | grep -v '^bc$') busybox"


def exceptions():
    """name -> reason, of those that fail; and of those that race with themselves, so that they may fail on any busy machine."""
    lines = (HERE / "busybox.exceptions").read_text().splitlines()
    rows = dict((part.strip() for part in line.split("  ", 1)) for line in lines if line and not line.startswith("#"))
    racy = {name.removeprefix("? "): reason for name, reason in rows.items() if name.startswith("? ")}
    return {name: reason for name, reason in rows.items() if not name.startswith("? ")}, racy


def results(text):
    """How often each name passed and failed: some are used twice."""
    passed, failed = collections.Counter(), collections.Counter()
    for line in text.splitlines():
        what, _, name = line.partition(": ")
        if what == "PASS":
            passed[name] += 1
        elif what == "FAIL":
            failed[name] += 1
    return passed, failed


def script(program, applets, run=""):
    return (f"cd {PLACE} && rm -rf busybox && tar xf busybox.tar && cp busybox.sh busybox/ && cd busybox && "
            f"INSIDE=1 RUN='{run}' sh ./busybox.sh {program} {applets}; rm -f /bin/sh.new; /bin/busybox ln -sf busybox /bin/sh")


def start_peer(program, applets, timeout):
    files = tempfile.mkdtemp(prefix="wh-peer-")
    shutil.copy(tarball("busybox"), f"{files}/busybox.tar")
    shutil.copy(HERE / "busybox.sh", files)
    command = f"mkdir {PLACE} && cp /files/* {PLACE}; " + script(program, applets)
    peer = subprocess.Popen([ROOT / "tools/bench/linux-run.sh", "--disk", build_dir() / "root.img", "--files", files, "--mem", "384",
                             "--timeout", str(timeout), "--", "sh", "-c", command],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return peer, files


def compare(node, program, applets, timeout):
    tarball("busybox")
    peer, files = start_peer(program, applets, timeout)
    try:
        node.c.sh(node.node, f"mkdir -p {PLACE}")
        node.c.put(node.node, tarball("busybox"), f"{PLACE}/busybox.tar")
        node.c.put(node.node, HERE / "busybox.sh", f"{PLACE}/busybox.sh")
        got = node.c.exec(node.node, "sh", "-c", script(program, applets, node.prefix), timeout=timeout)
        there, complaints = peer.communicate(timeout=timeout)
    finally:
        peer.terminate()
        shutil.rmtree(files)
    passed, failed = results(got.stdout.decode(errors="replace"))
    linux, linux_failed = results(there.decode(errors="replace"))
    assert linux.total() > 10, f"the peer said {complaints.decode()[-2000:]}"
    may, racy = exceptions()
    print(f"{program}: {passed.total()} passed, {failed.total()} failed; on Linux {linux.total()} and {linux_failed.total()}")
    worse = {name: f"passed {passed[name]} times, on Linux {linux[name]}" for name in linux - passed if name not in may and name not in racy}
    assert not worse, f"{passed.total()} passed, on Linux {linux.total()}: {worse}\n{got.stderr.decode(errors='replace')[-1500:]}"
    stale = [name for name in may if passed[name] and not failed[name]]
    assert not stale, f"no exceptions any more: {stale}"


def test_busybox_quick(node):
    compare(node, PROGRAMS["musl"], QUICK, 900)


@pytest.mark.long
@pytest.mark.parametrize("program", PROGRAMS)
def test_busybox(node, program):
    compare(node, PROGRAMS[program], ALL, 6000)


@pytest.mark.long
def test_busybox_bc(node):
    compare(node, PROGRAMS["musl"], "bc", 6000)
