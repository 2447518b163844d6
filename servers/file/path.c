/* SPDX-License-Identifier: MIT */
/* From a path to an inode. See fs.h. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"

/* What is left of the path: link targets are put in front of it. */
struct rest {
	char *p;
	char buf[FS_PATH_MAX];
};

static void rest_set(struct rest *r, const char *path, size_t len)
{
	r->p = r->buf + sizeof(r->buf) - len - 1; /* at the end: links grow to the front */
	memcpy(r->p, path, len + 1);
}

/* Take the next component. False: none is left. *last: it was the final one. */
static bool rest_next(struct rest *r, char **name, size_t *len, bool *last, bool *slash)
{
	while (*r->p == '/')
		r->p++;
	if (*r->p == '\0')
		return false;
	*name = r->p;
	*len = strcspn(r->p, "/");
	r->p += *len;
	size_t slashes = strspn(r->p, "/");

	*last = r->p[slashes] == '\0';
	*slash = *last && slashes > 0;
	return true;
}

static int canon_push(struct walk *w, const char *name, size_t len)
{
	if (w->canon_len + len + 2 > sizeof(w->canon))
		return -ENAMETOOLONG;
	if (w->canon_len > 1)
		w->canon[w->canon_len++] = '/';
	memcpy(w->canon + w->canon_len, name, len);
	w->canon_len += len;
	w->canon[w->canon_len] = '\0';
	return 0;
}

static void canon_pop(struct walk *w)
{
	while (w->canon_len > 1 && w->canon[w->canon_len - 1] != '/')
		w->canon_len--;
	if (w->canon_len > 1)
		w->canon_len--;
	w->canon[w->canon_len] = '\0';
}

/* Make `dir` the directory and `ip` what was found in it; takes over both references. */
static void step(struct fs *fs, struct walk *w, struct inode *dir, struct inode *ip)
{
	inode_put(fs, w->dir);
	w->dir = dir;
	w->ip = ip;
	if (ip && fs->tell_found)
		tell_inode(fs, ip);
}

static int start_at_root(struct fs *fs, struct walk *w)
{
	struct inode *root;
	int err = inode_get(fs, EXT2_ROOT_INO, &root);

	if (err < 0)
		return err;
	if (w->dir)
		inode_put(fs, w->dir);
	if (w->ip)
		inode_put(fs, w->ip);
	if (fs->tell_found)
		tell_inode(fs, root);
	w->dir = root;
	w->ip = inode_ref(root);
	w->last = LAST_ROOT;
	w->canon_len = 1;
	strcpy(w->canon, "/");
	return 0;
}

/* Replace the link `ip`, found in w->ip, by its target in the rest of the path. */
static int expand(struct fs *fs, struct walk *w, struct rest *r, struct inode *ip)
{
	char target[FS_PATH_MAX];
	int len = symlink_read(fs, ip, target, sizeof(target));

	if (len <= 0)
		return len < 0 ? len : -ENOENT;
	if (r->p - r->buf < len) /* the rest begins with `/`, or is empty */
		return -ENAMETOOLONG;
	r->p -= len;
	memcpy(r->p, target, len);
	return target[0] == '/' ? start_at_root(fs, w) : 0;
}

/* One component that is a name, looked up in w->ip. 1: the walk ends here without an inode. */
static int walk_name(struct fs *fs, struct walk *w, struct rest *r, bool last, bool slash,
		     unsigned flags, unsigned *links)
{
	uint32_t ino;
	struct inode *ip;
	int err = dir_lookup(fs, w->ip, w->name, w->name_len, &ino);

	w->last = LAST_NAME;
	w->slash |= slash;
	if (err == -ENOENT && last && (flags & WALK_PARENT)) {
		err = canon_push(w, w->name, w->name_len);
		if (err < 0)
			return err;
		step(fs, w, w->ip, NULL);
		return 1;
	}
	if (err == 0)
		err = inode_get(fs, ino, &ip);
	if (err)
		return err;
	bool meant = last && (slash ? flags & WALK_LAST : !(flags & WALK_FOLLOW));

	if (S_ISLNK(ip->d.i_mode) && !meant) {
		if (fs->tell_found)
			tell_inode(fs, ip);
		err = ++*links > FS_SYMLINKS_MAX ? -ELOOP : expand(fs, w, r, ip);
		inode_put(fs, ip);
		return err;
	}
	err = canon_push(w, w->name, w->name_len);
	if (err < 0) {
		inode_put(fs, ip);
		return err;
	}
	step(fs, w, w->ip, ip);
	return 0;
}

static int walk_up(struct fs *fs, struct walk *w)
{
	uint32_t ino;
	struct inode *parent;
	int err = dir_lookup(fs, w->ip, "..", 2, &ino);

	if (err == 0)
		err = inode_get(fs, ino, &parent);
	if (err)
		return err;
	canon_pop(w);
	step(fs, w, w->ip, parent);
	w->last = LAST_DOTDOT;
	return 0;
}

static int walk_all(struct fs *fs, struct fs_cred cred, struct rest *r, unsigned flags,
		    struct walk *w)
{
	unsigned links = 0;
	char *name;
	size_t len;
	bool last, slash;
	int err = start_at_root(fs, w);

	while (err == 0 && rest_next(r, &name, &len, &last, &slash)) {
		if (len > FS_NAME_MAX)
			return -ENAMETOOLONG;
		if (!S_ISDIR(w->ip->d.i_mode))
			return -ENOTDIR;
		err = inode_access(w->ip, cred, X_OK);
		if (err < 0)
			return err;
		memcpy(w->name, name, len);
		w->name[len] = '\0';
		w->name_len = len;
		if (strcmp(w->name, "..") == 0)
			err = walk_up(fs, w);
		else if (strcmp(w->name, ".") == 0)
			w->last = LAST_DOT;
		else
			err = walk_name(fs, w, r, last, slash, flags, &links);
	}
	if (err < 0)
		return err;
	if (w->slash && !(flags & WALK_LAST) && w->ip && !S_ISDIR(w->ip->d.i_mode))
		return -ENOTDIR;
	return 0;
}

int walk(struct fs *fs, struct fs_cred cred, const char *path, unsigned flags, struct walk *w)
{
	struct rest r;
	size_t len = strnlen(path, FS_PATH_MAX);

	w->dir = w->ip = NULL;
	w->slash = false;
	w->name_len = 0;
	w->name[0] = '\0';
	if (len == 0)
		return -ENOENT;
	if (len >= FS_PATH_MAX)
		return -ENAMETOOLONG;
	rest_set(&r, path, len);
	int err = walk_all(fs, cred, &r, flags, w);

	if (err < 0)
		walk_end(fs, w);
	return err;
}

void walk_end(struct fs *fs, struct walk *w)
{
	if (w->dir)
		inode_put(fs, w->dir);
	if (w->ip)
		inode_put(fs, w->ip);
	w->dir = w->ip = NULL;
}
