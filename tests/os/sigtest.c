/* SPDX-License-Identifier: MIT */
/*
 * Signals, pipes, poll and job control through the Linux ABI. The very same program runs on Linux: what it prints
 * there is what it must print here. One line a check; the exit status is the number of failures. `sigtest no-exec`
 * leaves out what needs a file system. `sigtest travel ROUNDS` holds no pipe and has no children, so it may migrate while
 * it runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failures;
static const char *self;

static void check(const char *name, int good)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	fflush(stdout);
	failures += !good;
}

static volatile sig_atomic_t hits, last_code;
static volatile pid_t last_pid;
static void *volatile last_addr;
static volatile int last_status;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	hits++;
	last_code = info->si_code;
	last_pid = info->si_pid;
}

static void on_child(int sig, siginfo_t *info, void *context)
{
	on_signal(sig, info, context);
	last_status = info->si_status;
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = {.sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO};
	sigemptyset(&a.sa_mask);
	sigaction(sig, &a, NULL);
	hits = 0;
}

static void set_default(int sig)
{
	signal(sig, SIG_DFL);
}

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A child that sends sig to us after ms milliseconds. */
static pid_t later(int sig, long ms)
{
	pid_t pid = fork();
	if (pid == 0) {
		sleep_ms(ms);
		kill(getppid(), sig);
		_exit(0);
	}
	return pid;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void delivery(void)
{
	sigset_t set, old, pending;
	handle(SIGUSR1, on_signal, 0);
	raise(SIGUSR1);
	check("raise runs the handler", hits == 1 && last_code == SI_TKILL && last_pid == getpid());
	kill(getpid(), SIGUSR1);
	check("kill to self is delivered before it returns", hits == 2 && last_code == SI_USER);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	sigpending(&pending);
	check("a blocked signal is pending", hits == 2 && sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_SETMASK, &old, NULL);
	check("and comes once when unblocked", hits == 3);

	signal(SIGUSR2, SIG_IGN);
	kill(getpid(), SIGUSR2);
	struct sigaction a;
	sigaction(SIGUSR2, NULL, &a);
	check("an ignored signal does nothing", a.sa_handler == SIG_IGN);
	set_default(SIGUSR2);

	handle(SIGUSR1, on_signal, SA_RESETHAND);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &a);
	check("SA_RESETHAND", hits == 1 && a.sa_handler == SIG_DFL);
	check("SIGKILL cannot be caught", sigaction(SIGKILL, &a, NULL) < 0 && errno == EINVAL);
	check("no such process", kill(999999, 0) < 0 && errno == ESRCH);
}

static void interrupted_calls(void)
{
	char c;
	int fd[2];
	handle(SIGUSR1, on_signal, 0);
	pid_t pid = later(SIGUSR1, 150);
	check("pause ends with EINTR",
	      pause() < 0 && errno == EINTR && hits == 1 && last_pid == pid);
	reap(pid);

	pipe(fd);
	pid = later(SIGUSR1, 150);
	check("read without SA_RESTART ends with EINTR", read(fd[0], &c, 1) < 0 && errno == EINTR);
	reap(pid);

	handle(SIGUSR1, on_signal, SA_RESTART);
	pid = later(SIGUSR1, 150);
	pid_t writer = fork();
	if (writer == 0) {
		sleep_ms(400);
		write(fd[1], "x", 1);
		_exit(0);
	}
	check("read with SA_RESTART goes on", read(fd[0], &c, 1) == 1 && c == 'x' && hits == 1);
	reap(pid);
	reap(writer);

	pid = later(SIGUSR1, 150);
	struct pollfd p = {.fd = fd[0], .events = POLLIN};
	check("poll ends with EINTR in spite of SA_RESTART",
	      poll(&p, 1, 2000) < 0 && errno == EINTR);
	reap(pid);

	pid = later(SIGUSR1, 150);
	struct timespec t = {2, 0}, left = {5, 0};
	check("nanosleep tells what is left",
	      nanosleep(&t, &left) < 0 && errno == EINTR &&
		      (left.tv_sec == 1 || left.tv_nsec > 100000000) && left.tv_sec < 2);
	reap(pid);

	handle(SIGALRM, on_signal, 0);
	struct itimerval timer = {.it_value = {.tv_usec = 150000}};
	setitimer(ITIMER_REAL, &timer, NULL);
	check("an alarm ends a pause", pause() < 0 && hits == 1);
	close(fd[0]);
	close(fd[1]);
}

