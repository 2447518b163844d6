/* SPDX-License-Identifier: MIT */
/* Class File, attributes: what stat shows and chmod, chown, utimes change; file systems as a whole. */
#include "fs.h"
#include "known.h"
#include "lib.h"
#include "proc.h"
#include "sys_file.h"
#include "tty.h"
#include "usercopy.h"

/* st_dev names the tree, so it is the same wherever the process runs. */
#define DEV_TREE(tree) (0xfe00u + (tree))
#define DEV_PSEUDO     3u

/* ---- observe ---- */

static struct linux_statx_time statx_time(i64 ns)
{
	return (struct linux_statx_time){.sec = ns / (i64)NS_PER_SEC,
					 .nsec = (u32)(ns % (i64)NS_PER_SEC)};
}

static i64 statx_out(u64 ubuf, const struct fs_attr *a, u32 dev)
{
	struct linux_statx s = {
		.mask = 0x7ff, /* all that struct stat has */
		.blksize = PAGE_SIZE,
		.nlink = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
		.mode = (u16)a->mode,
		.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.atime = statx_time(a->atime),
		.ctime = statx_time(a->ctime),
		.mtime = statx_time(a->mtime),
		.rdev_major = a->rdev >> 8,
		.rdev_minor = a->rdev & 0xff,
		.dev_major = dev >> 8,
		.dev_minor = dev & 0xff,
	};
	return copy_to_user(ubuf, &s, sizeof s) ? -EFAULT : 0;
}

static i64 stat_out(u64 ubuf, const struct fs_attr *a, u32 dev)
{
	const i64 sec = NS_PER_SEC;
	struct linux_stat s = {
		.st_dev = dev,
		.st_ino = a->ino,
		.st_nlink = a->nlink,
		.st_mode = a->mode,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_rdev = a->rdev,
		.st_size = (i64)a->size,
		.st_blksize = PAGE_SIZE,
		.st_blocks = (i64)a->blocks,
		.st_atime = a->atime / sec,
		.st_atime_ns = a->atime % sec,
		.st_mtime = a->mtime / sec,
		.st_mtime_ns = a->mtime % sec,
		.st_ctime = a->ctime / sec,
		.st_ctime_ns = a->ctime % sec,
	};
	return copy_to_user(ubuf, &s, sizeof s) ? -EFAULT : 0;
}

int path_stat(struct path *p, bool nofollow, struct fs_attr *a)
{
	struct wh_msg m = {.type = FS_STAT};
	switch (p->kind) {
	case PATH_DEV:
		return dev_stat(p->name, a);
	case PATH_PROC:
		return procfs_stat(p->name, a);
	case PATH_NODES:
		pseudo_attr(a, p->name, S_IFDIR | 0555);
		return 0;
	case PATH_TREE:
		break;
	}
	const struct fs_cred cred = fs_cred_effective();
	struct known k;
	int err = p->tree == node_id.node ? known_walk(p->name, !nofollow, &cred, &k) : KNOWN_ASK;
	if (err <= 0) {
		if (!err)
			*a = k.attr;
		return err;
	}
	*WH_BODY(&m, struct fs_path) = (struct fs_path){
		.tree = p->tree, .flags = nofollow ? FS_NOFOLLOW : 0, .cred = fs_cred_effective()};
	i64 r = fs_call(&m, p->name, PATH_CAP, WH_BULK_IN);
	if (r < 0)
		return (int)r;
	*a = *WH_BODY(&m, struct fs_attr);
	return 0;
}

typedef i64 (*stat_form)(u64 ubuf, const struct fs_attr *a, u32 dev);

static i64 stat_at(int dirfd, u64 name, u64 ubuf, bool nofollow, stat_form out)
{
	struct path *p;
	struct fs_attr a;
	int err = path_from_user(dirfd, name, &p);
	if (err)
		return err;
	int alias = p->kind == PATH_TREE || nofollow ? -1 : proc_fd_alias(p->name);
	struct ofile *f = alias < 0 ? NULL : fd_get(current, alias);
	u32 dev = p->kind == PATH_TREE ? DEV_TREE(p->tree) : DEV_PSEUDO;
	if (f) {
		err = f->ops->stat ? f->ops->stat(f, &a) : -EINVAL;
		dev = f->fobj ? DEV_TREE(f->fobj->tree) : DEV_PSEUDO;
	} else {
		if (!nofollow)
			err = path_follow(&p);
		if (!err) {
			dev = p->kind == PATH_TREE ? DEV_TREE(p->tree) : DEV_PSEUDO;
			err = path_stat(p, nofollow, &a);
		}
	}
	kfree(p);
	return err ? err : out(ubuf, &a, dev);
}

