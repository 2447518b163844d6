/* SPDX-License-Identifier: MIT */
/* Class File, the rarer calls on descriptors: vectors at an offset, space in advance, advice. */
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "rlimit.h"
#include "shared.h"
#include "sys_file.h"
#include "usercopy.h"

/* ---- preadv, pwritev ---- */

static i64 at_offset(const u64 *arg, u32 row, bool write)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	u64 off =
		arg[3] | arg[4] << 32; /* as low and high half, of which 64-bit programs need one */
	if (!f || (f->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if ((i64)off < 0 || arg[2] > IOV_MAX)
		return -EINVAL;
	if (f->ops != &regular_ops)
		return S_ISDIR(f->fobj ? f->fobj->attr.mode : 0) ? -EISDIR : -ESPIPE;
	u32 n = (u32)arg[2];
	struct linux_iovec *v = kmalloc(n * sizeof *v + 1);
	if (!v)
		return -ENOMEM;
	i64 r = iovec_from_user(v, arg[1], n);
	if (!r)
		r = write ? regular_writev(f, v, n, &off) : regular_readv(f, v, n, &off);
	kfree(v);
	fview_note((int)arg[0], row, r);
	return r;
}

i64 sys_preadv(const u64 *arg)
{
	return at_offset(arg, V_preadv, false);
}

i64 sys_pwritev(const u64 *arg)
{
	return at_offset(arg, V_pwritev, true);
}

/* ---- space and advice ---- */

/* fd, mode, offset, length. The file gets its length; blocks it gets when they are written. */
i64 sys_fallocate(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	i64 off = (i64)arg[2], len = (i64)arg[3];
	if (off < 0 || len <= 0)
		return -EINVAL;
	if (!f || (f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if ((u32)arg[1])
		return -EOPNOTSUPP;
	if (f->ops != &regular_ops)
		return f->fobj ? -EISDIR : -ESPIPE;
	if (off > (i64)(~0ull >> 1) - len)
		return -EFBIG;
	int err = fobj_bind(f->fobj);
	if (!err)
		err = fobj_refresh(f->fobj);
	if (err || (u64)(off + len) <= f->fobj->attr.size)
		return err;
	if (rlimit_file((u64)(off + len - 1), 1) == 0)
		return -EFBIG;
	return fobj_truncate(f->fobj, (u64)(off + len));
}

static i64 advised(const u64 *arg, bool writes)
{
	const struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f)
		return -EBADF;
	if (f->ops != &regular_ops)
		return f->fobj ? -EINVAL : -ESPIPE;
	return writes ? sys_fdatasync(arg) : 0;
}

i64 sys_fadvise64(const u64 *arg)
{
	return (u32)arg[3] > 5 ? -EINVAL : advised(arg, false);
}

/* Sequential readers are read ahead for anyway. */
i64 sys_readahead(const u64 *arg)
{
	i64 r = advised(arg, false);
	return r == -ESPIPE ? -EINVAL : r;
}

i64 sys_sync_file_range(const u64 *arg)
{
	if ((u32)arg[3] & ~7u || (i64)arg[1] < 0 || (i64)arg[2] < 0)
		return -EINVAL;
	return advised(arg, true);
}

i64 sys_syncfs(const u64 *arg)
{
	const struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f)
		return -EBADF;
	return f->fobj ? sys_fsync(arg) : 0;
}