static void masks_of_calls(void)
{
	sigset_t block, none, now;
	handle(SIGUSR1, on_signal, 0);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	kill(getpid(), SIGUSR1);
	check("sigsuspend lets a pending signal in",
	      sigsuspend(&none) < 0 && errno == EINTR && hits == 1);
	sigprocmask(SIG_BLOCK, NULL, &now);
	check("and restores the mask", sigismember(&now, SIGUSR1));
	pid_t pid = later(SIGUSR1, 150);
	struct timespec t = {2, 0};
	check("ppoll with a mask is interrupted",
	      ppoll(NULL, 0, &t, &none) < 0 && errno == EINTR && hits == 2);
	reap(pid);
	pid = later(SIGUSR1, 150);
	check("pselect too",
	      pselect(0, NULL, NULL, NULL, &t, &none) < 0 && errno == EINTR && hits == 3);
	reap(pid);
	sigprocmask(SIG_BLOCK, NULL, &now);
	check("the mask is as before", sigismember(&now, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &block, NULL);
}

/* ---- registers, stacks, faults ---- */

static void spoil(int sig, siginfo_t *info, void *context)
{
	on_signal(sig, info, context);
	volatile double x = 1;
	for (int i = 1; i < 50; i++)
		x = x * 1.01 + 1.0 / i;
}

static volatile int terms = 400000;

static double series(void)
{
	double sum = 0;
	for (int i = 1; i < terms; i++)
		sum += 1.0 / ((double)i * i) * (i % 3 ? 1 : -0.5);
	return sum;
}

static void registers(void)
{
	double calm = series();
	int same = 1;
	handle(SIGUSR1, spoil, SA_RESTART);
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		for (;;) {
			kill(parent, SIGUSR1);
			sleep_ms(1);
		}
	/* A freezer that is quicker than a time slice lets the sender run but rarely. */
	for (int i = 0; (i < 20 || (hits == 0 && i < 400)) && same; i++)
		same = series() == calm;
	kill(pid, SIGKILL);
	reap(pid);
	check("handlers leave the interrupted computation alone", same && hits > 0);
}

static sigjmp_buf out;
static char *alt_stack;
#define ALT_SIZE 32768
static volatile int on_alt;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	char here;
	(void)context;
	hits++;
	last_code = info->si_code;
	last_addr = info->si_addr;
	on_alt = &here >= alt_stack && &here < alt_stack + ALT_SIZE;
	siglongjmp(out, sig);
}

static int overflow(volatile char *above)
{
	volatile char frame[4096];
	frame[0] = *above;
	if (frame[0] == 1) /* never: what it was given is 0 */
		return 0;
	return overflow(frame) + frame[0];
}

static volatile long nowhere = 0x1234;

