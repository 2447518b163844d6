/* SPDX-License-Identifier: MIT */
/* Class File, calls on names: they change directories of a tree, which is the custodian's work. */
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "rlimit.h"
#include "sys_file.h"
#include "usercopy.h"

/* What exists only in the kernel cannot be changed through its name. */
static int changeable(const struct path *p)
{
	return p->kind == PATH_TREE ? 0 : -EPERM;
}

/* One request on one name. */
static i64 change(u32 type, int dirfd, u64 uname, struct fs_path req)
{
	struct path *p;
	int err = path_from_user(dirfd, uname, &p);
	if (err)
		return err;
	i64 r = changeable(p);
	if (!r) {
		struct wh_msg m = {.type = type};
		req.tree = p->tree;
		req.cred = fs_cred_effective();
		if (p->tree == node_id.node && (type == FS_UNLINK || type == FS_RMDIR))
			idle_forget_name(p->name); /* a held file would have to be kept */
		*WH_BODY(&m, struct fs_path) = req;
		r = fs_call(&m, p->name, PATH_CAP, WH_BULK_IN);
	}
	kfree(p);
	return MIN(r, 0);
}

/* One request on two names of the same tree; head: first's, or a link's target, then first == NULL. */
static i64 change_two(u32 type, struct path *first, const char *head, struct path *second,
		      u32 flags)
{
	size_t n1 = strlen(head) + 1, n2 = strlen(second->name) + 1;
	i64 r = changeable(second);
	if (!r && first)
		r = changeable(first);
	if (r)
		return r;
	if (first && first->tree != second->tree)
		return -EXDEV;
	char *buf = kmalloc(n1 + n2);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, head, n1);
	memcpy(buf + n1, second->name, n2);
	struct wh_msg m = {.type = type};
	*WH_BODY(&m, struct fs_path2) = (struct fs_path2){
		.tree = second->tree, .flags = flags, .cred = fs_cred_effective()};
	if (type == FS_RENAME && second->tree == node_id.node)
		idle_forget_name(second->name);
	r = fs_call(&m, buf, n1 + n2, WH_BULK_IN);
	kfree(buf);
	return MIN(r, 0);
}

static i64 two_names(u32 type, int dir1, u64 name1, int dir2, u64 name2, u32 flags)
{
	struct path *a, *b;
	int err = path_from_user(dir1, name1, &a);
	if (err)
		return err;
	err = path_from_user(dir2, name2, &b);
	if (err) {
		kfree(a);
		return err;
	}
	i64 r = change_two(type, a, a->name, b, flags);
	kfree(a);
	kfree(b);
	return r;
}

/* ---- create and remove ---- */

static i64 mkdir_at(int dirfd, u64 name, u32 mode)
{
	i64 r = change(FS_MKDIR, dirfd, name,
		       (struct fs_path){.mode = mode & 07777 & ~current->u->umask});
	return r == -EPERM ? -EEXIST : r; /* /dev and the like: `mkdir -p` goes on */
}

i64 sys_mkdir(const u64 *arg)
{
	return mkdir_at(AT_FDCWD, arg[0], (u32)arg[1]);
}

i64 sys_mkdirat(const u64 *arg)
{
	return mkdir_at((int)arg[0], arg[1], (u32)arg[2]);
}

static i64 mknod_at(int dirfd, u64 name, u32 mode)
{
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	return change(FS_MKNOD, dirfd, name, (struct fs_path){.mode = mode & ~current->u->umask});
}

i64 sys_mknod(const u64 *arg)
{
	return mknod_at(AT_FDCWD, arg[0], (u32)arg[1]);
}

i64 sys_mknodat(const u64 *arg)
{
	return mknod_at((int)arg[0], arg[1], (u32)arg[2]);
}

i64 sys_rmdir(const u64 *arg)
{
	return change(FS_RMDIR, AT_FDCWD, arg[0], (struct fs_path){0});
}

i64 sys_unlink(const u64 *arg)
{
	return change(FS_UNLINK, AT_FDCWD, arg[0], (struct fs_path){0});
}

i64 sys_unlinkat(const u64 *arg)
{
	if (arg[2] & ~(u64)AT_REMOVEDIR)
		return -EINVAL;
	return change(arg[2] & AT_REMOVEDIR ? FS_RMDIR : FS_UNLINK, (int)arg[0], arg[1],
		      (struct fs_path){0});
}

static i64 symlink_at(u64 target, int dirfd, u64 name)
{
	struct path *p = NULL;
	char *text = kmalloc(FS_PATH_MAX);
	if (!text)
		return -ENOMEM;
	i64 r = str_from_user(text, target, FS_PATH_MAX);
	if (r == 0)
		r = -ENOENT;
	if (r > 0)
		r = path_from_user(dirfd, name, &p);
	if (r == 0)
		r = change_two(FS_SYMLINK, NULL, text, p, 0);
	kfree(p);
	kfree(text);
	return r;
}

i64 sys_symlink(const u64 *arg)
{
	return symlink_at(arg[0], AT_FDCWD, arg[1]);
}

i64 sys_symlinkat(const u64 *arg)
{
	return symlink_at(arg[0], (int)arg[1], arg[2]);
}

i64 sys_link(const u64 *arg)
{
	return two_names(FS_LINK, AT_FDCWD, arg[0], AT_FDCWD, arg[1], FS_NOFOLLOW);
}

i64 sys_linkat(const u64 *arg)
{
	if (arg[4] & ~(u64)AT_SYMLINK_FOLLOW)
		return -EINVAL;
	return two_names(FS_LINK, (int)arg[0], arg[1], (int)arg[2], arg[3],
			 arg[4] & AT_SYMLINK_FOLLOW ? 0 : FS_NOFOLLOW);
}

