/* SPDX-License-Identifier: MIT */
/*
 * Class File, locks: flock() of a whole file, which belongs to the open file; fcntl()'s of ranges of bytes, which belong
 * to a process. Both are kept by the file's custodian with the hold through which they were taken, so they outlive a
 * move of their owner: a process's pid is the same on every node. What travels is only the list of files on which it
 * has record locks, for its next close.
 *
 * The custodian never lets a request wait. Who waits for a lock asks again: when this node's file server says that one
 * became free (wh_lock_freed), and for another node's files every now and then.
 */
#include "ends.h"
#include "fs.h"
#include "ipc.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

#define ASK_LOCAL_NS  (1000ull * 1000 * 1000) /* we are told: only should that be lost */
#define ASK_REMOTE_NS (20ull * 1000 * 1000)
#define OFFSET_MAX    0x7fffffffffffffffull

static struct waitq lock_wait = WAITQ_INIT(lock_wait);
static u64 freed; /* how often wh_lock_freed was called */

i64 wh_sys_lock_freed(const u64 *arg)
{
	(void)arg;
	if (current->service != WH_SVC_FILE)
		return -EPERM;
	freed++;
	wake_all(&lock_wait);
	return 0;
}

/* Until it is worth asking again. `since`: `freed` before the last try. 0 or -ERESTARTSYS. */
static i64 wait_for_lock(const struct fobj *f, u64 since)
{
	if (f->tree == node_id.node && freed != since)
		return 0;
	u64 patience = f->tree == node_id.node ? ASK_LOCAL_NS : ASK_REMOTE_NS;
	return wait_on(&lock_wait, now_ns() + patience, true) == -EINTR ? -ERESTARTSYS : 0;
}

/* ---- flock ---- */

i64 sys_flock(const u64 *arg)
{
	int fd = (int)arg[0];
	struct ofile *f = fd_get(current, fd);
	u32 op = (u32)arg[1] & ~LOCK_NB;
	i64 r;
	if (!f)
		return -EBADF;
	if ((op != LOCK_SH && op != LOCK_EX && op != LOCK_UN) || !f->fobj)
		return -EINVAL;
	ofile_ref(f);
	for (;;) {
		struct fs_hold_set set = {.op = op};
		f->fobj->lone = false;
		struct wh_msg m;
		u64 since = freed;
		r = MIN(fobj_request(f->fobj, FS_FLOCK, &set, &m), 0);
		if (r != -EWOULDBLOCK || arg[1] & LOCK_NB)
			break;
		r = wait_for_lock(f->fobj, since);
		if (r)
			break;
	}
	if (r == 0)
		f->locked = op == LOCK_UN ? 0 : op;
	ofile_put(f);
	if (r != -ERESTARTSYS)
		fview_note(fd, V_flock, r);
	return r;
}

/* ---- record locks ---- */

static bool same_file(const struct flocked *x, const struct fobj *f)
{
	return x->tree == f->tree && x->ino == f->attr.ino && x->gen == f->attr.gen;
}

/* Before the custodian is asked: afterwards it may not fail. 0 or -ENOLCK. */
static i64 remember(struct ublock *u, const struct fobj *f)
{
	for (u32 i = 0; i < u->nflocked; i++)
		if (same_file(&u->flocked[i], f))
			return 0;
	if (u->nflocked == FLOCKED_MAX)
		return -ENOLCK;
	struct flocked *more = kmalloc((u->nflocked + 1) * sizeof *more);
	if (!more)
		return -ENOLCK;
	memcpy(more, u->flocked, u->nflocked * sizeof *more);
	more[u->nflocked++] =
		(struct flocked){.tree = f->tree, .gen = f->attr.gen, .ino = f->attr.ino};
	kfree(u->flocked);
	u->flocked = more;
	return 0;
}

/* Bytes [*start, *end] of a struct flock. */
static i64 range_of(struct ofile *f, const struct linux_flock *l, u64 *start, u64 *end)
{
	i64 err = l->l_whence == SEEK_CUR && f->end ? far_tell(f, &f->offset) : 0;
	if (err)
		return err;
	i64 from = l->l_whence == SEEK_SET   ? 0
		   : l->l_whence == SEEK_CUR ? (i64)f->offset
		   : l->l_whence == SEEK_END ? (i64)f->fobj->attr.size
					     : -1;
	i64 last = (i64)OFFSET_MAX;
	if (from < 0)
		return -EINVAL;
	if (l->l_start > 0 && from > (i64)OFFSET_MAX - l->l_start)
		return -EOVERFLOW;
	from += l->l_start;
	if (from < 0)
		return -EINVAL;
	if (l->l_len > 0) {
		if (l->l_len - 1 > (i64)OFFSET_MAX - from)
			return -EOVERFLOW;
		last = from + l->l_len - 1;
	} else if (l->l_len < 0) {
		if (from + l->l_len < 0)
			return -EINVAL;
		last = from - 1;
		from += l->l_len;
	}
	*start = (u64)from;
	*end = (u64)last;
	return 0;
}

