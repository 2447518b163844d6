# SPDX-License-Identifier: MIT
"""fsync means on the disk: every write and flush of a run is logged, and disks are made that lost power at any place of it.

What may be there is judged by cluster_lib/diskmodel.py; the disks come from cluster_lib/writelog.py.
"""
import io
import os
import pathlib
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading

import pytest

from cluster_lib import ROOT, build_dir
from cluster_lib.cluster import Cluster, wait_until
from cluster_lib.diskmodel import Hands, Workload
from cluster_lib.writelog import SBIN, Disk, WriteLog, e2fsck, journal_start, read_tree

REPAIRED = re.compile(r"file: the disk was in use when the node ended: repaired, (\d+) changes? of (\d+) blocks redone")
EIO = "I/O error"  # in musl's words, and in ours; busybox-static has glibc's
EIO_GLIBC = b"Input/output error"


@pytest.fixture(scope="module")
def our_replay():
    """The file server's own replay of the journal, on the host."""
    tool = build_dir() / "tests/host/fs_replay"
    subprocess.run(["make", "-s", f"BUILD={build_dir()}", tool], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return tool


@pytest.fixture
def scratch():
    """A directory for images, in memory where there is one."""
    path = tempfile.mkdtemp(prefix="wh-disk-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    yield path
    shutil.rmtree(path)


class Run:
    """A workload whose disk was logged."""

    def __init__(self, directory, seed, batches):
        self.base = f"{directory}/base.img"
        c = Cluster(1, "--log-writes", directory)
        try:
            c.up()
            log = f"{directory}/1-1.log"
            c.sh(1, "mkdir /w; sync")
            self.work = Workload(seed)
            hands = Hands(c.whctl(1, "exec", "t_disk", "/w"))
            lines = self.work.start()
            for _ in range(batches):
                assert hands.do(lines) == "done", lines
                self.work.synced(os.stat(log).st_size)
                lines = self.work.batch()
            # The last batch is under way when the log ends.
            hands.send(lines)
            assert not hands.failed
            c.verb("kill", 1)
            hands.p.wait(timeout=60)
            assert not c.sad_lines()
            shutil.copyfile(f"{c.run_dir}/root.img", self.base)
        finally:
            c.down()
        self.log = WriteLog(log)
        self.first = self.log.index_at(self.work.acks[1][1])  # the directories are there from here on
        self.flushes = [i for i, e in enumerate(self.log.entries) if e.flush and i >= self.first]
        # A flush before a commit is followed by a write of the journal's superblock.
        at = journal_start(self.base)
        entries = self.log.entries
        self.before = {i for i in self.flushes if i + 1 < len(entries) and not entries[i + 1].flush and
                       entries[i + 1].offset <= at < entries[i + 1].offset + entries[i + 1].length}

    def fault(self, image, cut, replay):
        """What is wrong with the image of a disk that lost power after `cut` entries; None: nothing."""
        if replay:
            r = subprocess.run([replay, image], capture_output=True, text=True, check=False)
            if r.returncode:
                return f"our replay: {r.returncode}: {r.stdout[-500:]}{r.stderr[-500:]}"
        else:
            code, text = e2fsck(image, "-p")
            if code > 1:
                return f"e2fsck -p: {code}: {text[-500:]}"
        code, text = e2fsck(image, "-fn")
        if code:
            return f"e2fsck -fn after the repair: {code}: {text[-500:]}"
        return self.work.judge(read_tree(image, "/w", os.path.dirname(image)), self.log.entries[cut - 1].end)

    def faults(self, cuts, scratch, rng=None, replays=(None,), obeyed=None):
        """Cut the power at these places, in order; yields what is wrong. rng: of what was not flushed a random part is there."""
        disk = Disk(self.log, self.base, scratch, obeyed)
        try:
            for i, cut in enumerate(sorted(cuts)):
                disk.advance(cut)
                why = self.fault(disk.power_fails("cut.img", rng), cut, replays[i % len(replays)])
                yield f"power fails after {cut} of {len(self.log.entries)} entries: {why}" if why else None
        finally:
            disk.close()


def record(directory, seed, batches):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    return Run(directory, seed, batches)


def judge_run(run, replays, scratch, points, cuts, seed):
    """Flush points, and cuts anywhere: no faults. Then disks that do not obey some flushes: faults."""
    rng = random.Random(seed)
    ends = [f + 1 for f in run.flushes]
    assert len(ends) >= points, f"{len(ends)} flushes in the run, {points} wanted"
    for why in run.faults(rng.sample(ends, points), scratch, replays=replays):
        assert not why, why
    anywhere = range(run.first, len(run.log.entries) + 1)
    # The moment at which each fsync returned, with nothing there that was not flushed; then any moment, with a part of it.
    returned = [run.log.index_at(size) for _, size in run.work.acks[1:]]
    for why in run.faults(rng.sample(returned, min(points // 2, len(returned))), scratch, replays=replays):
        assert not why, why
    for why in run.faults([rng.choice(anywhere) for _ in range(cuts)], scratch, rng, replays):
        assert not why, why
    # A test that cannot fail shows nothing.
    for name, obeyed in (("any flush", set()), ("the flush before a commit", set(run.flushes) - run.before),
                         ("the flush behind a commit", run.before)):
        earlier = {i for i, e in enumerate(run.log.entries) if e.flush and i < run.first}
        places = [rng.choice(anywhere) for _ in range(400)]
        assert any(run.faults(places, scratch, rng, obeyed=obeyed | earlier)), f"a disk that does not obey {name} goes unnoticed"


def test_power_failures_lose_nothing_synced(tmp_path, scratch, our_replay):
    run = record(tmp_path / "log", seed=1, batches=60)
    judge_run(run, (None, our_replay), scratch, points=40, cuts=40, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", (2, 3))
def test_power_failures_at_200_flushes(tmp_path, scratch, our_replay, seed):
    run = record(tmp_path / "log", seed, batches=220)
    judge_run(run, (None, our_replay), scratch, points=200, cuts=300, seed=seed)


# ---- real kills

def tree_of(c, directory):
    """What a node has below a directory, as writelog.read_tree has it."""
    r = c.exec(1, "tar", "-c", "-f", "-", "-C", directory, ".")
    assert r.returncode == 0, r.stderr
    tree = {}
    with tarfile.open(fileobj=io.BytesIO(r.stdout)) as tar:
        for m in tar:
            name = os.path.normpath(m.name)
            if m.isdir():
                tree[name] = ("dir",)
            elif m.issym():
                tree[name] = ("link", m.linkname)
            else:
                tree[name] = ("file", tar.extractfile(m).read())
    tree.pop(".", None)
    return tree


def raw_disk(c, scratch):
    image = f"{scratch}/disk.img"
    subprocess.run(["qemu-img", "convert", "-O", "raw", f"{c.run_dir}/1.qcow2", image], check=True)
    return image


def kill_and_judge(c, scratch, seed):
    """Work until the node is killed at a random moment; what its disk and its next boot have is what was synced."""
    rng = random.Random(seed)
    directory = f"/k{seed}"
    c.sh(1, f"mkdir {directory}; sync")
    work = Workload(seed)
    hands = Hands(c.whctl(1, "exec", "t_disk", directory))
    killer = threading.Timer(rng.uniform(0, 0.2), lambda: c.verb("kill", 1))
    when = rng.randrange(3, 40)
    lines = work.start()
    while (answer := hands.do(lines)) == "done":
        work.synced()
        lines = work.batch()
        when -= 1
        if when == 0:
            killer.start()
    killer.join()
    assert answer == "" and not hands.failed, (answer, hands.failed)
    hands.p.wait(timeout=60)
    window = work.acks[-1][0], len(work.lines)

    image = raw_disk(c, scratch)
    code, text = e2fsck(image, "-p")
    assert code <= 1, text
    code, text = e2fsck(image, "-fn")
    assert code == 0, text
    why = work.judge_window(read_tree(image, directory, scratch), *window)
    assert why is None, f"the disk after kill {seed}: {why}"

    c.verb("restart", 1)
    with open(f"{c.run_dir}/kernel-1.log", encoding="utf-8") as f:
        said = REPAIRED.search(f.read())
    assert said, "the boot after a kill does not say that it repaired the disk"
    why = work.judge_window(tree_of(c, directory), *window)
    assert why is None, f"the node after kill {seed}: {why}"
    c.sh(1, f"rm -r {directory}")
    return int(said[2])


def kills(c, scratch, seeds):
    seen = [kill_and_judge(c, scratch, seed) for seed in seeds]
    assert any(seen), "no kill left anything to redo"
    c.sh(1, "sync")
    c.verb("kill", 1)
    code, text = e2fsck(raw_disk(c, scratch), "-p")
    assert code <= 1, text


def test_kills(fresh_cluster, scratch):
    c = fresh_cluster(1)
    kills(c, scratch, range(100, 103))
    assert not c.sad_lines()


@pytest.mark.long
def test_20_kills(fresh_cluster, scratch):
    c = fresh_cluster(1)
    kills(c, scratch, range(200, 220))
    assert not c.sad_lines()


# ---- disks that fail

def rules(after, event):
    """blkdebug rules: states count flushes; after so many of them, `event`."""
    text = "".join(f'[set-state]\nstate = "{i}"\nevent = "flush_to_disk"\nnew_state = "{i + 1}"\n\n' for i in range(1, after))
    return text + f'[inject-error]\nstate = "{after}"\nevent = "flush_to_disk"\nerrno = "5"\n{event}\n'


FAILURES = {
    "flush once": 'iotype = "flush"\nonce = "on"',
    "flush": 'iotype = "flush"\nonce = "off"',
    "write once": 'iotype = "write"\nonce = "on"',
    "write": 'iotype = "write"\nonce = "off"',
}


@pytest.mark.parametrize("name", ("flush once", "write"))
def test_a_disk_that_fails(name, tmp_path, scratch):
    failing_disk(name, 37, tmp_path, scratch)


@pytest.mark.long
@pytest.mark.parametrize("after", (44, 45, 46, 47))
@pytest.mark.parametrize("name", FAILURES)
def test_a_disk_that_fails_in_any_way(name, after, tmp_path, scratch):
    failing_disk(name, after, tmp_path, scratch)


def failing_disk(name, after, tmp_path, scratch):
    """fsync says so, the log names place and cause, what was synced stays, and so does the node."""
    config = pathlib.Path(tmp_path / "rules")
    config.write_text(rules(after, FAILURES[name]), encoding="ascii")
    c = Cluster(1, "--disk-errors", config)
    try:
        c.up()
        c.sh(1, "mkdir /w; sync")
        work = Workload(after)
        hands = Hands(c.whctl(1, "exec", "t_disk", "/w"))
        lines = work.start()
        # sync has no way to tell of an error, so here it is an fsync.
        while (answer := hands.do([line if line != "sync" else "fsync ." for line in lines])) == "done":
            work.synced()
            assert len(work.acks) < 100, "the disk did not fail"
            lines = work.batch()
        # The first to notice is an fsync, or the checkpoint of every 3 s; then it is the next change.
        assert answer == EIO or hands.failed, answer
        assert all(line.endswith((EIO, "No such file or directory")) for line in hands.failed), hands.failed
        assert len(work.acks) > 3, "the disk failed before any work was done"
        window = work.acks[-1][0], len(work.lines)
        # It never says later that all is well; what can be read can be read; what would change is refused.
        assert hands.do(["fsync ."]) == EIO
        assert hands.do(["sync", "fsync ."]) == "done"  # sync returns nothing to be told
        assert hands.answer() == EIO
        r = c.exec(1, "sh", "-c", "echo new >/w/new")
        assert r.returncode != 0 and EIO_GLIBC in r.stderr, r.stderr
        assert work.judge_window(tree_of(c, "/w"), *window) is None
        log = c.log(1)
        assert re.search(rf"file: disk: {name.split()[0]}( of \d+ bytes at sector \d+)? failed: {EIO}", log), log
        assert log.count("read-only from now on") == 1
        assert "panic" not in log

        c.verb("kill", 1)
        hands.p.wait(timeout=60)
        config.write_text("", encoding="ascii")
        image = raw_disk(c, scratch)
        code, text = e2fsck(image, "-p")
        assert code <= 1, text
        assert work.judge_window(read_tree(image, "/w", scratch), *window) is None
        c.verb("restart", 1)
        assert REPAIRED.search(c.log(1))
        assert work.judge_window(tree_of(c, "/w"), *window) is None
        c.sh(1, "echo new >/w/new; sync; cat /w/new")
    finally:
        c.down()


def test_a_sector_that_cannot_be_read(tmp_path):
    """The page that it belongs to gives EIO; the others do not know."""
    r = subprocess.run(["debugfs", "-R", "bmap /bin/t_badelf 3", build_dir() / "root.img"], capture_output=True, check=True, env=SBIN)
    sector = int(r.stdout) * 8
    config = pathlib.Path(tmp_path / "rules")
    config.write_text(f'[inject-error]\nevent = "none"\niotype = "read"\nerrno = "5"\nsector = "{sector}"\nonce = "off"\n',
                      encoding="ascii")
    c = Cluster(1, "--disk-errors", config)
    try:
        c.up()
        for _ in range(2):
            r = c.exec(1, "cat", "/bin/t_badelf")
            assert r.returncode != 0 and EIO_GLIBC in r.stderr, r.stderr
        assert c.exec(1, "t_badelf").returncode != 0
        whole = (build_dir() / "user/test/t_badelf").read_bytes()
        for block in (0, 2, 3, 4, 5):  # one page is lost, and nothing beside it
            r = c.exec(1, "dd", "if=/bin/t_badelf", "bs=4096", f"skip={block}", "count=1")
            there = whole[4096 * block:4096 * (block + 1)]
            assert (r.returncode != 0) == (block == 3) and r.stdout == (b"" if block == 3 else there), f"block {block}: {r.stderr}"
        assert re.search(rf"file: disk: read of \d+ bytes at sector \d+ failed: {EIO}", c.log(1)), c.log(1)
        c.sh(1, "cmp /bin/busybox /bin/ls; echo new >/root/new; sync; cat /root/new")
        assert "read-only" not in c.log(1) and not c.sad_lines()
    finally:
        c.down()


@pytest.mark.long
def test_a_full_disk(fresh_cluster, scratch):
    c = fresh_cluster(1)
    c.sh(1, "mkdir /w; seq 1 20000 >/w/kept; sync")
    r = c.exec(1, "dd", "if=/dev/zero", "of=/w/big", "bs=64k")
    assert r.returncode != 0 and b"No space left on device" in r.stderr, r.stderr
    r = c.exec(1, "sh", "-c", "sync; echo more >/w/more && mkdir /w/d && cat /w/kept >>/w/more")
    assert r.returncode != 0 and b"No space left on device" in r.stderr, r.stderr
    hands = Hands(c.whctl(1, "exec", "t_disk", "/w"))
    assert hands.do(["fsync big"]) == "done"
    c.verb("kill", 1)
    hands.p.wait(timeout=60)
    image = raw_disk(c, scratch)
    code, text = e2fsck(image, "-p")
    assert code <= 1, text
    code, text = e2fsck(image, "-fn")
    assert code == 0, text
    c.verb("restart", 1)
    assert c.sh(1, "rm /w/big; seq 1 20000 | cmp - /w/kept && echo kept; echo more >/w/more; sync; cat /w/more") == "kept\nmore\n"
    wait_until(lambda: not c.sad_lines(), what="nothing sad")
