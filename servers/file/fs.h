/* SPDX-License-Identifier: MIT */
/*
 * The mounted file system of this node (its tree): what the operations in op_*.c are made of.
 *
 * libext2fs keeps superblock, group descriptors and bitmaps, and allocates from them. Inodes, block
 * maps and directories are handled here, directly on the block cache, for these are the paths that
 * must be short. Only the plain ext2 layout is accepted (no extents, no checksums).
 *
 * Changes become durable in checkpoints (fs_checkpoint): all that changed since the last one,
 * atomically, through the journal. A checkpoint never falls into the middle of an operation.
 *
 * Every function returns 0 (or a count) or a negative errno. Single-threaded.
 */
#ifndef FILE_FS_H
#define FILE_FS_H

#include <sys/types.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>

#include "bcache.h"
#include "journal.h"
#include "msg_file.h"

enum { FS_NAME_MAX = EXT2_NAME_LEN, FS_LINK_MAX = 32000, FS_SYMLINKS_MAX = 40 };
enum { INODE_BUCKETS = 256, INODE_KEEP = 512 }; /* inodes without users that stay in memory */
enum { NAME_BUCKETS = 1024, NAME_SHORT = 32 };	/* cached names; longer ones are not cached */
/* The most blocks that one operation allocates, and dirties as metadata. */
enum { FS_OP_BLOCKS = 96, FS_OP_META = 64 };
enum { FS_LOG_DATA = 16 }; /* as many blocks of file data go through the journal */
enum { TELL_FACTS = 32, TELL_INODES = 32 };

/* An inode in memory. Stays as long as someone holds a reference; is written at the next
 * checkpoint. */
struct inode {
	uint32_t ino;
	unsigned refs;
	bool dirty;
	bool to_tell;		   /* is in fs.to_tell */
	struct ext2_inode_large d; /* as on disk */
	uint64_t goal;		   /* where the next block should be allocated; 0: no idea */
	struct inode *hash_next;
	struct list lru;   /* in fs.idle while refs == 0 */
	struct list holds; /* struct hold.same_file */
};

/* A cached answer of a directory: this name is that inode (0: there is no such name). */
struct name_entry {
	uint32_t dir, ino;
	uint8_t len;
	char name[NAME_SHORT];
};

struct freed_run {
	uint64_t blk;
	uint32_t len;
};

struct fs {
	struct blkdev *dev;
	struct bcache bc;
	struct journal journal;
	bool journaled;
	ext2_filsys e2;
	unsigned bsize, bshift;
	uint32_t node;
	uint32_t boot; /* number of this mount: in hold ids, stamps, generations */
	uint32_t next_generation;

	/* Blocks freed since the last checkpoint: still marked used, so that nobody reuses them
	 * before what freed them is durable. */
	struct freed_run *freed;
	unsigned freed_runs, freed_room;
	uint64_t freed_blocks;
	/* Blocks marked used for the operation under way, and how many more it is expected to want. */
	uint64_t run;
	unsigned run_len, expected;

	struct inode *inodes[INODE_BUCKETS];
	struct list idle;
	unsigned idle_count, dirty_inodes;
	struct name_entry *names; /* NAME_BUCKETS */

	/* What the kernel is told (tell.c). */
	void (*tell)(const struct fs_fact *f, unsigned n); /* NULL: nobody wants to know */
	bool tell_found; /* what this operation finds, too; else only what it changes */
	struct fs_fact facts[TELL_FACTS];
	unsigned nfacts, nto_tell;
	uint32_t to_tell[TELL_INODES];

	/* File data of this checkpoint must be on the disk before it: blocks are new, or the file longer. */
	bool ordered;
	uint64_t data_seen; /* bc.data_written at the last checkpoint */
	bool broken;	    /* a checkpoint failed: nothing more is written, every change is -EIO */
};

/* ---- mount.c ---- */

/* Mount the file system on `dev` for node number `node`; replays the journal and removes orphans.
 * cache_bytes bounds the block cache. */
int fs_mount(struct fs *fs, struct blkdev *dev, uint32_t node, size_t cache_bytes);
/* Checkpoint, mark clean, free. No inode may be in use. */
int fs_unmount(struct fs *fs);
/* Make every change so far durable, atomically. */
int fs_checkpoint(struct fs *fs);
/* Call before an operation that changes anything: makes room for it. -EIO when broken. */
int fs_begin(struct fs *fs);
/* Is there anything that a checkpoint would write? */
bool fs_dirty(const struct fs *fs);
/* The result of a step that must not fail any more: if it did, nothing of this operation may reach
 * the disk. */
