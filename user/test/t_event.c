/* SPDX-License-Identifier: MIT */
/* Events as descriptors: eventfd, timerfd, epoll with levels, edges, one shot, nested, and files that are closed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static void eventfds(void)
{
	int fd = eventfd(3, EFD_NONBLOCK);
	eventfd_t v = 0;
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	t_check(eventfd_read(fd, &v) == 0 && v == 3, "eventfd: initial value", "%lu",
		(unsigned long)v);
	errno = 0;
	t_check(eventfd_read(fd, &v) < 0 && errno == EAGAIN, "then empty", "no EAGAIN");
	t_check(poll(&p, 1, 0) == 1 && p.revents == POLLOUT, "writable", "%#x", p.revents);
	eventfd_write(fd, 5);
	eventfd_write(fd, 6);
	t_check(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT), "readable", "%#x",
		p.revents);
	t_check(eventfd_read(fd, &v) == 0 && v == 11, "sums up", "%lu", (unsigned long)v);
	eventfd_write(fd, 0xfffffffffffffffe);
	errno = 0;
	t_check(eventfd_write(fd, 1) < 0 && errno == EAGAIN, "full", "no EAGAIN");
	t_check(poll(&p, 1, 0) == 1 && p.revents == POLLIN, "not writable", "%#x", p.revents);
	errno = 0;
	t_check(eventfd_write(fd, 0xffffffffffffffff) < 0 && errno == EINVAL, "not that much",
		"no EINVAL");
	close(fd);

	fd = eventfd(0, EFD_SEMAPHORE);
	pid_t pid = fork();

	if (pid == 0) {
		t_sleep_ms(20);
		eventfd_write(fd, 2);
		_exit(0);
	}
	t_check(eventfd_read(fd, &v) == 0 && v == 1, "semaphore: waits, gives one", "%lu",
		(unsigned long)v);
	t_check(eventfd_read(fd, &v) == 0 && v == 1, "and another", "%lu", (unsigned long)v);
	waitpid(pid, NULL, 0);
	close(fd);
}

static struct itimerspec ms(long first, long every)
{
	return (struct itimerspec){.it_value = {first / 1000, first % 1000 * 1000000},
				   .it_interval = {every / 1000, every % 1000 * 1000000}};
}

static void timerfds(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec s = ms(30, 20), now;
	uint64_t n = 0;
	int64_t from = t_mono_ns();

	timerfd_settime(fd, 0, &s, NULL);
	read(fd, &n, 8);
	int64_t took = t_mono_ns() - from;

	t_check(n >= 1 && took >= 30000000, "timerfd: the first", "%lu after %ld us",
		(unsigned long)n, (long)took / 1000);
	t_sleep_ms(100);
	t_check(read(fd, &n, 8) == 8 && n >= 3, "missed ones are counted", "%lu", (unsigned long)n);
	timerfd_gettime(fd, &now);
	t_check(now.it_interval.tv_nsec == 20000000 && now.it_value.tv_nsec > 0 &&
			now.it_value.tv_nsec <= 20000000,
		"what is left", "%ld %ld", now.it_interval.tv_nsec, now.it_value.tv_nsec);
	s = ms(0, 0);
	timerfd_settime(fd, 0, &s, NULL);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	errno = 0;
	t_check(read(fd, &n, 8) < 0 && errno == EAGAIN, "disarmed", "no EAGAIN");
	clock_gettime(CLOCK_MONOTONIC, &s.it_value);
	from = t_mono_ns();
	s.it_value.tv_nsec += 40000000;
	if (s.it_value.tv_nsec >= 1000000000) {
		s.it_value.tv_nsec -= 1000000000;
		s.it_value.tv_sec++;
	}
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL);
	struct pollfd p = {fd, POLLIN, 0};
	int r = poll(&p, 1, 2000);

	took = t_mono_ns() - from;
	t_check(r == 1 && took >= 39000000, "an absolute time, by poll", "%d after %ld us", r,
		(long)took / 1000);
	close(fd);
}

static int ep;

static int ctl(int op, int fd, unsigned events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data.u64 = data};

	return epoll_ctl(ep, op, fd, &e);
}

/* "data:events data:events" of what is ready, in order of data. */
static int ready(unsigned *events, uint64_t *data, int timeout)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, timeout);

	for (int i = 0; i < n; i++) {
		events[i] = e[i].events;
		data[i] = e[i].data.u64;
	}
	return n;
}

/* Linux has five levels; here there are two, from whichever end a third is begun. */
static void too_deep(int outer)
{
	struct epoll_event e = {.events = EPOLLIN};
	int third = epoll_create(1);

	errno = 0;
	t_check(epoll_ctl(third, EPOLL_CTL_ADD, outer, &e) < 0 && errno == ELOOP,
		"nothing above two levels", "no ELOOP");
	errno = 0;
	t_check(ctl(EPOLL_CTL_ADD, third, EPOLLIN, 0) < 0 && errno == ELOOP, "nor below them",
		"no ELOOP");
	close(third);
}

