/* SPDX-License-Identifier: MIT */
/*
 * t_sleep [--ms N] [--absolute 1]: sleep once (3 s) and measure it by the process's own MONOTONIC clock. Moved in
 * the middle of its sleep it must sleep neither shorter nor, but for the move, longer.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "t.h"

enum { LATE_MS = 1000 };

int main(int argc, char **argv)
{
	long ms = t_option(argc, argv, "--ms", 3000),
	     absolute = t_option(argc, argv, "--absolute", 0);
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
	int64_t start = t_mono_ns();
	int err = 0;

	if (absolute) {
		int64_t end = start + ms * 1000000;

		ts = (struct timespec){end / 1000000000, end % 1000000000};
		err = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	} else if (nanosleep(&ts, NULL) < 0) {
		err = errno;
	}
	int64_t took = (t_mono_ns() - start) / 1000000;

	errno = err;
	t_check(err == 0, "the sleep is not interrupted", "it was");
	t_check(took >= ms, "not too short", "%" PRId64 " ms instead of %ld", took, ms);
	t_check(took <= ms + LATE_MS, "not too long", "%" PRId64 " ms instead of %ld", took, ms);
	printf("slept %" PRId64 " ms\n", took);
	return t_end();
}
