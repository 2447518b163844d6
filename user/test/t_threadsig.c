/* SPDX-License-Identifier: MIT */
/* Threads and what belongs to their process: signals, fork, exec, the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static const char *self;
static sem_t ready, go;

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, arg);

	if (err)
		t_die("pthread_create: %s", strerror(err));
	return t;
}

/* ---- signals ---- */

static volatile long caught_by[8];
static volatile int caught;

static void note(int sig)
{
	(void)sig;
	caught_by[caught++ % 8] = syscall(SYS_gettid);
}

static void *nap(void *arg)
{
	long *tid = arg;
	*tid = syscall(SYS_gettid);
	sem_post(&ready);
	while (sem_wait(&go) == -1 && errno == EINTR)
		;
	return NULL;
}

static void *nap_blocking(void *arg)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	return nap(arg);
}

static void wait_caught(int n)
{
	for (int i = 0; i < 400 && caught < n; i++)
		t_sleep_ms(5);
}

static void signals(void)
{
	long deaf = 0, open = 0, me = syscall(SYS_gettid);
	struct sigaction sa = {.sa_handler = note};

	sigaction(SIGUSR1, &sa, NULL);
	pthread_t a = start(nap_blocking, &deaf);
	sem_wait(&ready);
	pthread_t b = start(nap, &open);
	sem_wait(&ready);
	t_sleep_ms(10);
	pthread_kill(b, SIGUSR1);
	wait_caught(1);
	errno = 0;
	t_check(caught == 1 && caught_by[0] == open, "a signal reaches the thread it is sent to",
		"%d caught, by %ld, %ld meant", caught, caught_by[0], open);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	wait_caught(2);
	t_check(caught == 2 && caught_by[1] == open,
		"a signal to the process reaches the thread that does not block it",
		"%d caught, by %ld, %ld meant, I am %ld", caught, caught_by[1], open, me);
	pthread_kill(a, SIGUSR1);
	t_sleep_ms(20);
	t_check(caught == 2, "a blocked one waits", "%d caught", caught);
	syscall(SYS_tgkill, getpid(), me, SIGUSR1);
	sigset_t pending;
	sigpending(&pending);
	t_check(sigismember(&pending, SIGUSR1), "and is pending for its thread", "it is not");
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	t_check(caught == 3 && caught_by[2] == me, "until it is unblocked", "%d caught", caught);
	t_check(syscall(SYS_tgkill, getpid() + 1, open, 0) == -1 && errno == ESRCH,
		"a thread of another process is none", "it is one");
	t_check(pthread_kill(b, 0) == 0, "a thread is there", "it is not");
	sem_post(&go);
	sem_post(&go);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	errno = 0;
	t_check(syscall(SYS_tkill, open, 0) == -1 && errno == ESRCH, "until it has ended", "it is");
}

static void *wait_on_go(void *arg)
{
	sem_wait(&go);
	return arg;
}

/* setuid tells every thread by a signal of the C library's own. */
static void all_threads_agree(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		t[i] = start(wait_on_go, NULL);
	t_sleep_ms(10);
	errno = 0;
	t_check(setgid(getgid()) == 0, "setgid asks all threads", "it failed");
	for (int i = 0; i < 4; i++)
		sem_post(&go);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

/* ---- ends, each in a child ---- */

static void *do_nothing_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static void *do_exit(void *arg)
{
	exit(*(int *)arg);
}

static void *do_crash(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	*(volatile int *)arg = 1;
	return NULL;
}

static void *do_fork(void *arg)
{
	int s;
	pid_t p = fork();
	if (p == 0)
		_exit(syscall(SYS_gettid) == getpid() ? 42 : 1);
	waitpid(p, &s, 0);
	*(int *)arg = s;
	return NULL;
}

static void *do_exec(void *arg)
{
	char *argv[] = {(char *)self, "--status", "37", NULL};
	(void)arg;
	execv(self, argv);
	return NULL;
}

static void *spin(void *arg)
{
	for (;;)
		++*(volatile long *)arg;
	return NULL;
}

static void exit_from_a_thread(void *arg)
{
	start(do_nothing_for_ever, NULL);
	pthread_join(start(do_exit, arg), NULL);
}

static void crash_of_a_thread(void *arg)
{
	static long n;
	start(spin, &n);
	start(do_nothing_for_ever, NULL);
	pthread_join(start(do_crash, arg), NULL);
}

static void exec_from_a_thread(void *arg)
{
	static long n;
	start(do_nothing_for_ever, arg);
	start(spin, &n);
	pthread_join(start(do_exec, NULL), NULL);
}

static void exec_from_main(void *arg)
{
	start(do_nothing_for_ever, arg);
	t_sleep_ms(10);
	do_exec(NULL);
}

static void *last_one(void *arg)
{
	t_sleep_ms(30);
	return arg;
}

/* In a program of its own: in the child of a fork the C library does not survive it. */
static void main_leaves_first(void *arg)
{
	char *argv[] = {(char *)self, "--leave", "1", NULL};
	(void)arg;
	execv(self, argv);
}

static void exec_after_main_left(void *arg)
{
	(void)arg;
	start(do_exec, NULL);
	syscall(SYS_exit, 0);
}

static void ends(void)
{
	static const struct {
		const char *what;
		void (*fn)(void *);
		int status;
	} cases[] = {
		{"exit by one thread ends all", exit_from_a_thread, 7 << 8},
		{"a crash of one thread ends all", crash_of_a_thread, SIGSEGV},
		{"exec by one thread ends the others", exec_from_a_thread, 37 << 8},
		{"so does exec by the first", exec_from_main, 37 << 8},
		{"the first may end before the last", main_leaves_first, 0},
		{"and another may exec then", exec_after_main_left, 37 << 8},
	};
	int code = 7, s = 0;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		int got = t_in_child(cases[i].fn, i == 0 ? &code : NULL) & ~0x80;
		errno = 0;
		t_check(got == cases[i].status, cases[i].what, "status %#x", (unsigned)got);
	}
	pthread_join(start(do_fork, &s), NULL);
	errno = 0;
	t_check(s == 42 << 8, "a fork copies its thread only", "status %#x", (unsigned)s);
}

