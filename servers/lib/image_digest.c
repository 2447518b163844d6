/* SPDX-License-Identifier: MIT */
/* XXH64 with seed 0, written from its specification: eight bytes at a time, four lanes, no tables. */
#include "image.h"

#include <string.h>

static const uint64_t P1 = 0x9E3779B185EBCA87ull, P2 = 0xC2B2AE3D27D4EB4Full,
		      P3 = 0x165667B19E3779F9ull, P4 = 0x85EBCA77C2B2AE63ull,
		      P5 = 0x27D4EB2F165667C5ull;

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static uint64_t word(const uint8_t *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof(w));
	return w;
}

static uint64_t round64(uint64_t lane, uint64_t input)
{
	return rotate(lane + input * P2, 31) * P1;
}

static void stripe(struct image_digest *d, const uint8_t *p)
{
	for (int i = 0; i < 4; i++)
		d->lane[i] = round64(d->lane[i], word(p + 8 * i));
}

void image_digest_start(struct image_digest *d)
{
	*d = (struct image_digest){.lane = {P1 + P2, P2, 0, -P1}};
}

void image_digest_add(struct image_digest *d, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t have = d->total % 32;
	d->total += len;
	if (have) {
		size_t take = 32 - have < len ? 32 - have : len;
		memcpy(d->part + have, p, take);
		p += take;
		len -= take;
		if (have + take < 32)
			return;
		stripe(d, d->part);
	}
	for (; len >= 32; p += 32, len -= 32)
		stripe(d, p);
	memcpy(d->part, p, len);
}

uint64_t image_digest_end(const struct image_digest *d)
{
	const uint64_t *v = d->lane;
	uint64_t h = P5;
	if (d->total >= 32) {
		h = rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18);
		for (int i = 0; i < 4; i++)
			h = (h ^ round64(0, v[i])) * P1 + P4;
	}
	h += d->total;
	const uint8_t *p = d->part;
	size_t rest = d->total % 32;
	for (; rest >= 8; p += 8, rest -= 8)
		h = rotate(h ^ round64(0, word(p)), 27) * P1 + P4;
	if (rest >= 4) {
		uint32_t w;
		memcpy(&w, p, sizeof(w));
		h = rotate(h ^ w * P1, 23) * P2 + P3;
		p += 4;
		rest -= 4;
	}
	for (; rest; p++, rest--)
		h = rotate(h ^ *p * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}
