/* SPDX-License-Identifier: MIT */
/*
 * How far another node's clock is from ours, from messages that took unknown times: four time
 * stamps as in NTP, several exchanges, the quick ones trusted. Pure; all times in ns.
 */
#ifndef CLOCK_OFFSET_H
#define CLOCK_OFFSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OFFSET_BURST = 5 };

struct offset_sample {
	int64_t offset; /* peer's clock - ours */
	int64_t delay;	/* of the message and its answer, without the time at the peer */
};

/*
 * One exchange: we sent at t1 (our clock), it arrived at t2 and was answered at t3 (the peer's
 * clock), the answer came at t4 (ours). False if these cannot be: a clock was set meanwhile, or the
 * peer lies.
 */
bool offset_measure(int64_t t1, int64_t t2, int64_t t3, int64_t t4, struct offset_sample *s);

/*
 * The estimate of a burst. The offset of one exchange is wrong by at most half its delay, so those
 * with more than twice the smallest delay are left out; of the rest, the median offset, with its
 * own delay. False if n is 0. n <= OFFSET_BURST.
 */
bool offset_filter(const struct offset_sample *s, size_t n, struct offset_sample *estimate);

#endif
