/* SPDX-License-Identifier: MIT */
/*
 * Clocks, sleeps and timers through the Linux ABI: the very same program says the same on Linux.
 * One line a check; the exit status is the number of failures. Upper limits are generous: the
 * machine may be busy.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS   1000000ll
#define LATE (400 * MS)
#define WH_DROP                                                                                    \
	0x1001 /* as the boot module of a node without a disk it starts privileged; ENOSYS         \
		  elsewhere */

static int failures;

static void check(const char *name, int good)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	fflush(stdout);
	failures += !good;
}

static int64_t now(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

static int within(int64_t t, int64_t least, int64_t late)
{
	return t >= least && t < least + late;
}

static void busy(int64_t ns)
{
	int64_t until = now(CLOCK_PROCESS_CPUTIME_ID) + ns;

	while (now(CLOCK_PROCESS_CPUTIME_ID) < until)
		;
}

static void test_reading(void)
{
	static const clockid_t ids[] = {CLOCK_REALTIME,		  CLOCK_MONOTONIC,
					CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
					CLOCK_MONOTONIC_RAW,	  CLOCK_REALTIME_COARSE,
					CLOCK_MONOTONIC_COARSE,	  CLOCK_BOOTTIME};
	struct timespec ts, res;
	struct timeval tv;
	struct timezone tz = {77777, 77777};

	for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		int64_t last = 0, good = 1;
		for (int n = 0; n < 2000; n++) {
			int64_t t = now(ids[i]);
			good &= t >= last && t > 0;
			last = t;
		}
		char name[64];
		snprintf(name, sizeof name, "clock %d exists and does not run backwards", ids[i]);
		check(name, good && clock_getres(ids[i], &res) == 0 && res.tv_sec == 0 &&
				    res.tv_nsec > 0);
	}
	check("no clock 77", clock_gettime(77, &ts) == -1 && errno == EINVAL);
	check("and no resolution of it", clock_getres(77, &ts) == -1 && errno == EINVAL);
	check("the resolution may be unwanted",
	      syscall(SYS_clock_getres, CLOCK_REALTIME, NULL) == 0);
	int64_t a = now(CLOCK_REALTIME);
	syscall(SYS_gettimeofday, &tv, &tz); /* musl keeps the zone to itself */
	int64_t b = tv.tv_sec * 1000 * MS + tv.tv_usec * 1000ll, c = now(CLOCK_REALTIME);
	check("gettimeofday shows REALTIME", b >= a - 1000 && b <= c);
	check("and a zone", tz.tz_minuteswest != 77777 && tz.tz_dsttime != 77777);
	check("neither may be wanted", syscall(SYS_gettimeofday, NULL, NULL) == 0);
	time_t sec = 0, direct = syscall(SYS_time, &sec);
	check("time shows it too, in both places",
	      direct == sec && sec >= tv.tv_sec && sec <= tv.tv_sec + 1);
	long ticks = times(NULL), t0 = now(CLOCK_MONOTONIC) / (10 * MS);
	struct timespec half = {0, 100 * MS};
	nanosleep(&half, NULL);
	long later = times(NULL) - ticks, t1 = now(CLOCK_MONOTONIC) / (10 * MS) - t0;
	check("times counts hundredths of a second", later >= 9 && labs(later - t1) < 10);
	uint32_t lo, hi, lo2, hi2, aux, features;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	__asm__ volatile("rdtsc" : "=a"(lo2), "=d"(hi2));
	check("rdtsc runs", ((uint64_t)hi2 << 32 | lo2) > ((uint64_t)hi << 32 | lo));
	__asm__ volatile("cpuid" : "=a"(lo), "=d"(features) : "a"(0x80000001) : "ebx", "ecx");
	if (features & 1u << 27)
		__asm__ volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
	else
		__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	check("so does rdtscp, where there is one",
	      ((uint64_t)hi << 32 | lo) > ((uint64_t)hi2 << 32 | lo2));
}

