/* SPDX-License-Identifier: MIT */
/* The tail's check: the same however a frame is cut, and no small damage passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linksum.h"

enum { FRAME = 4096, DAMAGES = 200000 };

static uint64_t rng = 88172645463325252ull;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static uint32_t sum(const uint8_t *p, size_t len)
{
	struct linksum s;

	linksum_start(&s);
	linksum_add(&s, p, len);
	return linksum_end(&s);
}

static void expect(int ok, const char *what)
{
	printf("%s linksum %s\n", ok ? "ok" : "FAILED", what);
	if (!ok)
		exit(1);
}

int main(void)
{
	static uint8_t frame[FRAME], other[FRAME];
	int ok = 1;

	for (unsigned i = 0; i < FRAME; i++)
		frame[i] = rnd();
	for (unsigned round = 0; round < 2000; round++) {
		struct linksum s;
		size_t len = rnd() % (FRAME + 1);

		linksum_start(&s);
		for (size_t at = 0; at < len;) {
			size_t n = rnd() % 100;

			n = n < len - at ? n : len - at;
			linksum_add(&s, frame + at, n);
			at += n;
		}
		ok &= linksum_end(&s) == sum(frame, len);
	}
	expect(ok, "does not depend on the cuts");

	uint32_t right = sum(frame, FRAME);

	for (unsigned bit = 0; bit < FRAME * 8; bit++) {
		frame[bit / 8] ^= 1 << bit % 8;
		ok &= sum(frame, FRAME) != right;
		frame[bit / 8] ^= 1 << bit % 8;
	}
	expect(ok, "sees every single bit");

	/* The pairs that are hard for sums of words: the same or a near column of words near each other. */
	uint32_t head = sum(frame, 512);

	for (unsigned bit = 0; bit < 128 * 8; bit++) {
		frame[bit / 8] ^= 1 << bit % 8;
		for (unsigned far = bit + 1; far < bit + 1200; far++) {
			frame[far / 8] ^= 1 << far % 8;
			ok &= sum(frame, 512) != head;
			frame[far / 8] ^= 1 << far % 8;
		}
		frame[bit / 8] ^= 1 << bit % 8;
	}
	expect(ok, "sees every pair of bits that are near each other");

	for (unsigned i = 0; i < DAMAGES; i++) {
		memcpy(other, frame, FRAME);
		for (unsigned k = 1 + rnd() % 4; k > 0; k--)
			other[rnd() % FRAME] ^= 1 << rnd() % 8;
		ok &= memcmp(other, frame, FRAME) == 0 || sum(other, FRAME) != right;
	}
	expect(ok, "sees what our wires do to frames");

	for (size_t len = 1; len < 200; len++) { /* cut, grown by zeros, words exchanged */
		memset(other, 0, sizeof(other));
		memcpy(other, frame, len);
		ok &= sum(other, len) != sum(other, len - 1) &&
		      sum(other, len) != sum(other, len + 1);
	}
	memcpy(other, frame, FRAME);
	memcpy(other, frame + 64, 64);
	memcpy(other + 64, frame, 64);
	expect(ok && sum(other, FRAME) != right, "sees lengths and order");
	return 0;
}
