/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals: both directions, modes, sizes, sessions and job control, hang-ups from either side, whose they are.
 * t_pty --run COMMAND...: what script(1) does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "t.h"

static int master, slave;

static void open_pair(void)
{
	if (openpty(&master, &slave, NULL, NULL, NULL) < 0)
		t_die("openpty");
}

static void close_pair(void)
{
	close(slave);
	close(master);
}

/* What arrives at fd within a while, until it is `want` long. */
static const char *text(int fd, size_t want)
{
	static char buf[4096];
	size_t n = 0;
	struct pollfd p = {fd, POLLIN, 0};
	while (n < want && poll(&p, 1, 5000) == 1) {
		ssize_t r = read(fd, buf + n, sizeof buf - 1 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	buf[n] = 0;
	return buf;
}

#define GETS(fd, s, name)                                                                          \
	do {                                                                                       \
		const char *got = text(fd, strlen(s));                                             \
		t_check(!strcmp(got, s), name, "\"%s\"", got);                                     \
	} while (0)

static void type(const char *s)
{
	t_write_all(master, s, strlen(s));
}

static void raw(void)
{
	struct termios t;
	tcgetattr(slave, &t);
	cfmakeraw(&t);
	tcsetattr(slave, TCSANOW, &t);
}

static void names(void)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY), n = -1, locked = -1;
	char name[32];
	struct stat st;

	t_check(m >= 0 && isatty(m), "the master is a terminal", "%d", m);
	t_check(ioctl(m, TIOCGPTN, &n) == 0 && n >= 0, "its number", "%d", n);
	snprintf(name, sizeof name, "/dev/pts/%d", n);
	t_check(ptsname(m) && !strcmp(ptsname(m), name), "its slave's name", "%s", ptsname(m));
	errno = 0;
	t_check(open(name, O_RDWR | O_NOCTTY) < 0 && errno == EIO, "locked at first", "no EIO");
	t_check(ioctl(m, TIOCGPTLCK, &locked) == 0 && locked == 1, "and says so", "%d", locked);
	t_check(grantpt(m) == 0 && unlockpt(m) == 0, "grantpt, unlockpt", "-1");
	int s = open(name, O_RDWR | O_NOCTTY);
	t_check(s >= 0 && isatty(s), "the slave is a terminal", "%d", s);
	memset(&st, 0, sizeof st);
	fstat(s, &st);
	/* How others may use it is for the administrator of a Linux host to say. */
	t_check(S_ISCHR(st.st_mode) && st.st_rdev == makedev(136, n) && st.st_uid == getuid() &&
			(st.st_mode & 0707) == 0600,
		"its attributes", "%o %#lx", st.st_mode, (unsigned long)st.st_rdev);
	t_check(ttyname(s) && !strcmp(ttyname(s), name), "ttyname", "%s", ttyname(s));
	int peer = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	t_check(peer >= 0 && !strcmp(ttyname(peer), name), "the slave without its name", "%d",
		peer);
	t_check(fchmod(s, 0600) == 0 && stat(name, &st) == 0 && (st.st_mode & 0777) == 0600,
		"its mode changes", "%o", st.st_mode);
	close(peer);
	close(s);
	close(m);
	errno = 0;
	t_check(stat(name, &st) < 0 && errno == ENOENT, "gone with its master", "no ENOENT");
}

static void lines(void)
{
	struct termios t;
	struct pollfd p;
	char c[8];
	int n = 0;

	open_pair();
	tcgetattr(slave, &t);
	t_check(t.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN) &&
			t.c_oflag == (OPOST | ONLCR),
		"modes at first", "%#x %#x", t.c_lflag, t.c_oflag);
	t_write_all(slave, "shown\n", 6);
	GETS(master, "shown\r\n", "what is written is shown");
	type("typed\n");
	GETS(master, "typed\r\n", "what is typed is echoed");
	GETS(slave, "typed\n", "and read");
	type("half");
	GETS(master, "half", "half a line is echoed");
	p = (struct pollfd){slave, POLLIN, 0};
	t_check(poll(&p, 1, 20) == 0, "and not read", "%#x", p.revents);
	type("\x7f\x7fxx\n");
	GETS(master, "\b \b\b \bxx\r\n", "erased on the screen");
	t_check(ioctl(slave, FIONREAD, &n) == 0 && n == 5, "FIONREAD", "%d", n);
	GETS(slave, "haxx\n", "and in the line");
	type("\x04");
	t_check(read(slave, c, sizeof c) == 0, "^D is an end of file", "no");
	/* The master is asked for the same modes, and may set them. */
	tcgetattr(master, &t);
	t.c_lflag &= ~(unsigned)ECHO;
	tcsetattr(master, TCSANOW, &t);
	tcgetattr(slave, &t);
	t_check(!(t.c_lflag & ECHO), "modes set at the master", "%#x", t.c_lflag);
	type("secret\n");
	GETS(slave, "secret\n", "no echo: it is read");
	p = (struct pollfd){master, POLLIN, 0};
	t_check(poll(&p, 1, 20) == 0, "and not shown", "%#x", p.revents);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	fcntl(master, F_SETFL, O_NONBLOCK);
	errno = 0;
	t_check(read(slave, c, 1) < 0 && errno == EAGAIN, "nothing typed: EAGAIN", "no");
	errno = 0;
	t_check(read(master, c, 1) < 0 && errno == EAGAIN, "nothing shown: EAGAIN", "no");
	close_pair();
}

