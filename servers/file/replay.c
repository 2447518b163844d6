/* SPDX-License-Identifier: MIT */
/* Redoing what the log has. See journal.h. */
#include "jbd.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h> /* for its CRC, which is the journal's */

/* Where a tag is in a descriptor, and where the next one is. */
struct tag_cursor {
	unsigned off;
};

/* Step to the next tag of the descriptor in j->desc. False: no more. */
static bool next_tag(const struct journal *j, struct tag_cursor *c, struct jbd_tag *tag)
{
	if (c->off + sizeof(*tag) > j->bsize)
		return false;
	memcpy(tag, j->desc + c->off, sizeof(*tag));
	uint16_t flags = be16toh(tag->flags);

	c->off += sizeof(*tag) + (flags & TAG_SAME_UUID ? 0 : UUID_BYTES);
	if (flags & TAG_LAST)
		c->off = j->bsize;
	return true;
}

/* Put the block logged at pos where its tag says. */
static int redo(struct journal *j, uint32_t pos, const struct jbd_tag *tag)
{
	uint64_t off = (uint64_t)be32toh(tag->blk) * j->bsize;

	if (off + j->bsize > j->dev->bytes)
		return -EINVAL;
	int err = journal_log_io(j, pos, j->escape, false);

	if (err < 0)
		return err;
	if (be16toh(tag->flags) & TAG_ESCAPED) {
		uint32_t magic = htobe32((uint32_t)JBD_MAGIC);

		memcpy(j->escape, &magic, sizeof(magic));
	}
	struct blk_io io = {
		.off = off, .write = true, .nseg = 1, .seg_len = j->bsize, .seg = {j->escape}};

	return j->dev->submit(j->dev, &io, 1);
}

/* Its number of blocks, read for the checksum or put in place. */
static int descriptor(struct journal *j, uint32_t *at, uint32_t *crc, bool apply)
{
	struct tag_cursor c = {.off = sizeof(struct jbd_header)};
	struct jbd_tag tag;
	int blocks = 0;

	*crc = ext2fs_crc32_be(*crc, j->desc, j->bsize);
	for (; next_tag(j, &c, &tag) && blocks < (int)j->len; blocks++, *at = next_pos(j, *at)) {
		int err = apply ? redo(j, *at, &tag) : journal_log_io(j, *at, j->escape, false);

		if (err < 0)
			return err;
		if (!apply)
			*crc = ext2fs_crc32_be(*crc, j->escape, j->bsize);
	}
	return blocks;
}

static bool record_fits(const struct journal *j, uint32_t crc)
{
	const struct jbd_commit *c = (void *)j->desc;
	bool none = c->csum_type == 0 && c->csum_bytes == 0 && c->csum == 0;

	return none || (c->csum_type == CSUM_CRC32 && c->csum_bytes == CSUM_BYTES &&
			c->csum == htobe32(crc));
}

/*
 * Go through the commit that starts at *pos and leave *pos behind it. Returns its number of blocks,
 * 0 if there is no complete commit (*torn: a part of one), or an error. With `apply` the blocks are
 * put in place.
 */
static int scan_commit(struct journal *j, uint32_t *pos, bool apply, bool *torn)
{
	uint32_t at = *pos, crc = CRC_SEED;
	int blocks = 0;

	for (uint32_t seen = 0; seen < j->len; seen++) {
		if (journal_log_io(j, at, j->desc, false) < 0)
			return -EIO;
		at = next_pos(j, at);
		if (has_header(j->desc, JBD_COMMIT, j->seq)) {
			*torn = !apply && !record_fits(j, crc);
			if (*torn)
				return 0;
			*pos = at;
			return blocks;
		}
		if (!has_header(j->desc, JBD_DESCRIPTOR, j->seq))
			break;
		*torn = true;
		int n = descriptor(j, &at, &crc, apply);

		if (n < 0)
			return n;
		blocks += n;
		seen += (uint32_t)n;
	}
	return 0;
}

int journal_replay(struct journal *j, struct journal_redone *done)
{
	uint32_t pos = be32toh(super_of(j)->start);

	*done = (struct journal_redone){0};
	if (pos == 0)
		return 0;
	if (pos >= j->len)
		return -EINVAL;
	for (;; j->seq++) {
		uint32_t probe = pos;
		int n = scan_commit(j, &probe, false, &done->torn);

		if (n > 0)
			n = scan_commit(j, &pos, true, &done->torn);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done->commits++;
		done->blocks += (unsigned)n;
	}
	j->seq++; /* a torn commit may have left records with this number */
	return journal_empty(j);
}
