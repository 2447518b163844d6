/* SPDX-License-Identifier: MIT */
/* Inodes in memory. See fs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs.h"

#define NS_PER_SEC 1000000000ll

int64_t fs_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* ---- the table ---- */

void inodes_init(struct fs *fs)
{
	memset(fs->inodes, 0, sizeof(fs->inodes));
	list_init(&fs->idle);
	fs->idle_count = fs->dirty_inodes = 0;
}

static struct inode **bucket(struct fs *fs, uint32_t ino)
{
	return &fs->inodes[ino % INODE_BUCKETS];
}

/* The block of the inode table that holds `ino`, pinned, and the place in it. */
static struct ext2_inode_large *on_disk(struct fs *fs, uint32_t ino, struct buf **b)
{
	uint32_t per_group = EXT2_INODES_PER_GROUP(fs->e2->super);
	uint64_t off = (uint64_t)((ino - 1) % per_group) * EXT2_INODE_SIZE(fs->e2->super);
	uint64_t table = ext2fs_inode_table_loc(fs->e2, (ino - 1) / per_group);

	*b = bcache_get(&fs->bc, table + (off >> fs->bshift), BC_META);
	return *b ? (void *)((*b)->data + (off & (fs->bsize - 1))) : NULL;
}

static void drop(struct fs *fs, struct inode *ip)
{
	struct inode **p = bucket(fs, ip->ino);

	while (*p != ip)
		p = &(*p)->hash_next;
	*p = ip->hash_next;
	list_del(&ip->lru);
	fs->idle_count--;
	free(ip);
}

/* Forget the oldest idle inodes while there are too many; dirty ones wait for the checkpoint. */
static void trim(struct fs *fs, unsigned keep)
{
	struct list *l = fs->idle.prev;

	while (fs->idle_count > keep && l != &fs->idle) {
		struct inode *ip = list_entry(l, struct inode, lru);

		l = l->prev;
		if (!ip->dirty)
			drop(fs, ip);
	}
}

/* A table entry for `ino`, in memory only; referenced once. */
static struct inode *enter(struct fs *fs, uint32_t ino)
{
	struct inode *ip = calloc(1, sizeof(*ip));

	if (!ip)
		return NULL;
	ip->ino = ino;
	ip->refs = 1;
	list_init(&ip->lru);
	list_init(&ip->holds);
	ip->hash_next = *bucket(fs, ino);
	*bucket(fs, ino) = ip;
	return ip;
}

struct inode *inode_peek(struct fs *fs, uint32_t ino)
{
	struct inode *ip = *bucket(fs, ino);

	while (ip && ip->ino != ino)
		ip = ip->hash_next;
	return ip;
}

static struct inode *find(struct fs *fs, uint32_t ino)
{
	struct inode *ip = inode_peek(fs, ino);

	if (ip && ip->refs++ == 0) {
		list_del(&ip->lru);
		fs->idle_count--;
	}
	return ip;
}

/* Whatever is on disk, used or not. */
static int load(struct fs *fs, uint32_t ino, struct inode **out)
{
	if (ino == 0 || ino > fs->e2->super->s_inodes_count)
		return -EIO;
	struct inode *ip = find(fs, ino);

	if (!ip) {
		struct buf *b;
		struct ext2_inode_large *d = on_disk(fs, ino, &b);

		if (!d)
			return -EIO;
		ip = enter(fs, ino);
		if (ip)
			ip->d = *d;
		bcache_put(b);
		if (!ip)
			return -ENOMEM;
	}
	*out = ip;
	return 0;
}

int inode_get(struct fs *fs, uint32_t ino, struct inode **ip)
{
	int err = load(fs, ino, ip);

	if (err == 0 && ((*ip)->d.i_mode == 0 || (*ip)->d.i_links_count == 0)) {
		inode_put(fs, *ip);
		err = -ESTALE;
	}
	return err;
}

