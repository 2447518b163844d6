/* SPDX-License-Identifier: MIT */
/*
 * File contents. A transfer goes straight between the cache's blocks and the requester's memory; a
 * window of blocks is fetched in as few disk transfers as possible.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs.h"

static uint8_t zeros[4096];
enum { DIRECT_MAX = 16 };

/* Blocks [lblk, lblk + n) of a file, pinned; NULL where there is a hole. */
struct window {
	unsigned n;
	struct buf *b[BC_MANY];
};

static void window_end(struct window *w)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->b[i])
			bcache_put(w->b[i]);
}

static int window_open(struct fs *fs, struct inode *ip, uint64_t lblk, unsigned n, struct window *w)
{
	uint64_t blk[BC_MANY], present[BC_MANY];
	struct buf *got[BC_MANY];
	unsigned k = 0;
	int err = map_find(fs, ip, lblk, n, blk);

	if (err < 0)
		return err;
	for (unsigned i = 0; i < n; i++)
		if (blk[i])
			present[k++] = blk[i];
	err = bcache_get_many(&fs->bc, present, k, BC_DATA, got);
	if (err < 0)
		return err;
	w->n = n;
	for (unsigned i = 0, j = 0; i < n; i++)
		w->b[i] = blk[i] ? got[j++] : NULL;
	return 0;
}

/* Transfers from the disk into the reader's frames, collected. */
struct direct {
	struct fs *fs;
	const struct fs_copy *to;
	unsigned nio;
	struct blk_io io[DIRECT_MAX];
};

static int direct_submit(struct direct *d)
{
	struct blkdev *dev = d->fs->dev;
	int err = d->nio ? dev->submit(dev, d->io, d->nio) : 0;

	d->nio = 0;
	return err;
}

/* Disk block blk into the frame of the read's page `page`. */
static int direct_add(struct direct *d, uint64_t blk, unsigned page)
{
	struct blk_io *t = d->nio ? &d->io[d->nio - 1] : NULL;
	uint64_t off = blk * FS_FRAME;

	if (!t || t->nseg == BLK_MAX_SEGS || t->off + (uint64_t)t->nseg * FS_FRAME != off) {
		int err = d->nio == DIRECT_MAX ? direct_submit(d) : 0;

		if (err < 0)
			return err;
		t = &d->io[d->nio++];
		t->off = off;
		t->write = false;
		t->direct = true;
		t->nseg = 0;
		t->seg_len = FS_FRAME;
	}
	t->phys[t->nseg++] = d->to->phys[page];
	return 0;
}

/* Reading whole pages: what is not cached goes from the disk to where it is wanted. The cache is left to what has no other. */
static int read_direct(struct fs *fs, struct inode *ip, uint64_t off, size_t len,
		       const struct fs_copy *to)
{
	struct direct d; /* large: only as much is filled in as is used */
	unsigned pages = (unsigned)((len + FS_FRAME - 1) / FS_FRAME);
	int err = 0;

	d.fs = fs;
	d.to = to;
	d.nio = 0;
	for (unsigned first = 0, n; first < pages && err == 0; first += n) {
		uint64_t blk[BC_MANY];

		n = pages - first < BC_MANY ? pages - first : BC_MANY;
		err = map_find(fs, ip, off / FS_FRAME + first, n, blk);
		for (unsigned i = 0; i < n && err == 0; i++) {
			size_t at = (size_t)(first + i) * FS_FRAME;
			size_t part = len - at < FS_FRAME ? len - at : FS_FRAME;
			struct buf *b = blk[i] ? bcache_peek(&fs->bc, blk[i], BC_DATA) : NULL;

			if (blk[i] && !b) {
				err = direct_add(&d, blk[i], first + i);
				continue;
			}
			err = to->copy(to->arg, at, b ? b->data : zeros, part);
			if (b)
				bcache_put(b);
		}
	}
	return err < 0 ? err : direct_submit(&d);
}

long data_read(struct fs *fs, struct inode *ip, uint64_t off, size_t len, const struct fs_copy *to)
{
	uint64_t size = inode_size(ip);
	size_t done = 0;

	if (off >= size)
		return 0;
	if (len > size - off)
		len = size - off;
	if (to->phys && fs->bsize == FS_FRAME) {
		int err = read_direct(fs, ip, off, len, to);

		return err < 0 ? err : (long)len;
	}
	while (done < len) {
		uint64_t lblk = (off + done) >> fs->bshift;
		uint64_t blocks = ((off + len - 1) >> fs->bshift) - lblk + 1;
		struct window w = {0};
		int err = window_open(fs, ip, lblk, blocks < BC_MANY ? (unsigned)blocks : BC_MANY,
				      &w);

		for (unsigned i = 0; err == 0 && i < w.n; i++) {
			size_t in = (off + done) & (fs->bsize - 1), n = fs->bsize - in;

			if (n > len - done)
				n = len - done;
			err = to->copy(to->arg, done, w.b[i] ? w.b[i]->data + in : zeros, n);
			if (err == 0)
				done += n;
		}
		window_end(&w);
		if (err < 0)
			return err;
	}
	return (long)done;
}

