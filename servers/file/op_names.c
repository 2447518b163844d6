/* SPDX-License-Identifier: MIT */
/* Operations on names: everything that changes directories. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops.h"

/* Are names in this directory the requester's to change? */
static long may_change(const struct inode *dir, struct fs_cred cred)
{
	return inode_access(dir, cred, W_OK | X_OK);
}

/* May this name go? In a sticky directory only with its owner's consent. */
static long may_remove(const struct inode *dir, const struct inode *ip, struct fs_cred cred)
{
	long err = may_change(dir, cred);

	if (err == 0 && (dir->d.i_mode & S_ISVTX) && cred.uid != 0 && cred.uid != owner_uid(dir) &&
	    cred.uid != owner_uid(ip))
		err = -EPERM;
	return err;
}

static void add_links(struct fs *fs, struct inode *ip, int n)
{
	ip->d.i_links_count = (uint16_t)(ip->d.i_links_count + n);
	inode_touched(fs, ip);
}

long op_create(struct tree *t, struct walk *w, uint32_t mode, struct fs_cred cred,
	       const char *target, struct inode **out)
{
	struct fs *fs = &t->fs;
	bool isdir = S_ISDIR(mode);
	struct inode *ip = NULL;
	long err = may_change(w->dir, cred);

	if (err == 0 && isdir && w->dir->d.i_links_count >= FS_LINK_MAX)
		err = -EMLINK;
	if (err == 0)
		err = inode_new(fs, w->dir, mode, cred, &ip);
	if (err)
		return err;
	if (isdir)
		err = dir_init(fs, ip, w->dir);
	else if (target)
		err = symlink_write(fs, ip, target, strlen(target));
	if (err == 0)
		err = dir_add(fs, w->dir, w->name, w->name_len, ip);
	if (err < 0) {
		fs_must(fs, inode_free(fs, ip));
		inode_put(fs, ip);
		return err;
	}
	add_links(fs, ip, isdir ? 2 : 1);
	if (isdir)
		add_links(fs, w->dir, 1);
	*out = ip;
	return 0;
}

/* Walk to where a new name will be and create it there. */
static long create_at(struct tree *t, const char *path, uint32_t mode, struct fs_cred cred,
		      const char *target)
{
	struct walk w;
	struct inode *ip;
	long err = walk(&t->fs, cred, path, WALK_PARENT | WALK_LAST, &w);

	if (err < 0)
		return err;
	if (w.ip)
		err = -EEXIST;
	else if (w.slash && !S_ISDIR(mode))
		err = -ENOENT;
	else
		err = op_create(t, &w, mode, cred, target, &ip);
	if (err == 0)
		inode_put(&t->fs, ip);
	walk_end(&t->fs, &w);
	return err;
}

long op_mkdir(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	char path[FS_PATH_MAX];
	long err = op_string(r, 0, path);

	return err < 0 ? err : create_at(t, path, S_IFDIR | (q.mode & 01777), q.cred, NULL);
}

long op_mknod(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	char path[FS_PATH_MAX];
	long err = op_string(r, 0, path);
	uint32_t type = q.mode & S_IFMT;

	if (err < 0)
		return err;
	if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EPERM;
	return create_at(t, path, (type ? type : S_IFREG) | (q.mode & 07777), q.cred, NULL);
}

/* Two strings, one behind the other. */
static long two_strings(struct fs_request *r, char *first, char *second)
{
	long len = op_string(r, 0, first);

	return len < 0 ? len : op_string(r, (size_t)len, second);
}

long op_symlink(struct tree *t, struct fs_request *r)
{
	struct fs_path2 q = FS_BODY(r, struct fs_path2);
	char target[FS_PATH_MAX], path[FS_PATH_MAX];
	long err = two_strings(r, target, path);

	if (err < 0)
		return err;
	return target[0] ? create_at(t, path, S_IFLNK | 0777, q.cred, target) : -ENOENT;
}

