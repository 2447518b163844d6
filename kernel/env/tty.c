/* SPDX-License-Identifier: MIT */
/*
 * Class Tty: terminals, sessions and job control; the node's console on COM1. A terminal belongs to its node: a process that
 * holds it open uses it from afar (ends.h) when it has moved. The leader of the session it controls, whose exit must hang it up,
 * does not move (rule `local`).
 * Sessions and groups are cluster-unique numbers, so a session whose members moved away stays one session.
 */
#include "env/rows.h"
#include "ends.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "tty.h"
#include "uart.h"

#define O_OPEN_ONLY                                                                                \
	(0100u | 0200u | O_NOCTTY_ | 01000u | 02000000u) /* meaningless after the open */

static struct list ttys = LIST_INIT(ttys);
static struct tty console;

/* ---- any terminal ---- */

void tty_begin(struct tty *t, const struct tty_device *dev, void (*put)(void *ctx, u8 c), void *ctx)
{
	ldisc_init(&t->ld, put, ctx);
	t->dev = dev;
	waitq_init(&t->read_wait);
	waitq_init(&t->write_wait);
	list_push_back(&ttys, &t->link);
}

void tty_end(struct tty *t)
{
	list_remove(&t->link);
}

void tty_received(struct tty *t, const u8 *c, size_t n)
{
	bool key = false;
	for (size_t i = 0; i < n; i++) {
		int sig = ldisc_input(&t->ld, c[i]);
		if (sig && t->pgid)
			signal_group(t->pgid, sig, SI_KERNEL, 0);
		key |= sig != 0;
	}
	if (key || ldisc_readable(&t->ld)) {
		poll_wake(&t->read_wait);
		poll_note_servers(t->servers);
	}
}

void tty_has_room(struct tty *t)
{
	poll_wake(&t->write_wait);
}

struct tty *tty_of_file(const struct ofile *f)
{
	return f->ops == &tty_ops ? f->data : NULL;
}

/* ---- the console ---- */

static void console_put(void *ctx, u8 c)
{
	(void)ctx;
	uart_put(c);
}

static void console_received(u8 c)
{
	tty_received(&console, &c, 1);
}

static void console_drained(void)
{
	tty_has_room(&console);
}

static u32 console_room(struct tty *t)
{
	(void)t;
	return uart_room();
}

static u32 console_unsent(struct tty *t)
{
	(void)t;
	return uart_unsent();
}

static void console_drop(struct tty *t)
{
	(void)t;
	uart_drop();
}

static int console_stat(struct tty *t, struct fs_attr *a)
{
	(void)t;
	return dev_stat("/dev/console", a); /* ttyname() compares the two */
}

static const struct tty_device console_device = {
	.room = console_room,
	.unsent = console_unsent,
	.drop = console_drop,
	.stat = console_stat,
};

