/* SPDX-License-Identifier: MIT */
/* Handlers, masks, restart of calls, alternate stacks, faults, children, alarms. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

static volatile sig_atomic_t count, last, depth, deepest;
static volatile uintptr_t where, stack_at;
static volatile int code;
static sigjmp_buf back;

static void on_count(int sig)
{
	count++;
	last = sig;
}

static void on_nested(int sig)
{
	(void)sig;
	if (++depth > deepest)
		deepest = depth;
	if (++count == 1)
		raise(SIGUSR1);
	depth--;
}

static void on_info(int sig, siginfo_t *info, void *context)
{
	(void)context;
	last = sig;
	code = info->si_code;
	where = (uintptr_t)info->si_addr;
	siglongjmp(back, 1);
}

static void on_stack(int sig)
{
	(void)sig;
	stack_at = (uintptr_t)__builtin_frame_address(0);
}

/* Leaves nothing of the floating point registers as it was. */
static void on_float(int sig)
{
	(void)sig;
	__asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm7", "xmm15");
	count++;
}

static void handle(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};

	if (sigaction(sig, &sa, NULL) < 0)
		t_die("sigaction %d", sig);
}

static void basics(void)
{
	sigset_t set, old;

	handle(SIGUSR1, on_count, 0);
	count = 0;
	for (int i = 0; i < 1000; i++)
		raise(SIGUSR1);
	t_check(count == 1000, "a handler runs for each raise", "it ran %d times", (int)count);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	count = 0;
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigset_t pending;

	sigpending(&pending);
	t_check(count == 0 && sigismember(&pending, SIGUSR1), "a blocked signal is pending",
		"count %d, pending %d", (int)count, sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_SETMASK, &old, NULL);
	t_check(count == 1, "it is delivered once when unblocked", "it came %d times", (int)count);

	sigprocmask(SIG_BLOCK, &set, NULL);
	count = 0;
	raise(SIGUSR1);
	errno = 0;
	int r = sigsuspend(&old);

	t_check(r == -1 && errno == EINTR && count == 1, "sigsuspend takes a pending signal",
		"%d, count %d", r, (int)count);
	sigprocmask(SIG_BLOCK, NULL, &pending);
	t_check(sigismember(&pending, SIGUSR1), "sigsuspend restores the mask", "it did not");
	sigprocmask(SIG_SETMASK, &old, NULL);

	handle(SIGUSR1, on_nested, 0);
	depth = deepest = count = 0;
	raise(SIGUSR1);
	t_check(deepest == 1 && count == 2, "a handler's own signal waits for its end", "depth %d",
		(int)deepest);
	handle(SIGUSR1, on_nested, SA_NODEFER);
	depth = deepest = count = 0;
	raise(SIGUSR1);
	t_check(deepest == 2 && count == 2, "SA_NODEFER does not wait", "depth %d", (int)deepest);

	struct sigaction now;

	handle(SIGUSR2, on_count, SA_RESETHAND);
	raise(SIGUSR2);
	sigaction(SIGUSR2, NULL, &now);
	t_check(now.sa_handler == SIG_DFL, "SA_RESETHAND resets", "it did not");
	handle(SIGUSR2, SIG_IGN, 0);
	t_check(raise(SIGUSR2) == 0, "an ignored signal does nothing", "raise failed");
	errno = 0;
	t_check(signal(SIGKILL, on_count) == SIG_ERR && errno == EINVAL, "SIGKILL cannot be caught",
		"it can");
	errno = 0;
	t_check(kill(getpid(), 99) == -1 && errno == EINVAL, "signal 99 gives EINVAL",
		"it does not");
	errno = 0;
	t_check(kill(0x3ffffff0, 0) == -1 && errno == ESRCH, "a process that is not gives ESRCH",
		"it does not");
}

/* Read from an empty pipe while a child first sends a signal, then writes. */
static long interrupted_read(int flags, char *c)
{
	int fd[2];
	pid_t me = getpid();

	handle(SIGUSR1, on_count, flags);
	count = 0;
	if (pipe(fd) < 0)
		t_die("pipe");
	pid_t pid = fork();

	if (pid == 0) {
		t_sleep_ms(60);
		kill(me, SIGUSR1);
		t_sleep_ms(60);
		_exit(write(fd[1], "z", 1) != 1);
	}
	errno = 0;
	long r = read(fd[0], c, 1);
	int err = errno;

	while (waitpid(pid, NULL, 0) < 0)
		;
	close(fd[0]);
	close(fd[1]);
	errno = err;
	return r;
}

