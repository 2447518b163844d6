/* SPDX-License-Identifier: MIT */
/* Which group signals have been heard (kernel/siggroup.h), against sets of numbers. */
#include <stdio.h>
#include <stdlib.h>
#include "siggroup.h"

enum { NUMBERS = 60, RUNS = 1000 };

/* What a word stands for: the set, and all that are older than its newest by more than HEARD_BITS. */
static bool in_set(const bool *set, int seq)
{
	int newest = NUMBERS;

	while (newest > 0 && !set[newest])
		newest--;
	return set[seq] || newest - seq > (int)HEARD_BITS;
}

static void compare(const char *what, u64 word, const bool *set)
{
	for (int seq = 1; seq <= NUMBERS; seq++) {
		if (heard_has(word, (u64)seq) == in_set(set, seq))
			continue;
		printf("not ok %s: number %d, word %llx\n", what, seq, (unsigned long long)word);
		exit(1);
	}
}

/* Numbers come nearly in order. Old ones count as heard already, so they are not added. */
static u64 fill(bool *set, int from, int count)
{
	u64 word = 0;

	for (int i = 0; i < count; i++) {
		int seq = from + i + rand() % 8 - 4;

		if (seq < 1 || seq > NUMBERS)
			continue;
		if (!in_set(set, seq))
			set[seq] = true;
		word = heard_add(word, (u64)seq);
		compare("add", word, set);
	}
	return word;
}

int main(void)
{
	srand(1);
	for (int run = 0; run < RUNS; run++) {
		bool a[NUMBERS + 1] = {0}, b[NUMBERS + 1] = {0}, both[NUMBERS + 1] = {0};
		u64 x = fill(a, rand() % NUMBERS, rand() % 40);
		u64 y = fill(b, rand() % NUMBERS, rand() % 40);

		for (int seq = 1; seq <= NUMBERS; seq++)
			both[seq] = (x && in_set(a, seq)) || (y && in_set(b, seq));
		compare("union", heard_union(x, y), both);
		compare("union", heard_union(y, x), both);
	}
	printf("ok numbers heard, in whatever order, and by two nodes\n");
	return 0;
}
