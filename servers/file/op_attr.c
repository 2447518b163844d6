/* SPDX-License-Identifier: MIT */
/* Attributes: by path and by hold. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops.h"

enum { KEEP = -1 }; /* uid or gid that stays */

static unsigned follow(const struct fs_path *q)
{
	return q->flags & FS_NOFOLLOW ? 0 : WALK_FOLLOW;
}

static void reply_attr(struct tree *t, struct fs_request *r, const struct inode *ip)
{
	struct fs_attr a;

	inode_attr(&t->fs, ip, &a);
	*WH_BODY(&r->msg, struct fs_attr) = a;
}

long op_stat(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, follow(&q), &w);

	if (err < 0)
		return err;
	reply_attr(t, r, w.ip);
	walk_end(&t->fs, &w);
	return 0;
}

long op_fstat(struct tree *t, struct fs_request *r)
{
	struct fs_hold_req q = FS_BODY(r, struct fs_hold_req);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	if (!h)
		return -ESTALE;
	reply_attr(t, r, h->ip);
	return 0;
}

long op_access(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;

	if (q.mode & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	long err = op_walk(t, r, q.cred, follow(&q), &w);

	if (err == 0) {
		err = inode_access(w.ip, q.cred, q.mode);
		walk_end(&t->fs, &w);
	}
	return err;
}

long op_resolve(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, WALK_FOLLOW, &w);

	if (err < 0)
		return err;
	err = S_ISDIR(w.ip->d.i_mode) ? inode_access(w.ip, q.cred, X_OK) : -ENOTDIR;
	if (err == 0)
		err = op_canonical(r, &w);
	if (err == 0)
		reply_attr(t, r, w.ip);
	walk_end(&t->fs, &w);
	return err;
}

long op_readlink(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	char target[FS_PATH_MAX];
	struct walk w;
	long n = op_walk(t, r, q.cred, 0, &w);

	if (n < 0)
		return n;
	n = S_ISLNK(w.ip->d.i_mode) ? symlink_read(&t->fs, w.ip, target, sizeof(target)) : -EINVAL;
	walk_end(&t->fs, &w);
	if (n > (long)r->bulk_len)
		n = r->bulk_len;
	if (n > 0 && r->copyout(r, 0, target, (size_t)n) != n)
		n = -EFAULT;
	return n;
}

static bool is_owner(const struct inode *ip, struct fs_cred cred)
{
	return cred.uid == 0 || cred.uid == owner_uid(ip);
}

static long set_mode(struct tree *t, struct inode *ip, struct fs_cred cred, uint32_t mode)
{
	if (!is_owner(ip, cred))
		return -EPERM;
	if (S_ISLNK(ip->d.i_mode))
		return -EOPNOTSUPP;
	if (cred.uid != 0 && !fs_cred_in_group(&cred, owner_gid(ip)))
		mode &= ~(uint32_t)S_ISGID;
	ip->d.i_mode = (uint16_t)((ip->d.i_mode & S_IFMT) | (mode & 07777));
	inode_touched(&t->fs, ip);
	return 0;
}

void drop_set_ids(struct fs *fs, struct inode *ip)
{
	uint16_t was = ip->d.i_mode;

	if (!S_ISREG(was))
		return;
	ip->d.i_mode &= ~S_ISUID;
	if (was & S_IXGRP)
		ip->d.i_mode &= ~S_ISGID;
	if (ip->d.i_mode != was)
		inode_touched(fs, ip);
}

/* Root may do all; an owner may give the file to a group of his own. Set-id bits do not survive it. */
static long set_owner(struct tree *t, struct inode *ip, struct fs_cred cred, uint32_t uid,
		      uint32_t gid)
{
	bool keep_uid = uid == (uint32_t)KEEP || uid == owner_uid(ip);
	bool keep_gid =
		gid == (uint32_t)KEEP || gid == owner_gid(ip) || fs_cred_in_group(&cred, gid);

	if (cred.uid != 0 && !(is_owner(ip, cred) && keep_uid && keep_gid))
		return -EPERM;
	if (uid != (uint32_t)KEEP) {
		ip->d.i_uid = (uint16_t)uid;
		ip->d.osd2.linux2.l_i_uid_high = uid >> 16;
	}
	if (gid != (uint32_t)KEEP) {
		ip->d.i_gid = (uint16_t)gid;
		ip->d.osd2.linux2.l_i_gid_high = gid >> 16;
	}
	drop_set_ids(&t->fs, ip);
	inode_touched(&t->fs, ip);
	return 0;
}

/* Anyone who may write may set the times to now; other times are the owner's. */
static long set_times(struct tree *t, struct inode *ip, struct fs_cred cred, int64_t atime,
		      int64_t mtime)
{
	bool now_only = (atime == FS_TIME_NOW || atime == FS_TIME_OMIT) &&
			(mtime == FS_TIME_NOW || mtime == FS_TIME_OMIT);

	if (!is_owner(ip, cred)) {
		if (!now_only)
			return -EPERM;
		if (inode_access(ip, cred, W_OK) < 0)
			return -EACCES;
	}
	inode_set_times(ip, atime, mtime, fs_now());
	inode_dirty(&t->fs, ip);
	return 0;
}

long op_chmod(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, follow(&q), &w);

	if (err == 0) {
		err = set_mode(t, w.ip, q.cred, q.mode);
		walk_end(&t->fs, &w);
	}
	return err;
}

long op_chown(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, follow(&q), &w);

	if (err == 0) {
		err = set_owner(t, w.ip, q.cred, q.uid2, q.gid2);
		walk_end(&t->fs, &w);
	}
	return err;
}

long op_utimes(struct tree *t, struct fs_request *r)
{
	struct fs_path q = FS_BODY(r, struct fs_path);
	struct walk w;
	long err = op_walk(t, r, q.cred, follow(&q), &w);

	if (err == 0) {
		err = set_times(t, w.ip, q.cred, q.atime, q.mtime);
		walk_end(&t->fs, &w);
	}
	return err;
}

long op_fchmod(struct tree *t, struct fs_request *r)
{
	struct fs_hold_set q = FS_BODY(r, struct fs_hold_set);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	return h ? set_mode(t, h->ip, q.cred, q.mode) : -ESTALE;
}

long op_fchown(struct tree *t, struct fs_request *r)
{
	struct fs_hold_set q = FS_BODY(r, struct fs_hold_set);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	return h ? set_owner(t, h->ip, q.cred, q.uid, q.gid) : -ESTALE;
}

long op_futimes(struct tree *t, struct fs_request *r)
{
	struct fs_hold_set q = FS_BODY(r, struct fs_hold_set);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	return h ? set_times(t, h->ip, q.cred, q.atime, q.mtime) : -ESTALE;
}
