/* SPDX-License-Identifier: MIT */
/*
 * Open regular files and directories. Reads come from the page cache where the custodian allows it; writes go
 * through to the custodian, with the user's bytes copied first, so that a bad pointer has no effect there.
 */
#include "ends.h"
#include "fs.h"
#include "frame.h"
#include "ipc.h"
#include "known.h"
#include "lib.h"
#include "proc.h"
#include "rlimit.h"
#include "usercopy.h"

/* A position in a list of user buffers. */
struct cursor {
	const struct linux_iovec *v;
	u32 n;
	u64 at; /* in *v */
};

static u64 total_of(const struct linux_iovec *v, u32 n)
{
	u64 sum = 0;
	for (u32 i = 0; i < n; i++)
		sum += MIN(v[i].len, RW_MAX - sum);
	return sum;
}

/* Move len bytes between buf and the user's buffers, which are known to have as many. */
static int cursor_move(struct cursor *c, u8 *buf, size_t len, bool to_user)
{
	while (len && c->n) {
		if (c->at == c->v->len) {
			c->v++;
			c->n--;
			c->at = 0;
			continue;
		}
		size_t n = MIN(len, c->v->len - c->at);
		int err = to_user ? copy_to_user(c->v->base + c->at, buf, n)
				  : copy_from_user(buf, c->v->base + c->at, n);
		if (err)
			return err;
		c->at += n;
		buf += n;
		len -= n;
	}
	return 0;
}

/* How long pages of another node's file are read without asking whether it still is the base image's. A write there
 * is seen here this much later at most; leases (design 6) would make it 0. */
#define BASE_TRUST_NS (20ull * 1000 * 1000)

/* Bound, and cached pages and size not older than they may be. */
static int make_current(struct fobj *f)
{
	struct fs_attr ignored;
	int err = fobj_bind(f);
	if (!err)
		err = fobj_refresh(f);
	if (err || !f->vnode || f->tree == node_id.node || now_ns() - f->checked_ns < BASE_TRUST_NS)
		return err;
	err = fobj_fstat(f, &ignored);
	if (!err)
		f->checked_ns = now_ns();
	return err;
}

/* Bytes of [off, off+want) that can be had at once, copied out: up to a page if cached, else one request.
 * 0 at the end of the file. */
static i64 read_some(struct fobj *f, struct cursor *c, u64 off, u64 want)
{
	int err = make_current(f);
	if (err)
		return err;
	if (f->vnode) {
		u64 phys, at = off & PAGE_MASK;
		if (off >= f->attr.size)
			return 0;
		u64 n = MIN(MIN(PAGE_SIZE - at, want), f->attr.size - off);
		err = fobj_page(f, off / PAGE_SIZE, &phys);
		if (err)
			return err;
		err = cursor_move(c, (u8 *)P2V(phys) + at, n, true);
		frame_put(phys);
		return err ? err : (i64)n;
	}
	size_t len = MIN(want, FS_IO_MAX);
	struct wh_msg m;
	u8 *buf = io_buf_get(len);
	if (!buf)
		return -ENOMEM;
	i64 got = fobj_io(f, FS_READ, off, 0, buf, len, &m);
	if (got > 0 && (err = cursor_move(c, buf, (size_t)got, true)))
		got = err;
	io_buf_put(buf, len);
	return got;
}

i64 regular_readv(struct ofile *f, const struct linux_iovec *v, u32 n, u64 *off)
{
	struct cursor c = {.v = v, .n = n};
	u64 total = total_of(v, n), done = 0;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	while (done < total) {
		i64 got = read_some(f->fobj, &c, *off, total - done);
		if (got < 0 && !done)
			return got;
		if (got <= 0)
			break;
		done += (u64)got;
		*off += (u64)got;
	}
	return (i64)done;
}

i64 regular_writev(struct ofile *f, const struct linux_iovec *v, u32 n, u64 *off)
{
	struct cursor c = {.v = v, .n = n};
	u64 total = total_of(v, n), done = 0;
	if ((f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!total)
		return 0;
	total = rlimit_file(f->flags & O_APPEND ? f->fobj->attr.size : *off, total);
	if (!total)
		return -EFBIG;
	size_t cap = MIN(total, FS_IO_MAX);
	u8 *buf = io_buf_get(cap);
	if (!buf)
		return -ENOMEM;
	i64 got = 0;
	while (done < total) {
		size_t len = MIN(total - done, cap);
		got = cursor_move(&c, buf, len, false);
		if (!got)
			got = fobj_write(f->fobj, off, f->flags & O_APPEND, buf, len);
		if (got < 0)
			break;
		done += (u64)got;
		if ((size_t)got < len)
			break;
	}
	io_buf_put(buf, cap);
	if (done && (f->flags & O_DSYNC)) {
		struct wh_msg m;
		i64 err = fobj_request(f->fobj, FS_FSYNC, NULL, &m);
		if (err < 0)
			return err;
	}
	return done ? (i64)done : got;
}

/* Moving bytes takes a while, and others may use the description meanwhile. The bytes between two values of the offset are
 * ours if it was still the first when it became the second; else they are read again. */
static i64 read_on(struct ofile *f, const struct linux_iovec *v, u32 n)
{
	for (;;) {
		u64 from = f->offset, off = from;
		i64 got = regular_readv(f, v, n, &off);
		if (got <= 0)
			return got;
		if (f->offset == from) {
			f->offset = off;
			return got;
		}
	}
}

/* Nobody else writes where we are going to: the offset moves on first. What was not written is given back. */
static i64 write_on(struct ofile *f, const struct linux_iovec *v, u32 n)
{
	u64 sum = f->flags & O_APPEND ? 0 : total_of(v, n), from = f->offset, off = from;
	f->offset = from + sum;
	i64 put = regular_writev(f, v, n, &off);
	if (f->flags & O_APPEND ? put > 0 : f->offset == from + sum)
		f->offset = off;
	return put;
}

i64 regular_vector(struct ofile *f, const struct linux_iovec *v, u32 n, bool write)
{
	if (f->end)
		return write ? far_write(f, v, n) : far_read(f, v, n);
	return write ? write_on(f, v, n) : read_on(f, v, n);
}

static i64 regular_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct linux_iovec v = {ubuf, len};
	return regular_vector(f, &v, 1, false);
}