/* As much as fits nowhere, in both directions: nobody loses a byte. */
#define BULK 200000
static void bulk(void)
{
	static unsigned char out[BULK], in[BULK];

	open_pair();
	raw();
	pid_t pid = fork();
	if (pid == 0) {
		close(master);
		t_read_all(slave, in, BULK);
		t_write_all(slave, in, BULK);
		_exit(0);
	}
	t_fill(out, BULK, 0, 7);
	t_write_all(master, out, BULK);
	t_read_all(master, in, BULK);
	t_check(t_compare(in, BULK, 0, 7) < 0, "200 kB there and back", "wrong at %ld",
		t_compare(in, BULK, 0, 7));
	waitpid(pid, NULL, 0);
	close_pair();
}

static void nobody_reads(void)
{
	char c[256] = "";
	int full = 0;

	open_pair();
	raw();
	fcntl(master, F_SETFL, O_NONBLOCK);
	fcntl(slave, F_SETFL, O_NONBLOCK);
	while (full < 1 << 20 && write(slave, c, sizeof c) > 0)
		full += (int)sizeof c;
	t_check(full < 1 << 20 && errno == EAGAIN, "a full screen: EAGAIN", "%d", full);
	struct pollfd p = {slave, POLLOUT, 0};
	t_check(poll(&p, 1, 0) == 0, "not writable", "%#x", p.revents);
	while (read(master, c, sizeof c) > 0)
		;
	t_check(poll(&p, 1, 1000) == 1 && p.revents == POLLOUT, "and again", "%#x", p.revents);
	full = 0;
	errno = 0;
	while (full < 1 << 20 && write(master, c, sizeof c) > 0)
		full += (int)sizeof c;
	t_check(full < 1 << 20 && errno == EAGAIN, "nobody reads what is typed: EAGAIN", "%d",
		full);
	close_pair();
}

static volatile sig_atomic_t seen[65];

static void note(int sig)
{
	seen[sig]++;
}

static void catch (int sig)
{
	struct sigaction sa = {.sa_handler = note};
	sigaction(sig, &sa, NULL);
}

/* In a child: a session of its own on the slave. */
static void begin_session(void)
{
	setsid();
	ioctl(slave, TIOCSCTTY, 0);
	close(master);
}

static void session_child(void)
{
	struct winsize w;

	begin_session();
	catch (SIGWINCH);
	catch (SIGINT);
	int tty = open("/dev/tty", O_RDWR);
	dprintf(slave, "%d %d %d\n", tty >= 0, tcgetpgrp(slave) == getpid(),
		tcgetsid(slave) == getpid());
	while (!seen[SIGWINCH])
		usleep(1000);
	ioctl(slave, TIOCGWINSZ, &w);
	dprintf(slave, "%d %d\n", w.ws_row, w.ws_col);
	while (!seen[SIGINT])
		usleep(1000);
	/* A child in a group of its own, in the background, reads: it is stopped, and goes on in the foreground. */
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		setpgid(0, 0);
		_exit(read(slave, &c, 1) == 1 && c == '\n' ? 3 : 4);
	}
	int st = 0;
	setpgid(pid, pid);
	waitpid(pid, &st, WUNTRACED);
	dprintf(slave, "%d\n", WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
	tcsetpgrp(slave, pid);
	kill(-pid, SIGCONT);
	waitpid(pid, &st, 0);
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(slave, getpid());
	dprintf(slave, "%d\n", WIFEXITED(st) ? WEXITSTATUS(st) : -1);
	_exit(5);
}

