/* SPDX-License-Identifier: MIT */
/* The boundary to user mode: what must happen before it is crossed. */
#ifndef KERNEL_BOUNDARY_H
#define KERNEL_BOUNDARY_H
#include "proc.h"

/* Might t have something to do first: a signal, a freeze, a stop, another thread's turn? Without
 * branches, for all calls and traps come along here and under TCG a branch ends a translation
 * block. */
static inline u64 attention(const struct proc *p, const struct thread *t)
{
	u64 signals = (p->u->sig.pending.set | t->u.sig.pending.set) & ~t->u.sig.blocked;
	return signals | need_resched | p->freeze_req | (u32)p->stop_sig | p->restless_left |
	       p->ending | t->holds;
}
#endif
