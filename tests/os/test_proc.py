# SPDX-License-Identifier: MIT
"""/proc as ps, top, free, uptime, df, mount and dmesg read it: the same busybox prints the same forms on the host and on a node."""
import re
import subprocess

import pytest


def host(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


def node(c, *command):
    r = c.exec(1, *command, timeout=30)
    assert r.returncode == 0, r.stderr.decode()
    return r.stdout.decode()


@pytest.mark.parametrize("applet, forms", [
    ("ps", [r"PID +USER +COMMAND", r" *\d+ root +/sbin/init"]),
    ("free", [r" +total +used +free +shared +buff/cache +available", r"Mem: +\d+ +\d+ +\d+ +\d+ +\d+ +\d+", r"Swap: +0 +0 +0"]),
    ("uptime", [r" \d\d:\d\d:\d\d up .*, +\d+ users, +load average: \d+\.\d\d, \d+\.\d\d, \d+\.\d\d"]),
    ("df", [r"Filesystem +1K-blocks +Used Available Use% Mounted on", r"\S+ +\d+ +\d+ +\d+ +\d+% /"]),
    ("top -b -n1", [r"Mem: \d+K used, \d+K free, \d+K shrd, \d+K buff, \d+K cached",
                    r"CPU: +[\d.]+% usr +[\d.]+% sys +[\d.]+% nic +[\d.]+% idle.*", r"Load average: [\d. ]+\d+/\d+ \d+",
                    r" +PID +PPID USER +STAT +VSZ %VSZ +%CPU COMMAND"]),
    ("mount", [r"\S+ on / type ext\d \(rw.*\)", r"proc on /proc type proc \(rw.*\)"]),
])
def test_an_applet_prints_what_it_prints_on_linux(cluster, applet, forms):
    text = node(cluster(1), "busybox", *applet.split())
    missing = [form for form in forms if not re.search(f"^{form}$", text, re.M)]
    assert not missing, f"{missing} not in:\n{text}"
    if applet in ("ps", "free"):  # the header is the host's, to the letter
        assert text.splitlines()[0] == host("busybox", applet).splitlines()[0]


def test_files_have_the_fields_of_linux(cluster):
    c = cluster(1)
    stat = node(c, "cat", "/proc/self/stat")
    assert len(stat.rpartition(")")[2].split()) == len(host("cat", "/proc/self/stat").rpartition(")")[2].split())
    keys = lambda text: {line.split(":")[0] for line in text.splitlines()}
    assert keys(node(c, "cat", "/proc/self/status")) - keys(host("cat", "/proc/self/status")) == {"Home", "Epoch", "AwayNode"}
    assert not keys(node(c, "cat", "/proc/meminfo")) - keys(host("cat", "/proc/meminfo"))
    rows = lambda text: [line[:26].strip() for line in text.splitlines()]
    assert rows(node(c, "cat", "/proc/self/limits")) == rows(host("cat", "/proc/self/limits"))
    assert len(node(c, "cat", "/proc/self/statm").split()) == 7
    assert re.match(r"[\d.]+ [\d.]+ [\d.]+ \d+/\d+ \d+$", node(c, "cat", "/proc/loadavg"))
    assert node(c, "sh", "-c", "ulimit -n 20; grep files /proc/self/limits").split()[3:5] == ["20", "20"]


def test_the_log_is_roots(cluster):
    c = cluster(1)
    node(c, "sh", "-c", "echo said by a test >/dev/log")
    text = node(c, "dmesg")
    assert "Whimbrel on node 1" in text and "said by a test" in text
    r = c.exec(1, "su", "student", "-c", "id -u; dmesg", timeout=30)
    assert b"1000" in r.stdout and b"Whimbrel" not in r.stdout, r


def test_a_call_that_is_not_there_is_named_in_the_log(cluster):
    c = cluster(1)
    c.exec(1, "lsmod", timeout=30)
    r = c.exec(1, "ionice", timeout=30)
    assert r.returncode != 0
    assert re.search(r"system call 252 \(ioprio_get\) is not supported", node(c, "dmesg"))