static void sessions(void)
{
	struct winsize w = {.ws_row = 33, .ws_col = 99};
	int pgrp = 0, st;

	open_pair();
	pid_t pid = fork();
	if (pid == 0)
		session_child();
	close(slave);
	GETS(master, "1 1 1\r\n", "a session's terminal");
	t_check(ioctl(master, TIOCGPGRP, &pgrp) == 0 && pgrp == pid, "its group, at the master",
		"%d", pgrp);
	t_check(tcgetpgrp(master) == pid && ioctl(master, TIOCSWINSZ, &w) == 0, "its size", "-1");
	GETS(master, "33 99\r\n", "SIGWINCH");
	type("\x03");
	GETS(master, "^C1\r\n", "^C; in the background a read stops");
	type("\n");
	GETS(master, "\r\n3\r\n", "in the foreground it goes on");
	waitpid(pid, &st, 0);
	t_check(WIFEXITED(st) && WEXITSTATUS(st) == 5, "its end", "%#x", st);
	char c;
	struct pollfd p = {master, POLLIN, 0};
	t_check(poll(&p, 1, 5000) == 1 && p.revents == POLLHUP, "the master hears of it", "%#x",
		p.revents);
	errno = 0;
	t_check(read(master, &c, 1) < 0 && errno == EIO, "EIO", "no");
	/* Somebody opens the slave again. */
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	t_write_all(slave, "again\n", 6);
	GETS(master, "again\r\n", "the slave is used again");
	close_pair();
}

static void hung_child(void)
{
	char c;
	struct pollfd p = {slave, 0, 0};

	begin_session();
	catch (SIGHUP);
	catch (SIGCONT);
	t_write_all(slave, "x", 1);
	errno = 0;
	bool told = read(slave, &c, 1) <= 0; /* EINTR, EIO or an end, as it comes */
	for (int i = 0; i < 1000 && !(seen[SIGHUP] && seen[SIGCONT]); i++)
		usleep(1000);
	bool ended = read(slave, &c, 1) == 0;
	errno = 0;
	bool failed = write(slave, "x", 1) < 0 && errno == EIO;
	poll(&p, 1, 0);
	_exit(told << 4 | ended << 3 | failed << 2 | !!(p.revents & POLLHUP) << 1 |
	      (seen[SIGHUP] == 1 && seen[SIGCONT] == 1));
}

static void hang_ups(void)
{
	int st;

	open_pair();
	pid_t pid = fork();
	if (pid == 0)
		hung_child();
	close(slave);
	GETS(master, "x", "a session at work");
	close(master);
	waitpid(pid, &st, 0);
	t_check(WIFEXITED(st) && WEXITSTATUS(st) == 31, "the master closes: hung up", "%#x", st);

	/* The leader ends: the foreground group is told. */
	open_pair();
	pid = fork();
	if (pid == 0) {
		begin_session();
		signal(SIGHUP, SIG_IGN);
		if (fork() == 0) {
			signal(SIGHUP, SIG_DFL);
			t_write_all(slave, "y", 1);
			pause();
			_exit(0);
		}
		pause();
	}
	close(slave);
	GETS(master, "y", "a group at work");
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	struct pollfd p = {master, POLLIN, 0};
	t_check(poll(&p, 1, 5000) == 1 && p.revents == POLLHUP, "the leader is killed: SIGHUP",
		"%#x", p.revents);
	close(master);
}

/* What somebody else may do with a pair of root's, and how many an ordinary user may have. */
static void stranger(void *name)
{
	int n = 0, bad = 0;

	if (setgid(1000) || setuid(1000))
		_exit(99);
	bad |= open(name, O_RDWR | O_NOCTTY) >= 0 || errno != EACCES;
	bad |= (open(name, O_WRONLY | O_NOCTTY) >= 0 || errno != EACCES) << 1;
	bad |= (access(name, R_OK) == 0) << 2;
	bad |= (chmod(name, 0666) == 0 || errno != EPERM) << 3;
	bad |= (openpty(&master, &slave, NULL, NULL, NULL) < 0) << 4;
	close_pair();
	if (t_whimbrel()) {
		while (n < 1000 && posix_openpt(O_RDWR) >= 0)
			n++;
		bad |= (n != 32 || errno != EAGAIN) << 5; /* ENOSPC, as musl tells it */
	}
	_exit(bad);
}

static void strangers(void)
{
	open_pair();
	int st = t_in_child(stranger, ptsname(master));
	t_check(st == 0, "an ordinary user and another's", "%#x", st);
	close_pair();
}

/* COMMAND on a terminal of 24 x 80; what it shows goes to our output, our input is typed, slowly. Its exit status is ours. */
static int run(char **command)
{
	struct winsize w = {.ws_row = 24, .ws_col = 80};
	char buf[512];
	ssize_t n;
	int st;
	pid_t pid = forkpty(&master, NULL, NULL, &w);

	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	pid_t screen = fork();
	if (screen == 0) {
		while ((n = read(master, buf, sizeof buf)) > 0)
			t_write_all(1, buf, (size_t)n);
		_exit(0);
	}
	while ((n = read(0, buf, 1)) > 0) {
		t_write_all(master, buf, 1);
		t_sleep_ms(buf[0] == '\n' ? 300 : 1);
	}
	waitpid(pid, &st, 0);
	waitpid(screen, NULL, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--run"))
		return run(argv + 2);
	names();
	lines();
	bulk();
	nobody_reads();
	sessions();
	hang_ups();
	if (geteuid() == 0)
		strangers();
	return t_end();
}
