/* SPDX-License-Identifier: MIT */
/*
 * Far descriptions: what a process holds of an open file that stayed at its home node (ends.h). An operation is one request to the
 * file server, which forwards it, exactly once, to the home node's. There it never waits: a process that must wait does
 * so here, interruptibly, with nothing under way, so that a signal or a freeze that ends the wait loses nothing. It asks
 * FS_END_POLL, which has the home node send news once (wh_end_news), and sleeps; news can be lost with a connection, so
 * it asks again after a while. A dead home node answers EIO.
 */
#include "ends.h"
#include "fs.h"
#include "ipc.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

#define ASK_AGAIN_NS (1000 * 1000000ull)
#define STOPPING_NS                                                                                \
	(50 * 1000000ull) /* a background access: the signal that stops us is on its way */

static i64 ask(struct fobj *end, u32 op, u32 cmd, u64 a, u64 b, void *kbuf, size_t len,
	       struct fs_end_done *d)
{
	const struct unames *me = &current->u->names;
	struct wh_msg m = {.type = op == FS_END_READY ? FS_END_POLL : FS_END};
	*WH_BODY(&m, struct fs_end) = (struct fs_end){
		.tree = end->tree,
		.owner = node_id.node,
		.hold = end->hold,
		.op = op,
		.cmd = cmd,
		.a = a,
		.b = b,
		.pid = me->pid,
		.pgid = me->pgid,
		.sid = me->sid,
		.deaf = signal_is_deaf(current_thread, SIGTTIN) |
			signal_is_deaf(current_thread, SIGTTOU) << 1,
	};
	u32 bulk = op == FS_END_READ	? WH_BULK_OUT
		   : op == FS_END_WRITE ? WH_BULK_IN
		   : op == FS_END_IOCTL ? WH_BULK_IN | WH_BULK_OUT
					: WH_BULK_NONE;
	i64 r = fs_call(&m, kbuf, len, len ? bulk : WH_BULK_NONE);
	*d = *WH_BODY(&m, struct fs_end_done);
	/* Home in another life knows no such end. */
	return r > (i64)len || r == -ESTALE ? -EIO : r;
}

/* Wait until the end may be ready for any of `events`: 0, perhaps too early; -ERESTARTSYS; or -errno. */
static i64 await(struct fobj *end, u32 events)
{
	struct fs_end_done d;
	u32 before = end->news;
	i64 r = ask(end, FS_END_READY, events | POLLERR | POLLHUP, 0, 0, NULL, 0, &d);
	if (r < 0)
		return r;
	if (d.ready || end->news != before)
		return 0;
	return wait_on(&end->ready, now_ns() + ASK_AGAIN_NS, true) == -EINTR ? -ERESTARTSYS : 0;
}

/* The home node has just sent this process the signal that stops a background access. */
static i64 about_to_stop(struct fobj *end)
{
	wait_on(&end->ready, now_ns() + STOPPING_NS, true);
	return -ERESTARTSYS;
}

/* ---- pipes and terminals ---- */

static i64 stream_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct fs_end_done d;
	i64 r;
	len = MIN(len, FS_END_IO_MAX);
	void *buf = kmalloc(len);
	if (!buf)
		return -ENOMEM;
	do {
		r = ask(f->end, FS_END_READ, 0, 0, 0, buf, len, &d);
		if (r != -EAGAIN || d.flags & O_NONBLOCK)
			break;
		r = await(f->end, POLLIN);
	} while (r == 0);
	if (r > 0 && copy_to_user(ubuf, buf, (size_t)r))
		r = -EFAULT;
	kfree(buf);
	return r == -ERESTARTSYS ? about_to_stop(f->end) : r;
}

/* One piece of a write, waiting until some of it has gone. */
static i64 write_piece(struct ofile *f, void *buf, size_t len)
{
	struct fs_end_done d;
	i64 r;
	do {
		r = ask(f->end, FS_END_WRITE, 0, 0, 0, buf, len, &d);
		if (r == -ERESTARTSYS)
			return about_to_stop(f->end);
		if (r != -EAGAIN || d.flags & O_NONBLOCK)
			break;
		r = await(f->end, POLLOUT);
	} while (r == 0);
	return r;
}

static i64 stream_write(struct ofile *f, u64 ubuf, size_t len)
{
	size_t done = signal_resumed(), cap = MIN(len, FS_END_IO_MAX);
	void *buf = kmalloc(cap);
	i64 r = buf ? 0 : -ENOMEM;
	while (r >= 0 && done < len) {
		size_t n = MIN(len - done, cap);
		r = copy_from_user(buf, ubuf + done, n);
		if (r == 0)
			r = write_piece(f, buf, n);
		if (r > 0)
			done += (size_t)r;
	}
	kfree(buf);
	if (r == -ERESTARTSYS)
		return signal_interrupted(done);
	if (r == -EPIPE)
		signal_send(current, SIGPIPE, SI_USER, current->pid);
	return done || r >= 0 ? (i64)done : r;
}

/* What an ioctl's argument points at; size 0: it is a number. */
static u32 ioctl_size(u32 cmd)
{
	enum { TERMIOS = 36, WINSIZE = 8, NUMBER = 4 };
	switch (cmd) {
	case 0x5401: /* TCGETS, TCSETS, TCSETSW, TCSETSF */
	case 0x5402:
	case 0x5403:
	case 0x5404:
		return TERMIOS;
	case 0x5413: /* TIOCGWINSZ, TIOCSWINSZ */
	case 0x5414:
		return WINSIZE;
	case 0x540f: /* TIOCGPGRP, TIOCSPGRP, TIOCOUTQ, FIONREAD, TIOCGSID */
	case 0x5410:
	case 0x5411:
	case 0x541b:
	case 0x5429:
		return NUMBER;
	default:
		return 0;
	}
}