static i64 regular_write(struct ofile *f, u64 ubuf, size_t len)
{
	struct linux_iovec v = {ubuf, len};
	return regular_vector(f, &v, 1, true);
}

static i64 regular_pread(struct ofile *f, u64 ubuf, size_t len, u64 off)
{
	struct linux_iovec v = {ubuf, len};
	return regular_readv(f, &v, 1, &off);
}

static i64 regular_pwrite(struct ofile *f, u64 ubuf, size_t len, u64 off)
{
	struct linux_iovec v = {ubuf, len};
	return regular_writev(f, &v, 1, &off);
}

static i64 regular_lseek(struct ofile *f, i64 off, int whence)
{
	i64 base = 0;
	struct fs_attr a;
	if (whence == SEEK_CUR) {
		i64 err = f->end ? far_tell(f, &f->offset) : 0;
		if (err)
			return err;
		base = (i64)f->offset;
	} else if (whence == SEEK_END) {
		int err = fobj_fstat(f->fobj, &a);
		if (err)
			return err;
		base = (i64)a.size;
	} else if (whence != SEEK_SET) {
		return -EINVAL;
	}
	i64 to;
	if (__builtin_add_overflow(base, off, &to))
		return -EOVERFLOW;
	if (to < 0)
		return -EINVAL;
	f->offset = (u64)to;
	i64 err = f->end ? far_seek(f, (u64)to) : 0;
	return err ? err : to;
}

static int held_stat(struct ofile *f, struct fs_attr *a)
{
	return fobj_fstat(f->fobj, a);
}

/* The lock belongs to the description. If the hold outlives it (a mapping), the lock must not. */
static void regular_release(struct ofile *f)
{
	if (!f->locked || f->fobj->refs == 1)
		return;
	struct wh_msg m = {.type = FS_FLOCK};
	*WH_BODY(&m, struct fs_hold_set) = (struct fs_hold_set){
		.tree = f->fobj->tree, .owner = node_id.node, .hold = f->fobj->hold, .op = LOCK_UN};
	int err = ipc_post(WH_SVC_FILE, &m);
	if (err)
		klog("file: lock of %s was not released: error %d\n", f->fobj->path, -err);
}

static i64 directory_read(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f, (void)ubuf, (void)len;
	return -EISDIR;
}

static i64 directory_readdir(struct ofile *f, u64 ubuf, size_t len)
{
	struct wh_msg m;
	struct fobj *o = f->fobj;
	struct fs_attr a;
	bool known =
		o->bound && o->tree == node_id.node && known_attr(o->attr.ino, o->attr.gen, &a);
	u64 counter = known ? a.version.counter : 0, forgotten = known_forgotten();
	if (known && f->dirend == counter + 1)
		return 0;
	bool tell = o->tree == node_id.node && o->told != counter + 1 + forgotten;
	len = MIN(len, FS_IO_MAX / 2);
	u8 *buf = io_buf_get(len);
	if (!buf)
		return -ENOMEM;
	i64 n = fobj_io(o, FS_READDIR, f->dircookie, tell ? FS_READDIR_ATTR : 0, buf, len, &m);
	if (n > 0 && copy_to_user(ubuf, buf, (size_t)n))
		n = -EFAULT;
	if (n >= 0) {
		f->dircookie = WH_BODY(&m, struct fs_dir)->cookie;
		f->dirend = WH_BODY(&m, struct fs_dir)->end;
		if (tell && known && f->dirend)
			o->told = counter + 1 + forgotten;
	}
	io_buf_put(buf, len);
	return n;
}

/* A directory's position is a cookie of the custodian's; d_off of each entry names one. */
i64 directory_lseek(struct ofile *f, i64 off, int whence)
{
	if (whence == SEEK_CUR && off == 0)
		return (i64)f->dircookie;
	if (whence != SEEK_SET || off < 0)
		return -EINVAL;
	f->dircookie = (u64)off;
	f->dirend = 0;
	return off;
}

const struct ofile_ops regular_ops = {
	.kind = "file",
	.cls = CLASS_FILE,
	.movable = true,
	.read = regular_read,
	.write = regular_write,
	.pread = regular_pread,
	.pwrite = regular_pwrite,
	.lseek = regular_lseek,
	.stat = held_stat,
	.release = regular_release,
};

const struct ofile_ops directory_ops = {
	.kind = "directory",
	.cls = CLASS_FILE,
	.movable = true,
	.read = directory_read,
	.lseek = directory_lseek,
	.stat = held_stat,
	.readdir = directory_readdir,
};

struct ofile *regular_open(struct fobj *f, u32 flags)
{
	struct ofile *o = ofile_new(S_ISDIR(f->attr.mode) ? &directory_ops : &regular_ops, flags);
	if (o)
		o->fobj = f;
	else
		fobj_put(f);
	return o;
}
