/* SPDX-License-Identifier: MIT */
/* The heap of timers (kernel/timerheap.h) against a search through all of them. */
#include <stdio.h>
#include <stdlib.h>
#include "timerheap.h"

enum { TIMERS = 500, STEPS = 300000, DEADLINES = 2000 };

static struct timer timers[TIMERS];
static struct timer *first;

static u64 earliest(void)
{
	u64 least = ~0ull;

	for (int i = 0; i < TIMERS; i++) {
		if (timers[i].armed && timers[i].deadline_ns < least)
			least = timers[i].deadline_ns;
	}
	return least;
}

int main(void)
{
	srand(1);
	for (int step = 0; step < STEPS; step++) {
		/* Now and then many are added, now and then the earliest ones go, as in a kernel. */
		bool growing = step / 1000 % 2 == 0;
		struct timer *t = rand() % 3 == 0 && first ? first : &timers[rand() % TIMERS];

		if (t->armed && (!growing || rand() % 4 == 0)) {
			timerheap_remove(&first, t);
		} else if (!t->armed) {
			t->deadline_ns = (u64)(rand() % DEADLINES);
			timerheap_add(&first, t);
		}
		u64 least = earliest();

		if (first ? first->deadline_ns != least || !first->armed : least != ~0ull) {
			printf("not ok the first of the heap is the earliest timer: step %d\n",
			       step);
			return 1;
		}
	}
	u64 last = 0;

	while (first) {
		if (first->deadline_ns < last) {
			printf("not ok timers come out in order\n");
			return 1;
		}
		last = first->deadline_ns;
		timerheap_remove(&first, first);
	}
	puts("ok the first of the heap is the earliest timer");
	puts("ok timers come out in order");
	if (earliest() != ~0ull) {
		puts("not ok none is lost");
		return 1;
	}
	puts("ok none is lost");
	return 0;
}
