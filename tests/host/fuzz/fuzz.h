/* SPDX-License-Identifier: MIT */
/* A coverage-guided fuzzer in small: what it needs of each target. */
#ifndef TESTS_HOST_FUZZ_H
#define TESTS_HOST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FUZZ_INPUT_MAX = 8192 };

struct fuzz_target {
	const char *name;
	/* Take one input to pieces and feed them to the code under test, from a fresh start; the number of messages that
	 * these were. Whatever is wrong ends the process: a sanitiser, or fuzz_wrong. */
	unsigned (*run)(const uint8_t *in, size_t len);
	/* The n-th valid input to begin with, into buf; its length, 0: there is none. */
	size_t (*seed)(unsigned n, uint8_t buf[FUZZ_INPUT_MAX]);
};

extern const struct fuzz_target fuzz_stranger, fuzz_peer, fuzz_dgram, fuzz_image;

_Noreturn void fuzz_wrong(const char *what);

/* An input as a row of numbers and strings; zeros when it is used up. */
struct fuzz_in {
	const uint8_t *p;
	size_t len;
};
uint8_t fuzz_byte(struct fuzz_in *in);
uint16_t fuzz_short(struct fuzz_in *in);
/* The next n bytes, or what there is of them; *got of them. */
const uint8_t *fuzz_bytes(struct fuzz_in *in, size_t n, size_t *got);

#endif
