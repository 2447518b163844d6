/* SPDX-License-Identifier: MIT */
/* Contents: FS_READ, FS_WRITE, FS_READDIR, FS_TRUNCATE, FS_FTRUNCATE, FS_FSYNC, FS_SYNC, FS_STATFS. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops.h"

enum { READDIR_MAX = 16384 };

static int to_bulk(void *arg, size_t off, void *mem, size_t len)
{
	struct fs_request *r = arg;

	return r->copyout(r, off, mem, len) == (long)len ? 0 : -EFAULT;
}

static int from_bulk(void *arg, size_t off, void *mem, size_t len)
{
	struct fs_request *r = arg;

	return r->copyin(r, off, mem, len) == (long)len ? 0 : -EFAULT;
}

static long not_a_file(const struct inode *ip)
{
	return S_ISDIR(ip->d.i_mode) ? -EISDIR : -EINVAL;
}

long op_read_inode(struct tree *t, struct fs_request *r, struct inode *ip, const struct fs_io *q)
{
	static uint64_t phys[FS_READ_MAX / FS_FRAME];
	struct fs_copy to = {.copy = to_bulk, .arg = r};
	unsigned n = (q->len + FS_FRAME - 1) / FS_FRAME;

	if (!S_ISREG(ip->d.i_mode))
		return not_a_file(ip);
	if (q->len > FS_READ_MAX || q->len > r->bulk_len)
		return -EINVAL;
	if (r->frames && q->off % FS_FRAME == 0 && r->frames(r, phys, n) == 0)
		to.phys = phys;
	else if (q->len > FS_IO_MAX)
		return -EINVAL;
	return data_read(&t->fs, ip, q->off, q->len, &to);
}

long op_read(struct tree *t, struct fs_request *r)
{
	struct fs_io q = FS_BODY(r, struct fs_io);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	return h ? op_read_inode(t, r, h->ip, &q) : -ESTALE;
}

long op_write(struct tree *t, struct fs_request *r)
{
	struct fs_io q = FS_BODY(r, struct fs_io);
	struct hold *h = op_hold(t, r, q.hold, q.owner);
	struct fs_copy from = {.copy = from_bulk, .arg = r};

	if (!h)
		return -ESTALE;
	if (!S_ISREG(h->ip->d.i_mode))
		return not_a_file(h->ip);
	if (q.len > FS_IO_MAX || q.len > r->bulk_len)
		return -EINVAL;
	if (q.flags & O_APPEND)
		q.off = inode_size(h->ip);
	uint64_t before = inode_size(h->ip);
	long n = data_write(&t->fs, h->ip, q.off, q.len, &from);
	struct fs_wrote *w = WH_BODY(&r->msg, struct fs_wrote);

	if (n < 0)
		return n;
	drop_set_ids(&t->fs, h->ip);
	/* Pages between the old end and the write may be cached as shorter than they are now. */
	uint64_t from_off = before < q.off ? before : q.off;

	op_changed(r, h->ip, from_off, q.off + n - from_off);
	memset(w, 0, sizeof(*w));
	w->off = q.off;
	w->size = inode_size(h->ip);
	inode_version(&t->fs, h->ip, &w->version);
	return n;
}

/* Who lists a directory looks at what is in it. */
static void tell_entries(struct tree *t, struct inode *dp, const uint8_t *entries, size_t len)
{
	const struct dirent64_head {
		uint64_t ino, next;
		uint16_t len;
		uint8_t type;
		char name[];
	} * e;

	for (size_t at = 0; at < len; at += e->len) {
		struct inode *ip;

		e = (const void *)(entries + at);
		if (e->name[0] == '.' && (!e->name[1] || (e->name[1] == '.' && !e->name[2])))
			continue;
		if (inode_get(&t->fs, (uint32_t)e->ino, &ip) < 0)
			continue;
		tell_name(&t->fs, dp, e->name, strlen(e->name), ip->ino);
		tell_inode(&t->fs, ip);
		inode_put(&t->fs, ip);
	}
}

long op_readdir(struct tree *t, struct fs_request *r)
{
	static uint8_t entries[READDIR_MAX] __attribute__((aligned(8)));
	struct fs_io q = FS_BODY(r, struct fs_io);
	struct hold *h = op_hold(t, r, q.hold, q.owner);
	size_t room = q.len < sizeof(entries) ? q.len : sizeof(entries);

	if (!h)
		return -ESTALE;
	if (!S_ISDIR(h->ip->d.i_mode))
		return -ENOTDIR;
	if (q.len > r->bulk_len)
		return -EINVAL;
	uint64_t cookie = q.off;
	long n = dir_read(&t->fs, h->ip, &cookie, entries, room);

	if (n > 0 && r->copyout(r, 0, entries, (size_t)n) != n)
		return -EFAULT;
	struct fs_dir *d = WH_BODY(&r->msg, struct fs_dir);

	memset(d, 0, sizeof(*d));
	d->cookie = cookie;
	if (cookie >= inode_size(h->ip)) {
		struct fs_version v;

		inode_version(&t->fs, h->ip, &v);
		d->end = v.counter + 1;
	}
	if (n > 0 && t->fs.tell && q.flags & FS_READDIR_ATTR && r->sender == t->fs.node)
		tell_entries(t, h->ip, entries, (size_t)n);
	return n;
}

static long truncate_to(struct tree *t, struct fs_request *r, struct inode *ip, uint64_t size)
{
	if (!S_ISREG(ip->d.i_mode))
		return not_a_file(ip);
	if (size > INT64_MAX)
		return -EINVAL;
	uint64_t before = inode_size(ip);
	long err = data_truncate(&t->fs, ip, size);

	if (err < 0)
		return err;
	op_changed(r, ip, before < size ? before : size, UINT64_MAX);
	inode_changed(&t->fs, ip);
	return 0;
}

long op_truncate(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, WALK_FOLLOW, &w);

	if (err < 0)
		return err;
	err = inode_access(w.ip, q.cred, W_OK);
	if (err == 0)
		err = truncate_to(t, r, w.ip, q.size);
	walk_end(&t->fs, &w);
	return err;
}

long op_ftruncate(struct tree *t, struct fs_request *r)
{
	struct fs_hold_set q = FS_BODY(r, struct fs_hold_set);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	if (!h)
		return -ESTALE;
	return (h->flags & O_ACCMODE) == O_RDONLY ? -EINVAL : truncate_to(t, r, h->ip, q.size);
}

long op_sync(struct tree *t, struct fs_request *r)
{
	(void)r;
	return fs_checkpoint(&t->fs);
}

long op_statfs(struct tree *t, struct fs_request *r)
{
	struct ext2_super_block *s = t->fs.e2->super;
	struct fs_statfs *o = WH_BODY(&r->msg, struct fs_statfs);

	*o = (struct fs_statfs){
		.blocks = ext2fs_blocks_count(s),
		.bfree = fs_free_blocks(&t->fs),
		.bavail = fs_free_blocks(&t->fs),
		.files = s->s_inodes_count,
		.ffree = s->s_free_inodes_count,
		.bsize = t->fs.bsize,
		.namelen = FS_NAME_MAX,
	};
	return 0;
}
