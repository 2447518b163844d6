/* SPDX-License-Identifier: MIT */
/* Mounting, checkpoints and free space. See fs.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext2io.h"
#include "fs.h"

enum { JOURNAL_INO = EXT2_JOURNAL_INO, MAX_JOURNAL_BLOCKS = 65536 };
enum { DIRTY_INODES_MAX = 256, FREED_RUNS_MAX = 4096 };

#define E2_CHANGED (EXT2_FLAG_DIRTY | EXT2_FLAG_BB_DIRTY | EXT2_FLAG_IB_DIRTY)
/* Everything that plain ext2 needs from its drivers; and a journal, which we do ourselves. */
#define COMPAT_IGNORED                                                                             \
	(EXT2_FEATURE_COMPAT_RESIZE_INODE | EXT2_FEATURE_COMPAT_DIR_INDEX |                        \
	 EXT2_FEATURE_COMPAT_EXT_ATTR)
#define COMPAT_OK    (COMPAT_IGNORED | EXT3_FEATURE_COMPAT_HAS_JOURNAL)
#define INCOMPAT_OK  (EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_RECOVER)
#define RO_COMPAT_OK (EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE)

void fs_log(const char *fmt, ...)
{
	char line[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "file: %s\n", line);
}

/* ---- checkpoints ---- */

bool fs_dirty(const struct fs *fs)
{
	return fs->dirty_inodes || fs->freed_runs || fs->bc.dirty[BC_DATA] ||
	       fs->bc.dirty[BC_META] || (fs->e2->flags & E2_CHANGED);
}

/* Little data goes through the journal, with the metadata that shows it: one flush. Not if a part of it
 * was written in place before, for then it must be flushed before that metadata anyway. */
static bool data_in_journal(const struct fs *fs)
{
	unsigned data = fs->bc.dirty[BC_DATA];

	return fs->journaled && fs->bc.data_written == fs->data_seen && data <= FS_LOG_DATA &&
	       data + fs->bc.dirty[BC_META] <= journal_capacity(&fs->journal);
}

static int commit(struct fs *fs, bool freed)
{
	bool logged = data_in_journal(fs), data = fs->bc.dirty[BC_DATA] > 0;
	unsigned how = logged && data ? JOURNAL_DATA : 0;
	struct buf **bufs;

	if (!logged && bcache_write_data(&fs->bc) < 0)
		return -EIO;
	if (freed || (fs->ordered && !logged))
		how |= JOURNAL_ORDERED;
	if (fs->bc.data_written != fs->data_seen)
		how |= JOURNAL_IN_PLACE;
	unsigned n = bcache_dirty_all(&fs->bc, &bufs);

	return journal_commit(&fs->journal, bufs, n, how);
}

static int checkpoint(struct fs *fs)
{
	int err = inodes_flush(fs);

	if (err < 0)
		return err;
	bool freed = fs->freed_runs > 0;

	fs_release_freed(fs);
	if ((fs->e2->flags & E2_CHANGED) && ext2fs_flush2(fs->e2, EXT2_FLAG_FLUSH_NO_SYNC))
		return -EIO;
	bool journal = fs->journaled && fs->bc.dirty[BC_META];

	err = journal ? commit(fs, freed) : 0;
	if (err == 0)
		err = bcache_write_data(&fs->bc);
	if (err == 0)
		err = bcache_write_meta(&fs->bc);
	if (err == 0 && !journal)
		err = fs->dev->flush(fs->dev);
	if (err < 0)
		return err;
	fs->ordered = false;
	if (journal) /* else the journal must still hear of what was written in place */
		fs->data_seen = fs->bc.data_written;
	return 0;
}

int fs_checkpoint(struct fs *fs)
{
	if (fs->broken)
		return -EIO;
	if (!fs_dirty(fs))
		return 0;
	int err = checkpoint(fs);

	if (err < 0) {
		/* What is on disk is still the last checkpoint: keep that, and refuse to go on. */
		fs_log("checkpoint failed (%s): read-only from now on", strerror(-err));
		fs->broken = true;
		return -EIO;
	}
	return 0;
}

