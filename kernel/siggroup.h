/* SPDX-License-Identifier: MIT */
/*
 * Signals to process groups whose members may be on several nodes (siggroup.c).
 *
 * Which group signals have been heard from one origin, in one word: the newest's number, and a bit for each of the 16
 * before it. Those that are older count as heard. Numbers grow over the incarnations of the origin.
 */
#ifndef KERNEL_SIGGROUP_H
#define KERNEL_SIGGROUP_H
#include "types.h"

#define HEARD_BITS 16u

static inline bool heard_has(u64 heard, u64 seq)
{
	u64 newest = heard >> HEARD_BITS;
	if (seq >= newest)
		return seq == newest;
	return newest - seq > HEARD_BITS || (heard >> (newest - seq - 1) & 1);
}

static inline u64 heard_add(u64 heard, u64 seq)
{
	u64 newest = heard >> HEARD_BITS, bits = heard & ((1u << HEARD_BITS) - 1);
	if (seq < newest)
		return newest - seq > HEARD_BITS ? heard : heard | 1ull << (newest - seq - 1);
	if (seq > newest)
		bits = seq - newest > HEARD_BITS ? 0 : (bits << 1 | 1) << (seq - newest - 1);
	return seq << HEARD_BITS | (bits & ((1u << HEARD_BITS) - 1));
}

/* What either has heard. */
static inline u64 heard_union(u64 a, u64 b)
{
	u64 all = a > b ? a : b, other = a > b ? b : a, newest = all >> HEARD_BITS;
	for (u32 back = 0; back <= HEARD_BITS && back < newest; back++)
		if (heard_has(other, newest - back))
			all = heard_add(all, newest - back);
	return all;
}

struct fs_signal;
struct proc;
struct unames;

/* kill(-pgid, sig) by `me`: 0, or -ESRCH or -EPERM if no member anywhere could be signalled. Members on this node have
 * the signal when it returns. It may sleep only if there is no member here. */
i64 group_kill(const struct unames *me, i32 pgid, int sig);
/* The same for a sender on another node: the members on this one. */
i64 group_from_afar(const struct fs_signal *q);
/* The signal state of frozen p is about to be packed: what it need not hear elsewhere. */
void group_pack(struct proc *p);
/* p has just arrived and not run yet: it gets what was sent to its group while it was in transit. */
void group_arrived(struct proc *p);
#endif
