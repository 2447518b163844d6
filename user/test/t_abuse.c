/* SPDX-License-Identifier: MIT */
/*
 * t_abuse bomb [--uid U] [--seconds S]    every process of the bomb forks as fast as it can, until it is told to stop
 * t_abuse memory [--uid U]                touch memory until an allocation fails or the process is killed
 * t_abuse share [--uid U] [--procs N]     N processes touch memory together until each has failed or was killed
 * t_abuse shm [--uid U]                   as memory, but MAP_SHARED and unmapped from view at once
 * t_abuse stack                           recursion without an end must die of SIGSEGV and of nothing else
 * t_abuse timers [--uid U] [--seconds S]  N processes, each with as many timers as it gets, due all the time and heard by nobody
 * t_abuse reap [--procs N]                create and reap N processes, one after the other and in batches
 *
 * What misbehaves runs as uid U (31998); the parent, root, watches and clears up. The machine is meant to go on: the
 * offender gets the error or the signal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum { CHUNK = 1 << 20, PAGE = 4096, REAP_BATCH = 20 };

static void become(long uid)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	if (setgroups(0, NULL) < 0 || setgid((gid_t)uid) < 0 || setuid((uid_t)uid) < 0)
		t_die("become uid %ld", uid);
}

/* ---- a fork bomb ---- */

/* Each tells of its forks by a byte; when the pipe is full it waits there, so a bomb is as fast as its tally. */
enum { MADE, REFUSED, WRONG, KINDS };

static _Noreturn void explode(int tally)
{
	for (;;) {
		pid_t pid = fork();
		char what = MADE;

		if (pid > 0)
			continue;
		if (pid < 0)
			what = errno == EAGAIN || errno == ENOMEM ? REFUSED : WRONG;
		if (write(tally, &what, 1) != 1)
			_exit(1);
		if (pid < 0)
			t_sleep_ms(5);
	}
}

/* Read what the bomb tells until `end`, or (end 0) until nobody is left to tell. false: it did end. */
static bool listen_to(int fd, int64_t end, long count[KINDS])
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char what[512];

	while (!end || t_mono_ns() < end) {
		int ready = poll(&p, 1, 100);
		ssize_t n = ready > 0 ? read(fd, what, sizeof(what)) : 1;

		if (n <= 0)
			return false;
		for (ssize_t i = 0; ready > 0 && i < n; i++)
			count[(int)what[i]]++;
	}
	return true;
}

static int bomb(long uid, long seconds)
{
	long count[KINDS] = {0};
	int fd[2];

	if (pipe(fd) < 0)
		t_die("pipe");
	pid_t first = fork();

	if (first < 0)
		t_die("fork");
	if (first == 0) {
		setpgid(0, 0);
		close(fd[0]);
		become(uid);
		explode(fd[1]);
	}
	setpgid(first, first);
	close(fd[1]);
	int64_t began = t_mono_ns(), second = 1000000000;
	bool went_on = listen_to(fd[0], began + seconds * second, count);

	/* On a host that is busy it may take longer until it hurts. */
	while (went_on && count[REFUSED] == 0 && t_mono_ns() < began + 20 * seconds * second)
		went_on = listen_to(fd[0], t_mono_ns() + second, count);

	/* A group is signalled at one moment, so a bomb does not outrun it. */
	kill(-first, SIGKILL);
	waitpid(first, NULL, 0);
	bool left = listen_to(fd[0], t_mono_ns() + 20000000000, count);

	printf("%ld processes made, %ld forks refused\n", count[MADE], count[REFUSED]);
	errno = 0;
	t_check(went_on, "the bomb burns until it is put out", "it ended by itself");
	t_check(!left, "one signal to the group ends every process of the bomb", "some are left");
	t_check(count[WRONG] == 0, "a refused fork says EAGAIN or ENOMEM", "%ld did not",
		count[WRONG]);
	t_check(count[MADE] > 20 && count[REFUSED] > 0, "it grew until forks were refused",
		"%ld made, %ld refused", count[MADE], count[REFUSED]);
	return t_end();
}

/* ---- memory ---- */

static int kind = MAP_PRIVATE;

static void devour(void *arg)
{
	become(*(long *)arg);
	for (;;) {
		char *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(errno == ENOMEM ? 0 : 1);
		for (size_t i = 0; i < CHUNK; i += PAGE)
			p[i] = (char)i;
		if (kind == MAP_SHARED) /* in no page table any more, but not given back */
			madvise(p, CHUNK, MADV_DONTNEED);
	}
}