static void test_cpu(void)
{
	struct rusage a, b;
	struct tms t0, t1;
	struct timespec half = {0, 150 * MS};

	times(&t0);
	getrusage(RUSAGE_SELF, &a);
	int64_t c = now(CLOCK_PROCESS_CPUTIME_ID);
	nanosleep(&half, NULL);
	check("sleep uses no processor time", now(CLOCK_PROCESS_CPUTIME_ID) - c < 100 * MS);
	busy(200 * MS);
	getrusage(RUSAGE_SELF, &b);
	times(&t1);
	long used = (b.ru_utime.tv_sec - a.ru_utime.tv_sec) * 1000000 + b.ru_utime.tv_usec -
		    a.ru_utime.tv_usec + (b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1000000 +
		    b.ru_stime.tv_usec - a.ru_stime.tv_usec;
	check("getrusage counts it", used > 150000 && used < 1500000);
	check("times too", t1.tms_utime + t1.tms_stime - t0.tms_utime - t0.tms_stime > 10);
	int pid = fork();
	if (pid == 0) {
		if (now(CLOCK_PROCESS_CPUTIME_ID) > 150 * MS)
			_exit(1);
		busy(150 * MS);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	check("a child starts with none", status == 0);
	getrusage(RUSAGE_CHILDREN, &b);
	check("and leaves its own to its parent", b.ru_utime.tv_sec * 1000000 + b.ru_utime.tv_usec +
								  b.ru_stime.tv_sec * 1000000 +
								  b.ru_stime.tv_usec >
							  100000);
	check("of whom else?", getrusage(5, &a) == -1 && errno == EINVAL);
}

static volatile int rings;
static void ring(int sig)
{
	(void)sig;
	rings++;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = ring, .sa_flags = flags};

	sigaction(sig, &sa, NULL);
}

static void ring_in(int64_t ns, int64_t every)
{
	struct itimerval iv = {{0, every / 1000}, {0, ns / 1000}};

	setitimer(ITIMER_REAL, &iv, NULL);
}

static void test_sleep(void)
{
	struct timespec ts = {0, 60 * MS}, rem = {9, 9};
	int64_t t = now(CLOCK_MONOTONIC);

	check("nanosleep", nanosleep(&ts, &rem) == 0);
	check("  as long as asked", within(now(CLOCK_MONOTONIC) - t, 60 * MS, LATE));
	check("  the rest is not written", rem.tv_sec == 9);
	ts = (struct timespec){0, 1000 * MS};
	check("a second has 10^9 ns", nanosleep(&ts, NULL) == -1 && errno == EINVAL);
	ts = (struct timespec){-1, 0};
	check("no negative sleep", nanosleep(&ts, NULL) == -1 && errno == EINVAL);
	ts = (struct timespec){0, 0};
	check("no sleep at all", nanosleep(&ts, NULL) == 0);
	for (int restart = 0; restart < 2; restart++) {
		handle(SIGALRM, restart ? SA_RESTART : 0);
		rings = 0;
		ts = (struct timespec){5, 0};
		ring_in(50 * MS, 0);
		int r = nanosleep(&ts, &rem), e = errno;
		check(restart ? "SA_RESTART does not change that" : "a handler ends a sleep",
		      r == -1 && e == EINTR && rings == 1);
		check("  and the rest is what was left", rem.tv_sec == 4 && rem.tv_nsec > 300 * MS);
	}
	signal(SIGALRM, SIG_IGN);
	ts = (struct timespec){0, 120 * MS};
	t = now(CLOCK_MONOTONIC);
	ring_in(30 * MS, 30 * MS);
	check("an ignored signal does not",
	      nanosleep(&ts, NULL) == 0 && now(CLOCK_MONOTONIC) - t >= 120 * MS);
	ring_in(0, 0);

	int pid = fork(), status;
	if (pid == 0) {
		ts = (struct timespec){0, 300 * MS};
		_exit(nanosleep(&ts, NULL) || now(CLOCK_MONOTONIC) - t < 300 * MS);
	}
	ts = (struct timespec){0, 50 * MS};
	nanosleep(&ts, NULL);
	kill(pid, SIGSTOP);
	nanosleep(&ts, NULL);
	kill(pid, SIGCONT);
	waitpid(pid, &status, 0);
	check("nor does a stop", status == 0);
}

static void test_absolute(void)
{
	static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};

	for (int i = 0; i < 3; i++) {
		int64_t t = now(ids[i]) + 60 * MS;
		struct timespec ts = {t / (1000 * MS), t % (1000 * MS)};
		check("sleep until a time",
		      clock_nanosleep(ids[i], TIMER_ABSTIME, &ts, NULL) == 0 &&
			      within(now(ids[i]), t, LATE));
		check("  that is past", clock_nanosleep(ids[i], TIMER_ABSTIME, &ts, NULL) == 0);
	}
	struct timespec ts = {0, 20 * MS};
	check("a relative one", clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL) == 0);
	check("not by clock 77", clock_nanosleep(77, 0, &ts, NULL) == EINVAL);
	check("nor by the thread's",
	      clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL) == EINVAL);
	handle(SIGALRM, 0);
	int64_t t = now(CLOCK_REALTIME) + 5000 * MS;
	ts = (struct timespec){t / (1000 * MS), t % (1000 * MS)};
	ring_in(40 * MS, 0);
	check("a handler ends it",
	      clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == EINTR);
}

