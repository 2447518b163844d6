/* SPDX-License-Identifier: MIT */
/* Timers of timer_create; signals with values; signals that are waited for instead of handled. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

static volatile int count, value, code, sender;

static void on_signal(int sig, siginfo_t *i, void *context)
{
	(void)sig;
	(void)context;
	count++;
	value = i->si_value.sival_int;
	code = i->si_code;
	sender = i->si_pid;
}

static sigset_t just(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return set;
}

static void waits(void)
{
	sigset_t usr1 = just(SIGUSR1), chld = just(SIGCHLD);
	struct timespec none = {0, 0}, some = {0, 30000000}, long_time = {5, 0};
	siginfo_t i;

	sigprocmask(SIG_BLOCK, &usr1, NULL);
	raise(SIGUSR1);
	t_check(sigtimedwait(&usr1, &i, &none) == SIGUSR1 && i.si_signo == SIGUSR1 &&
			i.si_pid == getpid(),
		"one that is pending", "code %d pid %d", i.si_code, i.si_pid);
	errno = 0;
	t_check(sigtimedwait(&usr1, &i, &none) < 0 && errno == EAGAIN, "is taken", "no EAGAIN");
	int64_t from = t_mono_ns();

	errno = 0;
	t_check(sigtimedwait(&usr1, &i, &some) < 0 && errno == EAGAIN &&
			t_mono_ns() - from >= 30000000,
		"time-out", "after %ld us", (long)(t_mono_ns() - from) / 1000);
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		t_sleep_ms(30);
		sigqueue(parent, SIGUSR1, (union sigval){.sival_int = 4711});
		_exit(3);
	}
	t_check(sigtimedwait(&usr1, &i, &long_time) == SIGUSR1 && i.si_value.sival_int == 4711 &&
			i.si_code == SI_QUEUE && i.si_pid == pid,
		"one that comes, with its value", "code %d value %d", i.si_code,
		i.si_value.sival_int);
	waitpid(pid, NULL, 0);

	sigprocmask(SIG_BLOCK, &chld, NULL); /* ignored unless blocked */
	pid = fork();
	if (pid == 0)
		_exit(9);
	t_check(sigwaitinfo(&chld, &i) == SIGCHLD && i.si_pid == pid && i.si_status == 9,
		"the end of a child", "pid %d status %d", i.si_pid, i.si_status);
	waitpid(pid, NULL, 0);
	sigprocmask(SIG_UNBLOCK, &chld, NULL);

	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 0);
	errno = 0;
	t_check(syscall(SYS_rt_sigtimedwait, &usr1, &i, &long_time, 8) < 0 && errno == EINTR,
		"another's handler ends it", "no EINTR");
	sigaction(SIGUSR2, &sa, NULL);
	sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = -5});
	t_check(value == -5 && code == SI_QUEUE && sender == getpid(), "a value for a handler",
		"%d code %d", value, code);
	errno = 0;
	t_check(sigqueue(getpid(), 99, (union sigval){0}) < 0 && errno == EINVAL, "signal 99",
		"no EINVAL");
	if (geteuid() == 0) {
		pid = fork();
		if (pid == 0) {
			setuid(1000);
			_exit(sigqueue(parent, SIGUSR2, (union sigval){0}) == 0 || errno != EPERM);
		}
		int status;

		waitpid(pid, &status, 0);
		t_check(status == 0, "another user may not", "status %#x", status);
	}
}

static void timers(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct sigevent e = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 77};
	struct itimerspec s = {.it_value = {0, 300000000}}, now;
	timer_t t, quiet;

	sigaction(SIGUSR2, &sa, NULL);
	t_check(timer_create(CLOCK_MONOTONIC, &e, &t) == 0, "timer_create", "failed");
	sigset_t usr2 = just(SIGUSR2), none;

	sigemptyset(&none);
	sigprocmask(SIG_BLOCK, &usr2, NULL); /* comes in sigsuspend only */
	count = 0;
	int64_t from = t_mono_ns();

	timer_settime(t, 0, &s, NULL);
	timer_gettime(t, &now);
	t_check(now.it_value.tv_sec == 0 && now.it_value.tv_nsec > 0 &&
			now.it_value.tv_nsec <= 300000000,
		"what is left", "%ld", now.it_value.tv_nsec);
	sigsuspend(&none);
	t_check(count == 1 && value == 77 && code == SI_TIMER && t_mono_ns() - from >= 300000000,
		"once", "%d value %d code %d", count, value, code);
	timer_gettime(t, &now);
	t_check(now.it_value.tv_nsec == 0 && now.it_value.tv_sec == 0, "then it is off", "%ld",
		now.it_value.tv_nsec);

	s = (struct itimerspec){.it_value = {0, 10000000}, .it_interval = {0, 10000000}};
	count = 0;
	timer_settime(t, 0, &s, NULL);
	while (count < 5)
		sigsuspend(&none);
	t_check(count >= 5, "again and again", "%d", count);
	t_sleep_ms(100);
	sigprocmask(SIG_UNBLOCK, &usr2, NULL);
	t_check(timer_getoverrun(t) >= 4, "what was missed is counted", "%d", timer_getoverrun(t));
	s = (struct itimerspec){0};
	timer_settime(t, 0, &s, &now);
	t_check(now.it_interval.tv_nsec == 10000000, "what it was", "%ld", now.it_interval.tv_nsec);
	count = 0;
	t_sleep_ms(40);
	t_check(count == 0, "stopped", "%d", count);

	clock_gettime(CLOCK_REALTIME, &s.it_value);
	s.it_value.tv_sec += 1;
	t_check(timer_create(CLOCK_REALTIME, NULL, &quiet) == 0, "without an event it is SIGALRM",
		"failed");
	sigaction(SIGALRM, &sa, NULL);
	timer_settime(quiet, TIMER_ABSTIME, &s, NULL);
	timer_gettime(quiet, &now);
	t_check(now.it_value.tv_nsec > 0 && now.it_value.tv_sec == 0, "an absolute time", "%ld s",
		(long)now.it_value.tv_sec);
	s.it_value.tv_sec = 1; /* long ago */
	count = 0;
	timer_settime(quiet, TIMER_ABSTIME, &s, NULL);
	t_sleep_ms(10);
	t_check(count == 1, "one that is over comes at once", "%d", count);
	if (fork() == 0) {
		errno = 0;
		_exit(timer_gettime(t, &now) < 0 && errno == EINVAL ? 0 : 1);
	}
	int status;

	while (wait(&status) < 0)
		;
	t_check(status == 0, "not inherited", "status %#x", status);
	t_check(timer_delete(t) == 0 && timer_delete(quiet) == 0, "deleted", "not");
	errno = 0;
	t_check(timer_settime(t, 0, &s, NULL) < 0 && errno == EINVAL, "then gone", "no EINVAL");
}

int main(void)
{
	waits();
	timers();
	return t_end();
}