int fs_must(struct fs *fs, int err)
{
	if (err < 0) {
		fs_log("an operation failed half way (%s): read-only from now on", strerror(-err));
		fs->broken = true;
	}
	return err;
}

/* Most metadata blocks that may wait for a checkpoint: what the log and the cache can take, less
 * the blocks that the checkpoint itself adds (bitmaps, descriptors, superblock). */
static unsigned meta_limit(const struct fs *fs)
{
	unsigned limit = fs->bc.nbufs / 2;
	unsigned own = 2 * fs->e2->group_desc_count + fs->e2->desc_blocks + 1;

	if (fs->journaled && journal_capacity(&fs->journal) < limit)
		limit = journal_capacity(&fs->journal);
	return limit > own + FS_OP_META ? limit - own - FS_OP_META : 0;
}

int fs_begin(struct fs *fs)
{
	bool full = fs_ready_blocks(fs) < FS_OP_BLOCKS && fs->freed_runs;
	bool many = fs->bc.dirty[BC_META] + fs->dirty_inodes > meta_limit(fs) ||
		    fs->dirty_inodes > DIRTY_INODES_MAX || fs->freed_runs > FREED_RUNS_MAX;

	if (fs->broken)
		return -EIO;
	if (fs->bc.dirty[BC_DATA] > fs->bc.nbufs / 4 && bcache_write_data(&fs->bc) < 0)
		return -EIO;
	return full || many ? fs_checkpoint(fs) : 0;
}

/* ---- mounting ---- */

/* The block size, from the superblock of whatever is on the disk. */
static int read_block_size(struct blkdev *dev, unsigned *bsize)
{
	struct ext2_super_block *s = dev->alloc(dev, 4096);
	struct blk_io io = {
		.off = SUPERBLOCK_OFFSET, .nseg = 1, .seg_len = SUPERBLOCK_SIZE, .seg = {s}};

	if (!s)
		return -ENOMEM;
	if (dev->submit(dev, &io, 1) < 0)
		return -EIO;
	if (s->s_magic != EXT2_SUPER_MAGIC || s->s_log_block_size > 2) {
		fs_log("there is no ext2 file system on the disk");
		return -EINVAL;
	}
	*bsize = 1024u << s->s_log_block_size;
	return 0;
}

static int open_ext2(struct fs *fs)
{
	int flags = EXT2_FLAG_RW | EXT2_FLAG_64BITS | EXT2_FLAG_MASTER_SB_ONLY;
	errcode_t e = ext2fs_open("disk", flags, 0, fs->bsize, ext2io_manager(&fs->bc), &fs->e2);

	if (e) {
		fs_log("cannot open the file system: %s", error_message(e));
		fs->e2 = NULL;
		return -EINVAL;
	}
	fs->e2->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	struct ext2_super_block *s = fs->e2->super;

	if ((s->s_feature_compat & ~COMPAT_OK) || (s->s_feature_incompat & ~INCOMPAT_OK) ||
	    (s->s_feature_ro_compat & ~RO_COMPAT_OK) ||
	    EXT2_INODE_SIZE(s) < sizeof(struct ext2_inode_large)) {
		fs_log("not plain ext2 with 256-byte inodes (features %x %x %x)",
		       s->s_feature_compat, s->s_feature_incompat, s->s_feature_ro_compat);
		return -EINVAL;
	}
	return 0;
}

static void close_ext2(struct fs *fs)
{
	if (fs->e2)
		ext2fs_free(fs->e2);
	fs->e2 = NULL;
}

/* The log is the contents of inode 8. */
static int open_journal(struct fs *fs)
{
	struct inode *ip;

	if (!ext2fs_has_feature_journal(fs->e2->super)) {
		fs_log("no journal (mke2fs -O has_journal): a crash may damage the file system");
		return 0;
	}
	int err = inode_get(fs, JOURNAL_INO, &ip);

	if (err < 0)
		return err;
	uint64_t len = inode_size(ip) >> fs->bshift;
	uint64_t *map = len > 0 && len <= MAX_JOURNAL_BLOCKS ? calloc(len, sizeof(*map)) : NULL;

	err = map ? map_find(fs, ip, 0, (unsigned)len, map) : -EINVAL;
	for (uint64_t i = 0; i < len && err == 0; i++)
		err = map[i] ? 0 : -EINVAL;
	inode_put(fs, ip);
	if (err == 0)
		err = journal_open(&fs->journal, fs->dev, fs->bsize, map, (uint32_t)len);
	if (err < 0) {
		free(map);
		fs->journal.map = NULL;
		return err;
	}
	fs->journaled = true;
	return 0;
}