/* ---- stopped and killed, whatever its threads wait for ---- */

static int pipe_fd[2];

static void *in_read(void *arg)
{
	char c;
	return read(pipe_fd[0], &c, 1) == 1 ? arg : NULL;
}

static void *in_poll(void *arg)
{
	struct pollfd p = {.fd = pipe_fd[0], .events = POLLIN};
	poll(&p, 1, -1);
	return arg;
}

static void *in_sleep(void *arg)
{
	sleep(1000);
	return arg;
}

static void *in_wait(void *arg)
{
	waitpid(-1, NULL, 0);
	return arg;
}

static void *in_cond(void *arg)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	pthread_mutex_lock(&m);
	pthread_cond_wait(&c, &m);
	return arg;
}

static void *in_join(void *arg)
{
	pthread_join(start(in_sleep, NULL), NULL);
	return arg;
}

static void wait_in_all_ways(void)
{
	static long n;
	if (pipe(pipe_fd))
		t_die("pipe");
	pid_t child = fork();
	if (child == 0) {
		/* Not longer than its parent. */
		char c;
		close(pipe_fd[1]);
		_exit((int)read(pipe_fd[0], &c, 1));
	}
	void *(*const fn[])(void *) = {
		in_read,   in_poll, in_sleep, in_wait, in_cond, in_join, do_nothing_for_ever,
		wait_on_go};
	for (unsigned i = 0; i < sizeof fn / sizeof *fn; i++)
		start(fn[i], NULL);
	start(spin, &n);
	t_sleep_ms(30);
}

static void killed(void)
{
	int s, up[2];
	char c = 0;

	if (pipe(up))
		t_die("pipe");
	pid_t p = fork();
	if (p == 0) {
		wait_in_all_ways();
		t_write_all(up[1], &c, 1);
		pause();
		_exit(1);
	}
	t_read_all(up[0], &c, 1);
	kill(p, SIGSTOP);
	errno = 0;
	t_check(waitpid(p, &s, WUNTRACED) == p && WIFSTOPPED(s), "SIGSTOP stops all threads",
		"status %#x", (unsigned)s);
	kill(p, SIGCONT);
	t_check(waitpid(p, &s, WCONTINUED) == p && WIFCONTINUED(s), "SIGCONT continues them",
		"status %#x", (unsigned)s);
	t_check(waitpid(p, &s, WNOHANG) == 0, "and they live", "status %#x", (unsigned)s);
	kill(p, SIGKILL);
	t_check(waitpid(p, &s, 0) == p && WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL,
		"SIGKILL ends threads that wait for anything", "status %#x", (unsigned)s);
}

/* ---- shared descriptors ---- */

static void *close_it(void *arg)
{
	t_sleep_ms(20);
	close(pipe_fd[0]);
	t_write_all(pipe_fd[1], "x", 1);
	return arg;
}

/* As on Linux: who already reads goes on reading. */
static void closed_under_a_reader(void)
{
	char c = 0;
	if (pipe(pipe_fd))
		t_die("pipe");
	int keep = dup(pipe_fd[0]);
	pthread_t t = start(close_it, NULL);
	ssize_t n = read(pipe_fd[0], &c, 1);
	errno = 0;
	t_check(n == 1 && c == 'x', "a file closed by another thread is read to the end", "%ld",
		(long)n);
	t_check(read(pipe_fd[0], &c, 1) == -1 && errno == EBADF, "and closed then", "it is not");
	pthread_join(t, NULL);
	close(keep);
	close(pipe_fd[1]);
}

int main(int argc, char **argv)
{
	long status = t_option(argc, argv, "--status", -1);

	static char path[256];
	if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
		t_die("/proc/self/exe");
	self = path;
	if (status >= 0)
		return (int)status;
	if (t_option(argc, argv, "--leave", 0)) {
		start(last_one, NULL);
		pthread_exit(NULL);
	}
	sem_init(&ready, 0, 0);
	sem_init(&go, 0, 0);
	signals();
	all_threads_agree();
	ends();
	killed();
	closed_under_a_reader();
	return t_end();
}