static long link_to(struct tree *t, struct inode *ip, const char *path, struct fs_cred cred)
{
	struct walk w;

	long err = walk(&t->fs, cred, path, WALK_PARENT | WALK_LAST, &w);

	if (err < 0)
		return err;
	if (w.ip)
		err = -EEXIST;
	else if (w.slash)
		err = -ENOENT;
	else
		err = may_change(w.dir, cred);
	if (err == 0 && S_ISDIR(ip->d.i_mode))
		err = -EPERM;
	if (err == 0 && ip->d.i_links_count >= FS_LINK_MAX)
		err = -EMLINK;
	if (err == 0)
		err = dir_add(&t->fs, w.dir, w.name, w.name_len, ip);
	if (err == 0)
		add_links(&t->fs, ip, 1);
	walk_end(&t->fs, &w);
	return err;
}

long op_link(struct tree *t, struct fs_request *r)
{
	struct fs_path2 q = FS_BODY(r, struct fs_path2);
	char from[FS_PATH_MAX], to[FS_PATH_MAX];
	struct walk w;
	long err = two_strings(r, from, to);

	if (err >= 0)
		err = walk(&t->fs, q.cred, from, 0, &w);
	if (err < 0)
		return err;
	err = link_to(t, w.ip, to, q.cred);
	walk_end(&t->fs, &w);
	return err;
}

static long unlink_walked(struct tree *t, const struct walk *w, struct fs_cred cred)
{
	struct fs *fs = &t->fs;

	if (S_ISDIR(w->ip->d.i_mode))
		return -EISDIR;
	if (w->slash)
		return -ENOTDIR;
	long err = may_remove(w->dir, w->ip, cred);

	if (err == 0)
		err = dir_remove(fs, w->dir, w->name, w->name_len);
	if (err < 0)
		return err;
	add_links(fs, w->ip, -1);
	return fs_must(fs, inode_unlinked(fs, w->ip));
}

long op_unlink(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, WALK_LAST, &w);

	if (err == 0) {
		err = unlink_walked(t, &w, q.cred);
		walk_end(&t->fs, &w);
	}
	return err;
}

/* An empty directory that lost its name. */
static long bury_dir(struct fs *fs, struct inode *parent, struct inode *ip)
{
	add_links(fs, parent, -1);
	add_links(fs, ip, -ip->d.i_links_count);
	return fs_must(fs, inode_unlinked(fs, ip));
}

static long rmdir_walked(struct tree *t, const struct walk *w, struct fs_cred cred)
{
	struct fs *fs = &t->fs;

	switch (w->last) {
	case LAST_ROOT:
		return -EBUSY;
	case LAST_DOT:
		return -EINVAL;
	case LAST_DOTDOT:
		return -ENOTEMPTY;
	case LAST_NAME:
		break;
	}
	if (!S_ISDIR(w->ip->d.i_mode))
		return -ENOTDIR;
	long err = may_remove(w->dir, w->ip, cred);
	int empty = err == 0 ? dir_is_empty(fs, w->ip) : 0;

	if (err < 0 || empty < 0)
		return err < 0 ? err : empty;
	if (!empty)
		return -ENOTEMPTY;
	err = dir_remove(fs, w->dir, w->name, w->name_len);
	return err < 0 ? err : bury_dir(fs, w->dir, w->ip);
}

long op_rmdir(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, WALK_LAST, &w);

	if (err == 0) {
		err = rmdir_walked(t, &w, q.cred);
		walk_end(&t->fs, &w);
	}
	return err;
}

/* ---- rename ---- */

/* Does the way from `dir` to the root lead through `ip`? 1, 0 or an error. */
static int is_below(struct fs *fs, struct inode *dir, const struct inode *ip)
{
	uint32_t ino = dir->ino;
	int err = 0;

	for (unsigned depth = 0; err == 0 && depth < FS_PATH_MAX; depth++) {
		struct inode *at;
		uint32_t up = ino;

		if (ino == ip->ino)
			return 1;
		if (ino == EXT2_ROOT_INO)
			return 0;
		err = inode_get(fs, ino, &at);
		if (err < 0)
			return err;
		err = dir_lookup(fs, at, "..", 2, &up);
		inode_put(fs, at);
		ino = up;
	}
	return err < 0 ? err : -EIO; /* a cycle: only on a damaged disk */
}

