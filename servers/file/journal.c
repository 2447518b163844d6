/* SPDX-License-Identifier: MIT */
/* Writing the log. See journal.h. */
#include "jbd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h> /* for its CRC, which is the journal's */

int journal_log_io(struct journal *j, uint32_t pos, void *data, bool write)
{
	struct blk_io io = {.off = j->map[pos] * j->bsize,
			    .write = write,
			    .nseg = 1,
			    .seg_len = j->bsize,
			    .seg = {data}};

	return j->dev->submit(j->dev, &io, 1);
}

static void set_header(void *block, enum jbd_type type, uint32_t seq)
{
	struct jbd_header *h = block;

	h->magic = htobe32((uint32_t)JBD_MAGIC);
	h->type = htobe32(type);
	h->seq = htobe32(seq);
}

/* A log in the form that we write, or in the plain one, which a tool may have left. */
static bool plain(const struct jbd_super *s)
{
	return !(s->compat & ~htobe32(COMPAT_CHECKSUM)) &&
	       !(s->incompat & ~htobe32(INCOMPAT_ASYNC_COMMIT)) && !s->ro_compat;
}

int journal_open(struct journal *j, struct blkdev *dev, unsigned bsize, uint64_t *map, uint32_t len)
{
	*j = (struct journal){.dev = dev, .bsize = bsize, .map = map, .len = len};
	uint8_t *mem = dev->alloc(dev, (size_t)bsize * (3 + JOURNAL_ESCAPES));

	if (!mem)
		return -ENOMEM;
	j->super = mem;
	j->desc = mem + bsize;
	j->commit = mem + 2 * (size_t)bsize;
	j->escape = mem + 3 * (size_t)bsize;
	if (journal_log_io(j, 0, j->super, false) < 0)
		return -EIO;
	struct jbd_super *s = super_of(j);
	uint32_t type = be32toh(s->h.type);
	const char *wrong = NULL;

	if (s->h.magic != htobe32((uint32_t)JBD_MAGIC) || type != JBD_SUPER_V2)
		wrong = "it is not a version 2 journal";
	else if (be32toh(s->bsize) != bsize || be32toh(s->maxlen) > len || be32toh(s->maxlen) < 8)
		wrong = "its size is wrong";
	else if (be32toh(s->first) == 0 || be32toh(s->first) > 4)
		wrong = "its start is wrong";
	else if (s->start && !plain(s))
		wrong = "its contents need the host's e2fsck";
	if (wrong) {
		fprintf(stderr, "file: cannot use the journal: %s\n", wrong);
		return -EINVAL;
	}
	j->len = be32toh(s->maxlen);
	j->first = be32toh(s->first);
	j->seq = be32toh(s->seq);
	j->head = j->first;
	return 0;
}

void journal_close(struct journal *j)
{
	free(j->map);
	j->map = NULL;
}

static unsigned tags_per_block(const struct journal *j)
{
	return (j->bsize - sizeof(struct jbd_header) - UUID_BYTES) / sizeof(struct jbd_tag);
}

unsigned journal_capacity(const struct journal *j)
{
	unsigned room = j->len - j->first - 1, per = tags_per_block(j);

	return room / (per + 1) * per + (room % (per + 1) ? room % (per + 1) - 1 : 0);
}

/* ---- writing ---- */

/* A batch of log blocks at consecutive log positions, joined where they are neighbours on disk. */
struct log_writer {
	struct journal *j;
	uint32_t crc;
	unsigned nio, escapes;
	struct blk_io io[BLK_MAX_BATCH];
};

static int drain(struct log_writer *w)
{
	int err = w->nio ? w->j->dev->submit(w->j->dev, w->io, w->nio) : 0;

	w->nio = 0;
	w->escapes = 0;
	return err;
}

/* One write of a log block; joined to the one before where both are neighbours on the disk. */
static int put_block(struct log_writer *w, uint32_t pos, void *data)
{
	struct journal *j = w->j;
	uint64_t off = j->map[pos] * j->bsize;
	struct blk_io *t = w->nio ? &w->io[w->nio - 1] : NULL;

	if (t && t->nseg < BLK_MAX_SEGS && off == t->off + (uint64_t)t->nseg * j->bsize) {
		t->seg[t->nseg++] = data;
		return 0;
	}
	if (w->nio == BLK_MAX_BATCH) {
		int err = drain(w);

		if (err < 0)
			return err;
	}
	t = &w->io[w->nio++];
	t->off = off;
	t->write = true;
	t->direct = false;
	t->seg_len = j->bsize;
	t->nseg = 1;
	t->seg[0] = data;
	return 0;
}

/* The next block of the commit. */
static int append(struct log_writer *w, void *data)
{
	struct journal *j = w->j;
	uint32_t pos = j->head;

	w->crc = ext2fs_crc32_be(w->crc, data, j->bsize);
	j->head = next_pos(j, pos);
	j->used++;
	return put_block(w, pos, data);
}