static bool ended_of_memory(int status)
{
	return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	       (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int memory(long uid, long procs)
{
	long rightly = 0;
	int status = 0;

	for (long i = 0; i < procs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			t_die("fork");
		if (pid == 0)
			devour(&uid);
	}
	for (long i = 0; i < procs; i++) {
		if (wait(&status) < 0)
			t_die("wait");
		rightly += ended_of_memory(status);
	}
	errno = 0;
	t_check(rightly == procs, "who takes all memory gets ENOMEM or SIGKILL",
		"%ld of %ld, last wait status %#x", rightly, procs, (unsigned)status);
	return t_end();
}

/* ---- the stack ---- */

static int __attribute__((noinline)) sink(int n)
{
	volatile char room[1000];

	room[n % 1000] = 1;
	return n < 0 ? 0 : sink(n + 1) + room[n % 7];
}

static void overflow(void *arg)
{
	(void)arg;
	_exit(sink(1));
}

static int stack(void)
{
	int status = t_in_child(overflow, NULL);

	errno = 0;
	t_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV,
		"a stack that overflows ends in SIGSEGV", "wait status %#x", (unsigned)status);
	return t_end();
}

/* ---- many processes ---- */

static int reap(long procs)
{
	long made = 0, good = 0, status_sum = 0;

	while (made < procs) {
		long batch = made / REAP_BATCH % 2 ? REAP_BATCH : 1, started = 0;

		for (; started < batch && made + started < procs; started++) {
			pid_t pid = fork();

			if (pid < 0)
				t_die("fork %ld", made + started);
			if (pid == 0)
				_exit((int)((made + started) % 200));
		}
		for (long i = 0; i < started; i++) {
			int status;

			if (wait(&status) < 0)
				t_die("wait");
			good += WIFEXITED(status);
			status_sum += WEXITSTATUS(status) - (made + i) % 200;
		}
		made += started;
	}
	errno = 0;
	t_check(good == procs && status_sum == 0, "every process ended with its own status",
		"%ld of %ld; the sums differ by %ld", good, procs, status_sum);
	t_check(wait(NULL) < 0 && errno == ECHILD, "no child is left", "one is");
	return t_end();
}

/* ---- timers ---- */

static const struct itimerspec at_once = {.it_value.tv_nsec = 1, .it_interval.tv_nsec = 1};

static _Noreturn void arm_all(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t id;
	int fd;

	signal(SIGUSR1, SIG_IGN);
	while (timer_create(CLOCK_MONOTONIC, &e, &id) == 0)
		timer_settime(id, 0, &at_once, NULL);
	while ((fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0)
		timerfd_settime(fd, 0, &at_once, NULL);
	for (;;)
		pause();
}

static int storm(long uid, long procs, long seconds)
{
	pid_t first = fork();

	if (first < 0)
		t_die("fork");
	if (first == 0) {
		setpgid(0, 0);
		become(uid);
		for (long i = 1; i < procs && fork() > 0; i++)
			;
		arm_all();
	}
	setpgid(first, first);
	int64_t began = t_mono_ns(), late = 0;

	while (t_mono_ns() < began + seconds * 1000000000) {
		int64_t asleep = t_mono_ns();

		t_sleep_ms(20);
		asleep = t_mono_ns() - asleep - 20000000;
		late = asleep > late ? asleep : late;
	}
	kill(-first, SIGKILL);
	waitpid(first, NULL, 0);
	printf("a sleep of 20 ms ended %.1f ms late at most\n", (double)late / 1e6);
	t_check(late < 2000000000, "who sleeps is woken in spite of the storm", "%.1f ms late",
		(double)late / 1e6);
	return t_end();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long uid = t_option(argc, argv, "--uid", 31998);

	if (!strcmp(what, "bomb"))
		return bomb(uid, t_option(argc, argv, "--seconds", 5));
	if (!strcmp(what, "memory"))
		return memory(uid, 1);
	if (!strcmp(what, "shm")) {
		kind = MAP_SHARED;
		return memory(uid, 1);
	}
	if (!strcmp(what, "share"))
		return memory(uid, t_option(argc, argv, "--procs", 4));
	if (!strcmp(what, "stack"))
		return stack();
	if (!strcmp(what, "timers"))
		return storm(uid, t_option(argc, argv, "--procs", 40),
			     t_option(argc, argv, "--seconds", 5));
	if (!strcmp(what, "reap"))
		return reap(t_option(argc, argv, "--procs", 10000));
	fprintf(stderr,
		"usage: t_abuse bomb|memory|share|shm|stack|timers|reap [--uid U] [--seconds S] [--procs N]\n");
	return 2;
}