static i64 stream_ioctl(struct ofile *f, u32 cmd, u64 arg)
{
	struct fs_end_done d;
	u8 buf[64] = {0};
	u32 size = ioctl_size(cmd);
	if (size && copy_from_user(buf, arg, size))
		return -EFAULT;
	i64 r = ask(f->end, FS_END_IOCTL, cmd, arg, 0, size ? buf : NULL, size, &d);
	if (r >= 0 && size && copy_to_user(arg, buf, size))
		return -EFAULT;
	return r == -ERESTARTSYS ? about_to_stop(f->end) : r;
}

static u32 stream_poll(struct ofile *f, struct pollreq *pr)
{
	u32 events = 0;
	struct fs_end_done d;
	if (pr)
		poll_register(pr, &f->end->ready);
	if ((f->flags & O_ACCMODE) != O_WRONLY)
		events |= POLLIN | POLLRDNORM;
	if ((f->flags & O_ACCMODE) != O_RDONLY)
		events |= POLLOUT | POLLWRNORM;
	i64 r = ask(f->end, FS_END_READY, events | POLLERR | POLLHUP, 0, 0, NULL, 0, &d);
	return r < 0 ? POLLERR | POLLIN | POLLOUT : d.ready;
}

static i64 stream_lseek(struct ofile *f, i64 off, int whence)
{
	(void)f, (void)off, (void)whence;
	return -ESPIPE;
}

static int stream_stat(struct ofile *f, struct fs_attr *a)
{
	*a = f->end->attr;
	return 0;
}

#define STREAM(kind_, CLASS_)                                                                      \
	{                                                                                          \
		.kind = kind_, .cls = CLASS_, .movable = true, .read = stream_read,                \
		.write = stream_write, .lseek = stream_lseek, .ioctl = stream_ioctl,               \
		.poll = stream_poll, .stat = stream_stat                                           \
	}
static const struct ofile_ops pipe_ops = STREAM("pipe", CLASS_PIPE);
static const struct ofile_ops tty_ops = STREAM("tty", CLASS_TTY);

struct ofile *far_open(struct fobj *end, u32 flags)
{
	bool tty = (end->attr.mode & S_IFMT) == S_IFCHR;
	struct ofile *f = ofile_new(tty ? &tty_ops : &pipe_ops, flags);
	if (f)
		f->end = end;
	else
		fobj_put(end);
	return f;
}

struct ofile *far_terminal(u32 rdev)
{
	for (int fd = 0; fd < NOFILE; fd++) {
		struct ofile *f = current->u->ofile[fd];
		if (f && f->ops == &tty_ops && f->end->attr.rdev == rdev)
			return f;
	}
	return NULL;
}

i64 far_flags(struct ofile *f, u32 mask, u32 set)
{
	struct fs_end_done d;
	i64 r = ask(f->end, FS_END_FLAGS, 0, mask, set, NULL, 0, &d);
	if (r < 0)
		return r;
	f->flags = (f->flags & ~(O_NONBLOCK | O_APPEND)) | d.flags;
	return d.flags;
}

/* ---- files whose offset is at home ---- */

i64 far_tell(struct ofile *f, u64 *off)
{
	struct fs_end_done d;
	i64 r = ask(f->end, FS_END_TELL, 0, 0, 0, NULL, 0, &d);
	*off = d.value;
	return r;
}

i64 far_seek(struct ofile *f, u64 off)
{
	struct fs_end_done d;
	return ask(f->end, FS_END_SEEK, 0, off, 0, NULL, 0, &d);
}

/* The bytes between two values of the offset are ours if it was still the first when it became the second. */
i64 far_read(struct ofile *f, const struct linux_iovec *v, u32 n)
{
	struct fs_end_done d;
	for (;;) {
		u64 off, from;
		i64 r = far_tell(f, &from);
		if (r < 0)
			return r;
		off = from;
		i64 got = regular_readv(f, v, n, &off);
		if (got <= 0)
			return got;
		r = ask(f->end, FS_END_SWAP, 0, from, off, NULL, 0, &d);
		if (r != -EAGAIN)
			return r < 0 ? r : got;
	}
}

i64 far_write(struct ofile *f, const struct linux_iovec *v, u32 n)
{
	struct fs_end_done d;
	u64 sum = 0, off = 0;
	for (u32 i = 0; i < n; i++)
		sum += v[i].len;
	sum = MIN(sum, (u64)RW_MAX);
	if (!(f->flags & O_ACCMODE))
		return -EBADF;
	if (!sum)
		return 0;
	/* Nobody else writes where we are going to. */
	i64 r = ask(f->end, FS_END_TAKE, 0, f->flags & O_APPEND ? 0 : sum, 0, NULL, 0, &d);
	if (r < 0)
		return r;
	f->flags = (f->flags & ~O_APPEND) | (d.flags & O_APPEND);
	u64 from = off = d.value;
	i64 put = regular_writev(f, v, n, &off);
	if (f->flags & O_APPEND)
		far_seek(f, off);
	else if (put < (i64)sum) /* give back what was not written, if nobody came after us */
		ask(f->end, FS_END_SWAP, 0, from + sum, from + (u64)MAX(put, 0l), NULL, 0, &d);
	return put;
}

/* ---- news ---- */

/* node, hold; 0: all of that node */
i64 wh_sys_end_news(const u64 *arg)
{
	if (current->service != WH_SVC_FILE)
		return -EPERM;
	list_for_each(f, &all_fobjs, struct fobj, link) {
		if (f->tree != arg[0] || !(f->hold & FS_END_BIT) || (arg[1] && f->hold != arg[1]))
			continue;
		f->news++;
		poll_wake(&f->ready);
	}
	return 0;
}
