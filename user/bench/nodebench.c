/* SPDX-License-Identifier: MIT */
/*
 * nodebench: what calls, processes, memory and files of one node cost. A static program of the Linux ABI: the same file
 * runs on Whimbrel and on Linux. tools/bench/node.sh runs it on both and compares; docs/bench.md explains the rows.
 *
 * One line per row: NAME MEDIAN MIN MAX N, in nanoseconds per operation; N operations made a sample.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nodebench.h"

enum { SAMPLES_MAX = 99, GROW = 8 };

static const struct row {
	const char *name;
	uint64_t (*run)(long n);
	long first;
	const char *goal, *text;
} rows[] = {
#define ROW(name, first, goal, text) {#name, row_##name, first, goal, text},
#include "nodebench.def"
#undef ROW
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

char nb_self[PATH_MAX];
static const char *dir = "/var/tmp/nodebench";
static uint64_t sample_ns = 100 * 1000000ull;
static int samples = 5;

uint64_t nb_now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) < 0)
		nb_fail("clock_gettime");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn void nb_fail(const char *what)
{
	fprintf(stderr, "nodebench: %s: %s\n", what, strerror(errno));
	exit(1);
}

const char *nb_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* How many operations fill a sample: more and more are tried until half of one is reached. */
static long calibrate(const struct row *r)
{
	long n = r->first;

	for (;;) {
		uint64_t ns = r->run(n);

		if (ns > sample_ns / 2)
			return n;
		if (ns < sample_ns / GROW)
			n *= GROW;
		else
			n = (long)((double)n * (double)sample_ns / (double)ns) + 1;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const struct row *r)
{
	double ns[SAMPLES_MAX];
	long n = r->first ? calibrate(r) : 1;
	int count = r->first ? samples : 1;

	for (int i = 0; i < count; i++)
		ns[i] = (double)r->run(n) / (double)n;
	qsort(ns, (size_t)count, sizeof(ns[0]), by_value);
	printf("%s %.3f %.3f %.3f %ld\n", r->name, ns[count / 2], ns[0], ns[count - 1], n);
	fflush(stdout);
}

static void find_self(const char *argv0)
{
	ssize_t n = readlink("/proc/self/exe", nb_self, sizeof(nb_self) - 1);

	if (n < 0)
		snprintf(nb_self, sizeof(nb_self), "%s", argv0);
}

_Noreturn static void usage(void)
{
	fprintf(stderr,
		"usage: nodebench [--only NAME]... [--ms MS-PER-SAMPLE] [--samples N] [DIRECTORY]\n"
		"       nodebench --list             name, goal and meaning of each row\n"
		"       nodebench --prepare [DIR]    make the files that the rows want, and sync\n"
		"Default: every row but seq64_cold, 100 ms, 5 samples, %s\n",
		dir);
	exit(2);
}

static long number(const char *text, long max)
{
	char *end;
	long n = text ? strtol(text, &end, 10) : 0;

	if (n < 1 || n > max || *end)
		usage();
	return n;
}

static void select_row(bool *wanted, const char *name)
{
	int i = 0;

	while (i < ROWS && (!name || strcmp(name, rows[i].name) != 0))
		i++;
	if (i == ROWS) {
		fprintf(stderr, "nodebench: no row '%s'; --list names them\n", name ? name : "");
		exit(2);
	}
	wanted[i] = true;
}

static void list(void)
{
	for (int i = 0; i < ROWS; i++)
		printf("%s\t%s\t%s\n", rows[i].name, rows[i].goal, rows[i].text);
}

int main(int argc, char **argv)
{
	bool wanted[ROWS] = {0}, some = false, prepare = false;

	if (argc == 2 && strcmp(argv[1], "--exit") == 0)
		_exit(0);
	find_self(argv[0]);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0)
			return list(), 0;
		if (strcmp(argv[i], "--prepare") == 0) {
			prepare = true;
		} else if (strcmp(argv[i], "--only") == 0) {
			select_row(wanted, argv[++i]);
			some = true;
		} else if (strcmp(argv[i], "--ms") == 0) {
			sample_ns = (uint64_t)number(argv[++i], 100000) * 1000000u;
		} else if (strcmp(argv[i], "--samples") == 0) {
			samples = (int)number(argv[++i], SAMPLES_MAX);
		} else if (argv[i][0] == '-' || i != argc - 1) {
			usage();
		} else {
			dir = argv[i];
		}
	}
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		nb_fail(dir);
	if (prepare) {
		nb_prepare();
		return 0;
	}
	for (int i = 0; i < ROWS; i++)
		if (some ? wanted[i] : rows[i].first != 0) /* what is cold only once is asked for */
			measure(&rows[i]);
	return 0;
}