static void epolls(void)
{
	int a[2], b[2], n;
	unsigned ev[8];
	uint64_t d[8];
	char c;

	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || pipe(a) < 0 || pipe(b) < 0)
		t_die("epoll_create1");
	t_check(ctl(EPOLL_CTL_ADD, a[0], EPOLLIN, 7) == 0, "epoll: add", "failed");
	errno = 0;
	t_check(ctl(EPOLL_CTL_ADD, a[0], EPOLLIN, 7) < 0 && errno == EEXIST, "not twice",
		"no EEXIST");
	errno = 0;
	t_check(ctl(EPOLL_CTL_MOD, b[0], EPOLLIN, 7) < 0 && errno == ENOENT, "modify none",
		"no ENOENT");
	int file = open("/proc/self/exe", O_RDONLY);

	errno = 0;
	t_check(ctl(EPOLL_CTL_ADD, file, EPOLLIN, 0) < 0 && errno == EPERM,
		"a file is always ready", "no EPERM");
	close(file);
	errno = 0;
	t_check(ctl(EPOLL_CTL_ADD, ep, EPOLLIN, 0) < 0 && errno == EINVAL, "not itself",
		"no EINVAL");
	int64_t from = t_mono_ns();

	n = ready(ev, d, 30);
	t_check(n == 0 && t_mono_ns() - from >= 29000000, "time-out", "%d", n);
	write(a[1], "x", 1);
	n = ready(ev, d, -1);
	t_check(n == 1 && ev[0] == EPOLLIN && d[0] == 7, "ready", "%d %#x %lu", n, ev[0],
		(unsigned long)d[0]);
	t_check(ready(ev, d, 0) == 1, "a level stays", "it did not");
	ctl(EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLET, 8);
	n = ready(ev, d, 0);
	t_check(n == 1 && d[0] == 8, "after a change it is told again", "%d", n);
	t_check(ready(ev, d, 0) == 0, "an edge is told once", "it was told again");
	write(a[1], "y", 1);
	t_check(ready(ev, d, 100) == 1, "a new edge", "not told");
	ctl(EPOLL_CTL_MOD, a[0], EPOLLIN | EPOLLONESHOT, 9);
	t_check(ready(ev, d, 0) == 1 && ready(ev, d, 0) == 0, "one shot", "not once");
	write(a[1], "z", 1);
	t_check(ready(ev, d, 0) == 0, "then silence", "no");
	ctl(EPOLL_CTL_MOD, a[0], EPOLLIN, 9);
	t_check(ready(ev, d, 0) == 1, "armed again", "no");
	ctl(EPOLL_CTL_ADD, b[1], EPOLLOUT, 10);
	n = ready(ev, d, 0);
	t_check(n == 2 && d[0] + d[1] == 19, "two are ready", "%d", n);

	int outer = epoll_create(1), inner = ep;
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 99};

	epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e);
	t_check(epoll_wait(outer, &e, 1, 0) == 1 && e.data.u64 == 99, "an epoll in another",
		"not ready");
	errno = 0;
	t_check(ctl(EPOLL_CTL_ADD, outer, EPOLLIN, 0) < 0 && errno == ELOOP, "but not in a circle",
		"no ELOOP");
	if (t_whimbrel())
		too_deep(outer);
	ctl(EPOLL_CTL_DEL, b[1], 0, 0);
	while (ready(ev, d, 0) > 0)
		read(a[0], &c, 1);
	t_check(epoll_wait(outer, &e, 1, 0) == 0, "nothing left", "something is");
	pid_t pid = fork();

	if (pid == 0) {
		t_sleep_ms(30);
		write(a[1], "w", 1);
		_exit(0);
	}
	t_check(epoll_wait(outer, &e, 1, 2000) == 1, "woken through both", "not");
	waitpid(pid, NULL, 0);
	close(outer);

	int twin = dup(a[0]);

	close(a[0]);
	t_check(ready(ev, d, 0) == 1, "kept by a duplicate", "not");
	close(twin);
	close(a[1]);
	t_check(ready(ev, d, 0) == 0, "gone with the last close", "no");
	ctl(EPOLL_CTL_ADD, b[0], EPOLLIN, 5);
	close(b[1]);
	n = ready(ev, d, 0);
	t_check(n == 1 && ev[0] == EPOLLHUP, "hang-up is told unasked", "%d %#x", n, ev[0]);
	close(b[0]);
	close(ep);
}

/* Members are kernel memory, and each wake-up looks through them all. */
static void many(void)
{
	int e = eventfd(0, 0), to = fcntl(e, F_DUPFD, 100), n = 0;
	struct epoll_event want = {.events = EPOLLIN};

	errno = 0;
	for (int k = 0; k < 16 && errno != ENOSPC; k++) {
		ep = epoll_create1(0);
		for (int fd = to; fd < to + 150 && errno != ENOSPC; fd++, n++) {
			dup2(e, fd);
			if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &want))
				break;
		}
	}
	t_check(errno == ENOSPC && n > 1000, "a user's members have a limit", "%d: errno %d", n,
		errno);
	eventfd_write(e, 1);
	t_check(epoll_wait(ep, &want, 1, 0) == 1, "and all are woken", "not ready");
	for (int fd = 3; fd < 256; fd++)
		close(fd);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct epoll_event e;
	sigset_t none, alarm_set;

	ep = epoll_create1(0);
	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 0);
	errno = 0;
	t_check(epoll_wait(ep, &e, 1, 2000) < 0 && errno == EINTR, "a handler ends the wait",
		"no EINTR");
	sigemptyset(&none);
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm_set, NULL);
	raise(SIGALRM);
	errno = 0;
	t_check(epoll_pwait(ep, &e, 1, 2000, &none) < 0 && errno == EINTR, "epoll_pwait lets it in",
		"no EINTR");
	close(ep);
}

int main(void)
{
	eventfds();
	timerfds();
	epolls();
	interrupted();
	if (t_whimbrel())
		many();
	return t_end();
}
