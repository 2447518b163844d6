# SPDX-License-Identifier: MIT
"""The file server on booted nodes: killed nodes, locks of the dead, other nodes' trees."""
import hashlib
import subprocess

from cluster_lib.cluster import wait_until

SBIN = {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}


def counters(c, node):
    """The file server's counters of a node."""
    rows = (line.split() for line in c.sh(node, "t_counters").splitlines())
    return {r[0]: int(r[1]) for r in rows if r[0].startswith("fs_")}


def e2fsck(image, *options):
    r = subprocess.run(["e2fsck", *options, image], capture_output=True, text=True, env=SBIN, check=False)
    return r.returncode, r.stdout + r.stderr


def test_a_kill_loses_nothing_that_was_synced(fresh_cluster, tmp_path):
    c = fresh_cluster(1)
    c.sh(1, "mkdir -p /root/d; for i in $(seq 1 60); do seq $i 2000 >/root/d/$i; done; cp -r /etc /root/etc; sync")
    # Unsynced work at the moment of the kill: the same blocks and directories change.
    c.start(1, "sh", "-c", "rm /root/d/[1-3]*; while :; do for i in $(seq 100 160); do seq $i 3000 >/root/d/x$i; done; rm /root/d/x*; done")
    for _ in range(3):
        subprocess.run(["sleep", "1.3"], check=True)
    c.verb("kill", 1)
    image = tmp_path / "disk"
    subprocess.run(["qemu-img", "convert", "-O", "raw", f"{c.run_dir}/1.qcow2", image], check=True)
    code, text = e2fsck(image, "-y", "-E", "journal_only")
    assert code == 0, text
    code, text = e2fsck(image, "-f", "-n")
    assert code == 0, text
    image.unlink()

    c.verb("restart", 1)
    wait_until(lambda: c.exec(1, "true").returncode == 0, what="node 1 answers")
    sums = dict(reversed(line.split()) for line in c.sh(1, "cd /root/d; sha256sum [4-9] [4-6]?").splitlines())
    for i in [*range(4, 10), *range(40, 61)]:
        text = "".join(f"{n}\n" for n in range(i, 2001)).encode()
        assert sums[str(i)] == hashlib.sha256(text).hexdigest(), i
    c.sh(1, "diff -r /etc /root/etc")
    assert counters(c, 1)["fs_boot"] == 2
    assert not c.sad_lines()


def test_another_nodes_tree(cluster):
    c = cluster(2)
    before = [counters(c, 2)[k] for k in ("fs_holds", "fs_locks")]
    out = c.sh(1, "mkdir -p /n/2/tmp/vfs && t_vfs /n/2/tmp/vfs | grep -v '^ok'; rm -rf /n/2/tmp/vfs; true")
    assert not out
    c.sh(1, "cp /bin/busybox /n/2/tmp/bb; seq 1 20000 >/n/2/tmp/seq; mv /n/2/tmp/seq /n/2/tmp/s; ln -s s /n/2/tmp/l")
    assert c.sh(2, "cmp /bin/busybox /tmp/bb && tail -n 1 /tmp/l") == "20000\n"
    # What is changed there is what is read here, at once.
    for i in range(20):
        c.sh(2, f"echo {i} >/tmp/s")
        assert c.sh(1, "cat /n/2/tmp/l") == f"{i}\n"
        c.sh(1, f"echo back {i} >/n/2/tmp/s")
        assert c.sh(2, "cat /tmp/s") == f"back {i}\n"
    c.sh(1, "rm /n/2/tmp/bb /n/2/tmp/s /n/2/tmp/l")
    wait_until(lambda: [counters(c, 2)[k] for k in ("fs_holds", "fs_locks")] == before, what="holds at their baseline")
    assert counters(c, 1)["fs_pending"] == 0


def test_the_dead_hold_no_locks(fresh_cluster):
    c = fresh_cluster(2)
    before = counters(c, 2)["fs_holds"]
    c.sh(2, "mkdir /tmp/held")
    c.spawn(1, "t_files /n/2/tmp/held 1")  # locks one of its files and waits
    wait_until(lambda: counters(c, 2)["fs_locks"] == 2, what="both locks are held")
    assert c.exec(2, "t_lock", "/tmp/held/lock").returncode != 0
    c.verb("kill", 1)
    # Its tree is out of reach: an error, not a hang.
    r = c.exec(2, "cat", "/n/1/etc/passwd", timeout=40)
    assert r.returncode != 0 and b"Input/output error" in r.stderr
    c.verb("restart", 1)
    wait_until(lambda: c.exec(2, "t_lock", "/tmp/held/lock").returncode == 0, seconds=30, what="the lock is free")
    wait_until(lambda: counters(c, 2)["fs_holds"] == before, what="holds at their baseline")
    assert c.sh(2, "cmp /etc/passwd /n/1/etc/passwd && echo same") == "same\n"
    assert counters(c, 2)["fs_pending"] == 0


def known(c, *args):
    """t_known on node 1: its lines that are not ok, and how many checks it made."""
    r = c.exec(1, *args, timeout=120)
    lines = r.stdout.decode().splitlines()
    bad = [line for line in lines if not line.startswith("ok ")]
    assert r.returncode == 0 and not bad, "\n".join(bad) + r.stderr.decode()
    return len(lines)


def test_names_and_attributes_are_never_late(cluster):
    """The kernel answers from what it was told of its own tree: asked after each kind of change, here, there, and on the move."""
    c = cluster(2)
    assert known(c, "t_known", "/tmp/known", "--rounds", "3") > 80
    known(c, "t_known", "/n/2/tmp/known", "--rounds", "1")
    moved = int(dict(line.split() for line in c.sh(1, "t_counters").splitlines())["migrations_out"])
    known(c, "restless", "-k", "40", "t_known", "/tmp/known", "--rounds", "8", "--pause", "1")
    now = int(dict(line.split() for line in c.sh(1, "t_counters").splitlines())["migrations_out"])
    assert now >= moved + 3, "it was not moved"


CHANGES = (
    "mkdir d", "echo one >d/f", "echo more >>d/f", "chmod 600 d/f", "ln d/f g", "ln -s d/f s", "mv d e", "mkdir d", "mv g d/f",
    "touch -d @1000000000 d/f", "truncate -s 3 e/f", "rm e/f", "echo two >e/f", "chmod 700 e", "rm -r e", "chown 1000:100 d",
    "mv d/f s", "rmdir d", "echo file >d", "rm d s",
)
LOOK = "cd %s; for f in d e g s d/f e/f d/./f e/../s; do stat -c '%%n %%F %%a %%s %%h %%i %%u %%Y' $f 2>&1; stat -L -c %%s $f 2>&1; cat $f 2>&1; done; true"


def test_what_another_node_changes_is_seen_at_once(cluster):
    """Node 1 knows its tree without asking; node 2 asks for everything. They never disagree, whoever makes the change."""
    c, places = cluster(2), {1: "/tmp/seen", 2: "/n/1/tmp/seen"}
    c.sh(1, "mkdir /tmp/seen")
    for first in (1, 2):
        for i, change in enumerate(CHANGES):
            by = 1 + (i + first) % 2
            c.sh(by, f"cd {places[by]} && {change}")
            here, there = (c.sh(k, LOOK % places[k]) for k in (1, 2))
            assert here == there, f"after {change} on node {by}:\n{here}\n--- node 2:\n{there}"
    c.sh(2, "rmdir /n/1/tmp/seen")
    assert c.exec(1, "stat", "/tmp/seen").returncode == 1
