/* SPDX-License-Identifier: MIT */
/*
 * What every workload shares: options, the result file, the progress file, a random generator.
 *
 * A workload is an ordinary static Linux program. The same file is run on the host, where it gives
 * the "normal result" (Lu & Liu), and on Whimbrel, where it may be moved at any moment; the two
 * result files must be equal byte for byte. So results depend on the arguments only, and progress
 * is reported after a fixed amount of work, never after an amount of time.
 */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>
#include <stdio.h>

/* One option "--name VALUE". Tables end with an entry without a name. */
struct work_opt {
	const char *name;
	enum { OPT_NUM, OPT_TEXT } kind;
	union {
		long *num;	   /* OPT_NUM: decimal, checked against min */
		const char **text; /* OPT_TEXT: points into argv */
	} to;
	long min;
	const char *help;
};

struct work_usage {
	const char *name;     /* of the program */
	const char *what;     /* one sentence */
	const char *operands; /* shown in the usage line; NULL: none */
	const char **operand; /* where the operands go */
	int noperands;	      /* all are required */
	const struct work_opt *opts;
};

/*
 * Parse the arguments: --help and errors end the program (status 0 and 2). Opens the result file
 * (-o FILE, default standard output) and the progress file (--progress FILE, default standard
 * error; "none" for silence) and keeps both open until work_end().
 */
void work_args(int argc, char **argv, const struct work_usage *usage);

/* Where results go. Valid between work_args() and work_end(). */
extern FILE *work_out;

/* One line of progress; the newline is added, and the line is written at once. */
void work_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print "NAME: reason" and end the program with status 1. errno is shown when it is not 0. */
_Noreturn void work_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flush and close the files. Returns the exit status: `status`, or 1 if a result was not written. */
int work_end(int status);

/* splitmix64: 64 bits of state, every seed is good, the same sequence everywhere. */
static inline uint64_t work_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Uniform in (0, 1): 53 bits, never 0 so that its logarithm exists. */
static inline double work_uniform(uint64_t *state)
{
	return ((double)(work_random(state) >> 11) + 0.5) * 0x1p-53;
}

/* Uniform in 0..n-1, n > 0 and small against 2^32: the bias is below n / 2^32. */
static inline uint32_t work_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((work_random(state) >> 32) * n) >> 32);
}

#endif
