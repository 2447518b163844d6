/* SPDX-License-Identifier: MIT */
/* Opening and closing: FS_OPEN, FS_CLOSE, FS_ADOPT, FS_BIND, FS_FLOCK, FS_LOCK. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops.h"
#include "records.h"

/* musl defines O_TMPFILE and O_PATH only for _GNU_SOURCE; these are the Linux values on x86-64. */
enum { LINUX_O_PATH = 010000000, LINUX_O_TMPFILE = 020000000 };

static unsigned access_wanted(uint32_t flags)
{
	unsigned want = (flags & O_TRUNC) ? W_OK : 0;

	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return want | R_OK;
	case O_WRONLY:
		return want | W_OK;
	default:
		return want | R_OK | W_OK;
	}
}

/* May an existing file be opened like this? */
static long may_open(const struct inode *ip, const struct fs_open *o)
{
	bool isdir = S_ISDIR(ip->d.i_mode);

	if ((o->flags & O_CREAT) && (o->flags & O_EXCL))
		return -EEXIST;
	if (S_ISLNK(ip->d.i_mode) && !(o->flags & LINUX_O_PATH))
		return -ELOOP;
	if ((o->flags & O_DIRECTORY) && !isdir)
		return -ENOTDIR;
	if (o->flags & LINUX_O_PATH)
		return 0;
	if (isdir && ((access_wanted(o->flags) & W_OK) || (o->flags & O_CREAT)))
		return -EISDIR;
	return inode_access(ip, o->cred, access_wanted(o->flags));
}

static void opened(const struct tree *t, const struct hold *h, struct fs_request *r)
{
	struct fs_opened *o = WH_BODY(&r->msg, struct fs_opened);

	memset(o, 0, sizeof(*o));
	o->hold = h->id;
	inode_attr(&t->fs, h->ip, &o->attr);
	o->cacheable = S_ISREG(h->ip->d.i_mode); /* remote.c takes it back for most other trees */
}

static long open_found(struct tree *t, struct fs_request *r, const struct fs_open *o,
		       struct inode *ip)
{
	long err = may_open(ip, o);

	if (err < 0)
		return err;
	if ((o->flags & O_TRUNC) && S_ISREG(ip->d.i_mode) && !(o->flags & LINUX_O_PATH)) {
		op_changed(r, ip, 0, UINT64_MAX);
		err = fs_begin(&t->fs);
		if (err == 0)
			err = data_truncate(&t->fs, ip, 0);
		if (err == 0)
			inode_changed(&t->fs, ip);
	}
	return err;
}

static long open_walked(struct tree *t, struct fs_request *r, const struct fs_open *o,
			struct walk *w)
{
	struct inode *ip;
	struct hold *h;
	long err;

	if ((o->flags & O_CREAT) && w->slash)
		return -EISDIR;
	if (w->ip) {
		err = open_found(t, r, o, w->ip);
		ip = inode_ref(w->ip);
	} else {
		err = fs_begin(&t->fs);
		if (err < 0)
			return err;
		err = op_create(t, w, S_IFREG | (o->mode & 07777), o->cred, NULL, &ip);
		if (err < 0)
			return err;
	}
	if (err == 0)
		err = op_canonical(r, w);
	if (err == 0)
		err = hold_new(&t->holds, ip, o->flags, o->owner, &h);
	if (err == 0)
		opened(t, h, r);
	inode_put(&t->fs, ip);
	return err;
}

long op_open(struct tree *t, struct fs_request *r)
{
	struct fs_open o = FS_BODY(r, struct fs_open);
	struct walk w;
	unsigned flags = WALK_FOLLOW;

	if (o.owner != r->sender)
		return -EINVAL;
	if (o.flags & LINUX_O_TMPFILE)
		return -EOPNOTSUPP;
	if (o.flags & LINUX_O_PATH)
		o.flags &= LINUX_O_PATH | O_DIRECTORY | O_NOFOLLOW;
	if ((o.flags & O_CREAT) && (o.flags & O_DIRECTORY))
		return -EINVAL;
	if ((o.flags & O_NOFOLLOW) || ((o.flags & O_CREAT) && (o.flags & O_EXCL)))
		flags = 0;
	if (o.flags & O_CREAT)
		flags |= WALK_PARENT | WALK_LAST;
	long err = op_walk(t, r, o.cred, flags, &w);

	if (err == 0) {
		err = open_walked(t, r, &o, &w);
		walk_end(&t->fs, &w);
	}
	return err;
}

long op_end(struct tree *t, struct fs_request *r)
{
	return t->end ? t->end(t, r) : -ENOSYS;
}

/* Never fails: a hold that is not there is as closed as can be. */
long op_close(struct tree *t, struct fs_request *r)
{
	struct fs_hold_req q = FS_BODY(r, struct fs_hold_req);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	if (q.hold & FS_END_BIT)
		return op_end(t, r);
	if (h) {
		if (h->ip->d.i_links_count == 0)
			fs_begin(&t->fs); /* if the disk is gone, the close still counts */
		if (hold_disown(&t->holds, h, q.owner) < 0)
			fs_log("an unlinked file could not be freed at its close");
	}
	return 0;
}

long op_adopt(struct tree *t, struct fs_request *r)
{
	struct fs_adopt q = FS_BODY(r, struct fs_adopt);
	struct hold *h = hold_find(&t->holds, q.hold, 0);

	if (!h && !(q.hold & FS_END_BIT))
		return -ESTALE;
	if (q.owner != t->fs.node && !holds_node_seen(&t->holds, q.owner, q.owner_incarnation))
		return -ESTALE; /* an earlier life of that node */
	if (q.hold & FS_END_BIT)
		return op_end(t, r);
	h = hold_find(&t->holds, q.hold, 0); /* seeing a new life of a node may have ended it */
	if (!h)
		return -ESTALE;
	int err = hold_add_owner(h, q.owner);

	if (err == 0)
		opened(t, h, r);
	return err;
}

long op_bind(struct tree *t, struct fs_request *r)
{
	struct fs_hold_req q = FS_BODY(r, struct fs_hold_req);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	if (!h)
		return -ESTALE;
	opened(t, h, r);
	return 0;
}

long op_flock(struct tree *t, struct fs_request *r)
{
	struct fs_hold_set q = FS_BODY(r, struct fs_hold_set);
	struct hold *h = op_hold(t, r, q.hold, q.owner);

	return h ? hold_lock(&t->holds, h, q.op) : -ESTALE;
}

long op_lock(struct tree *t, struct fs_request *r)
{
	struct fs_lock *q = WH_BODY(&r->msg, struct fs_lock);
	struct hold *h = op_hold(t, r, q->hold, q->owner);

	if (!h)
		return -ESTALE;
	if (q->type > FS_LOCK_NONE || q->start > q->end)
		return -EINVAL;
	if (q->test) {
		record_test(h, q);
		return 0;
	}
	return record_set(&t->holds, h, q);
}
