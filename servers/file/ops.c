/* SPDX-License-Identifier: MIT */
/* Dispatch of file requests, and what the handlers share. See ops.h. */
#include "ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum op_traits {
	CHANGES = 1,	/* may change the file system: needs room, and a disk that works */
	IDEMPOTENT = 2, /* may be repeated after a lost answer */
	TELLS = 4,	/* the kernel is told what was found on the way (fs_fact) */
};

struct op_row {
	fs_op fn;
	unsigned traits;
};

static const struct op_row ops[] = {
	[FS_OPEN] = {op_open, TELLS}, /* looks itself whether it changes anything */
	[FS_CLOSE] = {op_close, IDEMPOTENT},
	[FS_READ] = {op_read, IDEMPOTENT},
	[FS_WRITE] = {op_write, CHANGES},
	[FS_STAT] = {op_stat, IDEMPOTENT | TELLS},
	[FS_FSTAT] = {op_fstat, IDEMPOTENT},
	[FS_READDIR] = {op_readdir, IDEMPOTENT},
	[FS_UNLINK] = {op_unlink, CHANGES},
	[FS_RMDIR] = {op_rmdir, CHANGES},
	[FS_MKDIR] = {op_mkdir, CHANGES},
	[FS_SYMLINK] = {op_symlink, CHANGES},
	[FS_LINK] = {op_link, CHANGES},
	[FS_RENAME] = {op_rename, CHANGES},
	[FS_READLINK] = {op_readlink, IDEMPOTENT | TELLS},
	[FS_CHMOD] = {op_chmod, CHANGES},
	[FS_CHOWN] = {op_chown, CHANGES},
	[FS_UTIMES] = {op_utimes, CHANGES},
	[FS_TRUNCATE] = {op_truncate, CHANGES},
	[FS_ACCESS] = {op_access, IDEMPOTENT | TELLS},
	[FS_RESOLVE] = {op_resolve, IDEMPOTENT | TELLS},
	[FS_FTRUNCATE] = {op_ftruncate, CHANGES},
	[FS_FCHMOD] = {op_fchmod, CHANGES},
	[FS_FCHOWN] = {op_fchown, CHANGES},
	[FS_FUTIMES] = {op_futimes, CHANGES},
	[FS_FSYNC] = {op_sync, IDEMPOTENT},
	[FS_SYNC] = {op_sync, IDEMPOTENT},
	[FS_FLOCK] = {op_flock, IDEMPOTENT},
	[FS_STATFS] = {op_statfs, IDEMPOTENT},
	[FS_ADOPT] = {op_adopt, IDEMPOTENT},
	[FS_BIND] = {op_bind, IDEMPOTENT},
	[FS_END] = {op_end, 0},
	[FS_END_POLL] = {op_end, IDEMPOTENT},
	[FS_SIGNAL] = {op_end, 0},
	[FS_CHILD] = {op_end, 0},
	[FS_MKNOD] = {op_mknod, CHANGES},
	[FS_LOCK] = {op_lock, 0}, /* a late repetition must not take it back */
};

bool fs_known(uint32_t type)
{
	return type < sizeof(ops) / sizeof(ops[0]) && ops[type].fn;
}

bool fs_idempotent(uint32_t type)
{
	return fs_known(type) && (ops[type].traits & IDEMPOTENT);
}

void fs_handle(struct tree *t, struct fs_request *r)
{
	long status = -ENOSYS;

	r->changed.len = 0;
	if (fs_known(r->msg.type)) {
		const struct op_row *op = &ops[r->msg.type];

		t->fs.tell_found = op->traits & TELLS && r->sender == t->fs.node;
		status = op->traits & CHANGES ? fs_begin(&t->fs) : 0;
		if (status == 0)
			status = op->fn(t, r);
		tell_all(&t->fs);
	}
	r->msg.status = (int32_t)status;
}

/* Most paths are short: a page-long buffer is not copied for their sake. */
long op_string(struct fs_request *r, size_t off, char *buf)
{
	enum { PIECE = 128 };

	for (size_t done = 0; done < FS_PATH_MAX;) {
		size_t n = done + PIECE > FS_PATH_MAX ? FS_PATH_MAX - done : PIECE;

		if (off + done >= r->bulk_len)
			return -EINVAL;
		if (n > r->bulk_len - off - done)
			n = r->bulk_len - off - done;
		if (r->copyin(r, off + done, buf + done, n) != (long)n)
			return -EFAULT;
		char *end = memchr(buf + done, '\0', n);

		if (end)
			return end - buf + 1;
		done += n;
	}
	return -ENAMETOOLONG;
}

long op_walk(struct tree *t, struct fs_request *r, struct fs_cred cred, unsigned flags,
	     struct walk *w)
{
	char path[FS_PATH_MAX];
	long len = op_string(r, 0, path);

	return len < 0 ? len : walk(&t->fs, cred, path, flags, w);
}

long op_canonical(struct fs_request *r, const struct walk *w)
{
	size_t len = w->canon_len + 1;

	if (!(r->bulk_flags & WH_BULK_OUT))
		return 0;
	if (len > r->bulk_len)
		return -ENAMETOOLONG;
	return r->copyout(r, 0, w->canon, len) == (long)len ? 0 : -EFAULT;
}

struct hold *op_hold(struct tree *t, struct fs_request *r, uint64_t id, uint32_t owner)
{
	/* A node speaks for itself only. */
	return owner == r->sender ? hold_find(&t->holds, id, owner) : NULL;
}

void op_changed(struct fs_request *r, const struct inode *ip, uint64_t off, uint64_t len)
{
	r->changed.ino = ip->ino;
	r->changed.gen = ip->d.i_generation;
	r->changed.off = off;
	r->changed.len = len;
}

int fs_counters(const struct tree *t, unsigned pending, unsigned idle, char *buf, size_t size)
{
	const struct fs *fs = &t->fs;

	return snprintf(buf, size,
			"holds %u locks %u pending %u dirty %u\n"
			"boot %u free_blocks %llu cache_hits %llu cache_misses %llu\n"
			"disk_reads %llu disk_writes %llu disk_flushes %llu broken %d\n",
			t->holds.count - idle, t->holds.locks + t->holds.records, pending,
			fs->bc.dirty[BC_DATA] + fs->bc.dirty[BC_META] + fs->dirty_inodes, fs->boot,
			(unsigned long long)fs_free_blocks(fs), (unsigned long long)fs->bc.hits,
			(unsigned long long)fs->bc.misses, (unsigned long long)fs->dev->reads,
			(unsigned long long)fs->dev->writes, (unsigned long long)fs->dev->flushes,
			fs->broken);
}
