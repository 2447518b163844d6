/* SPDX-License-Identifier: MIT */
/* Pipes: order, end of file, EPIPE, non-blocking ends, poll and select, scattered reads and writes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { TOTAL = 3000000, STAGES = 5, WRITERS = 4, RECORD = 512, RECORDS = 200 };

static void open_pipe(int fd[2], int flags)
{
	if (pipe2(fd, flags) < 0)
		t_die("pipe2");
}

/* A row of processes, each copying with odd sizes; what comes out is what went in. */
static void pipeline(void)
{
	static char buf[100000];
	int in[2], s;
	uint64_t seed = 77, at = 0;

	open_pipe(in, 0);
	if (fork() == 0) {
		close(in[0]);
		while (at < TOTAL) {
			size_t n = 1 + t_below(&seed, 30000);

			n = n < TOTAL - at ? n : TOTAL - at;
			t_fill(buf, n, at, 5);
			t_write_all(in[1], buf, n);
			at += n;
		}
		_exit(0);
	}
	close(in[1]);
	for (int k = 0; k < STAGES; k++) {
		int next[2];

		open_pipe(next, 0);
		if (fork() == 0) {
			ssize_t n;

			close(next[0]);
			while ((n = read(in[0], buf, 1000 + 7777 * k)) > 0)
				t_write_all(next[1], buf, n);
			_exit(n < 0);
		}
		close(in[0]);
		close(next[1]);
		in[0] = next[0];
	}
	ssize_t n;
	long bad = 0;

	for (at = 0; (n = read(in[0], buf, sizeof(buf))) > 0; at += n)
		bad += t_compare(buf, n, at, 5) >= 0;
	t_check(n == 0 && at == TOTAL && bad == 0, "three megabytes through five processes",
		"%llu bytes arrived, %ld reads had wrong bytes, the last gave %zd",
		(unsigned long long)at, bad, n);
	close(in[0]);
	bool clean = true;

	for (int k = 0; k <= STAGES; k++)
		clean &= wait(&s) > 0 && WIFEXITED(s) && WEXITSTATUS(s) == 0;
	t_check(clean, "all of them end well", "one did not");
}

static void ends(void)
{
	int fd[2];
	char c;

	open_pipe(fd, 0);
	t_write_all(fd[1], "ab", 2);
	close(fd[1]);
	t_check(read(fd[0], &c, 1) == 1 && c == 'a' && read(fd[0], &c, 1) == 1 &&
			read(fd[0], &c, 1) == 0,
		"what is in the pipe comes before its end", "it does not");
	close(fd[0]);
	open_pipe(fd, 0);
	close(fd[0]);
	signal(SIGPIPE, SIG_IGN);
	errno = 0;
	t_check(write(fd[1], "x", 1) == -1 && errno == EPIPE, "no reader gives EPIPE",
		"it does not");
	signal(SIGPIPE, SIG_DFL);
	pid_t pid = fork();
	int s;

	if (pid == 0)
		_exit(write(fd[1], "x", 1) != 1);
	waitpid(pid, &s, 0);
	errno = 0;
	t_check(WIFSIGNALED(s) && WTERMSIG(s) == SIGPIPE, "and SIGPIPE", "status %#x", s);
	close(fd[1]);
	open_pipe(fd, 0);
	errno = 0;
	t_check(read(fd[1], &c, 1) == -1 && errno == EBADF, "the writing end cannot be read",
		"it can");
	errno = 0;
	t_check(write(fd[0], &c, 1) == -1 && errno == EBADF, "the reading end cannot be written",
		"it can");
	errno = 0;
	t_check(lseek(fd[0], 0, SEEK_CUR) == -1 && errno == ESPIPE, "a pipe cannot be sought",
		"it can");
	close(fd[0]);
	close(fd[1]);
}

static void nonblocking(void)
{
	static char buf[65536];
	int fd[2];
	long put = 0, got = 0;
	ssize_t n;

	open_pipe(fd, O_NONBLOCK | O_CLOEXEC);
	t_check(fcntl(fd[0], F_GETFD) == FD_CLOEXEC && (fcntl(fd[0], F_GETFL) & O_NONBLOCK),
		"pipe2 sets the flags", "it does not");
	errno = 0;
	t_check(read(fd[0], buf, 1) == -1 && errno == EAGAIN, "an empty pipe gives EAGAIN",
		"it does not");
	while ((n = write(fd[1], buf, 1000)) > 0)
		put += n;
	t_check(errno == EAGAIN && put >= 4096, "so does a full one", "after %ld bytes", put);
	while ((n = read(fd[0], buf, sizeof(buf))) > 0)
		got += n;
	t_check(got == put, "all of it comes out again", "%ld of %ld", got, put);
	close(fd[0]);
	close(fd[1]);
}

