/* SPDX-License-Identifier: MIT */
/* What must not notice that it is moved (roundtrip.h). */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "roundtrip.h"
#include "wh.h"

static int64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

#define WORDS (256 << 10)
static uint64_t memory[WORDS];
uint64_t expected;

uint64_t compute(void)
{
	uint64_t x = 88172645463325252ull;
	double sum = 0;

	for (unsigned round = 0; round < 60; round++)
		for (unsigned i = 0; i < WORDS; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			memory[i] += x;
			sum += 1.0 / (double)(1 + (memory[i] & 0xffff));
		}
	for (unsigned i = 0; i < WORDS; i++)
		x = x * 31 + memory[i];
	uint64_t bits;
	memcpy(&bits, &sum, sizeof bits);
	return x ^ bits;
}

void compute_reset(void)
{
	memset(memory, 0, sizeof memory);
}

int child_compute(void)
{
	return compute() != expected;
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

int child_clocks(void)
{
	static const clockid_t id[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME,
				       CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME_COARSE};
	int64_t last[5] = {0}, start_ns = now(CLOCK_MONOTONIC);
	uint64_t tsc = 0;
	struct timeval tv, old = {0};
	time_t sec = 0;

	while (now(CLOCK_MONOTONIC) < start_ns + 700 * MS) {
		for (int i = 0; i < 5; i++) {
			int64_t t = now(id[i]);
			if (t < last[i])
				return 10 + i;
			last[i] = t;
		}
		if (rdtsc() < tsc)
			return 20;
		tsc = rdtsc();
		gettimeofday(&tv, NULL);
		if (timercmp(&tv, &old, <) || time(NULL) < sec)
			return 21;
		old = tv;
		sec = time(NULL);
	}
	return 0;
}

int child_tells(void)
{
	int p[2], status;
	int64_t told;

	if (pipe(p))
		return 1;
	pid_t listener = fork();
	if (listener == 0) {
		if (read(p[0], &told, sizeof told) != sizeof told)
			_exit(2);
		_exit(now(CLOCK_REALTIME) < told ? 3 : 0);
	}
	told = now(CLOCK_REALTIME);
	nanosleep(&(struct timespec){.tv_nsec = 100 * MS}, NULL);
	if (write(p[1], &told, sizeof told) != sizeof told || waitpid(listener, &status, 0) < 0)
		return 4;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

int child_sleep(void)
{
	int64_t t = now(CLOCK_MONOTONIC);
	struct timespec half = {0, 500 * MS}, rem = {7, 7};

	if (nanosleep(&half, &rem) || rem.tv_sec != 7)
		return 1;
	t = now(CLOCK_MONOTONIC) - t;
	return t < 500 * MS ? 2 : t > 1000 * MS ? 3 : 0;
}

static volatile int alarms;
static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

int child_alarm(void)
{
	struct itimerval iv = {.it_value.tv_usec = 400000};
	int64_t t = now(CLOCK_MONOTONIC);

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &iv, NULL);
	while (!alarms)
		if (pause() != -1 || errno != EINTR)
			return 1;
	t = now(CLOCK_MONOTONIC) - t;
	return t < 400 * MS ? 2 : t > 900 * MS ? 3 : 0;
}

int child_spin(void)
{
	while (!alarms)
		signal(SIGUSR1, on_alarm);
	return 42;
}

int child_vfork(void)
{
	struct timespec half = {0, 300 * MS};

	if (vfork() == 0) {
		nanosleep(&half, NULL);
		_exit(0);
	}
	return 0;
}

int child_ctl(void)
{
	char text[64] = "question";
	uint32_t n = 0;

	/* Who starts us listens until he sees us run, and forgets what he hears (pause_ns). */
	nanosleep(&(struct timespec){.tv_nsec = 20 * MS}, NULL);
	long r = wh_ctl(WH_SVC_MIGRATE, 5, text, 8, sizeof text, &n);

	if (r != 3 || n != 6 || memcmp(text, "answer", 6))
		return 1;
	if (wh_ctl(99, 5, text, 8, sizeof text, &n) != -EINVAL ||
	    wh_ctl(WH_SVC_NET, 5, text, 8, sizeof text, &n) != -ESRCH)
		return 2;
	if (wh_ctl(WH_SVC_MIGRATE, 5, (void *)8, 8, 64, &n) != -EFAULT)
		return 3;
	/* What only the handler may do. */
	if (wh_proc_freeze(getppid(), 0) != -EPERM || wh_proc_thaw(getpid()) != -EPERM ||
	    wh_register(3) != -EPERM || wh_syscall(WH_NR_now, 0, 0, 0, 0, 0, 0) != -EPERM)
		return 4;
	return 0;
}

int child_abs_sleep(void)
{
	struct timespec until;
	int64_t t = now(CLOCK_REALTIME) + 400 * MS;

	until.tv_sec = t / (1000 * MS);
	until.tv_nsec = t % (1000 * MS);
	if (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL))
		return 1;
	return now(CLOCK_REALTIME) < t ? 2 : 0;
}
