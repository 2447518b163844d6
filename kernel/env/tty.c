/* SPDX-License-Identifier: MIT */
/*
 * Class Tty: the node's console on COM1. A terminal belongs to its node: a process that holds it open uses it from afar (ends.h)
 * when it has moved. The leader of the session it controls, whose exit must hang it up, does not move (rule `local`).
 * Sessions and groups are cluster-unique numbers, so a session whose members moved away stays one session.
 */
#include "env/rows.h"
#include "ends.h"
#include "ldisc.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "tty.h"
#include "uart.h"
#include "usercopy.h"

#define O_NOCTTY_   0400u
#define O_NONBLOCK_ 04000u
#define O_OPEN_ONLY                                                                                \
	(0100u | 0200u | O_NOCTTY_ | 01000u | 02000000u) /* meaningless after the open */

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

struct winsize {
	u16 rows, columns, xpixel, ypixel;
};

static struct {
	struct ldisc ld;
	struct winsize size;
	i32 sid, pgid; /* session it controls and its foreground group; 0: none */
	u32 servers;   /* services that use it, told when something came */
	struct waitq read_wait, write_wait;
} tty = {
	.size = {.rows = 24, .columns = 80},
	.read_wait = WAITQ_INIT(tty.read_wait),
	.write_wait = WAITQ_INIT(tty.write_wait),
};

/* ---- the device ---- */

static void put(void *ctx, u8 c)
{
	(void)ctx;
	uart_put(c);
}

static void received(u8 c)
{
	int sig = ldisc_input(&tty.ld, c);
	if (sig && tty.pgid)
		signal_group(tty.pgid, sig, SI_KERNEL, 0);
	if (ldisc_readable(&tty.ld) || sig) {
		poll_wake(&tty.read_wait);
		poll_note_servers(tty.servers);
	}
}

static void drained(void)
{
	poll_wake(&tty.write_wait);
}

void tty_init(void)
{
	ldisc_init(&tty.ld, put, NULL);
	uart_init(received, drained);
}

/* ---- sessions ---- */

/* Who uses the terminal: the process that runs, or one that is on another node (ends.h). */
static const struct unames *me(void)
{
	static struct unames far;
	const struct fs_end *q = end_asker();
	if (!q)
		return &current->u->names;
	far.pid = q->pid;
	far.pgid = q->pgid;
	far.sid = q->sid;
	far.euid = ~0u; /* not what only root may */
	return &far;
}

static bool is_deaf(int sig)
{
	const struct fs_end *q = end_asker();
	return q ? q->deaf & (sig == SIGTTIN ? 1 : 2) : signal_is_deaf(current_thread, sig);
}

static bool never_waits(const struct ofile *f)
{
	return (f->flags & O_NONBLOCK_) || end_asker();
}

static bool is_mine(void)
{
	return tty.sid && tty.sid == me()->sid;
}

