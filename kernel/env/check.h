/* SPDX-License-Identifier: MIT */
/* The online checker's part on the way of every look at a clock (check.c). */
#ifndef KERNEL_ENV_CHECK_H
#define KERNEL_ENV_CHECK_H
#include "env.h"
#include "proc.h"

static inline void check_observed(struct check_state *c)
{
	c->observations++;
	check_observations++;
}

/* It may have; judge, and tell. */
void check_clock_backwards(struct proc *p, u32 which, i64 value_ns, i64 unit_ns);

/* p was shown value_ns, which is a multiple of unit_ns (1 s for time()). */
static inline void check_clock(struct proc *p, u32 which, i64 value_ns, i64 unit_ns)
{
	struct check_state *c = &p->u->check;

	if (p->privileged)
		return;
	check_observed(c);
	if (UNLIKELY(value_ns < c->last[which] && c->seen[which])) {
		check_clock_backwards(p, which, value_ns, unit_ns);
		return;
	}
	c->seen[which] = 1;
	c->last[which] = value_ns;
}
#endif
