/* SPDX-License-Identifier: MIT */
/*
 * A disk, as the block cache and the journal see it. blk.c is the real one (virtio); the host tests
 * put a file behind the same functions.
 *
 * Memory handed to the device must come from alloc(), or be known by its physical address. Calls return when the device is done.
 */
#ifndef FILE_BLK_H
#define FILE_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLK_MAX_SEGS = 32, BLK_MAX_BATCH = 32 };

/* One transfer between consecutive disk bytes and pieces of memory of equal length. */
struct blk_io {
	uint64_t off; /* bytes from the start of the disk; multiple of 512 */
	bool write;
	unsigned nseg;
	uint32_t seg_len; /* bytes of each piece; multiple of 512 */
	bool direct;	  /* to memory that is not alloc()'s, by its physical addresses */
	union {
		void *seg[BLK_MAX_SEGS];
		uint64_t phys[BLK_MAX_SEGS];
	};
};

struct blkdev {
	uint64_t bytes;
	/* Do n <= BLK_MAX_BATCH transfers, in any order. 0, or -EIO if one failed. */
	int (*submit)(struct blkdev *d, const struct blk_io *io, unsigned n);
	/* Everything written before is on stable storage afterwards. 0 or -EIO. */
	int (*flush)(struct blkdev *d);
	/* Page aligned, zeroed, never freed; NULL if there is none. */
	void *(*alloc)(struct blkdev *d, size_t bytes);
	uint64_t reads, writes, flushes; /* transfers; for FS_CTL_COUNTERS */
};

/* The machine's first virtio disk. -ENODEV if there is none. `arena` bounds what alloc() can give. */
int blk_virtio_open(struct blkdev **dev, size_t arena);

#endif