static void restart(void)
{
	char c = 0;
	long r = interrupted_read(0, &c);

	t_check(r == -1 && errno == EINTR && count == 1, "a read is interrupted", "%ld, count %d",
		r, (int)count);
	r = interrupted_read(SA_RESTART, &c);
	t_check(r == 1 && c == 'z' && count == 1, "SA_RESTART goes on reading", "%ld, count %d", r,
		(int)count);
	struct itimerval soon = {.it_value = {0, 50000}};
	struct timespec ts = {0, 300000000}, left = {0, 0};

	handle(SIGALRM, on_count, SA_RESTART);
	setitimer(ITIMER_REAL, &soon, NULL);
	errno = 0;
	r = nanosleep(&ts, &left);
	t_check(r == -1 && errno == EINTR && left.tv_nsec > 100000000 && left.tv_nsec < 270000000,
		"nanosleep says what is left", "%ld, left %ld ns", r, left.tv_nsec);
}

static void alarms(void)
{
	struct itimerval every = {{0, 20000}, {0, 20000}}, off = {0}, old;

	handle(SIGALRM, on_count, 0);
	count = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	int64_t start = t_mono_ns();

	while (count < 10 && t_mono_ns() - start < 5000000000)
		pause();
	int64_t took = t_mono_ns() - start;

	setitimer(ITIMER_REAL, &off, &old);
	errno = 0;
	t_check(count == 10 && took > 180000000, "a repeated timer ticks", "%d ticks in %lld ms",
		(int)count, (long long)took / 1000000);
	count = 0;
	t_sleep_ms(60);
	t_check(count == 0, "it stops", "%d more ticks", (int)count);
	alarm(100);
	unsigned left = alarm(0);

	t_check(left == 100 || left == 99, "alarm says what was left", "%u", left);
}

static void children(void)
{
	handle(SIGCHLD, on_count, SA_RESTART);
	count = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	for (int i = 0; i < 200 && !count; i++)
		t_sleep_ms(5);
	t_check(count == 1 && last == SIGCHLD, "SIGCHLD comes", "count %d", (int)count);
	waitpid(pid, NULL, 0);
	handle(SIGCHLD, SIG_IGN, 0);
	pid = fork();
	if (pid == 0)
		_exit(3);
	errno = 0;
	int r = waitpid(pid, NULL, 0);

	t_check(r == -1 && errno == ECHILD, "with SIGCHLD ignored children leave no zombie", "%d",
		r);
	handle(SIGCHLD, SIG_DFL, 0);
}

static void stacks(void)
{
	static char alt[32768];
	stack_t st = {.ss_sp = alt, .ss_size = sizeof(alt)}, old, off = {.ss_flags = SS_DISABLE};

	t_check(sigaltstack(&st, &old) == 0, "sigaltstack", "it failed");
	handle(SIGUSR1, on_stack, SA_ONSTACK);
	raise(SIGUSR1);
	t_check(stack_at >= (uintptr_t)alt && stack_at < (uintptr_t)alt + sizeof(alt),
		"SA_ONSTACK runs on the other stack", "at %#lx, the stack is at %p",
		(unsigned long)stack_at, (void *)alt);
	handle(SIGUSR1, on_stack, 0);
	raise(SIGUSR1);
	t_check(stack_at < (uintptr_t)alt || stack_at >= (uintptr_t)alt + sizeof(alt),
		"without it on the usual one", "it ran on the other");
	sigaltstack(&off, NULL);
}

static const char *volatile unmapped = (const char *)0x10008;
static volatile int zero;