/* May current go on with an access that its group, in the background, would be stopped for by `sig`? */
static i64 check_background(int sig)
{
	bool server = current->privileged && !end_asker();
	if (!is_mine() || server || tty.pgid == me()->pgid || !tty.pgid)
		return 0;
	if (is_deaf(sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (signal_group_orphaned(me()->pgid, me()->sid))
		return -EIO;
	signal_group(me()->pgid, sig, SI_KERNEL, 0);
	return -ERESTARTSYS;
}

static void acquire(void)
{
	tty.sid = me()->sid;
	tty.pgid = me()->pgid;
}

/* The session's leader gives the terminal up or ends: its foreground group is told. */
static void hang_up(void)
{
	i32 pgid = tty.pgid;
	tty.sid = tty.pgid = 0;
	if (!pgid)
		return;
	signal_group(pgid, SIGHUP, SI_KERNEL, 0);
	signal_group(pgid, SIGCONT, SI_KERNEL, 0);
}

static i64 set_controlling(u64 steal)
{
	if (me()->sid != me()->pid)
		return -EPERM;
	if (is_mine())
		return 0;
	if (tty.sid && !(steal == 1 && me()->euid == 0))
		return -EPERM;
	acquire();
	return 0;
}

static i64 set_foreground(u64 arg)
{
	i32 pgid;
	if (copy_from_user(&pgid, arg, sizeof pgid) < 0)
		return -EFAULT;
	if (!is_mine())
		return -ENOTTY;
	i64 r = check_background(SIGTTOU);
	if (r < 0)
		return r;
	list_for_each(p, &all_procs, struct proc, all_link) {
		/* A group that has moved away as a whole: its stubs stand for it. */
		bool in_session = !p->u || p->u->names.sid == tty.sid;
		if (signal_pgid_of(p) == pgid && in_session) {
			tty.pgid = pgid;
			return 0;
		}
	}
	return -EPERM;
}

/* ---- reading ---- */

/* Wait until a read has something to return: 0, or -errno. VMIN and VTIME as termios(3) says. */
static i64 await_input(const struct ofile *f, size_t len)
{
	u64 since = now_ns();
	u32 before = ldisc_available(&tty.ld);
	for (;;) {
		i64 r = check_background(SIGTTIN);
		if (r < 0)
			return r;
		const struct ktermios *t = &tty.ld.t;
		bool canonical = t->lflag & ICANON;
		u32 min = canonical ? 1 : t->cc[VMIN], there = ldisc_available(&tty.ld);
		if (there >= MIN((size_t)min, len) && (there || !min) &&
		    (min || there || !t->cc[VTIME]))
			return 0;
		if (never_waits(f))
			return there ? 0 : -EAGAIN;
		if (there != before) {
			since = now_ns();
			before = there;
		}
		bool timed = !canonical && t->cc[VTIME] && (min == 0 || there);
		int w = wait_on(&tty.read_wait,
				timed ? since + t->cc[VTIME] * VTIME_UNIT_NS : NO_DEADLINE, true);
		if (w == -EINTR)
			return -ERESTARTSYS;
		if (w == -ETIMEDOUT && ldisc_available(&tty.ld) == there)
			return 0;
	}
}

static void remember_server(void)
{
	if (current->privileged && current->service)
		tty.servers |= 1u << current->service;
}

static i64 tty_read(struct ofile *f, u64 ubuf, size_t len)
{
	u8 small[128], *buf = small;
	remember_server();
	if (len == 0)
		return 0;
	i64 r = await_input(f, len);
	if (r < 0)
		return r;
	len = MIN(len, (size_t)LDISC_INPUT);
	if (len > sizeof small && !(buf = kmalloc(len)))
		return -ENOMEM;
	size_t n = ldisc_read(&tty.ld, buf, len);
	r = copy_to_user(ubuf, buf, n) < 0 ? -EFAULT : (i64)n;
	if (buf != small)
		kfree(buf);
	return r;
}

/* ---- writing ---- */

static i64 tty_write(struct ofile *f, u64 ubuf, size_t len)
{
	u8 buf[256];
	size_t done = signal_resumed();
	if (tty.ld.t.lflag & TOSTOP) {
		i64 r = check_background(SIGTTOU);
		if (r < 0)
			return r;
	}
	while (done < len) {
		if (uart_room() < LDISC_EXPANSION) {
			if (never_waits(f))
				return done ? (i64)done : -EAGAIN;
			if (wait_on(&tty.write_wait, NO_DEADLINE, true) == -EINTR)
				return signal_interrupted(done);
			continue;
		}
		size_t n = MIN(MIN(len - done, sizeof buf), (size_t)uart_room() / LDISC_EXPANSION);
		if (copy_from_user(buf, ubuf + done, n) < 0)
			return done ? (i64)done : -EFAULT;
		for (size_t i = 0; i < n; i++)
			ldisc_output(&tty.ld, buf[i]);
		done += n;
	}
	return (i64)done;
}

/* Output that was written is on its way before the call returns. */
static i64 drain(void)
{
	while (uart_unsent() && !end_asker())
		if (wait_on(&tty.write_wait, now_ns() + VTIME_UNIT_NS, true) == -EINTR)
			return -ERESTARTSYS;
	return 0;
}

/* ---- ioctl ---- */

static i64 set_termios(u32 cmd, u64 arg)
{
	struct ktermios t;
	i64 r = check_background(SIGTTOU);
	if (r == 0 && copy_from_user(&t, arg, sizeof t) < 0)
		r = -EFAULT;
	if (r == 0 && cmd != TCSETS)
		r = drain();
	if (r < 0)
		return r;
	if (cmd == TCSETSF)
		ldisc_flush_input(&tty.ld);
	ldisc_set(&tty.ld, &t);
	poll_wake(&tty.read_wait); /* the other mode may find something readable */
	return 0;
}

static i64 set_size(u64 arg)
{
	struct winsize w;
	if (copy_from_user(&w, arg, sizeof w) < 0)
		return -EFAULT;
	bool changed = memcmp(&w, &tty.size, sizeof w) != 0;
	tty.size = w;
	if (changed && tty.pgid)
		signal_group(tty.pgid, SIGWINCH, SI_KERNEL, 0);
	return 0;
}

static i64 flush(u64 what)
{
	if (what > 2)
		return -EINVAL;
	if (what != 1)
		ldisc_flush_input(&tty.ld);
	if (what != 0) {
		uart_drop();
		poll_wake(&tty.write_wait);
	}
	return 0;
}

static i64 give_up(void)
{
	if (!is_mine())
		return -ENOTTY;
	if (me()->sid == me()->pid)
		hang_up();
	return 0;
}

static i64 give_number(u64 arg, i32 value)
{
	return copy_to_user(arg, &value, sizeof value);
}

static i64 tty_ioctl(struct ofile *f, u32 cmd, u64 arg)
{
	(void)f;
	switch (cmd) {
	case TCGETS:
		return copy_to_user(arg, &tty.ld.t, sizeof tty.ld.t);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_termios(cmd, arg);
	case TCSBRK:
		return drain();
	case TCXONC:
		return 0; /* there is no flow control to start or stop */
	case TCFLSH:
		return flush(arg);
	case TIOCSCTTY:
		return set_controlling(arg);
	case TIOCNOTTY:
		return give_up();
	case TIOCGPGRP:
		return is_mine() ? give_number(arg, tty.pgid) : -ENOTTY;
	case TIOCSPGRP:
		return set_foreground(arg);
	case TIOCGSID:
		return is_mine() ? give_number(arg, tty.sid) : -ENOTTY;
	case TIOCGWINSZ:
		return copy_to_user(arg, &tty.size, sizeof tty.size);
	case TIOCSWINSZ:
		return set_size(arg);
	case FIONREAD:
		return give_number(arg, (i32)ldisc_available(&tty.ld));
	case TIOCOUTQ:
		return give_number(arg, (i32)uart_unsent());
	default:
		return -ENOTTY;
	}
}

/* ---- the rest of an open file ---- */

static u32 tty_poll(struct ofile *f, struct pollreq *pr)
{
	(void)f;
	remember_server();
	if (pr) {
		poll_register(pr, &tty.read_wait);
		poll_register(pr, &tty.write_wait);
	}
	return (ldisc_readable(&tty.ld) ? POLLIN | POLLRDNORM : 0) |
	       (uart_room() > LDISC_EXPANSION ? POLLOUT | POLLWRNORM : 0);
}

static i64 tty_lseek(struct ofile *f, i64 off, int whence)
{
	(void)f, (void)off, (void)whence;
	return -ESPIPE;
}

static int tty_stat(struct ofile *f, struct fs_attr *a)
{
	(void)f;
	return dev_stat("/dev/console", a); /* ttyname() compares the two */
}

static const struct ofile_ops tty_ops = {
	.kind = "tty",
	.cls = CLASS_TTY,
	.movable = false,
	.read = tty_read,
	.write = tty_write,
	.lseek = tty_lseek,
	.ioctl = tty_ioctl,
	.poll = tty_poll,
	.stat = tty_stat,
};

struct ofile *tty_open(u32 flags)
{
	struct ofile *f = ofile_new(&tty_ops, flags & ~O_OPEN_ONLY);
	bool leader = me()->sid == me()->pid && !current->privileged;
	if (f && leader && !tty.sid && !(flags & O_NOCTTY_))
		acquire();
	return f;
}

struct ofile *tty_open_controlling(u32 flags, int *err)
{
	struct ofile *f = is_mine() ? ofile_new(&tty_ops, flags & ~O_OPEN_ONLY) : NULL;
	*err = f ? 0 : is_mine() ? -ENOMEM : -ENXIO;
	return f;
}

/* ---- the class ---- */

static bool leads_session(const struct proc *p)
{
	return tty.sid && p->pid == tty.sid;
}

static void tty_release(struct proc *p, bool away)
{
	if (away || !leads_session(p))
		return;
	hang_up();
	/* Nobody is left who could continue the session's stopped jobs. */
	list_for_each_safe(q, &all_procs, struct proc, all_link)
		if (q->u && q->u->names.sid == p->pid && q->stop_sig) {
			signal_send(q, SIGHUP, SI_KERNEL, 0);
			signal_send(q, SIGCONT, SI_KERNEL, 0);
		}
}

static int tty_verdict(struct proc *p, u32 node, struct text *why)
{
	(void)node;
	if (!leads_session(p))
		return 0;
	text_printf(
		why,
		"tty: ioctl(TIOCSCTTY) made process %d the leader of the session on this console: rule local; "
		"cure: let it give the console up (TIOCNOTTY)",
		p->pid);
	return -EPERM;
}

static void tty_view(const struct proc *p, struct text *out)
{
	bool member = p->u && tty.sid && p->u->names.sid == tty.sid;
	text_printf(out, "  controlling terminal: %s%s\n", member ? "console" : "none",
		    member && p->u->names.pgid == tty.pgid ? ", in the foreground" : "");
	rows_view(p, CLASS_TTY, out);
}

const struct env_class env_tty = {
	.name = "tty",
	.version = 1,
	.release = tty_release,
	.verdict = tty_verdict,
	.view = tty_view,
};
