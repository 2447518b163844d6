/* SPDX-License-Identifier: MIT */
/*
 * Dense linear systems A x = b by LU decomposition with partial pivoting, each with its residual
 * checked against the matrix it came from: memory of n*n doubles is rewritten all the time, which
 * makes this the workload with the largest working set.
 */
#include "work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_N = 4096, FLOPS_PER_REPORT = 300000000 };

static long n = 300;
static double *a, *lu, *b, *x;
static long *pivot;

static void make_system(uint64_t *seed)
{
	for (long i = 0; i < n * n; i++)
		a[i] = 2 * work_uniform(seed) - 1;
	for (long i = 0; i < n; i++)
		b[i] = 2 * work_uniform(seed) - 1;
	memcpy(lu, a, (size_t)(n * n) * sizeof(*a));
}

static void swap_rows(long i, long j)
{
	for (long k = 0; k < n; k++) {
		double t = lu[i * n + k];

		lu[i * n + k] = lu[j * n + k];
		lu[j * n + k] = t;
	}
}

/* Decompose in place; returns 0 if the matrix is singular. */
static int decompose(void)
{
	for (long k = 0; k < n; k++) {
		long best = k;

		for (long i = k + 1; i < n; i++)
			if (fabs(lu[i * n + k]) > fabs(lu[best * n + k]))
				best = i;
		pivot[k] = best;
		if (lu[best * n + k] == 0)
			return 0;
		if (best != k)
			swap_rows(best, k);
		for (long i = k + 1; i < n; i++) {
			double f = lu[i * n + k] /= lu[k * n + k];

			for (long j = k + 1; j < n; j++)
				lu[i * n + j] -= f * lu[k * n + j];
		}
	}
	return 1;
}

static void substitute(void)
{
	memcpy(x, b, (size_t)n * sizeof(*x));
	for (long i = 0; i < n; i++) {
		double t = x[pivot[i]];

		x[pivot[i]] = x[i];
		x[i] = t;
	}
	for (long i = 0; i < n; i++)
		for (long j = 0; j < i; j++)
			x[i] -= lu[i * n + j] * x[j];
	for (long i = n - 1; i >= 0; i--) {
		for (long j = i + 1; j < n; j++)
			x[i] -= lu[i * n + j] * x[j];
		x[i] /= lu[i * n + i];
	}
}

/* Largest |Ax - b| over the size of the numbers that went into it. */
static double residual(void)
{
	double worst = 0, scale = 0;

	for (long i = 0; i < n; i++) {
		double sum = -b[i], size = fabs(b[i]);

		for (long j = 0; j < n; j++) {
			sum += a[i * n + j] * x[j];
			size += fabs(a[i * n + j] * x[j]);
		}
		worst = fmax(worst, fabs(sum));
		scale = fmax(scale, size);
	}
	return worst / scale;
}

static void *doubles(long count)
{
	void *p = calloc((size_t)count, sizeof(double));

	if (!p)
		work_die("no memory for n = %ld", n);
	return p;
}

int main(int argc, char **argv)
{
	long systems = 130, seed = 1, per_report, bad = 0;
	uint64_t state;
	const struct work_opt opts[] = {
		{"n", OPT_NUM, {.num = &n}, 2, "unknowns of each system: memory is 16 n^2 bytes"},
		{"systems", OPT_NUM, {.num = &systems}, 1, "systems to solve: the duration"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the systems"},
		{0},
	};
	const struct work_usage usage = {
		.name = "solve",
		.what = "Solve dense linear systems and check every solution.",
		.opts = opts,
	};

	work_args(argc, argv, &usage);
	if (n > MAX_N)
		work_die("n is at most %d", MAX_N);
	a = doubles(n * n);
	lu = doubles(n * n);
	b = doubles(n);
	x = doubles(n);
	pivot = doubles(n);
	state = (uint64_t)seed;
	per_report = 1 + FLOPS_PER_REPORT / (2 * n * n * n / 3 + 1);
	for (long i = 1; i <= systems; i++) {
		double r, sum = 0;

		make_system(&state);
		if (!decompose())
			work_die("system %ld is singular", i);
		substitute();
		r = residual();
		bad += r > 1e-9;
		for (long k = 0; k < n; k++)
			sum += x[k];
		fprintf(work_out, "system %ld: sum of x %.12e residual %.3e %s\n", i, sum, r,
			r > 1e-9 ? "BAD" : "ok");
		if (i % per_report == 0 || i == systems)
			work_progress("system %ld of %ld", i, systems);
	}
	fprintf(work_out, "%ld systems of %ld unknowns, %ld bad\n", systems, n, bad);
	return work_end(bad ? 3 : 0);
}
