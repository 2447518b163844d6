/* SPDX-License-Identifier: MIT */
/*
 * Atomic updates of the file system's structure: a redo log in the format that the host's tools
 * know (jbd2 version 2, in inode 8, as made by mke2fs -O has_journal), so that e2fsck and Linux can
 * finish what a killed node began.
 *
 * Each commit carries all dirty metadata and always starts at the head of the log:
 *   1. what the last commit wrote in place, and file data, become durable     (flush)
 *   2. log superblock, descriptors and copies of the blocks are written       (flush)
 *   3. the commit record is written; from here on a crash replays the commit  (flush)
 *   4. the caller writes the blocks in place
 * So the log never holds two commits. Revoke records are needed neither: a block freed by one
 * commit is not reused before that commit is durable (fs.h, pending frees).
 */
#ifndef FILE_JOURNAL_H
#define FILE_JOURNAL_H

#include "bcache.h"

enum { JOURNAL_ESCAPES = 8 };

struct journal {
	struct blkdev *dev;
	unsigned bsize;
	uint64_t *map; /* disk block of each log block; owned */
	uint32_t len;  /* log blocks */
	uint32_t first, seq;
	uint8_t *super;	 /* one block, as on disk */
	uint8_t *desc;	 /* one block */
	uint8_t *commit; /* one block */
	uint8_t *escape; /* JOURNAL_ESCAPES blocks */
};

/*
 * Take over `map` and read the log's superblock. -EINVAL: a log that is not ours to use (the
 * message says why); -EIO; -ENOMEM.
 */
int journal_open(struct journal *j, struct blkdev *dev, unsigned bsize, uint64_t *map,
		 uint32_t len);
void journal_close(struct journal *j);

/* Redo the committed updates in the log, if any, then empty it. Number of blocks written, or errno. */
int journal_replay(struct journal *j);

/* Most blocks of one commit. */
unsigned journal_capacity(const struct journal *j);
/* Steps 1 to 3 for n blocks. After an error the log holds nothing that counts. */
int journal_commit(struct journal *j, struct buf *const *bufs, unsigned n);
/* Everything committed is in place and durable: forget it. */
int journal_empty(struct journal *j);

#endif
