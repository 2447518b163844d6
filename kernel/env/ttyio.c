/* SPDX-License-Identifier: MIT */
/*
 * Class Tty: reading, writing and asking a terminal, whatever its device (tty.h). Job control is asked first, in tty.c.
 */
#include "ends.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "tty.h"
#include "usercopy.h"

#define TCGETS	   0x5401
#define TCSETS	   0x5402
#define TCSETSW	   0x5403
#define TCSETSF	   0x5404
#define TCSBRK	   0x5409
#define TCXONC	   0x540a
#define TCFLSH	   0x540b
#define TIOCSCTTY  0x540e
#define TIOCGPGRP  0x540f
#define TIOCSPGRP  0x5410
#define TIOCOUTQ   0x5411
#define TIOCGWINSZ 0x5413
#define TIOCSWINSZ 0x5414
#define FIONREAD   0x541b
#define TIOCNOTTY  0x5422
#define TIOCGSID   0x5429

#define VTIME_UNIT_NS 100000000ull

static void remember_server(struct tty *t)
{
	if (current->privileged && current->service)
		t->servers |= 1u << current->service;
}

/* ---- reading ---- */

/* Wait until a read has something to return: 0, or -errno. VMIN and VTIME as termios(3) says. */
static i64 await_input(struct tty *tty, const struct ofile *f, size_t len)
{
	u64 since = now_ns();
	u32 before = ldisc_available(&tty->ld);
	for (bool waited = false;; waited = true) {
		if (tty->hung)
			return waited ? -EIO : 0;
		i64 r = tty_check_background(tty, SIGTTIN);
		if (r < 0)
			return r;
		const struct ktermios *t = &tty->ld.t;
		bool canonical = t->lflag & ICANON;
		u32 min = canonical ? 1 : t->cc[VMIN], there = ldisc_available(&tty->ld);
		if (there >= MIN((size_t)min, len) && (there || !min) &&
		    (min || there || !t->cc[VTIME]))
			return 0;
		if (tty_never_waits(f))
			return there ? 0 : -EAGAIN;
		if (there != before) {
			since = now_ns();
			before = there;
		}
		bool timed = !canonical && t->cc[VTIME] && (min == 0 || there);
		int w = wait_on(&tty->read_wait,
				timed ? since + t->cc[VTIME] * VTIME_UNIT_NS : NO_DEADLINE, true);
		if (w == -EINTR)
			return -ERESTARTSYS;
		if (w == -ETIMEDOUT && ldisc_available(&tty->ld) == there)
			return 0;
	}
}

static i64 tty_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct tty *tty = f->data;
	u8 small[128], *buf = small;
	remember_server(tty);
	if (len == 0)
		return 0;
	i64 r = await_input(tty, f, len);
	if (r < 0 || tty->hung)
		return r;
	len = MIN(len, (size_t)LDISC_INPUT);
	if (len > sizeof small && !(buf = kmalloc(len)))
		return -ENOMEM;
	size_t n = ldisc_read(&tty->ld, buf, len);
	if (tty->dev->was_read)
		tty->dev->was_read(tty);
	r = copy_to_user(ubuf, buf, n) < 0 ? -EFAULT : (i64)n;
	if (buf != small)
		kfree(buf);
	return r;
}

/* ---- writing ---- */

static u32 room(struct tty *tty)
{
	return tty->dev->room(tty) / LDISC_EXPANSION;
}

static i64 tty_write(struct ofile *f, u64 ubuf, size_t len)
{
	struct tty *tty = f->data;
	u8 buf[256];
	size_t done = signal_resumed();
	if (tty->ld.t.lflag & TOSTOP) {
		i64 r = tty_check_background(tty, SIGTTOU);
		if (r < 0)
			return r;
	}
	while (done < len) {
		if (tty->hung)
			return done ? (i64)done : -EIO;
		if (!room(tty)) {
			if (tty_never_waits(f))
				return done ? (i64)done : -EAGAIN;
			if (wait_on(&tty->write_wait, NO_DEADLINE, true) == -EINTR)
				return signal_interrupted(done);
			continue;
		}
		size_t n = MIN(len - done, sizeof buf);
		if (copy_from_user(buf, ubuf + done, n) < 0)
			return done ? (i64)done : -EFAULT;
		n = MIN(n, (size_t)room(tty)); /* another may have written during the copy */
		for (size_t i = 0; i < n; i++)
			ldisc_output(&tty->ld, buf[i]);
		done += n;
		if (tty->dev->was_written)
			tty->dev->was_written(tty);
	}
	return (i64)done;
}

/* Output that was written is on its way before the call returns. */
static i64 drain(struct tty *tty)
{
	while (tty->dev->unsent(tty) && !end_asker())
		if (wait_on(&tty->write_wait, now_ns() + VTIME_UNIT_NS, true) == -EINTR)
			return -ERESTARTSYS;
	return 0;
}