i64 sys_stat(const u64 *arg)
{
	return stat_at(AT_FDCWD, arg[0], arg[1], false, stat_out);
}

i64 sys_lstat(const u64 *arg)
{
	return stat_at(AT_FDCWD, arg[0], arg[1], true, stat_out);
}

static i64 stat_fd(int fd, u64 ubuf, u32 row, stat_form out)
{
	struct ofile *f = fd_get(current, fd);
	struct fs_attr a;
	if (!f)
		return -EBADF;
	int err = f->ops->stat ? f->ops->stat(f, &a) : -EINVAL;
	if (err)
		return err;
	i64 r = out(ubuf, &a, f->fobj ? DEV_TREE(f->fobj->tree) : DEV_PSEUDO);
	fview_note(fd, row, r ? r : (i64)a.size);
	return r;
}

i64 sys_fstat(const u64 *arg)
{
	return stat_fd((int)arg[0], arg[1], V_fstat, stat_out);
}

/* Is the name at uname ""? Then with AT_EMPTY_PATH the descriptor itself is meant. 1, 0 or -EFAULT. */
static int is_empty(u64 uname)
{
	char c;
	return copy_from_user(&c, uname, 1) ? -EFAULT : c == 0;
}

/* AT_EMPTY_PATH: 1 if the descriptor itself is meant, 0, or -EFAULT. */
static int is_itself(int dirfd, u64 uname, u32 flags)
{
	return flags & AT_EMPTY_PATH && dirfd != AT_FDCWD ? is_empty(uname) : 0;
}

i64 sys_newfstatat(const u64 *arg)
{
	u32 flags = (u32)arg[3];
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
		return -EINVAL;
	int itself = is_itself((int)arg[0], arg[1], flags);
	if (itself)
		return itself < 0 ? itself : sys_fstat((u64[]){arg[0], arg[2]});
	return stat_at((int)arg[0], arg[1], arg[2], flags & AT_SYMLINK_NOFOLLOW, stat_out);
}

/* dirfd, name, flags, mask, buffer */
i64 sys_statx(const u64 *arg)
{
	u32 flags = (u32)arg[2];
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC))
		return -EINVAL;
	int itself = is_itself((int)arg[0], arg[1], flags);
	if (itself)
		return itself < 0 ? itself : stat_fd((int)arg[0], arg[4], V_statx, statx_out);
	return stat_at((int)arg[0], arg[1], arg[4], flags & AT_SYMLINK_NOFOLLOW, statx_out);
}

static int tree_access(char *name, const struct fs_path *q)
{
	struct known k;
	struct wh_msg m = {.type = FS_ACCESS};
	int err = q->tree == node_id.node ? known_walk(name, true, &q->cred, &k) : KNOWN_ASK;
	if (err <= 0)
		return err ? err : known_access(&k.attr, &q->cred, q->mode);
	*WH_BODY(&m, struct fs_path) = *q;
	return (int)fs_call(&m, name, PATH_CAP, WH_BULK_IN);
}

static i64 access_at(int dirfd, u64 name, u32 mode, bool effective)
{
	const struct unames *n = &current->u->names;
	struct path *p;
	struct fs_attr a;
	if (mode & ~7u)
		return -EINVAL;
	int err = path_from_user(dirfd, name, &p);
	if (err)
		return err;
	if (p->kind == PATH_TREE) {
		struct fs_path q = {.tree = p->tree, .mode = mode, .cred = fs_cred_effective()};
		if (!effective) {
			q.cred.uid = n->uid;
			q.cred.gid = n->gid;
		}
		err = tree_access(p->name, &q);
	} else {
		const struct fs_cred cred = fs_cred_effective();
		err = path_stat(p, false, &a);
		if (!err && mode & X_OK && !S_ISDIR(a.mode))
			err = -EACCES;
		if (!err && p->kind == PATH_DEV)
			err = known_access(&a, &cred, mode);
	}
	kfree(p);
	return MIN(err, 0);
}

i64 sys_access(const u64 *arg)
{
	return access_at(AT_FDCWD, arg[0], (u32)arg[1], false);
}

