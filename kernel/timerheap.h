/* SPDX-License-Identifier: MIT */
/* Timers in the order of their deadlines. Pure, so that a host test runs the same code. */
#ifndef KERNEL_TIMERHEAP_H
#define KERNEL_TIMERHEAP_H
#include "types.h"

struct timer {
	/* Its place in the heap: the first of those below it, its neighbours, and from the first of a row the one above. */
	struct timer *below, *next, *prev;
	u64 deadline_ns;
	void (*fire)(struct timer *t); /* interrupts off, must not block */
	bool armed;		       /* it is in the heap */
};

/* *first: the earliest of all, NULL if there is none. t->deadline_ns must not change while t is in. */
void timerheap_add(struct timer **first, struct timer *t);
void timerheap_remove(struct timer **first, struct timer *t);
#endif