static void test_timers(void)
{
	struct itimerval iv, bad = {{0, 0}, {0, 1000000}};
	struct timespec ts = {0, 500 * MS};

	handle(SIGALRM, 0);
	check("no alarm was set", alarm(3) == 0);
	check("the old one's rest in seconds", alarm(10) == 3);
	getitimer(ITIMER_REAL, &iv);
	check("it is the interval timer",
	      iv.it_value.tv_sec == 9 && iv.it_interval.tv_sec == 0 && iv.it_interval.tv_usec == 0);
	check("off", alarm(0) == 10 && alarm(0) == 0);
	rings = 0;
	int64_t t = now(CLOCK_MONOTONIC);
	ring_in(30 * MS, 20 * MS);
	while (rings < 5)
		pause();
	check("an interval timer rings again and again",
	      within(now(CLOCK_MONOTONIC) - t, 110 * MS, LATE));
	getitimer(ITIMER_REAL, &iv);
	check("and says when", iv.it_interval.tv_usec == 20000 && iv.it_value.tv_usec <= 20000 &&
				       iv.it_value.tv_sec == 0);
	int pid = fork(), status;
	if (pid == 0) {
		getitimer(ITIMER_REAL, &iv);
		_exit(iv.it_value.tv_sec || iv.it_value.tv_usec);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	check("a child has no timer", status == 0);
	ring_in(0, 0);
	rings = 0;
	nanosleep(&ts, NULL);
	check("until it is off", rings == 0);
	check("a second has 10^6 us", setitimer(ITIMER_REAL, &bad, NULL) == -1 && errno == EINVAL);
	check("no timer 9", setitimer(9, &iv, NULL) == -1 && errno == EINVAL &&
				    getitimer(9, &iv) == -1 && errno == EINVAL);
}

static void test_pointers(void)
{
	void *bad = (void *)8;

	check("clock_gettime to nowhere",
	      syscall(SYS_clock_gettime, CLOCK_REALTIME, bad) == -1 && errno == EFAULT);
	check("clock_getres",
	      syscall(SYS_clock_getres, CLOCK_REALTIME, bad) == -1 && errno == EFAULT);
	check("gettimeofday", syscall(SYS_gettimeofday, bad, NULL) == -1 && errno == EFAULT);
	check("its zone", syscall(SYS_gettimeofday, NULL, bad) == -1 && errno == EFAULT);
	check("time", syscall(SYS_time, bad) == -1 && errno == EFAULT);
	check("times", syscall(SYS_times, bad) == -1 && errno == EFAULT);
	check("getrusage", syscall(SYS_getrusage, 0, bad) == -1 && errno == EFAULT);
	check("nanosleep", syscall(SYS_nanosleep, bad, NULL) == -1 && errno == EFAULT);
	check("clock_nanosleep",
	      syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, bad, NULL) == -1 && errno == EFAULT);
	check("getitimer", syscall(SYS_getitimer, 0, bad) == -1 && errno == EFAULT);
	check("setitimer", syscall(SYS_setitimer, 0, bad, NULL) == -1 && errno == EFAULT);
	check("settimeofday", syscall(SYS_settimeofday, bad, NULL) == -1 && errno == EFAULT);
	check("clock_settime",
	      syscall(SYS_clock_settime, CLOCK_REALTIME, bad) == -1 && errno == EFAULT);
	check("a clock that cannot be set",
	      syscall(SYS_clock_settime, CLOCK_MONOTONIC, &(struct timespec){1, 1}) == -1 &&
		      errno == EINVAL);
	check("an impossible time",
	      syscall(SYS_settimeofday, &(struct timeval){1, 2000000}, NULL) == -1 &&
		      errno == EINVAL);
}

int main(void)
{
	syscall(WH_DROP);
	test_reading();
	test_cpu();
	test_sleep();
	test_absolute();
	test_timers();
	test_pointers();
	printf("clocktest: %d failed\n", failures);
	fflush(stdout);
	while (getppid() == 0) /* the boot module has nobody to return to */
		pause();
	return failures;
}
