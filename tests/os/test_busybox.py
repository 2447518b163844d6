# SPDX-License-Identifier: MIT
"""Debian's unmodified busybox: the same script on a node and on the host gives the same output and status."""
import hashlib
import os
import random
import shutil
import subprocess

import pytest

BUSYBOX = shutil.which("busybox")

SCRIPTS = {
    "pipeline": "seq 1 1000 | grep 7 | wc -l",
    "long pipeline": "seq 1 5000 | cat | cat | sort -rn | head -3 | tr '\\n' ' ' | sed 's/ /,/g'",
    "redirection": "echo a >f; echo b >>f; cat <f; wc -c <f; ls no-such 2>err; cat err | wc -l",
    "here document": "x=5; cat <<EOF\nvalue $x\nEOF",
    "status": "false; echo $?; sh -c 'exit 42'; echo $?; true && echo yes; false || echo no; ! true; echo $?",
    "status of signals": "sh -c 'kill -9 $$'; echo $?; sh -c 'kill -TERM $$'; echo $?",
    "subshell and variables": "x=1; (x=2; echo $x); echo $x; y=$(echo nested $(echo deep)); echo $y",
    "arithmetic and loops": "i=0; s=0; while [ $i -lt 500 ]; do i=$((i+1)); s=$((s+i)); done; echo $s",
    "functions": "f() { echo \"$1-$2\"; return 3; }; f a b; echo $?",
    "background and wait": "(sleep 0.2; exit 5) & wait $!; echo $?",
    "many children": "for i in $(seq 1 40); do sh -c \"exit $i\" & done; wait; echo all",
    "trap": "trap 'echo caught' TERM; kill -TERM $$; echo after",
    "trap on exit": "trap 'echo bye' EXIT; exit 4",
    "kill a background job": "sleep 100 & p=$!; kill $p; wait $p; echo $?",
    "a writer without reader": "yes | head -2; echo done",
    "files": "mkdir -p d/e; echo 1 >d/e/x; cp d/e/x d/y; mv d/y d/z; cat d/z; rm d/z; ls -R d; rm -r d; ls",
    "copy a tree": "mkdir -p t/a/b; for i in 1 2 3; do echo $i >t/a/f$i; done; cp -r t u; find u | sort; diff -r t u && echo same",
    "permissions": "touch p; chmod 640 p; stat -c '%a %s' p; chmod u+x p; stat -c %a p; umask 077; touch q; stat -c %a q",
    "links": "echo data >l; ln l m; ln -s l s; stat -c %h l; cat s; readlink s; rm l; cat m; cat s 2>/dev/null || echo dangling",
    "rename over": "echo 1 >a; echo 2 >b; mv a b; cat b; ls",
    "unlinked but open": "exec 3>u; echo hidden >&3; rm u; echo more >&3; ls; echo none; exec 3>&-",
    "truncate and seek": "printf 0123456789 >t; dd if=t bs=1 skip=3 count=4 2>/dev/null; echo; printf AB | dd of=t bs=1 seek=5 conv=notrunc 2>/dev/null; cat t",
    "sparse": "dd if=/dev/zero of=s bs=1 count=1 seek=1000000 2>/dev/null; wc -c <s; sha256sum <s",
    "append from two": "(for i in 1 2 3 4 5; do echo a >>o; done) & (for i in 1 2 3 4 5; do echo b >>o; done) & wait; sort o | uniq -c",
    "grep": "printf 'one\\ntwo\\nthree\\n' >g; grep -n t g; grep -c e g; grep -v o g; grep -q zzz g; echo $?",
    "sed": "seq 1 10 | sed -n '3,5p;$p' | sed 's/\\(.\\)/<\\1>/g'",
    "awk": "seq 1 100 | awk '{s+=$1; if ($1%10==0) n++} END {print s, n, s/n}'",
    "awk printf": "awk 'BEGIN {printf \"%.6f %e %d %s\\n\", 3.14159265, 12345.678, 42.9, \"x\"; print 7/3, int(-3.7)}'",
    "sort": "printf '3 c\\n1 a\\n2 b\\n10 d\\n' >s; sort s; sort -n s; sort -k2 -r s; sort -u s s | wc -l",
    "text tools": "printf 'a:b:c\\nd:e:f\\n' | cut -d: -f2,3; echo hello | tr a-y b-z; seq 3 | paste -s -d+ -; echo abc | rev; seq 5 | tac",
    "tar": "mkdir x; for i in 1 2 3; do seq $i 100 >x/$i; done; tar cf x.tar x; mkdir y; tar xf x.tar -C y; diff -r x y/x && tar tf x.tar | sort",
    "gzip": "seq 1 20000 >z; sha256sum <z; gzip z; gunzip -c z.gz | sha256sum",
    "checksums": "seq 1 1000 | md5sum; seq 1 1000 | sha1sum; seq 1 1000 | sha512sum; seq 1 1000 | cksum 2>/dev/null | head -1",
    "find": "mkdir -p a/b/c; touch a/1 a/b/2 a/b/c/3; find a -type f | sort; find a -name '[12]' | sort; find a -type d | wc -l",
    "xargs": "seq 1 20 | xargs -n 7 echo; seq 1 3 | xargs -I{} echo item {}",
    "ls": "touch b a c; mkdir d; ls; ls -a; ls -d d; ls -1 | wc -l",
    "long listing": "export TZ=UTC0; echo 12345 >a; chmod 640 a; touch -d '2001-02-03 04:05:06' a; ln -s a s; mkdir d; chmod 1777 d; "
                    "ls -l a; ls -ld d s | awk '{print $1, $2, $NF}'; ls -l | wc -l",
    "globs": "touch a1 a2 b1; echo a* ?1 [ab]1 zz*",
    "od and xxd": "printf 'ABC\\001\\377' | od -An -tx1; printf hello | xxd",
    "date of an epoch": "TZ=UTC0 date -d @86400 '+%Y-%m-%d %H:%M:%S'; date -u -d '2000-02-29 12:00' +%s",
    "touch and times": "TZ=UTC0 touch -d '2001-02-03 04:05:06' t; TZ=UTC0 stat -c %Y t; touch -r t u; stat -c %Y u",
    "bc": "echo 'scale=20; 4*a(1)' | bc -l; echo '2^200' | bc",
    "expr and test": "expr 6 \\* 7; [ 3 -lt 5 ] && [ -d . ] && [ ! -e nope ] && echo ok; test abc = abd; echo $?",
    "read": "printf 'x y z\\nlast' | while read a b || [ -n \"$a\" ]; do echo \"[$a][$b]\"; done",
    "case": "for w in apple bat cat; do case $w in a*) echo A;; b?t) echo B;; *) echo other;; esac; done",
    "exec replaces": "exec sh -c 'echo replaced'; echo never",
    "not executable": "echo 'echo hi' >s; ./s 2>/dev/null; echo $?; chmod +x s; ./s; echo $?; /no/such; echo $?",
    "script with interpreter": "printf '#!/bin/sh\\necho arg $1 of $0\\n' >s; chmod +x s; ./s one",
    "environment": "A=1 sh -c 'echo $A'; export B=2; env | grep '^B='; unset B; sh -c 'echo [$B]'",
    "deep directories": "d=.; for i in $(seq 1 30); do d=$d/dir$i; done; mkdir -p $d; echo x >$d/f; cat $d/f; cd $d; cat ../dir30/f",
    "many files": "mkdir m; i=0; while [ $i -lt 300 ]; do : >m/f$i; i=$((i+1)); done; ls m | wc -l; rm m/f1*; ls m | wc -l",
    "a command that is not there": "no-such-command 2>/dev/null; echo $?",
    "timeout": "timeout 0.2 sleep 10; echo $?",
    "null and zero": "echo x >/dev/null; head -c 100 /dev/zero | wc -c; cat /dev/null | wc -c",
    "fifo through the shell": "seq 1 10 | { read a; read b; echo $a $b; cat | wc -l; }",
}