void tty_init(void)
{
	tty_begin(&console, &console_device, console_put, NULL);
	console.size = (struct winsize){.rows = 24, .columns = 80};
	uart_init(console_received, console_drained);
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

bool tty_never_waits(const struct ofile *f)
{
	return (f->flags & O_NONBLOCK_) || end_asker();
}

bool tty_is_mine(const struct tty *t)
{
	return t->sid && t->sid == me()->sid;
}

/* The terminal that controls a session, or NULL. */
static struct tty *tty_of_session(i32 sid)
{
	list_for_each(t, &ttys, struct tty, link)
		if (t->sid && t->sid == sid)
			return t;
	return NULL;
}

i64 tty_check_background(struct tty *t, int sig)
{
	bool server = current->privileged && !end_asker();
	if (!tty_is_mine(t) || server || t->pgid == me()->pgid || !t->pgid)
		return 0;
	if (is_deaf(sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (signal_group_orphaned(me()->pgid, me()->sid))
		return -EIO;
	signal_group(me()->pgid, sig, SI_KERNEL, 0);
	return -ERESTARTSYS;
}

static void acquire(struct tty *t)
{
	t->sid = me()->sid;
	t->pgid = me()->pgid;
}

/* The session's leader gives the terminal up or ends: its foreground group is told. */
static void leave(struct tty *t)
{
	i32 pgid = t->pgid;
	t->sid = t->pgid = 0;
	if (!pgid)
		return;
	signal_group(pgid, SIGHUP, SI_KERNEL, 0);
	signal_group(pgid, SIGCONT, SI_KERNEL, 0);
}

/* The leader hears of it, wherever its foreground group is; it will end, and tell the rest. */
void tty_hang_up(struct tty *t)
{
	struct proc *leader = t->sid ? proc_find(t->sid) : NULL;
	t->hung = true;
	t->sid = t->pgid = 0;
	if (leader) {
		signal_send(leader, SIGHUP, SI_KERNEL, 0);
		signal_send(leader, SIGCONT, SI_KERNEL, 0);
	}
	poll_wake(&t->read_wait);
	poll_wake(&t->write_wait);
	poll_note_servers(t->servers);
}

i64 tty_set_controlling(struct tty *t, u64 steal)
{
	if (me()->sid != me()->pid)
		return -EPERM;
	if (tty_is_mine(t))
		return 0;
	if (tty_of_session(me()->sid) || (t->sid && !(steal == 1 && me()->euid == 0)))
		return -EPERM;
	acquire(t);
	return 0;
}

i64 tty_set_foreground(struct tty *t, i32 pgid)
{
	if (!tty_is_mine(t))
		return -ENOTTY;
	i64 r = tty_check_background(t, SIGTTOU);
	if (r < 0)
		return r;
	list_for_each(p, &all_procs, struct proc, all_link) {
		/* A group that has moved away as a whole: its stubs stand for it. */
		bool in_session = !p->u || p->u->names.sid == t->sid;
		if (signal_pgid_of(p) == pgid && in_session) {
			t->pgid = pgid;
			return 0;
		}
	}
	return -EPERM;
}

i64 tty_give_up(struct tty *t)
{
	if (!tty_is_mine(t))
		return -ENOTTY;
	if (me()->sid == me()->pid)
		leave(t);
	return 0;
}

/* ---- opening ---- */

struct ofile *tty_open_file(struct tty *t, u32 flags)
{
	struct ofile *f = ofile_new(&tty_ops, flags & ~O_OPEN_ONLY);
	if (!f)
		return NULL;
	f->data = t;
	if (t->dev->opened)
		t->dev->opened(t);
	bool leader = me()->sid == me()->pid && !current->privileged;
	if (leader && !t->sid && !(flags & O_NOCTTY_) && !tty_of_session(me()->sid))
		acquire(t);
	return f;
}

struct ofile *tty_open(u32 flags)
{
	return tty_open_file(&console, flags);
}

struct ofile *tty_open_controlling(u32 flags, int *err)
{
	struct tty *t = tty_of_session(me()->sid);
	struct ofile *f = t ? tty_open_file(t, flags) : NULL;
	*err = f ? 0 : t ? -ENOMEM : -ENXIO;
	return f;
}

/* ---- the class ---- */

static void tty_release(struct proc *p, bool away)
{
	struct tty *t = away ? NULL : tty_of_session(p->pid);
	if (!t)
		return;
	leave(t);
	/* Nobody is left who could continue the session's stopped jobs. */
	list_for_each_safe(q, &all_procs, struct proc, all_link)
		if (q->u && q->u->names.sid == p->pid && q->stop_sig) {
			signal_send(q, SIGHUP, SI_KERNEL, 0);
			signal_send(q, SIGCONT, SI_KERNEL, 0);
		}
}

static const char *name_of(const struct tty *t)
{
	return t == &console ? "console" : "pseudo-terminal";
}

static int tty_verdict(struct proc *p, u32 node, struct text *why)
{
	(void)node;
	const struct tty *t = tty_of_session(p->pid);
	if (!t)
		return 0;
	text_printf(
		why,
		"tty: ioctl(TIOCSCTTY) made process %d the leader of the session on this %s: rule local; "
		"cure: let it give the %s up (TIOCNOTTY)",
		p->pid, name_of(t), name_of(t));
	return -EPERM;
}

static void tty_view(const struct proc *p, struct text *out)
{
	const struct tty *t = p->u ? tty_of_session(p->u->names.sid) : NULL;
	text_printf(out, "  controlling terminal: %s%s\n", t ? name_of(t) : "none",
		    t && p->u->names.pgid == t->pgid ? ", in the foreground" : "");
	rows_view(p, CLASS_TTY, out);
}

const struct env_class env_tty = {
	.name = "tty",
	.version = 1,
	.release = tty_release,
	.verdict = tty_verdict,
	.view = tty_view,
};