/* One try. The answer is left in *q. */
static i64 ask(struct fobj *f, struct fs_lock *q)
{
	struct wh_msg m = {.type = FS_LOCK};
	int err = fobj_bind(f);
	if (err)
		return err;
	f->lone = false;
	q->tree = f->tree;
	q->owner = node_id.node;
	q->hold = f->hold;
	*WH_BODY(&m, struct fs_lock) = *q;
	i64 r = fs_call(&m, NULL, 0, WH_BULK_NONE);
	if (r >= 0)
		*q = *WH_BODY(&m, struct fs_lock);
	return r;
}

static i64 test_lock(struct ofile *f, struct linux_flock *l, struct fs_lock *q, u64 uaddr)
{
	q->test = 1;
	i64 r = ask(f->fobj, q);
	if (r < 0)
		return r;
	l->l_type = (short)q->type;
	if (q->type != FS_LOCK_NONE) {
		l->l_whence = SEEK_SET;
		l->l_start = (i64)q->start;
		l->l_len = q->end == OFFSET_MAX ? 0 : (i64)(q->end - q->start + 1);
		l->l_pid = q->pid;
	}
	return copy_to_user(uaddr, l, sizeof *l) < 0 ? -EFAULT : 0;
}

static i64 set_lock(struct ofile *f, const struct fs_lock *want, bool wait)
{
	u32 mode = f->flags & O_ACCMODE;
	if ((want->type == FS_LOCK_READ && mode == O_WRONLY) ||
	    (want->type == FS_LOCK_WRITE && mode == O_RDONLY))
		return -EBADF;
	for (;;) {
		struct fs_lock q = *want;
		u64 since = freed;
		i64 r = q.who & FS_LOCK_BY_FILE ? 0 : remember(current->u, f->fobj);
		if (!r)
			r = MIN(ask(f->fobj, &q), 0);
		if (r != -EAGAIN || !wait)
			return r;
		r = wait_for_lock(f->fobj, since);
		if (r)
			return r;
	}
}

i64 file_record_lock(struct ofile *f, int cmd, u64 uaddr)
{
	bool by_file = cmd >= F_OFD_GETLK, test = cmd == F_GETLK || cmd == F_OFD_GETLK;
	struct linux_flock l;
	if (copy_from_user(&l, uaddr, sizeof l) < 0)
		return -EFAULT;
	if (f->ops != &regular_ops)
		return f->flags & O_PATH ? -EBADF : -EINVAL;
	if (by_file && l.l_pid)
		return -EINVAL;
	if ((u32)l.l_type > FS_LOCK_NONE || (test && l.l_type == FS_LOCK_NONE))
		return -EINVAL;
	struct fs_lock q = {.who = (u64)current->pid, .type = (u32)l.l_type, .pid = current->pid};
	if (by_file) {
		q.who = FS_LOCK_BY_FILE | f->fobj->hold;
		q.pid = -1;
	}
	i64 r = range_of(f, &l, &q.start, &q.end);
	if (r)
		return r;
	ofile_ref(f);
	r = test ? test_lock(f, &l, &q, uaddr)
		 : set_lock(f, &q, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
	ofile_put(f);
	return r;
}

void file_lock_closed(struct proc *p, const struct ofile *f)
{
	struct ublock *u = p->u;
	if (!u->nflocked || !f->fobj)
		return;
	for (u32 i = 0; i < u->nflocked; i++) {
		if (!same_file(&u->flocked[i], f->fobj))
			continue;
		u->flocked[i] = u->flocked[--u->nflocked];
		struct wh_msg m = {.type = FS_LOCK};
		*WH_BODY(&m, struct fs_lock) = (struct fs_lock){.tree = f->fobj->tree,
								.owner = node_id.node,
								.hold = f->fobj->hold,
								.who = (u64)p->pid,
								.end = OFFSET_MAX,
								.type = FS_LOCK_NONE};
		int err = ipc_post(WH_SVC_FILE, &m);
		if (err)
			klog("file: record locks of %s were not released: error %d", f->fobj->path,
			     -err);
		return;
	}
}
