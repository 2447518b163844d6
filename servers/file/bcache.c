/* SPDX-License-Identifier: MIT */
/* Write-back cache of disk blocks. See bcache.h. */
#include "bcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct buf **bucket(struct bcache *c, uint64_t blk)
{
	return &c->hash[(blk * 0x9e3779b97f4a7c15ull >> 40) & c->hash_mask];
}

static struct buf *find(struct bcache *c, uint64_t blk)
{
	struct buf *b = *bucket(c, blk);

	while (b && b->blk != blk)
		b = b->hash_next;
	return b;
}

static void mark_clean(struct bcache *c, struct buf *b)
{
	if (b->dirty)
		c->dirty[b->kind]--;
	b->dirty = false;
}

static void set_kind(struct bcache *c, struct buf *b, enum bc_kind kind)
{
	if (b->kind == kind)
		return;
	c->count[b->kind]--;
	c->count[kind]++;
	if (b->dirty) {
		c->dirty[b->kind]--;
		c->dirty[kind]++;
	}
	b->kind = kind;
}

/* Make the buffer nameless; it is clean and unpinned. */
static void retire(struct bcache *c, struct buf *b)
{
	struct buf **p = bucket(c, b->blk);

	while (*p != b)
		p = &(*p)->hash_next;
	*p = b->hash_next;
	b->valid = false;
	c->count[b->kind]--;
	list_del(&b->lru);
	list_push(&c->unused, &b->lru);
}

static struct buf *oldest_clean(struct bcache *c, enum bc_kind kind)
{
	struct list *head = &c->lru[kind];

	for (struct list *l = head->prev; l != head; l = l->prev) {
		struct buf *b = list_entry(l, struct buf, lru);

		if (!b->dirty && b->pins == 0)
			return b;
	}
	return NULL;
}

/* A nameless buffer; at the price of the oldest clean one, or of writing data back. */
static struct buf *take(struct bcache *c)
{
	if (list_empty(&c->unused)) {
		enum bc_kind first = c->count[BC_DATA] > c->nbufs / 2 ? BC_DATA : BC_META;
		struct buf *b = oldest_clean(c, first);

		if (!b)
			b = oldest_clean(c, first == BC_DATA ? BC_META : BC_DATA);
		if (!b && bcache_write_data(c) == 0)
			b = oldest_clean(c, BC_DATA);
		if (!b)
			return NULL;
		retire(c, b);
	}
	struct buf *b = list_entry(c->unused.next, struct buf, lru);

	list_del(&b->lru);
	return b;
}

static struct buf *name(struct bcache *c, uint64_t blk, enum bc_kind kind)
{
	struct buf *b = take(c);

	if (!b)
		return NULL;
	struct buf **p = bucket(c, blk);

	b->blk = blk;
	b->kind = kind;
	b->valid = true;
	b->dirty = false;
	b->hash_next = *p;
	*p = b;
	b->pins = 1;
	c->count[kind]++;
	list_push(&c->lru[kind], &b->lru);
	return b;
}

static void use(struct bcache *c, struct buf *b, enum bc_kind kind)
{
	b->pins++;
	set_kind(c, b, kind);
	if (c->lru[kind].next != &b->lru) {
		list_del(&b->lru);
		list_push(&c->lru[kind], &b->lru);
	}
	c->hits++;
}

struct buf *bcache_peek(struct bcache *c, uint64_t blk, enum bc_kind kind)
{
	struct buf *b = find(c, blk);

	if (b)
		use(c, b, kind);
	return b;
}

struct buf *bcache_get_fresh(struct bcache *c, uint64_t blk, enum bc_kind kind)
{
	struct buf *b = find(c, blk);

	if (b)
		use(c, b, kind);
	else
		b = name(c, blk, kind);
	return b;
}

/* Give back a buffer whose contents never arrived. */
static void unname(struct bcache *c, struct buf *b)
{
	b->pins = 0;
	retire(c, b);
}

struct buf *bcache_get(struct bcache *c, uint64_t blk, enum bc_kind kind)
{
	struct buf *b = find(c, blk);

	if (b) {
		use(c, b, kind);
		return b;
	}
	b = name(c, blk, kind);
	if (!b)
		return NULL;
	struct blk_io io = {
		.off = blk * c->bsize, .nseg = 1, .seg_len = c->bsize, .seg = {b->data}};

	c->misses++;
	if (c->dev->submit(c->dev, &io, 1) < 0) {
		unname(c, b);
		return NULL;
	}
	return b;
}

/* Transfer bufs[0..n), in this order, joining neighbours on the disk into one transfer. */
static int transfer(struct bcache *c, struct buf **bufs, unsigned n, bool write)
{
	struct blk_io io[BLK_MAX_BATCH];
	unsigned nio = 0;

	for (unsigned i = 0; i < n;) {
		struct blk_io *t = &io[nio++];

		t->off = bufs[i]->blk * c->bsize;
		t->write = write;
		t->direct = false;
		t->seg_len = c->bsize;
		t->nseg = 0;
		do
			t->seg[t->nseg++] = bufs[i++]->data;
		while (i < n && t->nseg < BLK_MAX_SEGS && bufs[i]->blk == bufs[i - 1]->blk + 1);
		if (nio == BLK_MAX_BATCH || i == n) {
			int err = c->dev->submit(c->dev, io, nio);

			if (err < 0)
				return err;
			nio = 0;
		}
	}
	return 0;
}