/* Fill the descriptor for bufs[0..n). */
static void describe(struct journal *j, struct buf *const *bufs, unsigned n)
{
	memset(j->desc, 0, j->bsize);
	set_header(j->desc, JBD_DESCRIPTOR, j->seq);
	uint8_t *p = j->desc + sizeof(struct jbd_header);

	for (unsigned i = 0; i < n; i++) {
		uint32_t magic;

		memcpy(&magic, bufs[i]->data, sizeof(magic));
		uint16_t flags = (magic == htobe32((uint32_t)JBD_MAGIC) ? TAG_ESCAPED : 0) |
				 (i ? TAG_SAME_UUID : 0) | (i + 1 == n ? TAG_LAST : 0);
		struct jbd_tag tag = {.blk = htobe32((uint32_t)bufs[i]->blk),
				      .flags = htobe16(flags)};

		memcpy(p, &tag, sizeof(tag));
		p += sizeof(tag) + (i ? 0 : UUID_BYTES);
	}
}

/* A block that starts like a log record is logged with those four bytes zeroed, and marked so. */
static int append_block(struct log_writer *w, struct buf *b)
{
	struct journal *j = w->j;
	uint32_t magic;

	memcpy(&magic, b->data, sizeof(magic));
	if (magic != htobe32((uint32_t)JBD_MAGIC))
		return append(w, b->data);
	if (w->escapes == JOURNAL_ESCAPES) {
		int err = drain(w);

		if (err < 0)
			return err;
	}
	uint8_t *copy = j->escape + (size_t)w->escapes++ * j->bsize;

	memcpy(copy, b->data, j->bsize);
	memset(copy, 0, sizeof(magic));
	return append(w, copy);
}

static int write_log(struct log_writer *w, struct buf *const *bufs, unsigned n)
{
	struct journal *j = w->j;
	unsigned per = tags_per_block(j);
	int err = 0;

	for (unsigned done = 0; done < n && err == 0;) {
		unsigned m = n - done < per ? n - done : per;

		if (done) /* the descriptor's memory is about to be reused */
			err = drain(w);
		describe(j, bufs + done, m);
		if (err == 0)
			err = append(w, j->desc);
		for (unsigned i = 0; i < m && err == 0; i++)
			err = append_block(w, bufs[done + i]);
		done += m;
	}
	return err;
}

/* What the superblock is to say next. start 0: nothing in the log counts. */
static void *set_super(struct journal *j, uint32_t start)
{
	struct jbd_super *s = super_of(j);

	s->seq = htobe32(j->seq);
	s->start = htobe32(start);
	s->compat = htobe32(COMPAT_CHECKSUM);
	s->incompat = htobe32(INCOMPAT_ASYNC_COMMIT);
	return j->super;
}

static void *commit_record(struct journal *j, uint32_t crc)
{
	struct jbd_commit *c = (void *)j->commit;

	memset(j->commit, 0, j->bsize);
	set_header(j->commit, JBD_COMMIT, j->seq);
	c->csum_type = CSUM_CRC32;
	c->csum_bytes = CSUM_BYTES;
	c->csum = htobe32(crc);
	return j->commit;
}

/* Log blocks of a commit of n blocks. */
static unsigned log_blocks(const struct journal *j, unsigned n)
{
	unsigned per = tags_per_block(j);

	return n + (n + per - 1) / per + 1;
}

/* Step 2. */
static int write_commit(struct journal *j, struct buf *const *bufs, unsigned n, bool tail)
{
	struct log_writer w = {.j = j, .crc = CRC_SEED};
	int err = 0;

	if (tail) {
		j->tail = j->head;
		j->used = 0;
		err = put_block(&w, 0, set_super(j, j->head));
	}
	if (err == 0)
		err = write_log(&w, bufs, n);
	if (err == 0)
		err = append(&w, commit_record(j, w.crc));
	if (err == 0)
		err = drain(&w);
	return err < 0 ? err : j->dev->flush(j->dev);
}

/*
 * A commit that becomes the tail need not lie behind the last one. At the start of the log it keeps to
 * few blocks, which the host has given their place in the image long ago.
 */
static void turn_back(struct journal *j, unsigned need)
{
	bool wrapped = j->tail + j->used > j->len;

	if (j->begun && !wrapped && j->first + need <= j->tail)
		j->head = j->first;
}

int journal_commit(struct journal *j, struct buf *const *bufs, unsigned n, unsigned how)
{
	bool ordered = how & JOURNAL_ORDERED, older = j->data && (how & JOURNAL_IN_PLACE);
	unsigned need = log_blocks(j, n);
	int err = 0;

	if (n > journal_capacity(j))
		return -EFBIG;
	if (older || j->used + need > j->len - j->first) /* not over what still counts */
		err = journal_empty(j);
	else if (ordered)
		err = j->dev->flush(j->dev);
	if (err < 0)
		return err;
	if (ordered)
		turn_back(j, need);
	bool tail = ordered || !j->begun;

	err = write_commit(j, bufs, n, tail);
	j->begun = true;
	j->data = (how & JOURNAL_DATA) || (j->data && !tail);
	j->seq++; /* even after an error: the record may be there, so its number is spent */
	return err;
}

int journal_empty(struct journal *j)
{
	int err = j->dev->flush(j->dev);

	if (err == 0)
		err = journal_log_io(j, 0, set_super(j, 0), true);
	if (err == 0)
		err = j->dev->flush(j->dev);
	j->begun = j->data = false;
	j->head = j->first;
	j->used = 0;
	return err;
}
