/* SPDX-License-Identifier: MIT */
/*
 * The check in the tail of a frame (abi/link.h): 32 bits that a damaged frame passes with
 * probability 2^-32, made 64 bytes at a time with one multiplication per 16. Not a MAC: whoever
 * means harm computes it, too.
 */
#ifndef NET_LINKSUM_H
#define NET_LINKSUM_H

#include <stddef.h>
#include <stdint.h>

enum { LINKSUM_BLOCK = 64 };

struct linksum {
	uint64_t lane[4];
	size_t bytes;  /* in all */
	unsigned held; /* of them in `block`, not summed yet */
	uint8_t block[LINKSUM_BLOCK];
};

void linksum_start(struct linksum *s);
/* The pieces may be cut anywhere: only their bytes count. */
void linksum_add(struct linksum *s, const void *data, size_t len);
uint32_t linksum_end(struct linksum *s);

#endif