void inode_put(struct fs *fs, struct inode *ip)
{
	if (--ip->refs > 0)
		return;
	list_push(&fs->idle, &ip->lru);
	fs->idle_count++;
	trim(fs, INODE_KEEP);
}

void inodes_drop(struct fs *fs)
{
	while (!list_empty(&fs->idle))
		drop(fs, list_entry(fs->idle.next, struct inode, lru));
	fs->dirty_inodes = 0;
}

void inode_dirty(struct fs *fs, struct inode *ip)
{
	if (!ip->dirty)
		fs->dirty_inodes++;
	ip->dirty = true;
	tell_inode(fs, ip);
}

int inodes_flush(struct fs *fs)
{
	for (unsigned i = 0; i < INODE_BUCKETS && fs->dirty_inodes > 0; i++) {
		for (struct inode *ip = fs->inodes[i]; ip; ip = ip->hash_next) {
			struct buf *b;

			if (!ip->dirty)
				continue;
			struct ext2_inode_large *d = on_disk(fs, ip->ino, &b);

			if (!d)
				return -EIO;
			*d = ip->d;
			bcache_dirty(&fs->bc, b);
			bcache_put(b);
			ip->dirty = false;
			fs->dirty_inodes--;
		}
	}
	return 0;
}

/* ---- life and death ---- */

int inode_new(struct fs *fs, struct inode *dir, uint32_t mode, struct fs_cred cred,
	      struct inode **out)
{
	ext2_ino_t ino;
	struct inode *ip;

	if (ext2fs_new_inode(fs->e2, dir->ino, mode, NULL, &ino))
		return -ENOSPC;
	int err = load(fs, ino, &ip);

