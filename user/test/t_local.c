/* SPDX-License-Identifier: MIT */
/*
 * t_local DIR: a process that for a while holds what cannot be kept on another node, a snapshot in /proc, an eventfd and
 * shared memory, and for longer a pipe, which stays where it is and is used from afar, and a timer, which moves along.
 * DIR/open asks it to open all (it answers DIR/opened), DIR/close to close the snapshot (DIR/closed), DIR/unevent the
 * eventfd (DIR/unevented), DIR/unmap to unmap the memory (DIR/unmapped), DIR/end to use the pipe and the timer and to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

/* Both ends are on another node than this process. */
static void use_pipe(const int *fd, const struct stat *before)
{
	struct pollfd p[2] = {{.fd = fd[0], .events = POLLIN}, {.fd = fd[1], .events = POLLOUT}};
	struct stat s = {0};
	char c = 0;
	int there = 0;

	bool same = fstat(fd[0], &s) == 0;
	t_check(same && s.st_ino == before->st_ino && S_ISFIFO(s.st_mode), "it is the same pipe",
		"inode %lu, was %lu", (unsigned long)s.st_ino, (unsigned long)before->st_ino);
	t_check(poll(p, 2, 0) == 2, "both ends are ready", "%x %x", p[0].revents, p[1].revents);
	t_check(ioctl(fd[0], FIONREAD, &there) == 0 && there == 1, "one byte is in it", "%d",
		there);
	t_read_all(fd[0], &c, 1);
	t_check(c == 'l', "the pipe keeps what is in it", "it gave %d", c);
	t_check(poll(p, 1, 20) == 0, "it is empty now", "%x", p[0].revents);
	t_check(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(fd[0], F_GETFL) == O_NONBLOCK &&
			read(fd[0], &c, 1) == -1 && errno == EAGAIN,
		"it can be made not to wait", "%s", strerror(errno));
	t_check(lseek(fd[0], 0, SEEK_CUR) == -1 && errno == ESPIPE, "it has no offset", "%s",
		strerror(errno));
	close(fd[1]);
	t_check(read(fd[0], &c, 1) == 0, "and ends when its writer has", "%s", strerror(errno));
}

/* SIGUSR1 with a value, in `ms` and then every `ms`. */
static void start_timer(long ms)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL,
			     .sigev_signo = SIGUSR1,
			     .sigev_value.sival_int = 12345};
	struct itimerspec s = {.it_value = {ms / 1000, ms % 1000 * 1000000},
			       .it_interval = {ms / 1000, ms % 1000 * 1000000}};
	sigset_t set;
	timer_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (timer_create(CLOCK_MONOTONIC, &e, &t) < 0 || timer_settime(t, 0, &s, NULL) < 0)
		t_die("timer");
}

static void use_timer(void)
{
	struct timespec patience = {20, 0};
	siginfo_t i = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	for (int k = 0; k < 2; k++) { /* the first may have come long ago */
		errno = 0;
		t_check(sigtimedwait(&set, &i, &patience) == SIGUSR1 &&
				i.si_value.sival_int == 12345,
			"the timer ticks here, too", "tick %d: code %d value %d", k, i.si_code,
			i.si_value.sival_int);
	}
}

int main(int argc, char **argv)
{
	int fd[2];
	struct stat s = {0};
	char line[64];

	if (argc != 2) {
		fprintf(stderr, "usage: t_local DIR\n");
		return 2;
	}
	t_make_sign(argv[1], "free");
	t_wait_sign(argv[1], "open");
	if (pipe(fd) < 0 || fstat(fd[0], &s) < 0)
		t_die("pipe");
	int snapshot = open("/proc/meminfo", O_RDONLY);

	if (snapshot < 0)
		t_die("/proc/meminfo");
	int event = eventfd(1, 0);
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (event < 0 || memory == MAP_FAILED)
		t_die("eventfd, mmap");
	memory[0] = 1;
	start_timer(500);
	t_write_all(fd[1], "l", 1);
	t_read_all(snapshot, line, 5);
	t_make_sign(argv[1], "opened");
	t_wait_sign(argv[1], "close");
	close(snapshot);
	t_make_sign(argv[1], "closed");
	t_wait_sign(argv[1], "unevent");
	close(event);
	t_make_sign(argv[1], "unevented");
	t_wait_sign(argv[1], "unmap");
	munmap(memory, 8192);
	t_make_sign(argv[1], "unmapped");
	t_wait_sign(argv[1], "end");
	use_pipe(fd, &s);
	use_timer();
	return t_end();
}
