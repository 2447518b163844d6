/* SPDX-License-Identifier: MIT */
/*
 * Dirties memory at a chosen rate: every round writes to a share of the pages and checks what the
 * round before left in the others. For migrations that copy memory while the process runs, and as a
 * check of every byte that was copied.
 */
#include "work.h"

#include <stdlib.h>

enum { PAGE = 4096, WORDS = PAGE / 8, TOUCHES_PER_REPORT = 8000000 };

/* What word w of page p holds after its v-th writing. */
static uint64_t expected(long p, long w, uint64_t v)
{
	return ((uint64_t)p * WORDS + (uint64_t)w) * 0x9e3779b97f4a7c15u + v * 0xd1342543de82ef95u;
}

int main(int argc, char **argv)
{
	long kib = 4096, rounds = 50000, share = 25, seed = 1, pages, wrong = 0, touched = 0;
	const struct work_opt opts[] = {
		{"kib", OPT_NUM, {.num = &kib}, 4, "memory in KiB"},
		{"rounds", OPT_NUM, {.num = &rounds}, 1, "rounds over it: the duration"},
		{"share", OPT_NUM, {.num = &share}, 0, "percent of the pages written in a round"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the choice of pages"},
		{0},
	};
	const struct work_usage usage = {
		.name = "touchmem",
		.what = "Write and check memory, page by page.",
		.opts = opts,
	};
	uint64_t state, *mem, *version;

	work_args(argc, argv, &usage);
	pages = kib * 1024 / PAGE;
	state = (uint64_t)seed;
	mem = calloc((size_t)pages, PAGE);
	version = calloc((size_t)pages, sizeof(*version));
	if (!mem || !version)
		work_die("no memory for %ld KiB", kib);
	for (long p = 0; p < pages; p++)
		for (long w = 0; w < WORDS; w++)
			mem[p * WORDS + w] = expected(p, w, 0);
	for (long r = 1; r <= rounds; r++) {
		for (long p = 0; p < pages; p++) {
			long w = (long)work_below(&state, WORDS);
			int write = (long)work_below(&state, 100) < share;

			wrong += mem[p * WORDS + w] != expected(p, w, version[p]);
			if (!write)
				continue;
			version[p]++;
			for (w = 0; w < WORDS; w++)
				mem[p * WORDS + w] = expected(p, w, version[p]);
		}
		touched += pages;
		if (touched >= TOUCHES_PER_REPORT || r == rounds) {
			touched = 0;
			work_progress("round %ld of %ld, %ld wrong", r, rounds, wrong);
		}
	}
	state = 0;
	for (long p = 0; p < pages; p++)
		for (long w = 0; w < WORDS; w++) {
			wrong += mem[p * WORDS + w] != expected(p, w, version[p]);
			state = state * 31 + mem[p * WORDS + w];
		}
	fprintf(work_out, "%ld KiB, %ld rounds, digest %016llx, %ld words wrong\n", kib, rounds,
		(unsigned long long)state, wrong);
	return work_end(wrong ? 3 : 0);
}