/* ---- ioctl ---- */

static i64 set_termios(struct tty *tty, u32 cmd, u64 arg)
{
	struct ktermios t;
	i64 r = tty_check_background(tty, SIGTTOU);
	if (r == 0 && copy_from_user(&t, arg, sizeof t) < 0)
		r = -EFAULT;
	if (r == 0 && cmd != TCSETS)
		r = drain(tty);
	if (r < 0)
		return r;
	if (cmd == TCSETSF)
		ldisc_flush_input(&tty->ld);
	ldisc_set(&tty->ld, &t);
	poll_wake(&tty->read_wait); /* the other mode may find something readable */
	if (tty->dev->was_read)
		tty->dev->was_read(tty); /* and have room */
	return 0;
}

static i64 set_size(struct tty *tty, u64 arg)
{
	struct winsize w;
	if (copy_from_user(&w, arg, sizeof w) < 0)
		return -EFAULT;
	bool changed = memcmp(&w, &tty->size, sizeof w) != 0;
	tty->size = w;
	if (changed && tty->pgid)
		signal_group(tty->pgid, SIGWINCH, SI_KERNEL, 0);
	return 0;
}

static i64 flush(struct tty *tty, u64 what)
{
	if (what > 2)
		return -EINVAL;
	if (what != 1) {
		ldisc_flush_input(&tty->ld);
		if (tty->dev->was_read)
			tty->dev->was_read(tty);
	}
	if (what != 0) {
		tty->dev->drop(tty);
		poll_wake(&tty->write_wait);
	}
	return 0;
}

static i64 give_number(u64 arg, i32 value)
{
	return copy_to_user(arg, &value, sizeof value);
}

i64 tty_ioctl_common(struct tty *tty, u32 cmd, u64 arg)
{
	switch (cmd) {
	case TCGETS:
		return copy_to_user(arg, &tty->ld.t, sizeof tty->ld.t);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_termios(tty, cmd, arg);
	case TCXONC:
		return 0; /* there is no flow control to start or stop */
	case TIOCGWINSZ:
		return copy_to_user(arg, &tty->size, sizeof tty->size);
	case TIOCSWINSZ:
		return set_size(tty, arg);
	default:
		return -ENOTTY;
	}
}

static i64 set_foreground(struct tty *tty, u64 arg)
{
	i32 pgid;
	if (copy_from_user(&pgid, arg, sizeof pgid) < 0)
		return -EFAULT;
	return tty_set_foreground(tty, pgid);
}

static i64 tty_ioctl(struct ofile *f, u32 cmd, u64 arg)
{
	struct tty *tty = f->data;
	if (tty->hung)
		return -EIO;
	switch (cmd) {
	case TCSBRK:
		return drain(tty);
	case TCFLSH:
		return flush(tty, arg);
	case TIOCSCTTY:
		return tty_set_controlling(tty, arg);
	case TIOCNOTTY:
		return tty_give_up(tty);
	case TIOCGPGRP:
		return tty_is_mine(tty) ? give_number(arg, tty->pgid) : -ENOTTY;
	case TIOCSPGRP:
		return set_foreground(tty, arg);
	case TIOCGSID:
		return tty_is_mine(tty) ? give_number(arg, tty->sid) : -ENOTTY;
	case FIONREAD:
		return give_number(arg, (i32)ldisc_available(&tty->ld));
	case TIOCOUTQ:
		return give_number(arg, (i32)tty->dev->unsent(tty));
	default:
		return tty_ioctl_common(tty, cmd, arg);
	}
}

/* ---- the rest of an open file ---- */

static u32 tty_poll(struct ofile *f, struct pollreq *pr)
{
	struct tty *tty = f->data;
	remember_server(tty);
	if (pr) {
		poll_register(pr, &tty->read_wait);
		poll_register(pr, &tty->write_wait);
	}
	if (tty->hung)
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
	return (ldisc_readable(&tty->ld) ? POLLIN | POLLRDNORM : 0) |
	       (room(tty) > 1 ? POLLOUT | POLLWRNORM : 0);
}

static i64 tty_lseek(struct ofile *f, i64 off, int whence)
{
	(void)f, (void)off, (void)whence;
	return -ESPIPE;
}

static int tty_stat(struct ofile *f, struct fs_attr *a)
{
	struct tty *tty = f->data;
	return tty->dev->stat(tty, a);
}

static void tty_closed(struct ofile *f)
{
	struct tty *tty = f->data;
	if (tty->dev->closed)
		tty->dev->closed(tty);
}

const struct ofile_ops tty_ops = {
	.kind = "tty",
	.cls = CLASS_TTY,
	.movable = false,
	.read = tty_read,
	.write = tty_write,
	.lseek = tty_lseek,
	.ioctl = tty_ioctl,
	.poll = tty_poll,
	.stat = tty_stat,
	.release = tty_closed,
};