/* Is old -> new allowed? new->ip may be NULL. */
static long may_rename(struct fs *fs, const struct walk *old, const struct walk *new,
		       struct fs_cred cred)
{
	bool isdir = S_ISDIR(old->ip->d.i_mode);
	long err;

	/* Neither may contain the other. */
	int below = isdir && old->dir != new->dir ? is_below(fs, new->dir, old->ip) : 0;

	if (below)
		return below < 0 ? below : -EINVAL;
	if (new->ip && S_ISDIR(new->ip->d.i_mode))
		below = is_below(fs, old->dir, new->ip);
	if (below)
		return below < 0 ? below : -ENOTEMPTY;
	err = may_remove(old->dir, old->ip, cred);
	if (err == 0)
		err = new->ip ? may_remove(new->dir, new->ip, cred) : may_change(new->dir, cred);
	if (err < 0)
		return err;
	if (!isdir)
		return new->ip &&S_ISDIR(new->ip->d.i_mode) ? -EISDIR : 0;
	if (new->ip && !S_ISDIR(new->ip->d.i_mode))
		return -ENOTDIR;
	if (old->dir != new->dir) {
		err = inode_access(old->ip, cred, W_OK); /* its `..` changes */
		if (err < 0)
			return err;
		if (!new->ip &&new->dir->d.i_links_count >= FS_LINK_MAX)
			return -EMLINK;
	}
	int empty = new->ip ? dir_is_empty(fs, new->ip) : 1;

	return empty < 0 ? empty : empty ? 0 : -ENOTEMPTY;
}

static long rename_walked(struct fs *fs, const struct walk *old, const struct walk *new,
			  struct fs_cred cred)
{
	long err;

	if (old->last != LAST_NAME || new->last != LAST_NAME)
		return -EBUSY;
	if (!old->ip)
		return -ENOENT;
	bool isdir = S_ISDIR(old->ip->d.i_mode);

	if (!isdir && (old->slash || new->slash))
		return -ENOTDIR;
	if (old->ip == new->ip)
		return 0;
	err = may_rename(fs, old, new, cred);
	if (err < 0)
		return err;
	if (new->ip)
		err = dir_replace(fs, new->dir, new->name, new->name_len, old->ip);
	else
		err = dir_add(fs, new->dir, new->name, new->name_len, old->ip);
	if (err < 0)
		return err;
	/* The point of no return. */
	err = dir_remove(fs, old->dir, old->name, old->name_len);
	if (err == 0 && isdir && old->dir != new->dir) {
		err = dir_replace(fs, old->ip, "..", 2, new->dir);
		add_links(fs, old->dir, -1);
		add_links(fs, new->dir, 1);
	}
	inode_touched(fs, old->ip);
	if (err == 0 && new->ip && isdir)
		err = bury_dir(fs, new->dir, new->ip);
	if (err == 0 && new->ip && !isdir) {
		add_links(fs, new->ip, -1);
		err = inode_unlinked(fs, new->ip);
	}
	return fs_must(fs, (int)err);
}

long op_rename(struct tree *t, struct fs_request *r)
{
	struct fs_path2 q = FS_BODY(r, struct fs_path2);
	char from[FS_PATH_MAX], to[FS_PATH_MAX];
	struct walk old, new;
	long err = two_strings(r, from, to);

	if (err >= 0)
		err = walk(&t->fs, q.cred, from, WALK_PARENT | WALK_LAST, &old);
	if (err < 0)
		return err;
	err = walk(&t->fs, q.cred, to, WALK_PARENT | WALK_LAST, &new);
	if (err == 0) {
		err = rename_walked(&t->fs, &old, &new, q.cred);
		walk_end(&t->fs, &new);
	}
	walk_end(&t->fs, &old);
	return err;
}