static void fault(int kind)
{
	struct sigaction sa = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
	static const int sigs[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
	static const char *names[] = {"SIGSEGV", "SIGFPE", "SIGILL", "SIGTRAP"};

	sigaction(sigs[kind], &sa, NULL);
	last = 0;
	where = 0;
	if (sigsetjmp(back, 1) == 0) {
		switch (kind) {
		case 0:
			(void)*(const volatile char *)unmapped;
			break;
		case 1:
			zero = 1000 / zero;
			break;
		case 2:
			__asm__ volatile("ud2");
			break;
		default:
			__asm__ volatile("int3");
		}
	}
	signal(sigs[kind], SIG_DFL);
	errno = 0;
	t_check(last == sigs[kind], names[kind], "no signal came, but %d", (int)last);
	if (kind == 0)
		t_check(where == (uintptr_t)unmapped && code == SEGV_MAPERR,
			"si_addr and si_code of a fault", "address %#lx, code %d",
			(unsigned long)where, code);
}

static void registers(void)
{
	uint64_t in[3] = {0x1122334455667788, 0x99aabbccddeeff00, 0x0f1e2d3c4b5a6978}, out[3] = {0};
	struct itimerval soon = {.it_value = {0, 20000}}, off = {0};

	handle(SIGALRM, on_float, 0);
	count = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	/* Nothing here looks like a call, so the signal comes between any two instructions. */
	__asm__ volatile("movq %3, %%xmm0\n\tmovq %4, %%xmm7\n\tmovq %5, %%xmm15\n"
			 "1:\tcmpl $0, %6\n\tje 1b\n\t"
			 "movq %%xmm0, %0\n\tmovq %%xmm7, %1\n\tmovq %%xmm15, %2"
			 : "=m"(out[0]), "=m"(out[1]), "=m"(out[2])
			 : "m"(in[0]), "m"(in[1]), "m"(in[2]), "m"(count)
			 : "xmm0", "xmm7", "xmm15", "memory");
	setitimer(ITIMER_REAL, &off, NULL);
	t_check(!memcmp(in, out, sizeof(in)),
		"a handler does not touch the registers it interrupts", "%lx %lx %lx", (long)out[0],
		(long)out[1], (long)out[2]);
}

static void groups(void)
{
	int s;
	pid_t a = fork();

	if (a == 0) {
		setpgid(0, 0);
		if (fork() == 0)
			for (;;)
				pause();
		for (;;)
			pause();
	}
	setpgid(a, a);
	t_sleep_ms(50);
	t_check(kill(-a, SIGTERM) == 0, "kill of a group", "it failed");
	waitpid(a, &s, 0);
	errno = 0;
	t_check(WIFSIGNALED(s) && WTERMSIG(s) == SIGTERM, "the group's leader died", "status %#x",
		s);
	for (int i = 0; i < 100 && kill(-a, 0) == 0; i++)
		t_sleep_ms(20);
	t_check(kill(-a, 0) == -1 && errno == ESRCH, "and so did the rest",
		"the group is still there");
}

static void nothing(int sig)
{
	(void)sig;
}

/* Every bit of the control register that the processor let the program set survives a handler. */
static void float_control(void)
{
	unsigned fast = 0x1f80 | 0x8040, after = 0; /* flush to zero, denormals are zero */

	signal(SIGUSR1, nothing);
	__asm__ volatile("ldmxcsr %0" ::"m"(fast));
	raise(SIGUSR1);
	__asm__ volatile("stmxcsr %0" : "=m"(after));
	t_check(after == fast, "MXCSR over a handler", "%#x became %#x", fast, after);
	fast = 0x1f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(fast));
}

static long turns_in(int64_t ns)
{
	long n = 0;

	for (int64_t end = t_mono_ns() + ns; t_mono_ns() < end;)
		n++;
	return n;
}

/* An alarm every microsecond leaves the program, and the machine, time for something else. */
static void alarm_storm(void)
{
	struct itimerval fast = {{0, 1}, {0, 1}}, off = {0};
	long best = 0, calm = 1, stormy;

	signal(SIGALRM, SIG_IGN);
	for (int i = 0; i < 5 && best < 50; i++) {
		calm = turns_in(100000000);
		setitimer(ITIMER_REAL, &fast, NULL);
		stormy = turns_in(100000000);
		setitimer(ITIMER_REAL, &off, NULL);
		if (stormy * 100 / calm > best)
			best = stormy * 100 / calm;
	}
	signal(SIGALRM, SIG_DFL);
	t_check(best >= 33, "an alarm every microsecond", "leaves %ld %% of the time", best);
}

int main(void)
{
	basics();
	restart();
	alarms();
	children();
	stacks();
	for (int kind = 0; kind < 4; kind++)
		fault(kind);
	registers();
	groups();
	float_control();
	alarm_storm();
	return t_end();
}
