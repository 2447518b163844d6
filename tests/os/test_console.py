# SPDX-License-Identifier: MIT
"""The console as a person uses it: busybox's shell on COM1, line editing, job control, keys that signal."""
import re
import time

import pytest

from cluster_lib.console import PROMPT, Console


@pytest.fixture
def console(cluster):
    c = Console(cluster(1), 1).begin()
    yield c
    c.sock.close()


def test_echo_and_status(console):
    assert console.run("echo hello; false; echo $?") == "hello\n1\n"


def test_it_is_a_terminal(console):
    assert console.run("tty") == "/dev/console\n"
    settings = console.run("stty -a")
    assert "rows 24; columns 80" in settings and "isig icanon" in settings
    console.run("stty rows 30 cols 100")
    assert "rows 30; columns 100" in console.run("stty -a")
    console.run("stty rows 24 cols 80")


def test_the_shell_edits_lines(console):
    console.type("echo abd\x7fc\r")  # erase
    assert b"abc\r\n" in console.expect(re.escape(b"\r\n" + PROMPT))
    console.type("garbage\x15echo killed\r")  # ^U
    assert b"\r\nkilled\r\n" in console.expect(re.escape(b"killed\r\n" + PROMPT))
    console.type("\x1b[A\r")  # cursor up: history
    assert b"\r\nkilled\r\n" in console.expect(re.escape(b"killed\r\n" + PROMPT))


def test_cat_in_canonical_mode(console):
    console.type("cat\r")
    console.expect(rb"cat\r\n")
    time.sleep(0.3)  # until the shell has given the terminal back to its canonical mode
    console.type("one\r")
    console.expect(rb"one\r\none\r\n")
    console.type("twx\x7fo\r")
    console.expect(rb"\r\ntwo\r\n")
    console.type("\x04")
    console.expect(re.escape(PROMPT))


def test_interrupt_key(console):
    console.type("sleep 100\r")
    console.expect(rb"sleep 100\r\n")
    time.sleep(0.3)
    begin = time.monotonic()
    console.type("\x03")
    console.expect(re.escape(PROMPT))
    assert time.monotonic() - begin < 5
    assert console.run("echo $?") == "130\n"


def test_interrupt_key_stops_a_busy_pipeline(console):
    console.type("yes | cat >/dev/null\r")
    console.expect(rb"null\r\n")
    time.sleep(0.3)
    console.type("\x03")
    console.expect(re.escape(PROMPT))


def test_quit_key(console):
    console.type("sleep 100\r")
    console.expect(rb"sleep 100\r\n")
    time.sleep(0.3)
    console.type("\x1c")
    console.expect(re.escape(PROMPT))
    assert console.run("echo $?") == "131\n"


def test_stop_background_foreground(console):
    console.type("sleep 3\r")
    console.expect(rb"sleep 3\r\n")
    time.sleep(0.3)
    console.type("\x1a")
    console.expect(rb"Stopped.*" + re.escape(PROMPT))
    assert "Stopped" in console.run("jobs")
    console.run("bg")
    assert "Running" in console.run("jobs") or "Done" in console.run("jobs")
    console.type("fg\r")
    console.expect(re.escape(PROMPT))
    assert "sleep" not in console.run("jobs").replace("Done", "")


def test_background_reader_is_stopped(console):
    console.type("cat &\r")
    console.expect(re.escape(PROMPT))
    time.sleep(0.5)
    assert "Stopped (tty input)" in console.run("jobs")
    console.run("kill -KILL %1")
    time.sleep(0.3)
    console.run("")
    assert "cat" not in console.run("jobs").replace("Killed", "")


def test_trap_handlers(console):
    console.run("trap 'echo caught' USR1")
    assert "caught" in console.run("kill -USR1 $$")
    console.run("trap - USR1")
    console.run("trap 'echo interrupted' INT")
    console.type("\x03")
    console.expect(rb"interrupted")
    console.run("trap - INT")


def test_raw_mode(console):
    console.type("stty raw -echo; dd bs=1 count=3 2>/dev/null | od -An -tx1; stty sane\r")
    console.expect(rb"sane\r\n")
    time.sleep(0.5)
    console.type("\x03\x04\r")
    console.expect(rb"03 04 0d")
    console.expect(re.escape(PROMPT))


def test_logout_brings_a_new_shell_and_ends_stopped_jobs(console):
    console.type("sleep 1234\r")
    console.expect(rb"sleep 1234\r\n")
    time.sleep(0.3)
    console.type("\x1a")
    console.expect(rb"Stopped.*" + PROMPT)
    console.type("exec sh -c 'sleep 0.3; exit'\r")
    console.expect(rb"[#$] ", seconds=15)
    console.type("PS1='rea''dy> '; echo begin-$((6*7))\r")
    console.expect(rb"begin-42\r\n" + PROMPT)
    assert console.run("ps | grep -c 'sleep 123[4]'") == "0\n"


def test_window_size_is_told(console):
    """Programs hear of a new size by SIGWINCH, and ask for it."""
    assert "33 77" in console.run("sh -c \"trap 'stty size' WINCH; stty rows 33 cols 77; :\"")
    console.run("stty rows 24 cols 80")


def test_background_writer_is_stopped_if_the_terminal_says_so(console):
    console.run("stty tostop")
    console.type("echo written &\r")
    console.expect(re.escape(PROMPT))
    time.sleep(0.5)
    assert re.search(r"Stopped \(tty output\)|Stopped.*echo", console.run("jobs"))
    console.run("stty -tostop")
    assert "written" in console.run("fg")


def test_an_editor(console):
    console.type("vi /tmp/edited\r")
    console.expect(rb"/tmp/edited")
    console.type("ione two\rthree\x1b")
    time.sleep(0.5)
    console.type("kx:wq\r")
    console.expect(re.escape(PROMPT))
    text = console.run("cat /tmp/edited; rm /tmp/edited")
    assert text.splitlines()[1] == "three" and len(text.splitlines()[0]) == len("one two") - 1


def test_top_and_less_end_with_q(console):
    console.type("top\r")
    console.expect(rb"Load average")
    console.type("q")
    console.expect(re.escape(PROMPT))
    console.type("busybox less /etc/passwd\r")
    console.expect(rb"root:x:0")
    console.type("q")
    console.expect(re.escape(PROMPT))
    assert console.run("echo back") == "back\n"
