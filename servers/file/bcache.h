/* SPDX-License-Identifier: MIT */
/*
 * Write-back cache of disk blocks.
 *
 * Two kinds of block, for their fates differ. DATA (file contents) may be written in place at any
 * time. META (everything that makes up the structure of the file system) changes on disk only
 * through the journal, so a dirty META block stays here until bcache_clean_meta(). Each kind has
 * its own LRU list; data never takes more than its share while metadata can be kept.
 *
 * A buffer is pinned between bcache_get*() and bcache_put(). Errors are negative errnos.
 */
#ifndef FILE_BCACHE_H
#define FILE_BCACHE_H

#include <stdint.h>

#include "blk.h"
#include "list.h"

enum bc_kind { BC_DATA = 0, BC_META = 1 };
enum { BC_MANY = 64 }; /* most blocks of one bcache_get_many() */

struct buf {
	uint64_t blk;
	uint8_t *data; /* bsize bytes, reachable by the device */
	struct buf *hash_next;
	struct list lru;
	uint16_t pins;
	uint8_t kind; /* enum bc_kind */
	bool valid;   /* names a block: is in the hash */
	bool dirty;
};

struct bcache {
	struct blkdev *dev;
	unsigned bsize, nbufs;
	struct buf *bufs;
	struct buf **hash;
	unsigned hash_mask;
	struct list lru[2]; /* by kind, most recently used first */
	unsigned count[2];  /* valid buffers by kind */
	unsigned dirty[2];
	struct list unused;
	struct buf **sorted; /* scratch of the writers, nbufs entries */
	uint64_t hits, misses;
	/* Blocks of DATA written in place; whoever does so around the cache counts them, too. */
	uint64_t data_written;
};

/* Memory comes from dev->alloc(). -ENOMEM. */
int bcache_init(struct bcache *c, struct blkdev *dev, unsigned bsize, unsigned nbufs);
void bcache_destroy(struct bcache *c);

/* The block with its contents. NULL: I/O error, or every buffer is pinned or dirty META. */
struct buf *bcache_get(struct bcache *c, uint64_t blk, enum bc_kind kind);
/* The same for a block whose contents the caller replaces whole: never read from disk. */
struct buf *bcache_get_fresh(struct bcache *c, uint64_t blk, enum bc_kind kind);
/* n <= BC_MANY blocks into out[], missing ones read in as few transfers as possible. All or
 * nothing. */
int bcache_get_many(struct bcache *c, const uint64_t *blk, unsigned n, enum bc_kind kind,
		    struct buf **out);
/* Is it cached? Never reads. */
struct buf *bcache_peek(struct bcache *c, uint64_t blk, enum bc_kind kind);
void bcache_put(struct buf *b);
void bcache_dirty(struct bcache *c, struct buf *b);

/* The block was freed: what is cached of it is worthless and must not be written. */
void bcache_forget(struct bcache *c, uint64_t blk);
/* Drop everything. Only when nothing is dirty or pinned. */
void bcache_drop(struct bcache *c);

/* Write all dirty DATA in place (not flushed). */
int bcache_write_data(struct bcache *c);
/* All dirty META buffers, ascending; valid until the next call into the cache. */
unsigned bcache_dirty_meta(struct bcache *c, struct buf ***bufs);
/* The same of both kinds. */
unsigned bcache_dirty_all(struct bcache *c, struct buf ***bufs);
/* Write all dirty META in place (not flushed): after the journal has them. */
int bcache_write_meta(struct bcache *c);

#endif
