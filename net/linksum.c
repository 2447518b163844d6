/* SPDX-License-Identifier: MIT */
/*
 * The check in the tail of a frame. See linksum.h.
 *
 * Four lanes. A step multiplies two words of 64 bits, each under a mask (one of them the lane so
 * far), and folds the 128 bits of the product into the lane: every bit of both words reaches about
 * half of its bits, so damage elsewhere does not take back what damage here has done, unless by chance.
 */
#include <string.h>

#include "linksum.h"

typedef uint64_t word64 __attribute__((may_alias, aligned(1)));

/* Odd numbers with as many ones as zeros in every part. */
static const uint64_t mask[4] = {0x9fb21c651e98df25ull, 0xd6e8feb86659fd93ull,
				 0xa0761d6478bd642full, 0xe7037ed1a0b428dbull};

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static const uint8_t *blocks(struct linksum *s, const uint8_t *p, size_t n)
{
	uint64_t a = s->lane[0], b = s->lane[1], c = s->lane[2], d = s->lane[3];

	for (; n > 0; n--, p += LINKSUM_BLOCK) {
		const word64 *w = (const word64 *)p;

		a = fold(w[0] ^ mask[0], w[1] ^ a);
		b = fold(w[2] ^ mask[1], w[3] ^ b);
		c = fold(w[4] ^ mask[2], w[5] ^ c);
		d = fold(w[6] ^ mask[3], w[7] ^ d);
	}
	s->lane[0] = a;
	s->lane[1] = b;
	s->lane[2] = c;
	s->lane[3] = d;
	return p;
}

void linksum_start(struct linksum *s)
{
	for (unsigned i = 0; i < 4; i++)
		s->lane[i] = ~mask[i];
	s->bytes = 0;
	s->held = 0;
}

void linksum_add(struct linksum *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	s->bytes += len;
	if (s->held > 0) {
		size_t n = LINKSUM_BLOCK - s->held;

		n = n < len ? n : len;
		memcpy(s->block + s->held, p, n);
		s->held += n;
		p += n;
		len -= n;
		if (s->held < LINKSUM_BLOCK)
			return;
		blocks(s, s->block, 1);
	}
	p = blocks(s, p, len / LINKSUM_BLOCK);
	s->held = len % LINKSUM_BLOCK;
	memcpy(s->block, p, s->held);
}

uint32_t linksum_end(struct linksum *s)
{
	uint64_t h = s->bytes;

	if (s->held > 0) {
		memset(s->block + s->held, 0, LINKSUM_BLOCK - s->held);
		blocks(s, s->block, 1);
	}
	for (unsigned i = 0; i < 4; i++)
		h = fold(h ^ mask[i], s->lane[i] ^ mask[3 - i]);
	return (uint32_t)(h ^ h >> 32);
}