int fs_must(struct fs *fs, int err);
/* Blocks: allocation near goal (0 if the disk is full), and freeing, which takes effect at the next
 * checkpoint. */
uint64_t fs_new_block(struct fs *fs, uint64_t goal);
/* The operation will want about n: taken together they cost little more than one. 0: it wants no more, and what it did not use
 * is free again; before the operation ends. */
void fs_expect_blocks(struct fs *fs, unsigned n);
void fs_free_block(struct fs *fs, uint64_t blk);
void fs_release_freed(struct fs *fs); /* by a checkpoint: they are free now */
bool fs_block_valid(const struct fs *fs, uint64_t blk);
/* Blocks that an operation can get now; and those free after the next checkpoint. */
uint64_t fs_ready_blocks(const struct fs *fs);
uint64_t fs_free_blocks(const struct fs *fs);
void fs_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- inode.c ---- */

void inodes_init(struct fs *fs);
/* A reference to inode `ino`, which must be in use on disk (-ESTALE if not). */
int inode_get(struct fs *fs, uint32_t ino, struct inode **ip);
void inode_put(struct fs *fs, struct inode *ip);
/* The inode if it is in memory; no reference. */
struct inode *inode_peek(struct fs *fs, uint32_t ino);
static inline struct inode *inode_ref(struct inode *ip)
{
	ip->refs++;
	return ip;
}
void inode_dirty(struct fs *fs, struct inode *ip);
/* A new inode near directory `dir`: no links yet, times now, generation new. -ENOSPC. */
int inode_new(struct fs *fs, struct inode *dir, uint32_t mode, struct fs_cred cred,
	      struct inode **ip);
/* The last name is gone: free it now, or when its last hold goes (until then it is on the orphan
 * list). */
int inode_unlinked(struct fs *fs, struct inode *ip);
/* Free an inode without links or holds, with its blocks. Its references stay valid until put. */
int inode_free(struct fs *fs, struct inode *ip);
/* The last hold of an orphan went: take it off the list and free it. */
int inode_free_orphan(struct fs *fs, struct inode *ip);
/* Free what a crash left unlinked but not freed. Returns how many. */
int inode_free_orphans(struct fs *fs);
/* Write dirty inodes into their blocks of the cache. */
int inodes_flush(struct fs *fs);
/* Forget all inodes, changed or not; none is in use. */
void inodes_drop(struct fs *fs);
uint64_t inode_size(const struct inode *ip);
int inode_set_size(struct fs *fs, struct inode *ip, uint64_t size);
/* The contents changed now: mtime, ctime and the version stamp. */
void inode_changed(struct fs *fs, struct inode *ip);
/* Names, owner or mode changed now: ctime. */
void inode_touched(struct fs *fs, struct inode *ip);
void inode_version(const struct fs *fs, const struct inode *ip, struct fs_version *v);
void inode_attr(const struct fs *fs, const struct inode *ip, struct fs_attr *a);
void inode_set_times(struct inode *ip, int64_t atime, int64_t mtime, int64_t now);
int64_t fs_now(void); /* ns since the epoch */
static inline uint32_t owner_uid(const struct inode *ip)
{
	return ip->d.i_uid | (uint32_t)ip->d.osd2.linux2.l_i_uid_high << 16;
}
static inline uint32_t owner_gid(const struct inode *ip)
{
	return ip->d.i_gid | (uint32_t)ip->d.osd2.linux2.l_i_gid_high << 16;
}
/* want: R_OK|W_OK|X_OK. 0 or -EACCES. */
int inode_access(const struct inode *ip, struct fs_cred cred, unsigned want);

/* ---- map.c ---- */

/* Disk blocks of file blocks [lblk, lblk + n), 0 for holes. */
int map_find(struct fs *fs, struct inode *ip, uint64_t lblk, unsigned n, uint64_t *blks);
/* Disk block of one file block, allocated if it is a hole (*fresh: contents are undefined).
 * -ENOSPC, -EFBIG. */