/* Redo what the log has. Everything read before may be out of date then. */
static int recover(struct fs *fs)
{
	struct journal_redone r = {0};
	int err = fs->journaled ? journal_replay(&fs->journal, &r) : 0;

	if (err < 0) {
		fs_log("the journal cannot be replayed: %s", strerror(-err));
		return err;
	}
	if (fs->journaled && !(fs->e2->super->s_state & EXT2_VALID_FS))
		fs_log("the disk was in use when the node ended: repaired, %u changes of %u blocks redone%s",
		       r.commits, r.blocks, r.torn ? ", one unfinished change dropped" : "");
	inodes_drop(fs);
	close_ext2(fs);
	bcache_drop(&fs->bc);
	return open_ext2(fs);
}

/* From now on the file system is in use: the boot number is durable before anyone can see it. */
static int start(struct fs *fs)
{
	struct ext2_super_block *s = fs->e2->super;

	if (ext2fs_read_bitmaps(fs->e2))
		return -EIO;
	fs->boot = ++s->s_mnt_count;
	fs->next_generation = fs->boot << 16 | 1;
	s->s_mtime = (uint32_t)(fs_now() / 1000000000);
	s->s_state &= ~EXT2_VALID_FS;
	if (fs->journaled)
		ext2fs_set_feature_journal_needs_recovery(s);
	ext2fs_mark_super_dirty(fs->e2);
	if (ext2fs_flush2(fs->e2, EXT2_FLAG_FLUSH_NO_SYNC) || bcache_write_meta(&fs->bc) < 0 ||
	    fs->dev->flush(fs->dev) < 0)
		return -EIO;
	int n = inode_free_orphans(fs);

	if (n > 0)
		fs_log("%d unlinked files freed", n);
	if (n < 0)
		fs_log("the list of unlinked files is damaged: %s", strerror(-n));
	return fs_checkpoint(fs);
}

int fs_mount(struct fs *fs, struct blkdev *dev, uint32_t node, size_t cache_bytes)
{
	*fs = (struct fs){.dev = dev, .node = node};
	int err = read_block_size(dev, &fs->bsize);

	inodes_init(fs);
	if (err < 0)
		return err;
	while (1u << fs->bshift < fs->bsize)
		fs->bshift++;
	err = bcache_init(&fs->bc, dev, fs->bsize, (unsigned)(cache_bytes >> fs->bshift));
	if (err < 0)
		return err;
	err = names_init(fs);
	if (err == 0)
		err = open_ext2(fs);
	if (err == 0)
		err = open_journal(fs);
	if (err == 0)
		err = recover(fs);
	if (err == 0)
		err = start(fs);
	if (err < 0) {
		inodes_drop(fs);
		close_ext2(fs);
		journal_close(&fs->journal);
		bcache_destroy(&fs->bc);
		free(fs->names);
	}
	return err;
}

int fs_unmount(struct fs *fs)
{
	int err = fs_checkpoint(fs);

	if (err == 0) {
		fs->e2->super->s_state |= EXT2_VALID_FS;
		ext2fs_clear_feature_journal_needs_recovery(fs->e2->super);
		ext2fs_mark_super_dirty(fs->e2);
		if (fs->journaled)
			err = journal_empty(&fs->journal);
	}
	if (err == 0 && (ext2fs_flush2(fs->e2, EXT2_FLAG_FLUSH_NO_SYNC) ||
			 bcache_write_meta(&fs->bc) < 0 || fs->dev->flush(fs->dev) < 0))
		err = -EIO;
	inodes_drop(fs);
	close_ext2(fs);
	journal_close(&fs->journal);
	bcache_destroy(&fs->bc);
	free(fs->names);
	free(fs->freed);
	return err;
}
