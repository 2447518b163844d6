/* SPDX-License-Identifier: MIT */
/* libext2fs over the block cache. See ext2io.h. */
#include "ext2io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ext2fs_open() passes nothing but a name to open(); there is one file system. */
static struct bcache *opening;

static errcode_t io_open(const char *name, int flags, io_channel *channel)
{
	(void)name;
	(void)flags;
	io_channel io = calloc(1, sizeof(*io));

	if (!io)
		return EXT2_ET_NO_MEMORY;
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = ext2io_manager(opening);
	io->name = strdup("disk"); /* libext2fs frees it */
	io->block_size = 1024;
	io->refcount = 1;
	io->private_data = opening;
	*channel = io;
	return 0;
}

static errcode_t io_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->name);
	free(io);
	return 0;
}

static errcode_t io_set_blksize(io_channel io, int blksize)
{
	io->block_size = blksize;
	return 0;
}

/* A negative count is one of bytes, says libext2fs. */
static size_t length_of(const struct struct_io_channel *io, int count)
{
	return count < 0 ? (size_t)-count : (size_t)count * io->block_size;
}

static errcode_t io_read(io_channel io, unsigned long long block, int count, void *data)
{
	struct bcache *c = io->private_data;
	uint64_t off = block * io->block_size;
	uint8_t *dst = data;

	for (size_t left = length_of(io, count); left > 0;) {
		size_t in = off % c->bsize, n = c->bsize - in < left ? c->bsize - in : left;
		struct buf *b = bcache_get(c, off / c->bsize, BC_META);

		if (!b)
			return EIO;
		memcpy(dst, b->data + in, n);
		bcache_put(b);
		dst += n;
		off += n;
		left -= n;
	}
	return 0;
}

/* Much of what libext2fs writes (bitmaps, descriptors) is what is there already: that costs no I/O. */
static errcode_t io_write(io_channel io, unsigned long long block, int count, const void *data)
{
	struct bcache *c = io->private_data;
	uint64_t off = block * io->block_size;
	const uint8_t *src = data;

	for (size_t left = length_of(io, count); left > 0;) {
		size_t in = off % c->bsize, n = c->bsize - in < left ? c->bsize - in : left;
		struct buf *b = bcache_get(c, off / c->bsize, BC_META);

		if (!b)
			return EIO;
		if (memcmp(b->data + in, src, n) != 0) {
			memcpy(b->data + in, src, n);
			bcache_dirty(c, b);
		}
		bcache_put(b);
		src += n;
		off += n;
		left -= n;
	}
	return 0;
}

static errcode_t io_read32(io_channel io, unsigned long block, int count, void *data)
{
	return io_read(io, block, count, data);
}

static errcode_t io_write32(io_channel io, unsigned long block, int count, const void *data)
{
	return io_write(io, block, count, data);
}

/* What reaches the disk, and when, is decided by fs_checkpoint(). */
static errcode_t io_flush(io_channel io)
{
	(void)io;
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "whimbrel block cache",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read32,
	.write_blk = io_write32,
	.read_blk64 = io_read,
	.write_blk64 = io_write,
	.flush = io_flush,
};

io_manager ext2io_manager(struct bcache *c)
{
	opening = c;
	return &manager;
}
