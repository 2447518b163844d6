/* SPDX-License-Identifier: MIT */
/*
 * t_clock [--seconds N] [--pause-us N]: read every clock again and again; end with status 1 at the
 * first one that goes backwards, and say which, by how much, and from what to what. That is the
 * property a migration must keep (the papers' example), so it is to be migrated between nodes whose
 * clocks disagree; with views off it must fail.
 */
#include <cpuid.h>
#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <x86intrin.h>

#include "t.h"

enum { READS = 20 /* of each clock between two pauses */ };

struct clock {
	const char *name;
	int64_t (*read)(clockid_t id);
	clockid_t id;
	int64_t last;
	uint64_t advances;
	bool seen;
};

static int64_t by_gettime(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		t_die("clock_gettime(%d)", (int)id);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int64_t by_gettimeofday(clockid_t id)
{
	struct timeval tv;

	(void)id;
	gettimeofday(&tv, NULL);
	return tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
}

static int64_t by_time(clockid_t id)
{
	(void)id;
	return time(NULL) * 1000000000ll;
}

static int64_t by_rdtsc(clockid_t id)
{
	(void)id;
	return (int64_t)__rdtsc();
}

/* Not every processor has it. */
static int64_t by_rdtscp(clockid_t id)
{
	unsigned aux, a, b, c, features = 0;

	__get_cpuid(0x80000001, &a, &b, &c, &features);
	return features & 1u << 27 ? (int64_t)__rdtscp(&aux) : by_rdtsc(id);
}

static bool has_rdtscp(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (d & 1u << 27);
}

static int64_t by_getrusage(clockid_t id)
{
	struct rusage ru;

	(void)id;
	if (getrusage(RUSAGE_SELF, &ru) < 0)
		t_die("getrusage");
	return ru.ru_utime.tv_sec * 1000000000ll + ru.ru_utime.tv_usec * 1000ll;
}

static struct clock clocks[] = {
	{.name = "CLOCK_REALTIME", .read = by_gettime, .id = CLOCK_REALTIME},
	{.name = "CLOCK_MONOTONIC", .read = by_gettime, .id = CLOCK_MONOTONIC},
	{.name = "CLOCK_BOOTTIME", .read = by_gettime, .id = CLOCK_BOOTTIME},
	{.name = "CLOCK_MONOTONIC_RAW", .read = by_gettime, .id = CLOCK_MONOTONIC_RAW},
	{.name = "CLOCK_REALTIME_COARSE", .read = by_gettime, .id = CLOCK_REALTIME_COARSE},
	{.name = "CLOCK_MONOTONIC_COARSE", .read = by_gettime, .id = CLOCK_MONOTONIC_COARSE},
	{.name = "CLOCK_PROCESS_CPUTIME_ID", .read = by_gettime, .id = CLOCK_PROCESS_CPUTIME_ID},
	{.name = "gettimeofday", .read = by_gettimeofday},
	{.name = "time", .read = by_time},
	{.name = "getrusage", .read = by_getrusage},
	{.name = "rdtsc", .read = by_rdtsc},
	{.name = "rdtscp", .read = by_rdtscp}, /* last: not every processor has it */
};
enum { CLOCKS = sizeof(clocks) / sizeof(clocks[0]) };

static void observe(struct clock *c)
{
	int64_t now = c->read(c->id);

	if (c->seen && now < c->last) {
		printf("backwards %s by %" PRId64 ": %" PRId64 " after %" PRId64 "\n", c->name,
		       c->last - now, now, c->last);
		errno = 0;
		t_check(false, "clocks go forward", "%s went back", c->name);
		_Exit(1);
	}
	c->advances += c->seen && now > c->last;
	c->last = now;
	c->seen = true;
}

int main(int argc, char **argv)
{
	long seconds = t_option(argc, argv, "--seconds", 2),
	     pause_us = t_option(argc, argv, "--pause-us", 1000);
	struct timespec pause_ts = {0, pause_us * 1000};
	uint64_t rounds = 0;
	int64_t start = t_mono_ns();
	int nclocks = has_rdtscp() ? CLOCKS : CLOCKS - 1;

	while (t_mono_ns() - start < seconds * 1000000000) {
		for (int i = 0; i < READS; i++)
			for (int k = 0; k < nclocks; k++)
				observe(&clocks[k]);
		rounds++;
		if (pause_us)
			nanosleep(&pause_ts, NULL);
	}
	for (int k = 0; k < nclocks; k++)
		t_check(clocks[k].advances > 0, clocks[k].name, "it stood still for %ld s",
			seconds);
	printf("rounds %" PRIu64 ", reads of each clock %" PRIu64 "\n", rounds, rounds * READS);
	return t_end();
}