/* The block under [in, in + n) of file block lblk, pinned, ready to be written there. */
static int block_for_write(struct fs *fs, struct inode *ip, uint64_t lblk, size_t in, size_t n,
			   struct buf **out)
{
	uint64_t blk;
	bool fresh;
	int err = map_alloc(fs, ip, lblk, &blk, &fresh);

	if (err < 0)
		return err;
	bool whole = in == 0 && n == fs->bsize;
	struct buf *b = fresh || whole ? bcache_get_fresh(&fs->bc, blk, BC_DATA)
				       : bcache_get(&fs->bc, blk, BC_DATA);

	if (!b)
		return -EIO;
	if (fresh) { /* even if the copy fails: never show what the block held before */
		if (!whole)
			memset(b->data, 0, fs->bsize);
		bcache_dirty(&fs->bc, b);
		fs->ordered = true;
	}
	*out = b;
	return 0;
}

long data_write(struct fs *fs, struct inode *ip, uint64_t off, size_t len,
		const struct fs_copy *from)
{
	size_t done = 0;
	int err = 0;

	if (off > INT64_MAX - len || off + len > map_limit(fs) << fs->bshift)
		return -EFBIG;
	fs_expect_blocks(fs, off + len > inode_size(ip) ? (unsigned)(len >> fs->bshift) : 0);
	while (done < len && err == 0) {
		size_t in = (off + done) & (fs->bsize - 1), n = fs->bsize - in;
		struct buf *b;

		if (n > len - done)
			n = len - done;
		err = block_for_write(fs, ip, (off + done) >> fs->bshift, in, n, &b);
		if (err < 0)
			break;
		err = from->copy(from->arg, done, b->data + in, n);
		if (err < 0) /* the requester is gone; the buffer may hold another block's bytes */
			memset(b->data + in, 0, n);
		bcache_dirty(&fs->bc, b);
		bcache_put(b);
		if (err == 0)
			done += n;
	}
	fs_expect_blocks(fs, 0);
	if (done > 0) {
		if (off + done > inode_size(ip)) {
			inode_set_size(fs, ip, off + done);
			fs->ordered = true;
		}
		inode_changed(fs, ip);
	}
	if (err < 0 &&
	    err != -ENOSPC) /* a block for bytes that never came must not lie beyond the end */
		data_truncate(fs, ip, inode_size(ip));
	return done > 0 ? (long)done : err;
}

/* Zero the rest of the last block, so that a later extension shows nothing old. */
static int clear_tail(struct fs *fs, struct inode *ip, uint64_t size)
{
	unsigned in = size & (fs->bsize - 1);
	uint64_t blk = 0;
	int err = in ? map_find(fs, ip, size >> fs->bshift, 1, &blk) : 0;

	if (err < 0 || !blk)
		return err;
	struct buf *b = bcache_get(&fs->bc, blk, BC_DATA);

	if (!b)
		return -EIO;
	memset(b->data + in, 0, fs->bsize - in);
	bcache_dirty(&fs->bc, b);
	fs->ordered = true;
	bcache_put(b);
	return 0;
}

int data_truncate(struct fs *fs, struct inode *ip, uint64_t size)
{
	if (size > map_limit(fs) << fs->bshift)
		return -EFBIG;
	if (size <= inode_size(ip)) {
		int err = clear_tail(fs, ip, size);

		if (err == 0)
			err = map_truncate(fs, ip, (size + fs->bsize - 1) >> fs->bshift);
		if (err < 0)
			return err;
	}
	return inode_set_size(fs, ip, size);
}

/* ---- symbolic links: short ones live in the inode, others in one block ---- */

static bool is_fast(const struct inode *ip)
{
	return ip->d.i_blocks == 0 || ip->d.i_size < sizeof(ip->d.i_block);
}

int symlink_read(struct fs *fs, struct inode *ip, char *buf, size_t size)
{
	size_t len = ip->d.i_size;
	uint64_t blk;

	if (len >= size || len >= fs->bsize)
		return -EIO;
	if (is_fast(ip)) {
		if (len >= sizeof(ip->d.i_block))
			return -EIO;
		memcpy(buf, ip->d.i_block, len);
		return (int)len;
	}
	int err = map_find(fs, ip, 0, 1, &blk);

	if (err < 0)
		return err;
	struct buf *b = blk ? bcache_get(&fs->bc, blk, BC_META) : NULL;

	if (!b)
		return -EIO;
	memcpy(buf, b->data, len);
	bcache_put(b);
	return (int)len;
}

int symlink_write(struct fs *fs, struct inode *ip, const char *target, size_t len)
{
	uint64_t blk;
	bool fresh;

	if (len >= fs->bsize)
		return -ENAMETOOLONG;
	if (len < sizeof(ip->d.i_block)) {
		memcpy(ip->d.i_block, target, len);
		return inode_set_size(fs, ip, len);
	}
	int err = map_alloc(fs, ip, 0, &blk, &fresh);

	if (err < 0)
		return err;
	struct buf *b = bcache_get_fresh(&fs->bc, blk, BC_META);

	if (!b)
		return -EIO;
	memset(b->data, 0, fs->bsize);
	memcpy(b->data, target, len);
	bcache_dirty(&fs->bc, b);
	bcache_put(b);
	return inode_set_size(fs, ip, len);
}
