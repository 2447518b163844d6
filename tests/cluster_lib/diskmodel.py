# SPDX-License-Identifier: MIT
"""Random operations on files, and what a disk may hold after a power failure between any two of them.

The operations are lines for user/test/t_disk.c. A batch ends with fsync, fdatasync, sync, a write with O_SYNC or an msync, and is sent as a
whole; the next one is sent when that call has returned. So when the power fails, everything up to the last answer has been synced, and of
the batch under way any operation may have happened.
"""
import random
import subprocess

RECORD = 16
DIR = ("dir",)
WRITES = ("write", "append", "map", "osync", "msync")
SYNCS = ("fsync", "fdatasync", "sync")


def pattern(key, off, length):
    """The bytes of t_disk's write: they name the write and the place, so foreign bytes show."""
    first = off // RECORD
    text = b"".join(b"%07x%08x\n" % (key, i) for i in range(first, (off + length + RECORD - 1) // RECORD))
    return text[off - first * RECORD:][:length]


class State:
    """Names and contents at one moment. names: path -> DIR, ("link", target) or ("file", number); data: number -> bytes."""
    __slots__ = ("names", "data")

    def __init__(self, names=(), data=()):
        self.names, self.data = dict(names), dict(data)

    def file(self, path):
        return self.names[path][1]

    def below(self, path):
        return [p for p in self.names if p.startswith(path + "/")]

    def after(self, line, serial):
        """The state after one operation; serial numbers the files."""
        op, *a = line.split()
        s = State(self.names, self.data)
        if op == "mkdir":
            s.names[a[0]] = DIR
        elif op in ("rmdir", "unlink"):
            del s.names[a[0]]
        elif op == "create":
            s.names[a[0]] = ("file", serial)
            s.data[serial] = b""
        elif op == "symlink":
            s.names[a[1]] = ("link", a[0])
        elif op == "link":
            s.names[a[1]] = s.names[a[0]]
        elif op == "rename":
            for p in s.below(a[0]):
                s.names[a[1] + p[len(a[0]):]] = s.names.pop(p)
            s.names[a[1]] = s.names.pop(a[0])
        elif op in WRITES:
            n = s.file(a[0])
            old = s.data[n]
            off = int(a[2]) if op != "append" else len(old)
            new = pattern(int(a[1]), off, int(a[-1]))
            s.data[n] = old[:off].ljust(off, b"\0") + new + old[off + len(new):]
        elif op == "truncate":
            n = s.file(a[0])
            s.data[n] = s.data[n][:int(a[1])].ljust(int(a[1]), b"\0")
        else:
            assert op in ("hold", "drop", "read", *SYNCS), line
        return s


class Workload:
    """Batches by a seed. states[i] is what the files are after i operations."""

    def __init__(self, seed, files=30):
        self.rng = random.Random(seed)
        self.files = files
        self.lines, self.states = [], [State()]
        self.acks = [(0, 0)]  # (operations that are synced, size of the log at the answer)
        self.open_files = 0
        self.dirs = ["a", "b", "a/c"]
        for d in self.dirs:
            self._add(f"mkdir {d}")
        self.first = len(self.lines)

    def _add(self, line):
        self.states.append(self.states[-1].after(line, len(self.lines)))
        self.lines.append(line)
        return line

    def start(self):
        return [*self.lines, self._add("sync")]

    def _free(self):
        names = self.states[-1].names
        while True:
            d = self.rng.choice(["", *(f"{p}/" for p, what in names.items() if what is DIR)])
            name = f"{d}f{self.rng.randrange(self.files)}"
            if name not in names:
                return name

    def _operation(self):
        rng, now = self.rng, self.states[-1]
        files = sorted(p for p, what in now.names.items() if what[0] == "file")
        kind = rng.choice(("create", "create", "write", "write", "write", "append", "append", "append", "overwrite", "overwrite",
                           "truncate", "rename", "rename", "replace", "unlink", "unlink", "link", "symlink", "hold", "drop",
                           "mkdir", "rmdir", "move"))
        if len(files) > self.files:
            kind = "unlink"
        if len(files) < 4 and kind not in ("mkdir", "drop"):
            kind = "create"
        f = rng.choice(files) if files else None
        size = len(now.data[now.file(f)]) if f else 0
        key, length = len(self.lines), rng.choice((rng.randrange(1, 300), rng.randrange(1, 9000), rng.randrange(1, 60000)))
        if size > 150000:
            kind = "truncate"
        if kind == "create":
            return [f"create {(name := self._free())}", f"write {name} {key} 0 {length}"]
        if kind == "write":
            return [f"write {f} {key} {rng.randrange(size + 6000)} {length}"]
        if kind == "append":
            return [f"append {f} {key} {length}"]
        if kind == "overwrite" and size:
            at = rng.randrange(size)
            return [f"{rng.choice(('write', 'write', 'map'))} {f} {key} {at} {min(length, size - at)}"]
        if kind == "truncate":
            return [f"truncate {f} {rng.randrange(size + 100)}"]
        if kind == "rename":
            return [f"rename {f} {self._free()}"]
        if kind == "replace" and (others := [p for p in files if now.names[p] != now.names[f]]):
            return [f"rename {f} {rng.choice(others)}"]
        if kind == "unlink":
            return [f"unlink {f}"]
        if kind == "link":
            return [f"link {f} {self._free()}"]
        if kind == "symlink":
            return [f"symlink {'x' * rng.randrange(1, 100)} {self._free()}"]
        if kind == "hold" and self.open_files < 8:
            self.open_files += 1
            return [f"hold {f}"]
        if kind == "drop":
            self.open_files = 0
            return ["drop"]
        dirs = sorted(p for p, what in now.names.items() if what is DIR and p not in self.dirs)
        if kind == "mkdir" and len(dirs) < 6:
            return [f"mkdir {self._free()}"]
        if kind == "rmdir" and (empty := [d for d in dirs if not now.below(d)]):
            return [f"rmdir {rng.choice(empty)}"]
        if kind == "move" and dirs:
            return [f"rename {rng.choice(dirs)} f{rng.randrange(self.files)}x{key}"]
        return self._links(now)

    def _links(self, now):
        links = sorted(p for p, what in now.names.items() if what[0] == "link")
        return [f"unlink {self.rng.choice(links)}"] if links else []

    def batch(self):
        """The next lines; the last one is the sync."""
        lines = []
        for _ in range(self.rng.randrange(1, 12)):
            lines += [self._add(line) for line in self._operation()]
        now = self.states[-1]
        paths = sorted(p for p, what in now.names.items() if what[0] != "link")
        # Mostly what was just changed, as programs do; sometimes a directory.
        touched = [w for line in lines for w in line.split()[1:] if w in now.names and now.names[w][0] != "link"]
        path = self.rng.choice(touched or paths)
        size = len(now.data[now.file(path)]) if now.names[path] is not DIR else 0
        if size and self.rng.random() < 0.2:
            at = self.rng.randrange(size)
            lines.append(self._add(f"{self.rng.choice(('osync', 'msync'))} {path} {len(self.lines)} {at} {min(size - at, 5000)}"))
            return lines
        lines.append(self._add(self.rng.choice((f"fsync {path}", f"fsync {path}", f"fdatasync {path}", "sync"))))
        return lines

    def synced(self, log_size=0):
        """The last batch's call has returned, when the log was that long."""
        self.acks.append((len(self.lines), log_size))

    # ---- judging

    def window(self, log_size):
        """Operations that are synced, and those that may have begun, when the log was that long."""
        done = max(n for n, size in self.acks if size <= log_size)
        later = [n for n, size in self.acks if size > log_size]
        return done, min(later) if later else len(self.lines)

    def judge(self, tree, log_size):
        """What is wrong with a tree found after a power failure at this size of the log; None: nothing."""
        return self.judge_window(tree, *self.window(log_size))

    def judge_window(self, tree, done, begun):
        if done < self.first:
            return None
        shape = {p: (what[0], len(what[1]) if what[0] == "file" else what[1:]) for p, what in tree.items()}
        why = None
        for moment in range(begun, done - 1, -1):
            s = self.states[moment]
            want = {p: (what[0], len(s.data[what[1]]) if what[0] == "file" else what[1:]) for p, what in s.names.items()}
            if want != shape:
                continue
            why = self._contents(tree, s, done, begun)
            if why is None:
                return None
        if why:
            return f"operations {done} to {begun}: {why}"
        return f"names and sizes are those of no moment from operation {done} to {begun}: {self._closest(shape, done, begun)}"

    def _contents(self, tree, s, done, begun):
        """Each byte is the file's own, as of some moment of the window."""
        for p, what in s.names.items():
            if what[0] != "file" or tree[p][1] == s.data[what[1]]:
                continue
            got, versions = tree[p][1], [t.data[what[1]] for t in self.states[done:begun + 1] if what[1] in t.data]
            # What a truncation under way cut off may read as zeros.
            cut = min((len(b) for a, b in zip(versions, versions[1:]) if len(b) < len(a)), default=len(got))
            for i, byte in enumerate(got):
                if not any(i < len(v) and v[i] == byte for v in versions) and not (byte == 0 and i >= cut):
                    record = i // RECORD * RECORD
                    return (f"{p}: byte {i} of {len(got)} is of none of its {len(versions)} versions: "
                            f"{got[record:record + RECORD]!r} instead of {s.data[what[1]][record:record + RECORD]!r}")
        return None

    def _closest(self, shape, done, begun):
        def differences(i):
            s = self.states[i]
            want = {p: (what[0], len(s.data[what[1]]) if what[0] == "file" else what[1:]) for p, what in s.names.items()}
            return [f"{p}: {shape.get(p)} instead of {want.get(p)}" for p in sorted({*shape, *want}) if shape.get(p) != want.get(p)]
        best = min(range(done, begun + 1), key=lambda i: len(differences(i)))
        return f"at {best}, " + "; ".join(differences(best)[:5])


class Hands:
    """t_disk on a node (or on the host: command), fed with a workload."""

    def __init__(self, command):
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.failed = []  # what it said of operations that should have worked

    def send(self, lines):
        try:
            self.p.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self.p.stdin.flush()
        except BrokenPipeError:  # the node was killed; the answer will be empty
            pass

    def answer(self):
        """The next answer to a sync; "" if the program is gone."""
        while (line := self.p.stdout.readline().decode().strip()).startswith("failed"):
            self.failed.append(line)
        return line

    def do(self, lines):
        self.send(lines)
        return self.answer()
