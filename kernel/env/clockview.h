/* SPDX-License-Identifier: MIT */
/*
 * The rule `monotonic` of a clock that nodes disagree about (Lu & Liu Fig. 5, corrected as design 4
 * and 7 say). Pure: no kernel state, tested on the host (tests/host/test_clockview.c). Times are
 * ns; `now` is what the node's clock reads.
 *
 * Differences from the figure: `bigger` also accepts equal values (a clock may stand still, not run
 * backwards); the probe at resumption is a parameter, so nothing is re-invoked for comparison; the
 * zone is not part of it (zones are `same`, not ordered).
 */
#ifndef KERNEL_ENV_CLOCKVIEW_H
#define KERNEL_ENV_CLOCKVIEW_H
#include "types.h"

/* What a process is shown while the node's clock is not past the duplicate. */
enum clock_policy {
	CLOCK_HOLD,  /* the duplicate, until the node's clock passes it */
	CLOCK_BLOCK, /* nothing: the caller waits until the node's clock passes it */
	CLOCK_SLEW,  /* a clock at half the node's rate, until the node's clock passes it */
};

/* Per clock (Fig. 2: cview). */
struct cview {
	u8 marker;   /* some V-function of the clock was called */
	u8 larger;   /* 1: the node's clock is past the duplicate */
	i64 dup_ns;  /* the duplicate: what the process was shown last */
	i64 seen_ns; /* slewing: the node's clock when dup_ns was taken; does not travel */
};

/* What an observation would show; effect-free. */
i64 cview_peek(const struct cview *v, enum clock_policy policy, i64 now);
i64 cview_observe_held(struct cview *v, enum clock_policy policy, i64 now);
/* The process is shown `now`, the node's clock. */
static inline void cview_shown(struct cview *v, i64 now)
{
	v->marker = 1;
	v->dup_ns = v->seen_ns = now;
}
/* An observation: sets the marker, the duplicate and, once the node's clock has passed it,
 * `larger`. */
static inline i64 cview_observe(struct cview *v, enum clock_policy policy, i64 now)
{
	if (!v->larger)
		return cview_observe_held(v, policy, now);
	cview_shown(v, now);
	return now;
}
/* Static instantiation at resumption: `now` is the effect-free probe that is compared with the
 * duplicate. Also when the node's clock was stepped. */
void cview_bind(struct cview *v, i64 now);
/* By how much the node's clock must advance until the process can be shown `target` or later; 0:
 * now. */
i64 cview_wait(const struct cview *v, enum clock_policy policy, i64 now, i64 target);
/* The process itself has set the clock to `value`: that is what it knows from here on. */
void cview_set(struct cview *v, i64 value);
/* Knowledge travels between processes: `to` learns what `from` was shown (the later of both). */
void cview_learn(struct cview *to, const struct cview *from, i64 now);
#endif
