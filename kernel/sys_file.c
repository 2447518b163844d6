/* SPDX-License-Identifier: MIT */
/* Class File, calls on descriptors. Every handler that returns something the program can observe notes it in the
 * descriptor's view (Lu & Liu §IV.2); what the calls do lies in the open file's operations. */
#include "fs.h"
#include "lib.h"
#include "poll.h"
#include "proc.h"
#include "rlimit.h"
#include "shared.h"
#include "sys_file.h"
#include "usercopy.h"

static i64 noted(const u64 *arg, u32 row, i64 value)
{
	fview_note((int)arg[0], row, value);
	return value;
}

/* ---- read and write ---- */

static i64 do_read(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f)
		return -EBADF;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	return f->ops->read ? f->ops->read(f, arg[1], MIN(arg[2], RW_MAX)) : -EINVAL;
}

static i64 do_write(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f || (f->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	return f->ops->write ? f->ops->write(f, arg[1], MIN(arg[2], RW_MAX)) : -EINVAL;
}

i64 sys_read(const u64 *arg)
{
	return noted(arg, V_read, do_read(arg));
}

i64 sys_write(const u64 *arg)
{
	return noted(arg, V_write, do_write(arg));
}

static i64 do_pread(const u64 *arg, bool write)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f || (f->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if ((i64)arg[3] < 0)
		return -EINVAL;
	i64 (*fn)(struct ofile *, u64, size_t, u64) = write ? f->ops->pwrite : f->ops->pread;
	if (fn)
		return fn(f, arg[1], MIN(arg[2], RW_MAX), arg[3]);
	return S_ISDIR(f->fobj ? f->fobj->attr.mode : 0) ? -EISDIR : -ESPIPE;
}

i64 sys_pread64(const u64 *arg)
{
	return noted(arg, V_pread64, do_pread(arg, false));
}

i64 sys_pwrite64(const u64 *arg)
{
	return noted(arg, V_pwrite64, do_pread(arg, true));
}

/* On anything but a regular file a vector is a sequence of calls. A second read must not block when the first
 * has already returned something. */
static i64 each_buffer(struct ofile *f, const struct linux_iovec *v, u32 n, bool write)
{
	i64 (*fn)(struct ofile *, u64, size_t) = write ? f->ops->write : f->ops->read;
	i64 done = 0;
	if (!fn)
		return -EINVAL;
	for (u32 i = 0; i < n; i++) {
		if (!v[i].len)
			continue;
		if (done && !write && (!f->ops->poll || !(f->ops->poll(f, NULL) & POLLIN)))
			break;
		i64 got = fn(f, v[i].base, MIN(v[i].len, RW_MAX));
		if (got < 0)
			return done ? done : got;
		done += got;
		if ((u64)got < v[i].len)
			break;
	}
	return done;
}

i64 iovec_from_user(struct linux_iovec *v, u64 uaddr, u32 n)
{
	i64 err = copy_from_user(v, uaddr, n * sizeof *v);
	u64 sum = 0;
	for (u32 i = 0; !err && i < n; i++)
		if ((i64)v[i].len < 0 || (i64)(sum += v[i].len) < 0)
			err = -EINVAL;
	return err;
}

static i64 do_vector(const u64 *arg, bool write)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f || (f->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY))
		return -EBADF;
	if (arg[2] > IOV_MAX)
		return -EINVAL;
	u32 n = (u32)arg[2];
	struct linux_iovec few[4], *v = few;
	if (n > ARRAY_LEN(few) && !(v = kmalloc(n * sizeof *v)))
		return -ENOMEM;
	i64 r = iovec_from_user(v, arg[1], n);
	if (!r && f->ops == &regular_ops)
		r = regular_vector(f, v, n, write);
	else if (!r && f->ops->vector)
		r = f->ops->vector(f, v, n, write);
	else if (!r)
		r = each_buffer(f, v, n, write);
	if (v != few)
		kfree(v);
	return r;
}

i64 sys_readv(const u64 *arg)
{
	return noted(arg, V_readv, do_vector(arg, false));
}

i64 sys_writev(const u64 *arg)
{
	return noted(arg, V_writev, do_vector(arg, true));
}

i64 sys_lseek(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f)
		return -EBADF;
	i64 r = f->ops->lseek ? f->ops->lseek(f, (i64)arg[1], (int)arg[2]) : -ESPIPE;
	return noted(arg, V_lseek, r);
}

i64 sys_getdents64(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f)
		return -EBADF;
	i64 r = f->ops->readdir ? f->ops->readdir(f, arg[1], MIN(arg[2], RW_MAX)) : -ENOTDIR;
	return noted(arg, V_getdents64, r);
}