static void faults(void)
{
	alt_stack = malloc(ALT_SIZE);
	stack_t s = {.ss_sp = alt_stack, .ss_size = ALT_SIZE}, old;
	check("sigaltstack",
	      sigaltstack(&s, NULL) == 0 && sigaltstack(NULL, &old) == 0 && old.ss_sp == alt_stack);
	handle(SIGSEGV, on_fault, SA_ONSTACK);
	if (sigsetjmp(out, 1) == 0)
		*(volatile int *)nowhere = 1;
	check("SIGSEGV with the address",
	      hits == 1 && last_addr == (void *)0x1234 && last_code == SEGV_MAPERR && on_alt);
	volatile char start = 0;
	if (sigsetjmp(out, 1) == 0)
		overflow(&start);
	check("stack overflow is caught on the other stack", hits == 2 && on_alt);
	handle(SIGFPE, on_fault, 0);
	volatile int zero = atoi("0"), hundred = 100;
	if (sigsetjmp(out, 1) == 0)
		zero = hundred / zero;
	check("SIGFPE", hits == 1 && last_code == FPE_INTDIV && !on_alt);
	handle(SIGILL, on_fault, 0);
	if (sigsetjmp(out, 1) == 0)
		__asm__ volatile("ud2");
	check("SIGILL", hits == 1);
	set_default(SIGSEGV);
	set_default(SIGFPE);

	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		*(volatile int *)nowhere = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	check("a blocked fault kills", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* ---- children ---- */

static void job_control(void)
{
	int status = 0;
	handle(SIGCHLD, on_child, SA_RESTART);
	pid_t pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(7);
	}
	check("a stopped child is reported", waitpid(pid, &status, WUNTRACED) == pid &&
						     WIFSTOPPED(status) &&
						     WSTOPSIG(status) == SIGSTOP);
	check("with SIGCHLD", hits == 1 && last_code == CLD_STOPPED && last_status == SIGSTOP);
	check("only once", waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
	handle(SIGCHLD, on_child, SA_RESTART | SA_NOCLDSTOP);
	kill(pid, SIGCONT);
	check("and goes on",
	      waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	for (int i = 0; i < 100 && !hits; i++) /* its status may come before its signal */
		sleep_ms(10);
	check("SIGCHLD says how it ended",
	      hits == 1 && last_code == CLD_EXITED && last_status == 7);

	pid = fork();
	if (pid == 0)
		for (;;)
			raise(SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	kill(pid, SIGTERM);
	sleep_ms(50);
	check("a stopped child does not act on SIGTERM", waitpid(pid, &status, WNOHANG) == 0);
	kill(pid, SIGKILL);
	check("but dies of SIGKILL", waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
					     WTERMSIG(status) == SIGKILL);
	set_default(SIGCHLD);

	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid == 0)
		_exit(0);
	check("ignored children leave no zombie", waitpid(pid, &status, 0) < 0 && errno == ECHILD);
	set_default(SIGCHLD);
}

static void groups(void)
{
	int fd[2], status, ended = 0;
	char c;
	pipe(fd);
	pid_t leader = fork();
	if (leader == 0) {
		setpgid(0, 0);
		for (int i = 0; i < 2; i++)
			if (fork() == 0)
				break;
		write(fd[1], "r", 1);
		for (;;)
			pause();
	}
	close(fd[1]);
	for (int i = 0; i < 3; i++)
		read(fd[0], &c, 1);
	check("setpgid", getpgid(leader) == leader && getpgrp() != leader);
	kill(-leader, SIGTERM);
	check("the leader died of SIGTERM", waitpid(leader, &status, 0) == leader &&
						    WIFSIGNALED(status) &&
						    WTERMSIG(status) == SIGTERM);
	ended = read(fd[0], &c, 1) == 0; /* all writers are gone */
	check("and all of its group", ended);
	close(fd[0]);

	pid_t pid = fork();
	if (pid == 0) {
		pid_t sid = setsid();
		_exit(sid == getpid() && getsid(0) == sid && getpgrp() == sid && setsid() < 0 &&
				      errno == EPERM
			      ? 0
			      : 1);
	}
	waitpid(pid, &status, 0);
	check("setsid", WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void program_change(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGUSR2, SIG_IGN);
		handle(SIGUSR1, on_signal, 0);
		execl(self, self, "after-exec", NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	check("exec keeps ignored signals and drops handlers",
	      WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int after_exec(void)
{
	struct sigaction one, two;
	sigaction(SIGUSR1, NULL, &one);
	sigaction(SIGUSR2, NULL, &two);
	return !(one.sa_handler == SIG_DFL && two.sa_handler == SIG_IGN);
}

/* ---- pipes and poll ---- */

static void pipe_stream(void)
{
	enum { TOTAL = 1000003 };
	static unsigned char buf[70001];
	int fd[2];
	pipe(fd);
	pid_t pid = fork();
	if (pid == 0) {
		close(fd[0]);
		for (int done = 0; done < TOTAL;) {
			int n = TOTAL - done < (int)sizeof buf ? TOTAL - done : (int)sizeof buf;
			for (int i = 0; i < n; i++)
				buf[i] = (unsigned char)((done + i) * 7 >> 3);
			if (write(fd[1], buf, (size_t)n) != n)
				_exit(1);
			done += n;
		}
		_exit(0);
	}
	close(fd[1]);
	int done = 0, same = 1;
	ssize_t n;
	size_t ask = 1;
	while ((n = read(fd[0], buf, ask)) > 0) {
		for (int i = 0; i < n; i++)
			same &= buf[i] == (unsigned char)((done + i) * 7 >> 3);
		done += (int)n;
		ask = ask * 3 % 9973 + 1;
	}
	int status;
	waitpid(pid, &status, 0);
	check("a million bytes through a pipe", done == TOTAL && same && n == 0 && status == 0);
	close(fd[0]);
}

static void pipe_atomic(void)
{
	enum { WRITERS = 4, EACH = 40, SIZE = 3000 };
	static char buf[SIZE];
	int fd[2], whole = 1, count = 0;
	pipe(fd);
	for (int w = 0; w < WRITERS; w++)
		if (fork() == 0) {
			memset(buf, 'a' + w, SIZE);
			for (int i = 0; i < EACH; i++)
				if (write(fd[1], buf, SIZE) != SIZE)
					_exit(1);
			_exit(0);
		}
	close(fd[1]);
	for (;;) {
		int got = 0;
		ssize_t n = 1;
		while (got < SIZE && (n = read(fd[0], buf + got, (size_t)(SIZE - got))) > 0)
			got += (int)n;
		if (got == 0)
			break;
		for (int i = 1; i < got; i++)
			whole &= buf[i] == buf[0];
		count++;
	}
	while (wait(NULL) > 0)
		;
	check("writes up to PIPE_BUF are not interleaved", whole && count == WRITERS * EACH);
	close(fd[0]);
}

static void pipe_edges(void)
{
	int fd[2];
	char c = 0;
	static char big[65536];
	pipe2(fd, O_NONBLOCK | O_CLOEXEC);
	check("an empty pipe says EAGAIN", read(fd[0], &c, 1) < 0 && errno == EAGAIN);
	check("a pipe holds 64 kB", write(fd[1], big, sizeof big) == (ssize_t)sizeof big);
	check("a full one says EAGAIN", write(fd[1], &c, 1) < 0 && errno == EAGAIN);
	struct pollfd p[2] = {{.fd = fd[0], .events = POLLIN}, {.fd = fd[1], .events = POLLOUT}};
	check("poll: readable, not writable",
	      poll(p, 2, 0) == 1 && p[0].revents == POLLIN && p[1].revents == 0);
	read(fd[0], big, 10000);
	check("poll: both", poll(p, 2, 0) == 2 && p[1].revents == POLLOUT);
	handle(SIGPIPE, on_signal, 0);
	close(fd[0]);
	check("a pipe without reader: EPIPE and SIGPIPE",
	      write(fd[1], &c, 1) < 0 && errno == EPIPE && hits == 1);
	p[0].fd = -1;
	check("poll: POLLERR", poll(p, 2, 0) == 1 && (p[1].revents & POLLERR));
	close(fd[1]);
	set_default(SIGPIPE);

	pipe(fd);
	write(fd[1], "abc", 3);
	close(fd[1]);
	p[0].fd = fd[0];
	check("poll: POLLIN and POLLHUP",
	      poll(p, 1, 0) == 1 && (p[0].revents & POLLHUP) && (p[0].revents & POLLIN));
	check("the rest is read, then end of file",
	      read(fd[0], big, 100) == 3 && read(fd[0], big, 100) == 0);
	close(fd[0]);
	check("poll: POLLNVAL", poll(p, 1, 0) == 1 && p[0].revents == POLLNVAL);
}

static void waiting(void)
{
	int fd[2], other[2];
	pipe(fd);
	pipe(other);
	long t0 = now_ms();
	struct pollfd p = {.fd = fd[0], .events = POLLIN};
	check("poll times out",
	      poll(&p, 1, 100) == 0 && now_ms() - t0 >= 100 && now_ms() - t0 < 5000);
	pid_t pid = fork();
	if (pid == 0) {
		sleep_ms(50);
		write(fd[1], "x", 1);
		_exit(0);
	}
	check("poll wakes", poll(&p, 1, 3000) == 1 && p.revents == POLLIN);
	reap(pid);
	fd_set r, w;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(fd[0], &r);
	FD_SET(other[0], &r);
	FD_SET(other[1], &w);
	struct timeval t = {1, 0};
	int max = other[1] > fd[0] ? other[1] : fd[0];
	check("select", select(max + 1, &r, &w, NULL, &t) == 2 && FD_ISSET(fd[0], &r) &&
				!FD_ISSET(other[0], &r) && FD_ISSET(other[1], &w));
	FD_ZERO(&r);
	FD_SET(other[0], &r);
	t = (struct timeval){0, 100000};
	check("select times out",
	      select(max + 1, &r, NULL, NULL, &t) == 0 && !FD_ISSET(other[0], &r));
	close(fd[0]);
	FD_ZERO(&r);
	FD_SET(fd[0], &r);
	check("select: EBADF", select(max + 1, &r, NULL, NULL, &t) < 0 && errno == EBADF);
	close(fd[1]);
	close(other[0]);
	close(other[1]);
}

/* ---- on the way ---- */

static void alarm_in(long ms)
{
	struct itimerval timer = {.it_value = {.tv_usec = ms * 1000}};
	setitimer(ITIMER_REAL, &timer, NULL);
}

static int travel(int rounds)
{
	sigset_t block, none;
	struct sigaction a;
	char *stack = malloc(ALT_SIZE);
	stack_t s = {.ss_sp = stack, .ss_size = ALT_SIZE}, old;
	double calm = series();
	int paused = 0, suspended = 0, slept = 0, polled = 0, same = 1;
	sigaltstack(&s, NULL);
	handle(SIGUSR1, on_signal, SA_ONSTACK | SA_NODEFER);
	signal(SIGUSR2, SIG_IGN);
	handle(SIGALRM, spoil, SA_RESTART);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	for (int i = 0; i < rounds; i++) {
		hits = 0;
		alarm_in(50);
		paused += pause() < 0 && errno == EINTR && hits == 1;

		sigprocmask(SIG_BLOCK, &block, NULL);
		alarm_in(50);
		suspended += sigsuspend(&none) < 0 && errno == EINTR && hits == 2;
		sigprocmask(SIG_UNBLOCK, &block, NULL);

		struct timespec t = {3600, 0}, left = {0, 0};
		alarm_in(50);
		slept += nanosleep(&t, &left) < 0 && errno == EINTR && left.tv_sec >= 3500 &&
			 left.tv_sec < 3600;

		long t0 = now_ms();
		polled += poll(NULL, 0, 50) == 0 && now_ms() - t0 >= 50;

		alarm_in(1);
		same &= series() == calm;
		while (hits < 4)
			sleep_ms(1);
	}
	printf("paused %d suspended %d slept %d polled %d of %d, computed %s\n", paused, suspended,
	       slept, polled, rounds, same ? "right" : "wrong");
	sigaction(SIGUSR1, NULL, &a);
	check("the handler is as it was", a.sa_sigaction == on_signal && (a.sa_flags & SA_ONSTACK));
	sigaction(SIGUSR2, NULL, &a);
	check("what was ignored still is", a.sa_handler == SIG_IGN);
	check("so is the other stack",
	      sigaltstack(NULL, &old) == 0 && old.ss_sp == stack && old.ss_size == ALT_SIZE);
	return failures;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 2 && strcmp(argv[1], "travel") == 0)
		return travel(atoi(argv[2]));
	if (argc > 1 && strcmp(argv[1], "after-exec") == 0)
		return after_exec();
	delivery();
	interrupted_calls();
	masks_of_calls();
	registers();
	faults();
	job_control();
	groups();
	if (argc < 2)
		program_change();
	pipe_stream();
	pipe_atomic();
	pipe_edges();
	waiting();
	printf("%d failures\n", failures);
	return failures;
}
