/* SPDX-License-Identifier: MIT */
/*
 * Atomic updates of the file system's structure: a redo log in the format that the host's tools
 * know (jbd2 version 2, in inode 8, as made by mke2fs -O has_journal), so that e2fsck and Linux can
 * finish what a killed node began.
 *
 * The log is a ring. Its superblock says where the first commit that counts (the tail) begins. A commit
 * carries all dirty metadata, and file data too when that is little:
 *   1. other file data, and what earlier commits put in place, become durable       (flush; see below)
 *   2. descriptors, copies of the blocks and the commit record are written, behind the last commit;
 *      and the superblock, that makes this one the tail                       (flush: now it counts)
 *   3. the caller writes the blocks in place
 * Nothing orders the writes of step 2: the record has a checksum over all that it commits (the features
 * `checksum` and `async_commit`), so a commit that is torn is none. Nor does it matter if the superblock
 * is the one that is missing: the commits from the old tail on are whole, for this one does not lie over
 * them, and they lead to the same state.
 *
 * Step 1 is left out, and the tail left where it is, when nothing of this commit depends on data that
 * it does not carry (no block of a file is new) and no block was freed. So the commits in the log after the tail free nothing:
 * what one of them shows as metadata is not another file's data when they are redone, and there are
 * no revoke records. A block freed by one commit is not reused before that commit is durable (fs.h,
 * pending frees), and then that commit is the tail. File data that commits in the log carry must not be
 * redone over what was written in place since; when it was, the log is emptied first.
 */
#ifndef FILE_JOURNAL_H
#define FILE_JOURNAL_H

#include "bcache.h"

enum { JOURNAL_ESCAPES = 8 };

struct journal {
	struct blkdev *dev;
	unsigned bsize;
	uint64_t *map;	 /* disk block of each log block; owned */
	uint32_t len;	 /* log blocks */
	uint32_t first;	 /* log block behind the superblock */
	uint32_t seq;	 /* of the next commit */
	uint32_t tail;	 /* where the first commit that counts begins, if `begun` */
	uint32_t head;	 /* where it begins */
	uint32_t used;	 /* log blocks from the tail to there */
	bool begun;	 /* there is a tail: the log counts */
	bool data;	 /* a commit from the tail on carries file data */
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

/* Redo the committed updates in the log, if any, then empty it. */
struct journal_redone {
	unsigned commits, blocks;
	bool torn; /* one more commit had begun and did not get to its end */
};
int journal_replay(struct journal *j, struct journal_redone *done);

/* Most blocks of one commit. */
unsigned journal_capacity(const struct journal *j);
/* Of a commit. */
enum journal_how {
	JOURNAL_ORDERED = 1,  /* with step 1; this commit becomes the tail */
	JOURNAL_DATA = 2,     /* it carries file data */
	JOURNAL_IN_PLACE = 4, /* file data was written in place since the last one */
};
/* Steps 1 and 2 for n blocks; how: of enum journal_how. After an error it is unknown whether the commit
 * counts. */
int journal_commit(struct journal *j, struct buf *const *bufs, unsigned n, unsigned how);
/* Everything committed is in place and durable: forget it. */
int journal_empty(struct journal *j);

#endif