def host_run(script, directory):
    """The script under the host's busybox, with the same applets as on a node."""
    farm = directory / "farm"
    if not farm.exists():
        farm.mkdir()
        for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
            os.symlink(BUSYBOX, farm / applet)
    work = directory / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    return subprocess.run([BUSYBOX, "sh", "-c", script], cwd=work, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          env={"PATH": str(farm), "HOME": "/root"}, umask=0o022)


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_as_on_the_host(name, cluster, tmp_path):
    c = cluster(1)
    expected = host_run(SCRIPTS[name], tmp_path)
    c.sh(1, "rm -rf /tmp/work && mkdir /tmp/work")
    got = run_in(c, SCRIPTS[name])
    assert (got.stdout, got.returncode) == (expected.stdout, expected.returncode), got.stderr.decode()


def run_in(c, script):
    return subprocess.run(c.whctl(1, "-d", "/tmp/work", "exec", "sh", "-c", script), capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def test_sha256_of_20_mb(cluster, tmp_path):
    c = cluster(1)
    data = random.Random(20).randbytes(20_000_000)
    (tmp_path / "big").write_bytes(data)
    c.put(1, tmp_path / "big", "/tmp/big")
    assert c.sh(1, "sha256sum </tmp/big").split()[0] == hashlib.sha256(data).hexdigest()
    c.sh(1, "rm /tmp/big")


def test_sort_of_5_mb(cluster, tmp_path):
    c = cluster(1)
    rng = random.Random(5)
    lines = [b"%016x\n" % rng.getrandbits(64) for _ in range(300_000)]
    (tmp_path / "lines").write_bytes(b"".join(lines))
    c.put(1, tmp_path / "lines", "/tmp/lines")
    c.sh(1, "sort /tmp/lines >/tmp/sorted")
    c.get(1, "/tmp/sorted", tmp_path / "sorted")
    assert (tmp_path / "sorted").read_bytes() == b"".join(sorted(lines))
    c.sh(1, "rm /tmp/lines /tmp/sorted")


def test_ps_and_free_and_uname(cluster):
    c = cluster(1)
    assert "init" in c.sh(1, "ps") and "Mem" in c.sh(1, "free") and "node1" in c.sh(1, "uname -a")