int bcache_get_many(struct bcache *c, const uint64_t *blk, unsigned n, enum bc_kind kind,
		    struct buf **out)
{
	struct buf *missing[BC_MANY];
	unsigned got, nmissing = 0;

	for (got = 0; got < n; got++) {
		struct buf *b = find(c, blk[got]);

		if (b) {
			use(c, b, kind);
		} else {
			b = name(c, blk[got], kind);
			if (!b)
				break;
			missing[nmissing++] = b;
		}
		out[got] = b;
	}
	c->misses += nmissing;
	int err = got < n ? -ENOMEM : transfer(c, missing, nmissing, false);

	if (err == 0)
		return 0;
	while (got-- > 0)
		out[got]->pins--;
	for (unsigned i = 0; i < nmissing; i++)
		unname(c, missing[i]);
	return err;
}

void bcache_put(struct buf *b)
{
	b->pins--;
}

void bcache_dirty(struct bcache *c, struct buf *b)
{
	if (!b->dirty)
		c->dirty[b->kind]++;
	b->dirty = true;
}

void bcache_forget(struct bcache *c, uint64_t blk)
{
	struct buf *b = find(c, blk);

	if (!b)
		return;
	mark_clean(c, b);
	if (b->pins == 0)
		retire(c, b);
}

void bcache_drop(struct bcache *c)
{
	for (unsigned i = 0; i < c->nbufs; i++)
		if (c->bufs[i].valid)
			retire(c, &c->bufs[i]);
}

static int by_block(const void *a, const void *b)
{
	const struct buf *x = *(struct buf *const *)a, *y = *(struct buf *const *)b;

	return x->blk < y->blk ? -1 : x->blk > y->blk;
}

enum { ONLY_DATA = 1 << BC_DATA, ONLY_META = 1 << BC_META };

static unsigned collect_dirty(struct bcache *c, unsigned kinds)
{
	unsigned n = 0, all = 0;

	for (unsigned k = BC_DATA; k <= BC_META; k++)
		all += kinds & 1u << k ? c->dirty[k] : 0;
	for (unsigned i = 0; i < c->nbufs && n < all; i++)
		if (c->bufs[i].valid && c->bufs[i].dirty && (kinds & 1u << c->bufs[i].kind))
			c->sorted[n++] = &c->bufs[i];
	qsort(c->sorted, n, sizeof(c->sorted[0]), by_block);
	return n;
}

static int write_kind(struct bcache *c, enum bc_kind kind)
{
	unsigned n = collect_dirty(c, 1u << kind);
	int err = transfer(c, c->sorted, n, true);

	if (kind == BC_DATA)
		c->data_written += n;

	if (err < 0)
		return err;
	for (unsigned i = 0; i < n; i++)
		mark_clean(c, c->sorted[i]);
	return 0;
}

int bcache_write_data(struct bcache *c)
{
	return write_kind(c, BC_DATA);
}

unsigned bcache_dirty_meta(struct bcache *c, struct buf ***bufs)
{
	*bufs = c->sorted;
	return collect_dirty(c, ONLY_META);
}

unsigned bcache_dirty_all(struct bcache *c, struct buf ***bufs)
{
	*bufs = c->sorted;
	return collect_dirty(c, ONLY_DATA | ONLY_META);
}

int bcache_write_meta(struct bcache *c)
{
	return write_kind(c, BC_META);
}

int bcache_init(struct bcache *c, struct blkdev *dev, unsigned bsize, unsigned nbufs)
{
	unsigned buckets = 16;

	while (buckets < nbufs)
		buckets *= 2;
	*c = (struct bcache){.dev = dev, .bsize = bsize, .nbufs = nbufs, .hash_mask = buckets - 1};
	uint8_t *data = dev->alloc(dev, (size_t)nbufs * bsize);

	c->bufs = calloc(nbufs, sizeof(c->bufs[0]));
	c->hash = calloc(buckets, sizeof(struct buf *));
	c->sorted = calloc(nbufs, sizeof(struct buf *));
	if (!data || !c->bufs || !c->hash || !c->sorted) {
		bcache_destroy(c);
		return -ENOMEM;
	}
	list_init(&c->lru[BC_DATA]);
	list_init(&c->lru[BC_META]);
	list_init(&c->unused);
	for (unsigned i = 0; i < nbufs; i++) {
		c->bufs[i].data = data + (size_t)i * bsize;
		list_push(&c->unused, &c->bufs[i].lru);
	}
	return 0;
}

void bcache_destroy(struct bcache *c)
{
	free(c->bufs);
	free(c->hash);
	free(c->sorted);
	c->bufs = NULL;
	c->hash = NULL;
	c->sorted = NULL;
}