	if (err < 0)
		return err;
	ext2fs_inode_alloc_stats2(fs->e2, ino, +1, S_ISDIR(mode));
	if (dir->d.i_mode & S_ISGID) {
		cred.gid = owner_gid(dir);
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	memset(&ip->d, 0, sizeof(ip->d));
	ip->goal = 0;
	ip->d.i_mode = mode;
	ip->d.i_uid = cred.uid;
	ip->d.osd2.linux2.l_i_uid_high = cred.uid >> 16;
	ip->d.i_gid = cred.gid;
	ip->d.osd2.linux2.l_i_gid_high = cred.gid >> 16;
	ip->d.i_generation = fs->next_generation++;
	ip->d.i_extra_isize = sizeof(ip->d) - EXT2_GOOD_OLD_INODE_SIZE;
	inode_changed(fs, ip);
	ip->d.i_atime = ip->d.i_crtime = ip->d.i_mtime;
	ip->d.i_atime_extra = ip->d.i_crtime_extra = ip->d.i_mtime_extra;
	*out = ip;
	return 0;
}

/* We know no extended attributes, but an inode of the base image may share a block of them. */
static int drop_attributes(struct fs *fs, struct inode *ip)
{
	uint32_t users = 0;

	if (!ip->d.i_file_acl)
		return 0;
	if (ext2fs_adjust_ea_refcount3(fs->e2, ip->d.i_file_acl, NULL, -1, &users, ip->ino))
		return -EIO;
	if (users == 0)
		fs_free_block(fs, ip->d.i_file_acl);
	ip->d.i_file_acl = 0;
	return 0;
}

int inode_free(struct fs *fs, struct inode *ip)
{
	bool isdir = S_ISDIR(ip->d.i_mode);
	bool has_map = S_ISREG(ip->d.i_mode) || isdir ||
		       (S_ISLNK(ip->d.i_mode) && ip->d.i_size >= sizeof(ip->d.i_block));
	int err = has_map ? map_truncate(fs, ip, 0) : 0;

	if (err == 0)
		err = drop_attributes(fs, ip);
	if (err < 0)
		return err; /* it stays allocated and unlinked: lost space, nothing worse */
	if (isdir)
		names_forget_dir(fs, ip->ino);
	ext2fs_inode_alloc_stats2(fs->e2, ip->ino, -1, isdir);
	uint32_t generation = ip->d.i_generation;

	memset(&ip->d, 0, sizeof(ip->d));
	ip->d.i_generation = generation;
	ip->d.i_dtime = (uint32_t)(fs_now() / NS_PER_SEC);
	inode_dirty(fs, ip);
	return 0;
}

/*
 * The orphan list runs from the superblock through the i_dtime fields of inodes that have no name
 * but are held. It is part of the journalled state.
 */
static void orphan_add(struct fs *fs, struct inode *ip)
{
	ip->d.i_dtime = fs->e2->super->s_last_orphan;
	fs->e2->super->s_last_orphan = ip->ino;
	ext2fs_mark_super_dirty(fs->e2);
	inode_dirty(fs, ip);
}

static int orphan_remove(struct fs *fs, struct inode *ip)
{
	uint32_t *head = &fs->e2->super->s_last_orphan;

	if (*head == ip->ino) {
		*head = ip->d.i_dtime;
		ext2fs_mark_super_dirty(fs->e2);
		return 0;
	}
	for (uint32_t ino = *head, steps = 0; ino; steps++) {
		struct inode *before;
		int err = load(fs, ino, &before);

		if (err < 0)
			return err;
		ino = steps < fs->e2->super->s_inodes_count ? before->d.i_dtime : 0;
		if (ino == ip->ino) {
			before->d.i_dtime = ip->d.i_dtime;
			inode_dirty(fs, before);
			ino = 0;
		}
		inode_put(fs, before);
	}
	return 0;
}

int inode_unlinked(struct fs *fs, struct inode *ip)
{
	if (ip->d.i_links_count > 0)
		return 0;
	if (!list_empty(&ip->holds)) {
		orphan_add(fs, ip);
		return 0;
	}
	return inode_free(fs, ip);
}

int inode_free_orphan(struct fs *fs, struct inode *ip)
{
	int err = orphan_remove(fs, ip);

	return err < 0 ? err : inode_free(fs, ip);
}

int inode_free_orphans(struct fs *fs)
{
	int n = 0;

	while (fs->e2->super->s_last_orphan) {
		struct inode *ip;
		int err = load(fs, fs->e2->super->s_last_orphan, &ip);

		if (err == 0) {
			if (ip->d.i_mode == 0 || ip->d.i_links_count > 0)
				err = -EIO; /* not an orphan: the list is damaged */
			else
				err = inode_free_orphan(fs, ip);
			inode_put(fs, ip);
		}
		if (err < 0) {
			fs->e2->super->s_last_orphan = 0;
			ext2fs_mark_super_dirty(fs->e2);
			return err;
		}
		n++;
	}
	return n;
}

/* ---- fields ---- */

uint64_t inode_size(const struct inode *ip)
{
	return ip->d.i_size | (S_ISREG(ip->d.i_mode) ? (uint64_t)ip->d.i_size_high << 32 : 0);
}

int inode_set_size(struct fs *fs, struct inode *ip, uint64_t size)
{
	if (size > map_limit(fs) << fs->bshift)
		return -EFBIG;
	ip->d.i_size = (uint32_t)size;
	if (S_ISREG(ip->d.i_mode))
		ip->d.i_size_high = size >> 32;
	if (size > INT32_MAX && !ext2fs_has_feature_large_file(fs->e2->super)) {
		ext2fs_set_feature_large_file(fs->e2->super);
		ext2fs_mark_super_dirty(fs->e2);
	}
	inode_dirty(fs, ip);
	return 0;
}

/* ext2 keeps seconds as 32 bits; the extra word has two more bits of them and the nanoseconds. */
static void put_time(uint32_t *sec, uint32_t *extra, int64_t ns)
{
	int64_t s = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;

	if (rest < 0) {
		rest += NS_PER_SEC;
		s--;
	}
	*sec = (uint32_t)s;
	*extra = (uint32_t)rest << EXT4_EPOCH_BITS | (((s - (int32_t)s) >> 32) & EXT4_EPOCH_MASK);
}

static int64_t get_time(uint32_t sec, uint32_t extra)
{
	int64_t s = (int32_t)sec + ((int64_t)(extra & EXT4_EPOCH_MASK) << 32);

	if (s >= INT64_MAX / NS_PER_SEC) /* the year 2262 */
		return INT64_MAX;
	return s * NS_PER_SEC + (extra >> EXT4_EPOCH_BITS);
}

/* An inode from an old tool may have no room for the extra words; they are then zero and stay so. */
static bool has_extra(const struct inode *ip)
{
	return ip->d.i_extra_isize >= sizeof(ip->d) - EXT2_GOOD_OLD_INODE_SIZE;
}

void inode_set_times(struct inode *ip, int64_t atime, int64_t mtime, int64_t now)
{
	uint32_t none;
	bool extra = has_extra(ip);

	if (atime == FS_TIME_NOW)
		atime = now;
	if (mtime == FS_TIME_NOW)
		mtime = now;
	if (atime != FS_TIME_OMIT)
		put_time(&ip->d.i_atime, extra ? &ip->d.i_atime_extra : &none, atime);
	if (mtime != FS_TIME_OMIT)
		put_time(&ip->d.i_mtime, extra ? &ip->d.i_mtime_extra : &none, mtime);
	put_time(&ip->d.i_ctime, extra ? &ip->d.i_ctime_extra : &none, now);
}

void inode_touched(struct fs *fs, struct inode *ip)
{
	inode_set_times(ip, FS_TIME_OMIT, FS_TIME_OMIT, fs_now());
	inode_dirty(fs, ip);
}

/* The stamp {this node, boot, counter}: the boot is in it because a crash may undo counter steps. */
void inode_changed(struct fs *fs, struct inode *ip)
{
	inode_set_times(ip, FS_TIME_OMIT, FS_TIME_NOW, fs_now());
	if (++ip->d.osd1.linux1.l_i_version == 0)
		ip->d.osd1.linux1.l_i_version = 1;
	if (has_extra(ip))
		ip->d.i_version_hi = fs->boot;
	inode_dirty(fs, ip);
}

void inode_version(const struct fs *fs, const struct inode *ip, struct fs_version *v)
{
	*v = (struct fs_version){0};
	if (ip->d.osd1.linux1.l_i_version) {
		v->writer = fs->node;
		v->incarnation = has_extra(ip) ? ip->d.i_version_hi : fs->boot;
		v->counter = ip->d.osd1.linux1.l_i_version;
	}
}

void inode_attr(const struct fs *fs, const struct inode *ip, struct fs_attr *a)
{
	bool extra = has_extra(ip);

	*a = (struct fs_attr){
		.ino = ip->ino,
		.size = inode_size(ip),
		.blocks = ip->d.i_blocks,
		.atime = get_time(ip->d.i_atime, extra ? ip->d.i_atime_extra : 0),
		.mtime = get_time(ip->d.i_mtime, extra ? ip->d.i_mtime_extra : 0),
		.ctime = get_time(ip->d.i_ctime, extra ? ip->d.i_ctime_extra : 0),
		.gen = ip->d.i_generation,
		.mode = ip->d.i_mode,
		.nlink = ip->d.i_links_count,
		.uid = owner_uid(ip),
		.gid = owner_gid(ip),
	};
	inode_version(fs, ip, &a->version);
}

int inode_access(const struct inode *ip, struct fs_cred cred, unsigned want)
{
	unsigned mode = ip->d.i_mode;

	if (cred.uid == 0) {
		bool exec_ok = S_ISDIR(mode) || (mode & (S_IXUSR | S_IXGRP | S_IXOTH));

		return (want & X_OK) && !exec_ok ? -EACCES : 0;
	}
	if (cred.uid == owner_uid(ip))
		mode >>= 6;
	else if (fs_cred_in_group(&cred, owner_gid(ip)))
		mode >>= 3;
	return (want & ~mode & 7) ? -EACCES : 0;
}
