/* SPDX-License-Identifier: MIT */
/* Copy with unrolled 8-byte moves. See wmem.h; module.mk keeps the compiler from vectorising this. */
#include <stdint.h>

#include "wmem.h"

/* May alias anything and be unaligned, which x86 does not mind. */
typedef uint64_t word __attribute__((may_alias, aligned(1)));

enum { WORD = sizeof(word), UNROLL = 8 };

void *wmem_copy(void *dst, const void *src, size_t len)
{
	word *d = dst;
	const word *s = src;

	for (; len >= UNROLL * WORD; len -= UNROLL * WORD, d += UNROLL, s += UNROLL) {
		word a = s[0], b = s[1], c = s[2], e = s[3];

		d[0] = a;
		d[1] = b;
		d[2] = c;
		d[3] = e;
		a = s[4];
		b = s[5];
		c = s[6];
		e = s[7];
		d[4] = a;
		d[5] = b;
		d[6] = c;
		d[7] = e;
	}
	for (; len >= WORD; len -= WORD)
		*d++ = *s++;
	uint8_t *db = (uint8_t *)d;
	const uint8_t *sb = (const uint8_t *)s;

	while (len-- > 0)
		*db++ = *sb++;
	return dst;
}