i64 sys_ioctl(const u64 *arg)
{
	enum { FIONCLEX = 0x5450, FIOCLEX = 0x5451, FIONBIO = 0x5421 };
	struct ofile *f = fd_get(current, (int)arg[0]);
	u32 cmd = (u32)arg[1];
	if (!f)
		return -EBADF;
	if (cmd == FIOCLEX || cmd == FIONCLEX) {
		current->u->cloexec[(int)arg[0]] =
			cmd == FIOCLEX; /* fd_get() has checked the int */
		return 0;
	}
	if (cmd == FIONBIO) {
		u32 on;
		if (copy_from_user(&on, arg[2], sizeof on))
			return -EFAULT;
		return MIN(ofile_flags(f, O_NONBLOCK, on ? O_NONBLOCK : 0), 0l);
	}
	i64 r = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg[2]) : -ENOTTY;
	return noted(arg, V_ioctl, r);
}

/* ---- open and close ---- */

static struct ofile *open_tree(struct path *path, u32 flags, u32 mode, int *err)
{
	u32 server_flags = flags & (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND |
				    O_DIRECTORY | O_NOFOLLOW);
	if (flags & O_PATH)
		server_flags = flags & (O_DIRECTORY | O_NOFOLLOW);
	struct fobj *o = fobj_open_path(path, server_flags, mode, err);
	if (!o)
		return NULL;
	if (!S_ISREG(o->attr.mode) && !S_ISDIR(o->attr.mode)) {
		fobj_put(o);
		*err = -ENXIO;
		return NULL;
	}
	struct ofile *f = regular_open(o, flags);
	if (!f)
		*err = -ENOMEM;
	return f;
}

/* /dev/stdin, /proc/self/fd/3. A file is opened again through the hold there is (it may have no name any more), from
 * its start and with no more rights; anything else is the same description. */
static struct ofile *open_alias(int fd, u32 flags, int *err)
{
	struct ofile *f = fd_get(current, fd);
	*err = f ? 0 : -ENOENT;
	if (!f)
		return NULL;
	if (!f->fobj) {
		ofile_ref(f);
		return f;
	}
	if ((f->flags & O_ACCMODE) != O_RDWR && (f->flags & O_ACCMODE) != (flags & O_ACCMODE))
		*err = -EACCES;
	else if (flags & O_TRUNC && f->ops == &regular_ops)
		*err = fobj_truncate(f->fobj, 0);
	if (*err)
		return NULL;
	fobj_ref(f->fobj);
	f = regular_open(f->fobj, flags);
	*err = f ? 0 : -ENOMEM;
	return f;
}

struct ofile *file_open_path(struct path *path, u32 flags, u32 mode, int *err)
{
	struct ofile *f = NULL;
	int alias = path->kind == PATH_TREE ? -1 : proc_fd_alias(path->name);
	*err = 0;
	if (alias >= 0)
		return open_alias(alias, flags, err);
	switch (path->kind) {
	case PATH_TREE:
		return open_tree(path, flags, mode, err);
	case PATH_DEV:
		f = dev_open(path->name, flags, err);
		break;
	case PATH_PROC:
		f = proc_open(path->name, flags, err);
		break;
	case PATH_NODES:
		f = nodes_open(flags, err);
		break;
	}
	if (!f && *err == -ENOENT && flags & O_CREAT)
		*err = -EACCES;
	if (f && flags & O_DIRECTORY && !pseudo_dir_path(f)) {
		ofile_put(f);
		*err = -ENOTDIR;
		return NULL;
	}
	return f;
}

/* Lu & Liu Fig. 7: find a free slot, let the object open itself, mark. */
static i64 open_at(int dirfd, u64 uname, u32 flags, u32 mode, u32 row)
{
	struct ublock *u = current->u;
	struct path *path;
	int fd = 0, err;
	if ((flags & O_TMPFILE) || (flags & O_ACCMODE) == O_ACCMODE)
		return flags & O_TMPFILE ? -EOPNOTSUPP : -EINVAL;
	err = path_from_user(dirfd, uname, &path);
	if (err)
		return err;
	/* Before anything is created or truncated. */
	const int limit = fd_limit(current);
	while (fd < limit && u->ofile[fd])
		fd++;
	struct ofile *f = NULL;
	if (fd >= limit)
		err = -EMFILE;
	else if (path->kind == PATH_PROC && !(flags & O_NOFOLLOW) && proc_fd_alias(path->name) < 0)
		err = path_follow(&path);
	if (!err)
		f = file_open_path(path, flags, mode & 07777 & ~u->umask, &err);
	kfree(path);
	if (!f)
		return err;
	fd = fd_install(current, f, 0, flags & O_CLOEXEC);
	if (fd < 0) /* another thread has taken the one that was free */
		ofile_put(f);
	fview_note(fd, row, fd);
	return fd;
}

