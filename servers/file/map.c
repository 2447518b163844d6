/* SPDX-License-Identifier: MIT */
/*
 * Block maps of ext2: 12 direct pointers in the inode, then a tree of one, two and three levels of
 * pointer blocks. Pointers come from the disk and are checked before they are followed.
 */
#include <errno.h>
#include <string.h>

#include "fs.h"

enum { MAX_DEPTH = 4 };

static unsigned ptr_shift(const struct fs *fs)
{
	return fs->bshift - 2;
}

uint64_t map_limit(const struct fs *fs)
{
	uint64_t p = fs->bsize / 4, blocks = EXT2_NDIR_BLOCKS + p + p * p + p * p * p;
	uint64_t by_count = UINT32_MAX >> (fs->bshift - 9); /* i_blocks has 32 bits of 512 bytes */

	return blocks < by_count ? blocks : by_count;
}

/*
 * The way to a file block: at[0] is an index of i_block, the others index pointer blocks. Returns
 * the number of steps, 0 if the block is beyond the map.
 */
static unsigned way_to(const struct fs *fs, uint64_t lblk, uint32_t at[MAX_DEPTH])
{
	unsigned shift = ptr_shift(fs);
	uint64_t mask = (1u << shift) - 1;

	if (lblk < EXT2_NDIR_BLOCKS) {
		at[0] = lblk;
		return 1;
	}
	lblk -= EXT2_NDIR_BLOCKS;
	for (unsigned levels = 1; levels < MAX_DEPTH; levels++) {
		if (lblk < 1ull << (shift * levels)) {
			at[0] = EXT2_NDIR_BLOCKS + levels - 1;
			for (unsigned i = 1; i <= levels; i++)
				at[i] = lblk >> (shift * (levels - i)) & mask;
			return levels + 1;
		}
		lblk -= 1ull << (shift * levels);
	}
	return 0;
}

/* A pinned pointer block. NULL: it is not one, or cannot be read. */
static struct buf *pointer_block(struct fs *fs, uint64_t blk)
{
	if (!fs_block_valid(fs, blk)) {
		fs_log("block pointer %llu is beyond the disk", (unsigned long long)blk);
		return NULL;
	}
	return bcache_get(&fs->bc, blk, BC_META);
}

int map_find(struct fs *fs, struct inode *ip, uint64_t lblk, unsigned n, uint64_t *blks)
{
	struct buf *leaf = NULL; /* pointer block of the previous file block */
	int err = 0;

	for (unsigned i = 0; i < n && err == 0; i++, lblk++) {
		uint32_t at[MAX_DEPTH];
		unsigned depth = way_to(fs, lblk, at);

		if (leaf && depth > 1 && at[depth - 1] > 0) {
			blks[i] = ((uint32_t *)(void *)leaf->data)[at[depth - 1]];
		} else {
			if (leaf)
				bcache_put(leaf);
			leaf = NULL;
			blks[i] = depth ? ip->d.i_block[at[0]] : 0;
			for (unsigned d = 1; d < depth && blks[i]; d++) {
				struct buf *b = pointer_block(fs, blks[i]);

				if (leaf)
					bcache_put(leaf);
				leaf = b;
				if (!b) {
					err = -EIO;
					break;
				}
				blks[i] = ((uint32_t *)(void *)b->data)[at[d]];
				if (!blks[i] && d + 1 < depth) { /* a hole above the leaf */
					bcache_put(leaf);
					leaf = NULL;
				}
			}
		}
		if (err == 0 && blks[i] && !fs_block_valid(fs, blks[i])) {
			fs_log("inode %u: block %llu is beyond the disk", ip->ino,
			       (unsigned long long)blks[i]);
			err = -EIO;
		}
	}
	if (leaf)
		bcache_put(leaf);
	return err;
}

/* Where to look for a free block: behind the last one of this file, else in the inode's group. */
static uint64_t goal_of(struct fs *fs, const struct inode *ip)
{
	if (ip->goal)
		return ip->goal;
	return ext2fs_group_first_block2(fs->e2, ext2fs_group_of_ino(fs->e2, ip->ino));
}

