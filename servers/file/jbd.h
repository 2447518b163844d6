/* SPDX-License-Identifier: MIT */
/*
 * The journal on disk (jbd2, version 2), for those who write it (journal.c) and those who redo it (replay.c). All
 * numbers are big-endian.
 */
#ifndef FILE_JBD_H
#define FILE_JBD_H

#include <endian.h>

#include "journal.h"

enum { JBD_MAGIC = (int)0xc03b3998 };
enum jbd_type { JBD_DESCRIPTOR = 1, JBD_COMMIT = 2, JBD_SUPER_V1 = 3, JBD_SUPER_V2 = 4 };
enum jbd_tag_flags { TAG_ESCAPED = 1, TAG_SAME_UUID = 2, TAG_LAST = 8 };
enum { UUID_BYTES = 16 };
enum { COMPAT_CHECKSUM = 1, INCOMPAT_ASYNC_COMMIT = 4 };
enum { CSUM_CRC32 = 1, CSUM_BYTES = 4 };
#define CRC_SEED (~0u)

struct jbd_header {
	uint32_t magic, type, seq;
};

struct jbd_super {
	struct jbd_header h;
	uint32_t bsize, maxlen, first; /* block size, log blocks, first usable one */
	uint32_t seq, start;	       /* of the first commit in the log; start 0: empty */
	uint32_t error;
	uint32_t compat, incompat, ro_compat;
};

struct jbd_tag {
	uint32_t blk;
	uint16_t csum, flags;
};

struct jbd_commit {
	struct jbd_header h;
	uint8_t csum_type, csum_bytes, pad[2];
	uint32_t csum; /* of descriptors and copies, as they are in the log */
};

static inline struct jbd_super *super_of(struct journal *j)
{
	return (void *)j->super;
}

static inline bool has_header(const void *block, enum jbd_type type, uint32_t seq)
{
	const struct jbd_header *h = block;

	return h->magic == htobe32((uint32_t)JBD_MAGIC) && h->type == htobe32(type) &&
	       h->seq == htobe32(seq);
}

/* The log is a ring. */
static inline uint32_t next_pos(const struct journal *j, uint32_t pos)
{
	return pos + 1 < j->len ? pos + 1 : j->first;
}

/* One log block. 0 or -EIO. */
int journal_log_io(struct journal *j, uint32_t pos, void *data, bool write);

#endif
