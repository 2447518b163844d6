/* SPDX-License-Identifier: MIT */
/*
 * A pairing heap: none is earlier than the one above it. A user may have tens of thousands of timers, so what one costs must
 * not depend on how many there are.
 */
#include "timerheap.h"

static struct timer *meld(struct timer *a, struct timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->deadline_ns < a->deadline_ns)
		return meld(b, a);
	b->prev = a;
	b->next = a->below;
	if (a->below)
		a->below->prev = b;
	a->below = b;
	return a;
}

/* One heap of the row that begins with t: two by two from the left, then all together from the right. */
static struct timer *meld_row(struct timer *t)
{
	struct timer *pairs = NULL, *heap = NULL;
	while (t) {
		struct timer *a = t, *b = t->next;
		t = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct timer *a = pairs;
		pairs = a->next;
		a->next = NULL;
		heap = meld(heap, a);
	}
	return heap;
}

void timerheap_remove(struct timer **first, struct timer *t)
{
	struct timer *below = meld_row(t->below);
	if (t == *first) {
		*first = below;
	} else {
		if (t->prev->below == t)
			t->prev->below = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		*first = meld(*first, below);
	}
	t->below = t->next = t->prev = NULL;
	t->armed = false;
}

void timerheap_add(struct timer **first, struct timer *t)
{
	t->below = t->next = t->prev = NULL;
	t->armed = true;
	*first = meld(*first, t);
}
