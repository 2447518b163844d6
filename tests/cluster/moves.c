/* SPDX-License-Identifier: MIT */
/*
 * A boot module that has processes moved between two nodes without any disk, by the real migration
 * handlers: started beside net and migrate by tests/cluster/moves.sh. On node 1 it starts programs,
 * asks for their moves and waits for their ends; on node 2 it sends back whatever has arrived.
 * Results go to the kernel log.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "msg_migrate.h"
#include "wh.h"

enum { BASE = 100, ROUNDS = 20, REPEATS = 6, PAGES = 300 };

static volatile sig_atomic_t signalled;

static void on_signal(int signo)
{
	signalled += signo == SIGUSR1;
}

static uint64_t now(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Looks at everything it can for as long as told; 0 if nothing ever changed that must not. */
static int program(unsigned ms)
{
	uint64_t end, sum = 0, real = 0, mono = 0;
	pid_t pid = getpid(), parent = getppid();
	double x = 1;
	uint64_t *heap = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < PAGES / 2; i++) /* the other half stays zero */
		heap[i * 512] = i;
	for (unsigned i = PAGES / 2; i < PAGES; i++)
		heap[i * 512] = 0;
	signal(SIGUSR1, on_signal);
	end = now(CLOCK_MONOTONIC) + ms * 1000000ull;
	while (now(CLOCK_MONOTONIC) < end) {
		for (unsigned i = 0; i < PAGES / 2; i++)
			heap[i * 512]++;
		sum++;
		x = x * 1.0000001 + 1e-9;
		uint64_t r = now(CLOCK_REALTIME), m = now(CLOCK_MONOTONIC);
		if (r < real || m < mono)
			return 1;
		real = r;
		mono = m;
		if (getpid() != pid || getppid() != parent)
			return 2;
	}
	for (unsigned i = 0; i < PAGES; i++)
		if (heap[i * 512] != (i < PAGES / 2 ? i + sum : 0))
			return 3;
	double y = 1;
	for (uint64_t i = 0; i < sum; i++)
		y = y * 1.0000001 + 1e-9;
	return x != y ? 4 : signalled != 1 ? 5 : 0;
}

static long move(int pid, int node, char *text, size_t size)
{
	uint32_t len = 0;
	int in = snprintf(text, size, "%d %d", pid, node);
	long r = wh_ctl(WH_SVC_MIGRATE, MIGRATE_CTL_MOVE, text, (size_t)in, size, &len);
	text[len < size ? len : size - 1] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return r;
}

static void give_identity(void)
{
	if (fork() == 0) {
		wh_register(WH_SVC_INIT);
		_exit(wh_set_identity(1, BASE, 100000) < 0);
	}
	wait(NULL);
}

static void sleep_ms(unsigned ms)
{
	usleep(ms * 1000);
}

static pid_t start(int (*main_of)(unsigned), unsigned arg)
{
	pid_t pid = fork();
	if (pid) {
		sleep_ms(50); /* while it is privileged it is nobody's to move */
		return pid;
	}
	for (int fd = 0; fd < 64; fd++)
		close(fd);
	wh_drop();
	_exit(main_of(arg));
}

static void result(bool ok, const char *name, const char *why)
{
	printf("moves: %s %s%s%s\n", ok ? "ok" : "not ok", name, ok ? "" : ": ", ok ? "" : why);
}

static struct wh_counters counters(void)
{
	struct wh_counters c = {0};
	wh_counters(&c);
	return c;
}

/* Node 2: whatever is here goes back to node 1, for ever. */
static void answer(void)
{
	static char text[1024];
	for (;;) {
		for (int pid = 1 << WH_PID_NODE_SHIFT | BASE;
		     pid < (1 << WH_PID_NODE_SHIFT | BASE) + 16; pid++)
			if (move(pid, 1, text, sizeof(text)) == 0)
				printf("moves: %s\n", text);
		sleep_ms(10);
	}
}

static int wait_status(pid_t pid)
{
	int status = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void there_and_back(unsigned ms)
{
	static char text[1024];
	unsigned there = 0;
	pid_t pid = start(program, ms);
	for (unsigned tries = 0; there < ROUNDS && tries < 4000; tries++) {
		if (move(pid, 2, text, sizeof(text)) == 0) {
			printf("moves: %s\n", text);
			if (++there == 3)
				kill(pid, SIGUSR1);
		}
		sleep_ms(5);
	}
	result(there == ROUNDS, "moved there and back again and again", text);
	int status = wait_status(pid);
	snprintf(text, sizeof(text), "status %x", (unsigned)status);
	result(status == 0, "the process has not noticed, and got its signal once", text);
}

/* The servers have memory of their own, which may become more once, when more comes together than before: with a busy host in any
 * round. A leak is more after every round. */
static bool nothing_left(const struct wh_counters *a, const struct wh_counters *b, char *text,
			 size_t size)
{
	snprintf(text, size, "stubs %ld, processes %ld, regions %ld, held files %ld, frames %ld",
		 (long)(b->stubs - a->stubs), (long)(b->procs - a->procs),
		 (long)(b->regions - a->regions), (long)(b->fobjs - a->fobjs),
		 (long)(a->frames_free - b->frames_free));
	printf("moves: more than before: %s\n", text);
	return a->stubs == b->stubs && a->procs == b->procs && b->regions <= a->regions &&
	       a->fobjs == b->fobjs && a->frames_free <= b->frames_free;
}

static void killed_away(void)
{
	static char text[1024];
	pid_t pid = start(program, 60000);
	long r = -1;
	for (unsigned tries = 0; r < 0 && tries < 200; tries++) {
		r = move(pid, 2, text, sizeof(text));
		sleep_ms(5);
	}
	result(r == 0, "moved once more", text);
	kill(pid, SIGTERM);
	int status = wait_status(pid);
	snprintf(text, sizeof(text), "status %x", (unsigned)status);
	result(status == SIGTERM, "a process that is away can be killed and waited for", text);
}

int main(void)
{
	struct wh_identity self;
	static char text[1024];

	setvbuf(stdout, NULL, _IOLBF, 0);
	give_identity();
	wh_identity(&self);
	sleep_ms(500);
	if (self.node == 2)
		answer();
	result(move(4711, 2, text, sizeof(text)) < 0 && strstr(text, "no such process"),
	       "no such process", text);
	pid_t pid = start(program, 1000);
	result(move(pid, 1, text, sizeof(text)) < 0 && strstr(text, "already"), "already here",
	       text);
	kill(pid, SIGKILL);
	wait_status(pid);
	struct wh_counters before = counters(), now;
	bool none = false;

	for (int i = 0; i < REPEATS && !none; i++) {
		there_and_back(6000);
		sleep_ms(300);
		now = counters();
		none = nothing_left(&before, &now, text, sizeof(text));
		before = now;
	}
	result(none, "nothing is left behind", text);
	killed_away();
	printf("moves: end\n");
	for (;;)
		pause();
}
