# SPDX-License-Identifier: MIT
"""What reached a disk, and when: the log of QEMU's blklogwrites (the format of Linux's dm-log-writes), and disks made of it.

The log has a superblock and then, for each write and flush in the order in which they ended, an entry and the bytes written.
A disk that keeps its word has everything that ended before a flush began; of what came later, any part may be missing.
"""
import os
import shutil
import struct
import subprocess

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, DISCARD, MARK = 1, 4, 8
SBIN = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}


class Entry:
    __slots__ = ("flush", "offset", "length", "at", "end")

    def __init__(self, flush, offset, length, at, end):
        self.flush, self.offset, self.length = flush, offset, length
        self.at, self.end = at, end  # its bytes in the log; where the next entry begins


class WriteLog:
    def __init__(self, path):
        self.path = path
        self.entries = []
        with open(path, "rb") as f:
            magic, version, count, size = struct.unpack("<QQQI", f.read(28))
            assert (magic, version, size) == (MAGIC, 1, SECTOR), f"{path}: no log of writes"
            end, at = os.fstat(f.fileno()).st_size, SECTOR
            # A killed QEMU leaves a count that is behind; the entries are there.
            while at + SECTOR <= end:
                f.seek(at)
                sector, sectors, flags, _ = struct.unpack("<QQQQ", f.read(32))
                assert not flags & (DISCARD | MARK), f"{path}: flags {flags} at {at}"
                nxt = at + SECTOR + sectors * SECTOR
                if nxt > end or (not sectors and not flags):
                    break
                if sectors:
                    self.entries.append(Entry(False, sector * SECTOR, sectors * SECTOR, at + SECTOR, nxt))
                if flags & FLUSH:
                    self.entries.append(Entry(True, 0, 0, nxt, nxt))
                at = nxt
            assert len(self.entries) >= count, f"{path}: {count} entries promised, {len(self.entries)} found"

    def index_at(self, size):
        """How many entries the log had when it was `size` bytes long."""
        lo, hi = 0, len(self.entries)
        while lo < hi:
            mid = (lo + hi) // 2
            lo, hi = (mid + 1, hi) if self.entries[mid].end <= size else (lo, mid)
        return lo


class Disk:
    """A disk on which the first `position` entries of a log are done. Goes forward only."""

    def __init__(self, log, base, scratch, flushes=None):
        """base: the raw image before the log begins. flushes: the indices of the flushes that the disk obeys (default: all)."""
        self.log, self.flushes = log, flushes
        self.file = f"{scratch}/durable.img"
        self.scratch = scratch
        subprocess.run(["cp", "--sparse=always", base, self.file], check=True)
        self.fd = os.open(self.file, os.O_RDWR)
        self.source = os.open(log.path, os.O_RDONLY)
        self.position = 0
        self.pending = []  # writes that no flush has followed

    def close(self):
        os.close(self.fd)
        os.close(self.source)
        os.unlink(self.file)

    def advance(self, position):
        assert position >= self.position
        for i in range(self.position, position):
            e = self.log.entries[i]
            if not e.flush:
                self.pending.append(e)
            elif self.flushes is None or i in self.flushes:
                for w in self.pending:
                    self._apply(self.fd, w)
                self.pending = []
        self.position = position

    def _apply(self, fd, w, start=0, length=None):
        data = os.pread(self.source, w.length - start if length is None else length, w.at + start)
        os.pwrite(fd, data, w.offset + start)

    def power_fails(self, name, rng=None):
        """What the disk has when the power fails now, as a file of its own.

        Without rng nothing of what was not flushed is there. With it each write is there, is not, or is torn between sectors. They are
        applied in their order: a later write of a sector never loses to an earlier one, for both are in the disk's cache.
        """
        path = f"{self.scratch}/{name}"
        subprocess.run(["cp", "--sparse=always", self.file, path], check=True)
        if rng:
            fd = os.open(path, os.O_RDWR)
            for w in self.pending:
                fate = rng.choice(("there", "there", "gone", "gone", "torn"))
                if fate == "there":
                    self._apply(fd, w)
                elif fate == "torn":
                    for start in range(0, w.length, SECTOR):
                        if rng.random() < 0.5:
                            self._apply(fd, w, start, SECTOR)
            os.close(fd)
        return path


def e2fsck(image, *options):
    r = subprocess.run(["e2fsck", *options, image], capture_output=True, text=True, env=SBIN, check=False)
    return r.returncode, r.stdout + r.stderr


def journal_start(image):
    """Where the journal's superblock is, in bytes."""
    r = subprocess.run(["debugfs", "-R", "bmap <8> 0", image], capture_output=True, text=True, env=SBIN, check=True)
    return int(r.stdout) * 4096


def read_tree(image, directory, scratch):
    """What debugfs finds below a directory of an image: {path: ("dir",) | ("link", target) | ("file", bytes)}."""
    out = f"{scratch}/tree"
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    r = subprocess.run(["debugfs", "-R", f"rdump {directory} {out}", image], capture_output=True, text=True, env=SBIN, check=True)
    complaints = [line for line in r.stderr.splitlines()[1:] if "while changing ownership" not in line]
    assert not complaints, complaints
    top = os.path.join(out, os.path.basename(directory))
    tree = {}
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            p = os.path.join(at, name)
            rel = os.path.relpath(p, top)
            if os.path.islink(p):
                tree[rel] = ("link", os.readlink(p))
            elif os.path.isdir(p):
                tree[rel] = ("dir",)
            else:
                with open(p, "rb") as f:
                    tree[rel] = ("file", f.read())
    return tree
