/* SPDX-License-Identifier: MIT */
/* The block cache against a plain array: seeded random use with a small cache. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "test_fs_util.h"

enum { BLOCKS = 200, BSIZE = 1024, BUFS = 32, STEPS = 20000, META_FROM = 150 };

static uint8_t truth[BLOCKS][BSIZE]; /* what a reader must see */

static void open_disk(struct test_disk *d)
{
	const char *path = test_path("bcache.img");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK("disk", fd >= 0 && ftruncate(fd, BLOCKS * BSIZE) == 0);
	close(fd);
	disk_open(d, path);
}

static enum bc_kind kind_of(uint64_t blk)
{
	return blk >= META_FROM ? BC_META : BC_DATA;
}

static void write_some(struct bcache *c, struct rng *r)
{
	uint64_t blk = rnd(r, BLOCKS);
	bool whole = rnd(r, 2);
	struct buf *b =
		whole ? bcache_get_fresh(c, blk, kind_of(blk)) : bcache_get(c, blk, kind_of(blk));
	unsigned from = whole ? 0 : rnd(r, BSIZE), len = whole ? BSIZE : rnd(r, BSIZE - from) + 1;

	CHECK("random", b != NULL);
	memset(truth[blk] + from, (int)rnd(r, 256), len);
	memcpy(b->data + from, truth[blk] + from, len);
	bcache_dirty(c, b);
	bcache_put(b);
}

static void read_many(struct bcache *c, struct rng *r)
{
	uint64_t blk[8];
	struct buf *b[8];
	unsigned n = rnd(r, 8) + 1;
	uint64_t first = rnd(r, META_FROM - 8);

	for (unsigned i = 0; i < n; i++)
		blk[i] = rnd(r, 2) ? first + i : rnd(r, META_FROM);
	EXPECT("random", bcache_get_many(c, blk, n, BC_DATA, b), 0);
	for (unsigned i = 0; i < n; i++) {
		CHECK("random", memcmp(b[i]->data, truth[blk[i]], BSIZE) == 0);
		bcache_put(b[i]);
	}
}

static void checkpoint(struct bcache *c)
{
	struct buf **meta;
	unsigned n = bcache_dirty_meta(c, &meta);

	for (unsigned i = 0; i < n; i++)
		CHECK("meta order",
		      meta[i]->blk >= META_FROM && (i == 0 || meta[i - 1]->blk < meta[i]->blk));
	EXPECT("checkpoint", bcache_write_data(c), 0);
	EXPECT("checkpoint", bcache_write_meta(c), 0);
	EXPECT("checkpoint", c->dirty[BC_DATA] + c->dirty[BC_META], 0);
}

/* Dirty metadata must never be written by eviction. */
static void no_early_meta(struct bcache *c, struct test_disk *d)
{
	uint8_t before[BSIZE], now[BSIZE];
	struct buf *b = bcache_get(c, META_FROM, BC_META);

	CHECK("no early meta", b && pread(d->fd, before, BSIZE, META_FROM * BSIZE) == BSIZE);
	memset(truth[META_FROM], before[0] + 1, BSIZE);
	memcpy(b->data, truth[META_FROM], BSIZE);
	bcache_dirty(c, b);
	bcache_put(b);
	for (uint64_t blk = 0; blk < META_FROM; blk++) {
		b = bcache_get(c, blk, BC_DATA);
		CHECK("no early meta", b != NULL);
		bcache_dirty(c, b);
		bcache_put(b);
	}
	CHECK("no early meta", pread(d->fd, now, BSIZE, META_FROM * BSIZE) == BSIZE);
	CHECK("no early meta", memcmp(before, now, BSIZE) == 0);
	test_ok("no early meta");
}

/* A freed block's contents are not written; a failed read leaves nothing behind. */
static void forgetting(struct bcache *c, struct test_disk *d)
{
	uint8_t on_disk[BSIZE];
	struct buf *many[2];

	checkpoint(c);
	struct buf *b = bcache_get(c, 7, BC_DATA);

	memset(b->data, truth[7][0] + 1, BSIZE);
	bcache_dirty(c, b);
	bcache_put(b);
	bcache_forget(c, 7);
	checkpoint(c);
	CHECK("forget", pread(d->fd, on_disk, BSIZE, 7 * BSIZE) == BSIZE);
	CHECK("forget", memcmp(on_disk, truth[7], BSIZE) == 0);
	test_ok("forget");

	bcache_drop(c);
	d->fail_reads = true;
	CHECK("failed read", bcache_get(c, 3, BC_DATA) == NULL);
	CHECK("failed read", bcache_get_many(c, (uint64_t[]){3, 9}, 2, BC_DATA, many) < 0);
	d->fail_reads = false;
	b = bcache_get(c, 3, BC_DATA);
	CHECK("failed read", b && memcmp(b->data, truth[3], BSIZE) == 0);
	bcache_put(b);
	test_ok("failed read");
}

int main(void)
{
	struct test_disk d;
	struct bcache c;
	struct rng r = {42};

	open_disk(&d);
	EXPECT("init", bcache_init(&c, &d.dev, BSIZE, BUFS), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		if (c.dirty[BC_META] > BUFS / 2 || rnd(&r, 200) == 0)
			checkpoint(&c);
		if (rnd(&r, 3))
			read_many(&c, &r);
		else
			write_some(&c, &r);
	}
	checkpoint(&c);
	for (unsigned blk = 0; blk < BLOCKS; blk++) {
		uint8_t on_disk[BSIZE];

		CHECK("random", pread(d.fd, on_disk, BSIZE, (off_t)blk * BSIZE) == BSIZE);
		CHECK("random", memcmp(on_disk, truth[blk], BSIZE) == 0);
	}
	CHECK("random", c.hits > 0 && c.misses > 0);
	test_ok("random use against an array");
	no_early_meta(&c, &d);
	forgetting(&c, &d);
	bcache_destroy(&c);
	disk_close(&d);
	return 0;
}