static uint64_t take_block(struct fs *fs, struct inode *ip)
{
	uint64_t blk = fs_new_block(fs, goal_of(fs, ip));

	if (blk) {
		ip->goal = blk + 1;
		ip->d.i_blocks += fs->bsize / 512;
		inode_dirty(fs, ip);
	}
	return blk;
}

int map_alloc(struct fs *fs, struct inode *ip, uint64_t lblk, uint64_t *blk, bool *fresh)
{
	uint32_t at[MAX_DEPTH];
	unsigned depth = lblk < map_limit(fs) ? way_to(fs, lblk, at) : 0;
	uint32_t *slot;
	struct buf *owner = NULL; /* of slot; NULL: the inode */

	if (depth == 0)
		return -EFBIG;
	slot = &ip->d.i_block[at[0]];
	*fresh = false;
	for (unsigned d = 1;; d++) {
		uint64_t next = *slot;

		if (!next) {
			/* All or nothing: an empty pointer block would be lost space. */
			if (fs_ready_blocks(fs) < depth - d + 1)
				next = 0;
			else
				next = take_block(fs, ip);
			if (!next) {
				if (owner)
					bcache_put(owner);
				return -ENOSPC;
			}
			*slot = (uint32_t)next;
			if (owner)
				bcache_dirty(&fs->bc, owner);
			*fresh = true;
		}
		if (owner)
			bcache_put(owner);
		if (d == depth) {
			*blk = next;
			return fs_block_valid(fs, next) ? 0 : -EIO;
		}
		if (*fresh) {
			owner = bcache_get_fresh(&fs->bc, next, BC_META);
			if (owner) {
				memset(owner->data, 0, fs->bsize);
				bcache_dirty(&fs->bc, owner);
			} else {
				fs->broken = true; /* the map now leads to garbage: keep it off the
						      disk */
			}
		} else {
			owner = pointer_block(fs, next);
		}
		if (!owner)
			return -EIO;
		slot = &((uint32_t *)(void *)owner->data)[at[d]];
	}
}

static void release(struct fs *fs, struct inode *ip, uint64_t blk)
{
	if (!fs_block_valid(fs, blk)) {
		fs_log("inode %u: block %llu is beyond the disk", ip->ino, (unsigned long long)blk);
		return;
	}
	fs_free_block(fs, blk);
	ip->d.i_blocks -= fs->bsize / 512;
}

/*
 * Free what *slot leads to from the `from`-th file block below it on. `levels` of pointer blocks
 * lie between; the slot is cleared if nothing below it remains.
 */
static int cut(struct fs *fs, struct inode *ip, uint32_t *slot, unsigned levels, uint64_t from)
{
	unsigned shift = ptr_shift(fs);

	if (!*slot)
		return 0;
	if (levels > 0) {
		struct buf *b = pointer_block(fs, *slot);
		uint32_t *ptr = b ? (void *)b->data : NULL;
		unsigned sub = shift * (levels - 1);
		unsigned first = from >> sub;
		int err = 0;

		if (!b)
			return -EIO;
		for (unsigned i = first; i < 1u << shift && err == 0; i++) {
			uint32_t before = ptr[i];

			err = cut(fs, ip, &ptr[i], levels - 1,
				  i == first ? from - ((uint64_t)first << sub) : 0);
			if (ptr[i] != before)
				bcache_dirty(&fs->bc, b);
		}
		bool used = err < 0;

		for (unsigned i = 0; i < 1u << shift && !used; i++)
			used = ptr[i] != 0;
		bcache_put(b);
		if (used)
			return err;
	}
	release(fs, ip, *slot);
	*slot = 0;
	return 0;
}

int map_truncate(struct fs *fs, struct inode *ip, uint64_t from)
{
	uint64_t base = 0;
	int err = 0;

	for (unsigned i = 0; i < EXT2_N_BLOCKS && err == 0; i++) {
		unsigned levels = i < EXT2_NDIR_BLOCKS ? 0 : i - EXT2_NDIR_BLOCKS + 1;
		uint64_t span = 1ull << (ptr_shift(fs) * levels);

		if (from < base + span)
			err = cut(fs, ip, &ip->d.i_block[i], levels, from > base ? from - base : 0);
		base += span;
	}
	ip->goal = 0;
	inode_dirty(fs, ip);
	return err;
}