/* Writes of at most PIPE_BUF bytes are not mixed. */
static void atomic(void)
{
	int fd[2], s;
	char rec[RECORD];

	open_pipe(fd, 0);
	for (int w = 0; w < WRITERS; w++)
		if (fork() == 0) {
			memset(rec, 'a' + w, sizeof(rec));
			for (int i = 0; i < RECORDS; i++)
				t_write_all(fd[1], rec, sizeof(rec));
			_exit(0);
		}
	close(fd[1]);
	long whole = 0;
	size_t have = 0;
	ssize_t n;

	while ((n = read(fd[0], rec + have, sizeof(rec) - have)) > 0) {
		have += n;
		if (have < sizeof(rec))
			continue;
		have = 0;
		whole += !memcmp(rec, rec + 1, sizeof(rec) - 1);
	}
	errno = 0;
	t_check(whole == WRITERS * RECORDS && have == 0, "small writes stay whole",
		"%ld whole of %d", whole, WRITERS * RECORDS);
	while (wait(&s) > 0)
		;
	close(fd[0]);
}

static void polling(void)
{
	int fd[2];
	char c;

	open_pipe(fd, 0);
	struct pollfd p[2] = {{fd[0], POLLIN, 0}, {fd[1], POLLOUT, 0}};

	t_check(poll(p, 2, 0) == 1 && p[0].revents == 0 && p[1].revents == POLLOUT,
		"an empty pipe is writable only", "%#x %#x", p[0].revents, p[1].revents);
	int64_t start = t_mono_ns();

	t_check(poll(p, 1, 100) == 0, "poll times out", "it said %#x", p[0].revents);
	int64_t took = t_mono_ns() - start;

	errno = 0;
	t_check(took >= 99000000 && took < 3000000000, "after its time", "after %lld us",
		(long long)took / 1000);
	if (fork() == 0) {
		t_sleep_ms(50);
		t_write_all(fd[1], "k", 1);
		_exit(0);
	}
	t_check(poll(p, 1, 10000) == 1 && p[0].revents == POLLIN, "poll wakes up for bytes", "%#x",
		p[0].revents);
	t_check(read(fd[0], &c, 1) == 1 && c == 'k', "they are there", "they are not");
	wait(NULL);
	t_write_all(fd[1], "x", 1);
	close(fd[1]);
	t_check(poll(p, 1, 0) == 1 && p[0].revents == (POLLIN | POLLHUP), "bytes and no writer",
		"%#x", p[0].revents);
	t_check(read(fd[0], &c, 1) == 1 && poll(p, 1, 0) == 1 && p[0].revents == POLLHUP,
		"no writer", "%#x", p[0].revents);
	close(fd[0]);
	t_check(poll(p, 1, 0) == 1 && p[0].revents == POLLNVAL,
		"a closed descriptor gives POLLNVAL", "%#x", p[0].revents);

	open_pipe(fd, 0);
	t_write_all(fd[1], "s", 1);
	fd_set r, w;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(fd[0], &r);
	FD_SET(fd[1], &w);
	struct timeval tv = {5, 0};
	int ready = select(fd[1] + 1, &r, &w, NULL, &tv);

	t_check(ready == 2 && FD_ISSET(fd[0], &r) && FD_ISSET(fd[1], &w), "select sees both ends",
		"%d are ready", ready);
	close(fd[0]);
	close(fd[1]);
}

static void vectors(void)
{
	int fd[2];
	char a[4] = "", b[8] = "";
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"fourtwo", 7}}, in[2] = {{a, 3}, {b, 7}};

	open_pipe(fd, 0);
	t_check(writev(fd[1], out, 3) == 10 && readv(fd[0], in, 2) == 10 && !strcmp(a, "one") &&
			!strcmp(b, "fourtwo"),
		"writev and readv", "got '%s' '%s'", a, b);
	int dup_end = dup(fd[1]);

	close(fd[1]);
	t_write_all(dup_end, "d", 1);
	t_check(read(fd[0], a, 1) == 1 && a[0] == 'd', "a duplicate is the same end", "it is not");
	close(dup_end);
	t_check(read(fd[0], a, 1) == 0, "the last one closed is the end", "it is not");
	close(fd[0]);
}

/* With no descriptor free, and with one: the driver of the test looks whether pipes are left behind. */
static void no_descriptor(void)
{
	int last = -1, fd[2], failed = 0;

	for (int next; (next = dup(0)) >= 0;)
		last = next;
	errno = 0;
	for (int i = 0; i < 100; i++)
		failed += pipe(fd) == -1 && errno == EMFILE;
	close(last);
	for (int i = 0; i < 100; i++)
		failed += pipe(fd) == -1 && errno == EMFILE;
	t_check(failed == 200, "EMFILE with too few descriptors", "%d of 200", failed);
	while (last > 2)
		close(last--);
}

/* A descriptor is an int: the upper half of the register is nobody's business. */
static void wide_descriptor(void)
{
	int fd[2];

	open_pipe(fd, 0);
	errno = 0;
	t_check(syscall(SYS_ioctl, 1ul << 32 | (unsigned)fd[0], FIOCLEX, 0ul) == 0 &&
			fcntl(fd[0], F_GETFD) == FD_CLOEXEC,
		"FIOCLEX of descriptor 2^32 + n", "is not that of n");
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	pipeline();
	ends();
	nonblocking();
	atomic();
	polling();
	vectors();
	wide_descriptor();
	no_descriptor();
	return t_end();
}