i64 sys_faccessat(const u64 *arg)
{
	return access_at((int)arg[0], arg[1], (u32)arg[2], false);
}

i64 sys_faccessat2(const u64 *arg)
{
	if (arg[3] & ~(u64)(AT_EACCESS | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return access_at((int)arg[0], arg[1], (u32)arg[2], arg[3] & AT_EACCESS);
}

/* ---- change ---- */

static int set_terminal(u32 type, struct tty *t, u32 mode, u32 uid, u32 gid)
{
	return type == FS_CHMOD	  ? pty_chmod(t, mode)
	       : type == FS_CHOWN ? pty_chown(t, uid, gid)
				  : 0;
}

/* FS_CHMOD, FS_CHOWN, FS_UTIMES on a name. Devices and /proc answer that nothing was to be done. */
static i64 set_at(u32 type, int dirfd, u64 name, struct fs_path req)
{
	struct path *p;
	struct fs_attr a;
	int err = path_from_user(dirfd, name, &p);
	if (err)
		return err;
	if (p->kind == PATH_TREE) {
		struct wh_msg m = {.type = type};
		req.tree = p->tree;
		req.cred = fs_cred_effective();
		*WH_BODY(&m, struct fs_path) = req;
		err = (int)fs_call(&m, p->name, PATH_CAP, WH_BULK_IN);
	} else {
		struct tty *t = p->kind == PATH_DEV && !strncmp(p->name, "/dev/pts/", 9)
					? pty_find(p->name + 9)
					: NULL;
		err = t ? set_terminal(type, t, req.mode, req.uid2, req.gid2)
			: path_stat(p, false, &a);
	}
	kfree(p);
	return MIN(err, 0);
}

static i64 set_fd(u32 type, int fd, struct fs_hold_set set)
{
	struct ofile *f = fd_get(current, fd);
	struct wh_msg m;
	if (!f)
		return -EBADF;
	if (tty_of_file(f))
		return set_terminal(type == FS_FCHMOD	? FS_CHMOD
				    : type == FS_FCHOWN ? FS_CHOWN
							: type,
				    tty_of_file(f), set.mode, set.uid, set.gid);
	return f->fobj ? MIN(fobj_request(f->fobj, type, &set, &m), 0) : 0;
}

i64 sys_chmod(const u64 *arg)
{
	return set_at(FS_CHMOD, AT_FDCWD, arg[0], (struct fs_path){.mode = (u32)arg[1] & 07777});
}

i64 sys_fchmodat(const u64 *arg)
{
	return set_at(FS_CHMOD, (int)arg[0], arg[1], (struct fs_path){.mode = (u32)arg[2] & 07777});
}

i64 sys_fchmod(const u64 *arg)
{
	return set_fd(FS_FCHMOD, (int)arg[0], (struct fs_hold_set){.mode = (u32)arg[1] & 07777});
}

static i64 chown_at(int dirfd, u64 name, u64 uid, u64 gid, u32 flags)
{
	return set_at(FS_CHOWN, dirfd, name,
		      (struct fs_path){.uid2 = (u32)uid, .gid2 = (u32)gid, .flags = flags});
}

i64 sys_chown(const u64 *arg)
{
	return chown_at(AT_FDCWD, arg[0], arg[1], arg[2], 0);
}

i64 sys_lchown(const u64 *arg)
{
	return chown_at(AT_FDCWD, arg[0], arg[1], arg[2], FS_NOFOLLOW);
}

i64 sys_fchown(const u64 *arg)
{
	return set_fd(FS_FCHOWN, (int)arg[0],
		      (struct fs_hold_set){.uid = (u32)arg[1], .gid = (u32)arg[2]});
}

i64 sys_fchownat(const u64 *arg)
{
	u32 flags = (u32)arg[4];
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH) {
		int empty = is_empty(arg[1]);
		if (empty)
			return empty < 0 ? empty : sys_fchown((u64[]){arg[0], arg[2], arg[3]});
	}
	return chown_at((int)arg[0], arg[1], arg[2], arg[3],
			flags & AT_SYMLINK_NOFOLLOW ? FS_NOFOLLOW : 0);
}

/* {seconds, nanoseconds} as utimensat means them. */
static int time_of(const i64 ts[2], i64 *ns)
{
	if (ts[1] == UTIME_NOW)
		*ns = FS_TIME_NOW;
	else if (ts[1] == UTIME_OMIT)
		*ns = FS_TIME_OMIT;
	else if (ts[1] < 0 || ts[1] >= (i64)NS_PER_SEC || ts[0] < 0 || ts[0] > 1ll << 33)
		return -EINVAL;
	else
		*ns = ts[0] * (i64)NS_PER_SEC + ts[1];
	return 0;
}

i64 sys_utimensat(const u64 *arg)
{
	i64 ts[4] = {0, UTIME_NOW, 0, UTIME_NOW}, atime, mtime;
	u32 flags = (u32)arg[3];
	if (flags & ~AT_SYMLINK_NOFOLLOW)
		return -EINVAL;
	if (arg[2] && copy_from_user(ts, arg[2], sizeof ts))
		return -EFAULT;
	if (time_of(ts, &atime) || time_of(ts + 2, &mtime))
		return -EINVAL;
	if (!arg[1] && (int)arg[0] != AT_FDCWD)
		return set_fd(FS_FUTIMES, (int)arg[0],
			      (struct fs_hold_set){.atime = atime, .mtime = mtime});
	return set_at(FS_UTIMES, (int)arg[0], arg[1],
		      (struct fs_path){.atime = atime,
				       .mtime = mtime,
				       .flags = flags & AT_SYMLINK_NOFOLLOW ? FS_NOFOLLOW : 0});
}

/* utime (seconds) and utimes (microseconds) in terms of ns. */
static i64 set_times(u64 name, i64 asec, i64 ausec, i64 msec, i64 musec)
{
	i64 ts[4] = {asec, ausec * 1000, msec, musec * 1000}, atime, mtime;
	if (ausec < 0 || ausec >= 1000000 || musec < 0 || musec >= 1000000 || time_of(ts, &atime) ||
	    time_of(ts + 2, &mtime))
		return -EINVAL;
	return set_at(FS_UTIMES, AT_FDCWD, name, (struct fs_path){.atime = atime, .mtime = mtime});
}

static i64 set_times_now(u64 name)
{
	return set_at(FS_UTIMES, AT_FDCWD, name,
		      (struct fs_path){.atime = FS_TIME_NOW, .mtime = FS_TIME_NOW});
}

i64 sys_utime(const u64 *arg)
{
	i64 t[2];
	if (!arg[1])
		return set_times_now(arg[0]);
	if (copy_from_user(t, arg[1], sizeof t))
		return -EFAULT;
	return set_times(arg[0], t[0], 0, t[1], 0);
}

i64 sys_utimes(const u64 *arg)
{
	i64 t[4];
	if (!arg[1])
		return set_times_now(arg[0]);
	if (copy_from_user(t, arg[1], sizeof t))
		return -EFAULT;
	return set_times(arg[0], t[0], t[1], t[2], t[3]);
}

/* ---- file systems ---- */

static i64 statfs_out(u32 tree, u64 ubuf)
{
	struct linux_statfs s = {
		.f_type = 0x9fa0, .f_bsize = PAGE_SIZE, .f_namelen = 255, .f_frsize = PAGE_SIZE};
	if (tree) {
		struct wh_msg m = {.type = FS_STATFS};
		*WH_BODY(&m, struct fs_path) = (struct fs_path){.tree = tree};
		i64 r = fs_call(&m, NULL, 0, WH_BULK_NONE);
		if (r < 0)
			return r;
		const struct fs_statfs *f = WH_BODY(&m, struct fs_statfs);
		s = (struct linux_statfs){.f_type = 0xef53,
					  .f_bsize = f->bsize,
					  .f_frsize = f->bsize,
					  .f_blocks = f->blocks,
					  .f_bfree = f->bfree,
					  .f_bavail = f->bavail,
					  .f_files = f->files,
					  .f_ffree = f->ffree,
					  .f_fsid = {(i32)tree, 0},
					  .f_namelen = f->namelen};
	}
	return copy_to_user(ubuf, &s, sizeof s) ? -EFAULT : 0;
}

i64 sys_statfs(const u64 *arg)
{
	struct path *p;
	struct fs_attr a;
	int err = path_from_user(AT_FDCWD, arg[0], &p);
	if (err)
		return err;
	u32 tree = p->kind == PATH_TREE ? p->tree : 0;
	err = path_stat(p, false, &a);
	kfree(p);
	return err ? err : statfs_out(tree, arg[1]);
}

i64 sys_fstatfs(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	return f ? statfs_out(f->fobj ? f->fobj->tree : 0, arg[1]) : -EBADF;
}