i64 sys_open(const u64 *arg)
{
	return open_at(AT_FDCWD, arg[0], (u32)arg[1], (u32)arg[2], V_open);
}

i64 sys_openat(const u64 *arg)
{
	return open_at((int)arg[0], arg[1], (u32)arg[2], (u32)arg[3], V_openat);
}

i64 sys_creat(const u64 *arg)
{
	return open_at(AT_FDCWD, arg[0], O_CREAT | O_TRUNC | O_WRONLY, (u32)arg[1], V_creat);
}

i64 sys_close(const u64 *arg)
{
	if (!fd_get(current, (int)arg[0]))
		return -EBADF;
	return fd_close(current, (int)arg[0]);
}

/* ---- duplicates of descriptors ---- */

static i64 dup_at_least(int fd, int min, bool cloexec)
{
	struct ofile *f = fd_get(current, fd);
	if (!f)
		return -EBADF;
	ofile_ref(f);
	int to = fd_install(current, f, min, cloexec);
	if (to < 0)
		ofile_put(f);
	else /* the copy carries what was observed through the original */
		current->u->fview[to] = current->u->fview[fd];
	return to;
}

static i64 dup_to(int fd, int to, bool cloexec)
{
	struct ublock *u = current->u;
	struct ofile *f = fd_get(current, fd);
	if (!f || to < 0 || to >= fd_limit(current))
		return -EBADF;
	ofile_ref(f);
	fd_close(current, to);
	u->ofile[to] = f;
	u->cloexec[to] = cloexec;
	u->fview[to] = u->fview[fd];
	return to;
}

i64 sys_dup(const u64 *arg)
{
	return dup_at_least((int)arg[0], 0, false);
}

i64 sys_dup2(const u64 *arg)
{
	if ((int)arg[0] == (int)arg[1])
		return fd_get(current, (int)arg[0]) ? (int)arg[1] : -EBADF;
	return dup_to((int)arg[0], (int)arg[1], false);
}

i64 sys_dup3(const u64 *arg)
{
	if ((int)arg[0] == (int)arg[1] || (u32)arg[2] & ~O_CLOEXEC)
		return -EINVAL;
	return dup_to((int)arg[0], (int)arg[1], (u32)arg[2] & O_CLOEXEC);
}

i64 sys_fcntl(const u64 *arg)
{
	int fd = (int)arg[0];
	struct ofile *f = fd_get(current, fd);
	i64 r;
	if (!f)
		return -EBADF;
	switch ((int)arg[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if ((int)arg[2] < 0 || (int)arg[2] >= fd_limit(current))
			return -EINVAL;
		return dup_at_least(fd, (int)arg[2], arg[1] == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return current->u->cloexec[fd] ? FD_CLOEXEC : 0;
	case F_SETFD:
		current->u->cloexec[fd] = arg[2] & FD_CLOEXEC;
		return 0;
	case F_GETFL:
		r = ofile_flags(f, 0, 0);
		return r < 0 ? r : r | (f->fobj ? O_LARGEFILE : 0);
	case F_SETFL:
		return MIN(ofile_flags(f, O_APPEND | O_NONBLOCK, (u32)arg[2]), 0l);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return noted(arg, V_fcntl, file_record_lock(f, (int)arg[1], arg[2]));
	default:
		return -EINVAL;
	}
}

/* ---- what has to wait for the disk ---- */

i64 sys_fsync(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	struct wh_msg m;
	if (!f)
		return -EBADF;
	i64 r = f->fobj ? shared_sync_file(f->fobj) : -EINVAL;
	if (!r)
		r = fobj_request(f->fobj, FS_FSYNC, NULL, &m);
	return MIN(r, 0);
}

i64 sys_fdatasync(const u64 *arg)
{
	return sys_fsync(arg);
}

i64 sys_ftruncate(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	if (!f)
		return -EBADF;
	if ((i64)arg[1] < 0 || f->ops != &regular_ops || (f->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	if (arg[1] > f->fobj->attr.size && rlimit_file(arg[1] - 1, 1) == 0)
		return -EFBIG;
	return fobj_truncate(f->fobj, arg[1]);
}
