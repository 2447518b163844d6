/* SPDX-License-Identifier: MIT */
/* Open files that stay at home, as the file server uses them for other nodes. See ends.h. */
#include "ends.h"
#include "fs.h"
#include "ipc.h"
#include "proc.h"
#include "signal.h"
#include "tty.h"
#include "usercopy.h"

struct end {
	struct list link;
	u64 number;
	struct ofile *f; /* a reference if `used`; else f's last reference ends this entry */
	bool used;
};
static struct list ends = LIST_INIT(ends);
static u64 used_ends;
static const struct fs_end *asker;

const struct fs_end *end_asker(void)
{
	/* While it is executed the file server may have to wait for a page: then others run. */
	return current->service == WH_SVC_FILE ? asker : NULL;
}

u64 counters_ends(void)
{
	return used_ends;
}

static bool is_stream(const struct ofile *f)
{
	return f->ops->cls == CLASS_PIPE || tty_of_file(f);
}

bool end_possible(const struct ofile *f)
{
	return is_stream(f) || f->ops == &regular_ops;
}

bool end_stays(const struct ofile *f, u32 own)
{
	if (f->end || !end_possible(f))
		return false;
	return is_stream(f) || f->refs > own;
}

void end_settle(struct ofile *f, u32 own)
{
	if (!f->home->used && !end_stays(f, own))
		end_forget(f);
}

u64 end_number(struct ofile *f)
{
	static u32 serial;
	if (f->home)
		return f->home->number;
	struct end *e = kmalloc(sizeof *e);
	if (!e)
		return 0;
	/* Not the number of an end of an earlier life of this node. */
	e->number = FS_END_BIT | (node_id.incarnation & 0x7fffffff) << 32 | ++serial;
	e->f = f;
	f->home = e;
	list_push_back(&ends, &e->link);
	return e->number;
}

static struct end *find(u64 number)
{
	list_for_each(e, &ends, struct end, link)
		if (e->number == number)
			return e;
	return NULL;
}

struct ofile *end_find(u64 number)
{
	struct end *e = find(number);
	return e ? e->f : NULL;
}

void end_forget(struct ofile *f)
{
	list_remove(&f->home->link);
	kfree(f->home);
	f->home = NULL;
}

/* ---- what is asked for from afar: with the file server as `current`, its memory as the user's, and without waiting ---- */

static i64 take_offset(struct ofile *f, u64 n, u64 *old)
{
	*old = f->offset;
	if (n > ~0ull >> 1 || f->offset + n > ~0ull >> 1)
		return -EFBIG;
	f->offset += n;
	return 0;
}

static i64 swap_offset(struct ofile *f, u64 from, u64 to)
{
	if (f->offset != from)
		return -EAGAIN;
	if (to >> 63)
		return -EINVAL;
	f->offset = to;
	return 0;
}

static i64 do_stream(struct ofile *f, const struct fs_end *q, u64 ubuf, u64 len, u32 *ready)
{
	switch (q->op) {
	case FS_END_READ:
		return f->ops->read ? f->ops->read(f, ubuf, len) : -EBADF;
	case FS_END_WRITE:
		return f->ops->write ? f->ops->write(f, ubuf, len) : -EBADF;
	case FS_END_IOCTL:
		return f->ops->ioctl ? f->ops->ioctl(f, q->cmd, len ? ubuf : q->a) : -ENOTTY;
	case FS_END_READY:
		*ready = f->ops->poll(f, NULL) & q->cmd;
		return 0;
	default:
		return -EINVAL;
	}
}

static i64 do_offset(struct ofile *f, const struct fs_end *q, u64 *value)
{
	switch (q->op) {
	case FS_END_TELL:
		*value = f->offset;
		return 0;
	case FS_END_TAKE:
		return take_offset(f, q->a, value);
	case FS_END_SWAP:
		return swap_offset(f, q->a, q->b);
	case FS_END_SEEK:
		return swap_offset(f, f->offset, q->a);
	default:
		return -EINVAL;
	}
}

static i64 use(struct end *e, bool on)
{
	if (e->used == on)
		return 0;
	e->used = on;
	if (on) {
		used_ends++;
		ofile_ref(e->f);
	} else {
		used_ends--;
		ofile_put(e->f); /* perhaps the last */
	}
	return 0;
}

static i64 execute(struct end *e, const struct fs_end *q, u64 ubuf, u64 len, struct fs_end_done *d)
{
	const u32 settable = O_NONBLOCK | O_APPEND;
	struct ofile *f = e->f;
	i64 r = 0;

	if (q->op == FS_END_HOLD || q->op == FS_END_DROP)
		return use(e, q->op == FS_END_HOLD);
	if (q->op == FS_END_FLAGS)
		f->flags =
			(f->flags & ~((u32)q->a & settable)) | ((u32)q->b & (u32)q->a & settable);
	else if (is_stream(f))
		r = do_stream(f, q, ubuf, len, &d->ready);
	else
		r = do_offset(f, q, &d->value);
	d->flags = f->flags & settable;
	return r;
}

/* message, bulk, its length */
i64 wh_sys_end(const u64 *arg)
{
	struct wh_msg m;
	struct fs_end_done d = {0};

	if (current->service != WH_SVC_FILE)
		return -EPERM;
	if (arg[2] > FS_END_IO_MAX)
		return -EINVAL;
	if (copy_from_user(&m, arg[0], sizeof m))
		return -EFAULT;
	if (m.type == FS_SIGNAL)
		return signal_from_afar(WH_BODY(&m, struct fs_signal));
	if (m.type == FS_CHILD)
		return signal_child_afar(WH_BODY(&m, struct fs_child));
	struct fs_end q = *WH_BODY(&m, struct fs_end);
	struct end *e = find(q.hold);
	if (!e)
		return -ESTALE;
	asker = &q;
	i64 r = execute(e, &q, arg[1], arg[2], &d);
	asker = NULL;
	*WH_BODY(&m, struct fs_end_done) = d;
	return copy_to_user(arg[0], &m, sizeof m) ? -EFAULT : r;
}