int map_alloc(struct fs *fs, struct inode *ip, uint64_t lblk, uint64_t *blk, bool *fresh);
/* Free all blocks from file block `from` on. */
int map_truncate(struct fs *fs, struct inode *ip, uint64_t from);
/* First file block number that the map cannot express. */
uint64_t map_limit(const struct fs *fs);

/* ---- data.c ---- */

/* Where the bytes of a read or write come from or go to. copy(): -errno stops the transfer. */
struct fs_copy {
	int (*copy)(void *arg, size_t off, void *block_mem, size_t len);
	void *arg;
	const uint64_t *
		phys; /* of a read from a multiple of FS_FRAME on: the page frames it goes to, or NULL */
};
enum { FS_FRAME = 4096 };
/* Bytes at off; returns how many, 0 at the end. copy() reads block_mem; frames may be filled by the disk instead, to their
 * end. */
long data_read(struct fs *fs, struct inode *ip, uint64_t off, size_t len, const struct fs_copy *to);
/* Returns bytes written (fewer when the disk is full), or -ENOSPC if none. copy() fills block_mem. */
long data_write(struct fs *fs, struct inode *ip, uint64_t off, size_t len,
		const struct fs_copy *from);
/* Change the length; what a longer file gains reads as zeros. */
int data_truncate(struct fs *fs, struct inode *ip, uint64_t size);
int symlink_read(struct fs *fs, struct inode *ip, char *buf, size_t size); /* length, no NUL */
int symlink_write(struct fs *fs, struct inode *ip, const char *target, size_t len);

/* ---- dir.c ---- */

/* ino of `name` in directory dp, or -ENOENT. */
int dir_lookup(struct fs *fs, struct inode *dp, const char *name, size_t len, uint32_t *ino);
/* Add a name that is not there. */
int dir_add(struct fs *fs, struct inode *dp, const char *name, size_t len, struct inode *ip);
int dir_remove(struct fs *fs, struct inode *dp, const char *name, size_t len);
/* Let an existing name mean another inode. */
int dir_replace(struct fs *fs, struct inode *dp, const char *name, size_t len, struct inode *ip);
/* Fill a new directory with `.` and `..`. */
int dir_init(struct fs *fs, struct inode *dp, struct inode *parent);
/* 1 if it has only `.` and `..`, 0 if not. */
int dir_is_empty(struct fs *fs, struct inode *dp);
/* struct linux_dirent64 entries from cookie on into buf; returns bytes, *cookie moves on. */
long dir_read(struct fs *fs, struct inode *dp, uint64_t *cookie, uint8_t *buf, size_t size);

/* ---- path.c ---- */

enum walk_flags {
	WALK_FOLLOW = 1, /* a symbolic link as last component is followed */
	WALK_PARENT = 2, /* the last component need not exist */
	WALK_LAST = 4,	 /* the name itself is meant, even a link or file with a `/` behind it */
};
enum walk_last { LAST_NAME, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

/* Where a path led. Released with walk_end(). */
struct walk {
	struct inode *dir; /* directory of the last component (the root's is itself) */
	struct inode *ip;  /* what it names; NULL: nothing (WALK_PARENT) */
	enum walk_last last;
	bool slash; /* the path ended in `/`: it must be a directory */
	size_t name_len;
	char name[FS_NAME_MAX + 1]; /* last component, symbolic links resolved */
	size_t canon_len;
	char canon[FS_PATH_MAX]; /* the path without `.`, `..` and followed links; NUL terminated */
};
int walk(struct fs *fs, struct fs_cred cred, const char *path, unsigned flags, struct walk *w);
void walk_end(struct fs *fs, struct walk *w);

/* ---- tell.c: what the kernel is told ---- */

/* In directory dp `name` means inode ino; 0: nothing. */
void tell_name(struct fs *fs, const struct inode *dp, const char *name, size_t len, uint32_t ino);
/* Its attributes, as they will be at the end of the operation. */
void tell_inode(struct fs *fs, struct inode *ip);
/* The operation is complete. Before it is answered. */
void tell_all(struct fs *fs);

/* ---- names.c: the cache of names ---- */

int names_init(struct fs *fs);
/* True if the answer is known. */
bool names_find(const struct fs *fs, uint32_t dir, const char *name, size_t len, uint32_t *ino);
void names_set(struct fs *fs, uint32_t dir, const char *name, size_t len, uint32_t ino);
void names_forget_dir(struct fs *fs, uint32_t dir); /* a directory was freed */

#endif