i64 sys_rename(const u64 *arg)
{
	return two_names(FS_RENAME, AT_FDCWD, arg[0], AT_FDCWD, arg[1], 0);
}

i64 sys_renameat(const u64 *arg)
{
	return two_names(FS_RENAME, (int)arg[0], arg[1], (int)arg[2], arg[3], 0);
}

/* Of the flags none: what does not replace would have to be asked of the custodian in one go. */
i64 sys_renameat2(const u64 *arg)
{
	return (u32)arg[4] ? -EINVAL : sys_renameat(arg);
}

/* Opened and cut, rather than cut by name: so the page cache knows which file changed. */
i64 sys_truncate(const u64 *arg)
{
	struct path *p;
	if ((i64)arg[1] < 0)
		return -EINVAL;
	int err = path_from_user(AT_FDCWD, arg[0], &p);
	if (err)
		return err;
	err = changeable(p);
	struct fobj *f = err ? NULL : fobj_open_path(p, O_WRONLY, 0, &err);
	kfree(p);
	if (!f)
		return err;
	if (arg[1] > f->attr.size && rlimit_file(arg[1] - 1, 1) == 0)
		err = -EFBIG;
	else
		err = fobj_truncate(f, arg[1]);
	fobj_put(f);
	return err;
}

/* ---- links ---- */

static i64 readlink_at(int dirfd, u64 name, u64 ubuf, u64 cap)
{
	struct path *p;
	if ((i64)cap <= 0)
		return -EINVAL;
	int err = path_from_user(dirfd, name, &p);
	if (err)
		return err;
	char *target = p->name;
	i64 n = -EINVAL;
	if (p->kind == PATH_TREE) {
		struct wh_msg m = {.type = FS_READLINK};
		*WH_BODY(&m, struct fs_path) =
			(struct fs_path){.tree = p->tree, .cred = fs_cred_effective()};
		n = fs_call(&m, p->name, PATH_CAP, WH_BULK_IN | WH_BULK_OUT);
	} else if (p->kind != PATH_NODES) {
		target = kmalloc(PATH_CAP);
		n = target ? proc_readlink(p->name, target, PATH_CAP) : -ENOMEM;
	}
	if (n > 0) {
		n = MIN(MIN(n, (i64)PATH_CAP), (i64)cap);
		if (copy_to_user(ubuf, target, (size_t)n))
			n = -EFAULT;
	}
	if (target != p->name)
		kfree(target);
	kfree(p);
	return n;
}

i64 sys_readlink(const u64 *arg)
{
	return readlink_at(AT_FDCWD, arg[0], arg[1], arg[2]);
}

i64 sys_readlinkat(const u64 *arg)
{
	return readlink_at((int)arg[0], arg[1], arg[2], arg[3]);
}

/* ---- the working directory, the mask ---- */

i64 sys_getcwd(const u64 *arg)
{
	size_t n = strlen(current->u->cwd) + 1;
	if (arg[1] < n)
		return -ERANGE;
	char *cwd = kstrdup(current->u->cwd); /* another thread may change it during the copy */
	if (!cwd)
		return -ENOMEM;
	i64 r = copy_to_user(arg[0], cwd, n) ? -EFAULT : (i64)n;
	kfree(cwd);
	return r;
}

static void set_cwd(char *name)
{
	kfree(current->u->cwd);
	current->u->cwd = name;
}

i64 sys_chdir(const u64 *arg)
{
	struct path *p;
	struct fs_attr a;
	char *name = NULL;
	int err = path_from_user(AT_FDCWD, arg[0], &p);
	if (err)
		return err;
	if (p->kind == PATH_TREE) {
		struct wh_msg m = {.type = FS_RESOLVE};
		*WH_BODY(&m, struct fs_path) =
			(struct fs_path){.tree = p->tree, .cred = fs_cred_effective()};
		err = (int)fs_call(&m, p->name, PATH_CAP, WH_BULK_IN | WH_BULK_OUT);
		p->name[PATH_CAP - 1] = 0;
		a.mode = err < 0 ? 0 : WH_BODY(&m, struct fs_attr)->mode;
	} else {
		err = path_stat(p, false, &a);
	}
	err = MIN(err, 0);
	if (!err && !S_ISDIR(a.mode))
		err = -ENOTDIR;
	if (!err)
		err = path_name(current, p, &name);
	if (!err)
		set_cwd(name);
	kfree(p);
	return err;
}

i64 sys_fchdir(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	char *name = f ? kmalloc(PATH_CAP) : NULL;
	if (!f)
		return -EBADF;
	int err = name ? path_of_ofile(current, f, name, PATH_CAP) : -ENOMEM;
	char *kept = err ? NULL : kstrdup(name);
	if (!err && !kept)
		err = -ENOMEM;
	if (!err)
		set_cwd(kept);
	kfree(name);
	return err;
}

i64 sys_umask(const u64 *arg)
{
	u32 old = current->u->umask;
	current->u->umask = (u32)arg[0] & 0777;
	return old;
}

i64 sys_sync(const u64 *arg)
{
	(void)arg;
	/* Every node syncs its own tree: an unreachable one must not hold this process up. */
	u32 trees[] = {node_id.node, current->u->names.tree};
	for (u32 i = 0; i < ARRAY_LEN(trees); i++) {
		struct wh_msg m = {.type = FS_SYNC};
		*WH_BODY(&m, struct fs_path) = (struct fs_path){.tree = trees[i]};
		if (i == 0 || trees[i] != trees[0])
			fs_call(&m, NULL, 0, WH_BULK_NONE);
	}
	return 0;
}
