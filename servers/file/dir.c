/* SPDX-License-Identifier: MIT */
/*
 * Directories: linear lists of entries in blocks. Hashed indexes (dir_index) look like unused space
 * to this code; a directory that has one loses the flag when it is changed. What comes from the
 * disk is checked entry by entry.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs.h"

enum { ENTRY_HEAD = 8, DIRENT64_HEAD = 19 };

/* A position in a directory: an entry in a pinned block. */
struct dir_pos {
	uint64_t lblk;
	struct buf *b;
	unsigned off;
	struct ext2_dir_entry_2 *e, *before; /* before: the previous entry of the block, or NULL */
};

static unsigned entry_size(size_t name_len)
{
	return (unsigned)((ENTRY_HEAD + name_len + 3) & ~3ul);
}

static uint8_t file_type(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static uint64_t dir_blocks(const struct fs *fs, struct inode *dp)
{
	return inode_size(dp) >> fs->bshift;
}

/* The directory's block `lblk`, pinned. */
static int dir_block(struct fs *fs, struct inode *dp, uint64_t lblk, struct buf **b)
{
	uint64_t blk;
	int err = map_find(fs, dp, lblk, 1, &blk);

	*b = err == 0 && blk ? bcache_get(&fs->bc, blk, BC_META) : NULL;
	return *b ? 0 : -EIO;
}

/* The entry at off, or NULL if it cannot be one. */
static struct ext2_dir_entry_2 *entry_at(struct fs *fs, struct inode *dp, struct buf *b,
					 unsigned off)
{
	struct ext2_dir_entry_2 *e = (void *)(b->data + off);

	if (off + ENTRY_HEAD <= fs->bsize && e->rec_len >= ENTRY_HEAD && e->rec_len % 4 == 0 &&
	    off + e->rec_len <= fs->bsize &&
	    (e->inode == 0 || entry_size(e->name_len) <= e->rec_len))
		return e;
	fs_log("directory %u is damaged", dp->ino);
	return NULL;
}

static void pos_end(struct dir_pos *p)
{
	if (p->b)
		bcache_put(p->b);
	p->b = NULL;
}

/* Find the entry of `name`; p->b stays pinned if the result is 0. -ENOENT; -EIO. */
static int locate(struct fs *fs, struct inode *dp, const char *name, size_t len, struct dir_pos *p)
{
	uint64_t blocks = dir_blocks(fs, dp);

	*p = (struct dir_pos){0};
	for (; p->lblk < blocks; p->lblk++) {
		int err = dir_block(fs, dp, p->lblk, &p->b);

		if (err < 0)
			return err;
		p->before = NULL;
		for (p->off = 0; p->off < fs->bsize; p->off += p->e->rec_len) {
			if (p->off)
				p->before = p->e;
			p->e = entry_at(fs, dp, p->b, p->off);
			if (!p->e) {
				pos_end(p);
				return -EIO;
			}
			if (p->e->inode && p->e->name_len == len &&
			    memcmp(p->e->name, name, len) == 0)
				return 0;
		}
		pos_end(p);
	}
	return -ENOENT;
}

static void changed(struct fs *fs, struct inode *dp, struct buf *b)
{
	bcache_dirty(&fs->bc, b);
	dp->d.i_flags &= ~EXT2_INDEX_FL;
	inode_changed(fs, dp);
}

int dir_lookup(struct fs *fs, struct inode *dp, const char *name, size_t len, uint32_t *ino)
{
	struct dir_pos p;

	if (names_find(fs, dp->ino, name, len, ino)) {
		if (fs->tell_found)
			tell_name(fs, dp, name, len, *ino);
		return *ino ? 0 : -ENOENT;
	}
	int err = locate(fs, dp, name, len, &p);

	if (err == 0) {
		*ino = p.e->inode;
		pos_end(&p);
	}
	if (err == 0 || err == -ENOENT) {
		names_set(fs, dp->ino, name, len, err ? 0 : *ino);
		if (fs->tell_found)
			tell_name(fs, dp, name, len, err ? 0 : *ino);
	}
	return err;
}

static void fill(struct ext2_dir_entry_2 *e, const char *name, size_t len, struct inode *ip)
{
	e->inode = ip->ino;
	e->name_len = (uint8_t)len;
	e->file_type = file_type(ip->d.i_mode);
	memcpy(e->name, name, len);
}

/* Try to put the entry into block b. -ENOSPC: no room in it. */
static int add_in_block(struct fs *fs, struct inode *dp, struct buf *b, const char *name,
			size_t len, struct inode *ip)
{
	unsigned need = entry_size(len);

	for (unsigned off = 0; off < fs->bsize;) {
		struct ext2_dir_entry_2 *e = entry_at(fs, dp, b, off);

		if (!e)
			return -EIO;
		unsigned used = e->inode ? entry_size(e->name_len) : 0;

		if (e->rec_len - used >= need) {
			unsigned rest = e->rec_len - used;

			if (used) {
				e->rec_len = (uint16_t)used;
				e = (void *)((uint8_t *)e + used);
				e->rec_len = (uint16_t)rest;
			}
			fill(e, name, len, ip);
			return 0;
		}
		off += e->rec_len;
	}
	return -ENOSPC;
}

/* A new last block, as one unused entry; pinned. */
static int grow(struct fs *fs, struct inode *dp, struct buf **out)
{
	uint64_t blk, lblk = dir_blocks(fs, dp);
	bool fresh;
	int err = lblk < (uint64_t)INT32_MAX >> fs->bshift ? map_alloc(fs, dp, lblk, &blk, &fresh)
							   : -ENOSPC;

	if (err < 0)
		return err == -EFBIG ? -ENOSPC : err;
	struct buf *b = bcache_get_fresh(&fs->bc, blk, BC_META);

	if (!b)
		return -EIO;
	memset(b->data, 0, fs->bsize);
	((struct ext2_dir_entry_2 *)(void *)b->data)->rec_len = (uint16_t)fs->bsize;
	bcache_dirty(&fs->bc, b);
	*out = b;
	return inode_set_size(fs, dp, (lblk + 1) << fs->bshift);
}

int dir_add(struct fs *fs, struct inode *dp, const char *name, size_t len, struct inode *ip)
{
	uint64_t blocks = dir_blocks(fs, dp);
	struct buf *b;
	int err = -ENOSPC;

	for (uint64_t lblk = 0; err == -ENOSPC && lblk <= blocks; lblk++) {
		err = lblk < blocks ? dir_block(fs, dp, lblk, &b) : grow(fs, dp, &b);
		if (err < 0)
			return err;
		err = add_in_block(fs, dp, b, name, len, ip);
		if (err == 0) {
			changed(fs, dp, b);
			names_set(fs, dp->ino, name, len, ip->ino);
			tell_name(fs, dp, name, len, ip->ino);
		}
		bcache_put(b);
	}
	return err;
}

int dir_remove(struct fs *fs, struct inode *dp, const char *name, size_t len)
{
	struct dir_pos p;
	int err = locate(fs, dp, name, len, &p);

	if (err < 0)
		return err;
	if (p.before)
		p.before->rec_len += p.e->rec_len;
	else
		p.e->inode = 0;
	changed(fs, dp, p.b);
	pos_end(&p);
	names_set(fs, dp->ino, name, len, 0);
	tell_name(fs, dp, name, len, 0);
	return 0;
}

int dir_replace(struct fs *fs, struct inode *dp, const char *name, size_t len, struct inode *ip)
{
	struct dir_pos p;
	int err = locate(fs, dp, name, len, &p);

	if (err < 0)
		return err;
	p.e->inode = ip->ino;
	p.e->file_type = file_type(ip->d.i_mode);
	changed(fs, dp, p.b);
	pos_end(&p);
	names_set(fs, dp->ino, name, len, ip->ino);
	tell_name(fs, dp, name, len, ip->ino);
	return 0;
}

int dir_init(struct fs *fs, struct inode *dp, struct inode *parent)
{
	int err = dir_add(fs, dp, ".", 1, dp);

	return err < 0 ? err : dir_add(fs, dp, "..", 2, parent);
}

static bool is_dot(const struct ext2_dir_entry_2 *e)
{
	return e->name[0] == '.' && (e->name_len == 1 || (e->name_len == 2 && e->name[1] == '.'));
}

int dir_is_empty(struct fs *fs, struct inode *dp)
{
	int empty = 1;

	for (uint64_t lblk = 0; lblk < dir_blocks(fs, dp) && empty == 1; lblk++) {
		struct buf *b;
		int err = dir_block(fs, dp, lblk, &b);

		if (err < 0)
			return err;
		for (unsigned off = 0; off < fs->bsize && empty == 1;) {
			struct ext2_dir_entry_2 *e = entry_at(fs, dp, b, off);

			if (!e)
				empty = -EIO;
			else if (e->inode && !is_dot(e))
				empty = 0;
			else
				off += e->rec_len;
		}
		bcache_put(b);
	}
	return empty;
}

static uint8_t dirent_type(uint8_t ext2_type)
{
	static const uint8_t type[] = {
		[EXT2_FT_UNKNOWN] = DT_UNKNOWN, [EXT2_FT_REG_FILE] = DT_REG,
		[EXT2_FT_DIR] = DT_DIR,		[EXT2_FT_CHRDEV] = DT_CHR,
		[EXT2_FT_BLKDEV] = DT_BLK,	[EXT2_FT_FIFO] = DT_FIFO,
		[EXT2_FT_SOCK] = DT_SOCK,	[EXT2_FT_SYMLINK] = DT_LNK,
	};

	return ext2_type < sizeof(type) ? type[ext2_type] : (uint8_t)DT_UNKNOWN;
}

/* struct linux_dirent64: ino, next cookie, length, type, name; 8-byte aligned. 0: no room. */
static size_t put_dirent(uint8_t *buf, size_t room, const struct ext2_dir_entry_2 *e, uint64_t next)
{
	size_t size = (DIRENT64_HEAD + e->name_len + 1 + 7) & ~7ul;
	uint64_t ino = e->inode;
	uint16_t len = (uint16_t)size;

	if (size > room)
		return 0;
	memset(buf, 0, size);
	memcpy(buf, &ino, 8);
	memcpy(buf + 8, &next, 8);
	memcpy(buf + 16, &len, 2);
	buf[18] = dirent_type(e->file_type);
	memcpy(buf + DIRENT64_HEAD, e->name, e->name_len);
	return size;
}

/*
 * The cookie is the byte offset of the next entry. An entry may have been merged into its
 * predecessor since, so the scan starts at the head of the block and skips what lies before the
 * cookie.
 */
long dir_read(struct fs *fs, struct inode *dp, uint64_t *cookie, uint8_t *buf, size_t size)
{
	size_t done = 0;
	uint64_t pos = *cookie;
	bool full = false;

	for (uint64_t lblk = pos >> fs->bshift; lblk < dir_blocks(fs, dp) && !full; lblk++) {
		struct buf *b;
		int err = dir_block(fs, dp, lblk, &b);

		if (err < 0)
			return err;
		uint64_t base = lblk << fs->bshift;

		for (unsigned off = 0; off < fs->bsize && !full;) {
			struct ext2_dir_entry_2 *e = entry_at(fs, dp, b, off);

			if (!e) {
				bcache_put(b);
				return done ? (long)done : -EIO;
			}
			uint64_t next = base + off + e->rec_len;

			if (e->inode && base + off >= pos) {
				size_t n = put_dirent(buf + done, size - done, e, next);

				if (n == 0) {
					full = true;
					*cookie = base + off;
				}
				done += n;
			}
			off += e->rec_len;
		}
		bcache_put(b);
		if (!full)
			*cookie = base + fs->bsize;
	}
	return full && done == 0 ? -EINVAL : (long)done;
}
