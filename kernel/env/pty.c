/* SPDX-License-Identifier: MIT */
/*
 * Class Tty: pseudo-terminals. A pair has a terminal (the slave, /dev/pts/N), which is used like any other (ttyio.c), and a master
 * (an open /dev/ptmx), which is its keyboard and screen: what is written there is typed, what the terminal shows is read there.
 * Like all terminals both ends stay on their node. Who moves uses the slave from afar (ends.h); a master keeps its holder here
 * (rule `local`), for what it makes has a name on this node only.
 * The pair is there as long as one of the ends is open; when the master closes, the terminal is hung up.
 */
#include "ends.h"
#include "fs.h"
#include "known.h"
#include "poll.h"
#include "proc.h"
#include "pseudo.h"
#include "signal.h"
#include "tty.h"
#include "usercopy.h"

#define TCFLSH	    0x540b
#define TIOCGPGRP   0x540f
#define TIOCOUTQ    0x5411
#define FIONREAD    0x541b
#define TIOCGSID    0x5429
#define TIOCGPTN    0x80045430
#define TIOCSPTLCK  0x40045431
#define TIOCSIG	    0x40045436
#define TIOCGPTLCK  0x80045439
#define TIOCGPTPEER 0x5441

#define SCREEN	  7680 /* bytes that were shown and not read yet: all of a pair fits in 16 kB */
#define FIRST_INO 3u   /* of /dev/pts/0, as on Linux */
#define GID_TTY	  5u   /* write(1) and its like */

struct pty {
	struct tty t; /* what the slave's users see */
	u32 number, uid, gid, mode;
	u32 slaves;	    /* open files of the slave */
	bool locked;	    /* it may not be opened yet */
	bool was_used;	    /* it has been: without one now, the master's reader hears of the end */
	bool master;	    /* is open */
	u32 master_servers; /* services that use it */
	struct waitq read_wait, write_wait; /* of the master */
	u32 head, count;
	u8 screen[SCREEN]; /* ring */
};

_Static_assert(sizeof(struct pty) <= 16384, "what kmalloc gives comes in powers of two");

static struct pty *ptys[PTYS_MAX];

u32 counters_ptys(void)
{
	u32 n = 0;
	for (u32 i = 0; i < PTYS_MAX; i++)
		n += ptys[i] != NULL;
	return n;
}

static struct pty *pty_of(struct tty *t)
{
	return container_of(t, struct pty, t);
}

static bool hung_up_by_slave(const struct pty *p)
{
	return p->was_used && p->slaves == 0;
}

/* The master finds something new. */
static void master_changed(struct pty *p)
{
	poll_wake(&p->read_wait);
	poll_wake(&p->write_wait);
	poll_note_servers(p->master_servers);
}

static void end_if_unused(struct pty *p)
{
	if (p->master || p->slaves)
		return;
	tty_end(&p->t);
	ptys[p->number] = NULL;
	kfree(p);
}

/* ---- the slave's device ---- */

static void show(void *ctx, u8 c)
{
	struct pty *p = ctx;
	if (p->count < SCREEN)
		p->screen[(p->head + p->count++) % SCREEN] = c;
}

static u32 slave_room(struct tty *t)
{
	return SCREEN - pty_of(t)->count;
}

/* What was written is where it goes to at once. */
static u32 slave_unsent(struct tty *t)
{
	(void)t;
	return 0;
}

static void slave_drop(struct tty *t)
{
	pty_of(t)->count = 0;
}

static void slave_changed(struct tty *t)
{
	master_changed(pty_of(t));
}

static int slave_stat(struct tty *t, struct fs_attr *a)
{
	const struct pty *p = pty_of(t);
	*a = (struct fs_attr){.ino = FIRST_INO + p->number,
			      .mode = S_IFCHR | p->mode,
			      .nlink = 1,
			      .uid = p->uid,
			      .gid = p->gid,
			      .rdev = RDEV(PTS_MAJOR, p->number)};
	return 0;
}

static void slave_opened(struct tty *t)
{
	struct pty *p = pty_of(t);
	p->slaves++;
	p->was_used = true;
}

static void slave_closed(struct tty *t)
{
	struct pty *p = pty_of(t);
	if (--p->slaves)
		return;
	t->sid = t->pgid = 0;
	master_changed(p);
	end_if_unused(p);
}

static const struct tty_device slave_device = {
	.room = slave_room,
	.unsent = slave_unsent,
	.drop = slave_drop,
	.stat = slave_stat,
	.was_read = slave_changed,
	.was_written = slave_changed,
	.opened = slave_opened,
	.closed = slave_closed,
};

/* ---- the master ---- */

static void remember_server(struct pty *p)
{
	if (current->privileged && current->service)
		p->master_servers |= 1u << current->service;
}

static size_t take_shown(struct pty *p, u8 *buf, size_t len)
{
	size_t n = 0;
	while (n < len && p->count) {
		u32 run = MIN(MIN(p->count, SCREEN - p->head), (u32)(len - n));
		memcpy(buf + n, p->screen + p->head, run);
		p->head = (p->head + run) % SCREEN;
		p->count -= run;
		n += run;
	}
	return n;
}

static i64 master_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct pty *p = f->data;
	remember_server(p);
	if (len == 0)
		return 0;
	while (!p->count) {
		if (hung_up_by_slave(p))
			return -EIO;
		if (tty_never_waits(f))
			return -EAGAIN;
		if (wait_on(&p->read_wait, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
	len = MIN(MIN(len, (size_t)p->count), (size_t)PAGE_SIZE);
	u8 *buf = kmalloc(len);
	if (!buf)
		return -ENOMEM;
	size_t n = take_shown(p, buf, len);
	tty_has_room(&p->t);
	poll_note_servers(p->t.servers);
	i64 r = copy_to_user(ubuf, buf, n) < 0 ? -EFAULT : (i64)n;
	kfree(buf);
	return r;
}

static i64 master_write(struct ofile *f, u64 ubuf, size_t len)
{
	struct pty *p = f->data;
	u8 buf[256];
	size_t done = signal_resumed();
	remember_server(p);
	while (done < len) {
		if (!ldisc_room(&p->t.ld)) {
			if (tty_never_waits(f))
				return done ? (i64)done : -EAGAIN;
			if (wait_on(&p->write_wait, NO_DEADLINE, true) == -EINTR)
				return signal_interrupted(done);
			continue;
		}
		size_t n = MIN(len - done, sizeof buf);
		if (copy_from_user(buf, ubuf + done, n) < 0)
			return done ? (i64)done : -EFAULT;
		n = MIN(n, (size_t)ldisc_room(&p->t.ld));
		u32 shown = p->count;
		tty_received(&p->t, buf, n);
		if (p->count != shown) /* the echo */
			master_changed(p);
		done += n;
	}
	return (i64)done;
}

static i64 flush(struct pty *p, u64 what)
{
	if (what > 2)
		return -EINVAL;
	if (what != 1)
		p->count = 0;
	if (what != 0)
		ldisc_flush_input(&p->t.ld);
	tty_has_room(&p->t);
	return 0;
}

static i64 give_number(u64 arg, u32 value)
{
	return copy_to_user(arg, &value, sizeof value);
}

static i64 set_lock(struct pty *p, u64 arg)
{
	u32 lock;
	if (copy_from_user(&lock, arg, sizeof lock) < 0)
		return -EFAULT;
	p->locked = lock != 0;
	return 0;
}

static i64 signal_foreground(struct pty *p, u64 sig)
{
	if (sig == 0 || sig >= NSIG)
		return -EINVAL;
	if (p->t.pgid)
		signal_group(p->t.pgid, (int)sig, SI_KERNEL, 0);
	return 0;
}

/* The slave as a descriptor, without going by its name. A process that is elsewhere gets none. */
static i64 open_peer(struct pty *p, u64 flags)
{
	if (end_asker())
		return -ENOTTY;
	if (p->locked)
		return -EIO;
	struct ofile *f = tty_open_file(&p->t, (u32)flags);
	if (!f)
		return -ENOMEM;
	int fd = fd_install(current, f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		ofile_put(f);
	return fd;
}

static i64 master_ioctl(struct ofile *f, u32 cmd, u64 arg)
{
	struct pty *p = f->data;
	switch (cmd) {
	case TIOCGPTN:
		return give_number(arg, p->number);
	case TIOCSPTLCK:
		return set_lock(p, arg);
	case TIOCGPTLCK:
		return give_number(arg, p->locked);
	case TIOCGPTPEER:
		return open_peer(p, arg);
	case TIOCSIG:
		return signal_foreground(p, arg);
	case TCFLSH:
		return flush(p, arg);
	case TIOCGPGRP:
		return give_number(arg, (u32)p->t.pgid);
	case TIOCGSID:
		return p->t.sid ? give_number(arg, (u32)p->t.sid) : -ENOTTY;
	case FIONREAD:
		return give_number(arg, p->count);
	case TIOCOUTQ:
		return give_number(arg, 0);
	default:
		return tty_ioctl_common(&p->t, cmd, arg);
	}
}

static u32 master_poll(struct ofile *f, struct pollreq *pr)
{
	struct pty *p = f->data;
	remember_server(p);
	if (pr) {
		poll_register(pr, &p->read_wait);
		poll_register(pr, &p->write_wait);
	}
	return (p->count ? POLLIN | POLLRDNORM : 0) | (hung_up_by_slave(p) ? POLLHUP : 0) |
	       (ldisc_room(&p->t.ld) ? POLLOUT | POLLWRNORM : 0);
}

static i64 master_lseek(struct ofile *f, i64 off, int whence)
{
	(void)f, (void)off, (void)whence;
	return -ESPIPE;
}

static int master_stat(struct ofile *f, struct fs_attr *a)
{
	(void)f;
	return dev_stat("/dev/ptmx", a);
}

static void master_closed(struct ofile *f)
{
	struct pty *p = f->data;
	p->master = false;
	tty_hang_up(&p->t);
	end_if_unused(p);
}

static const struct ofile_ops master_ops = {
	.kind = "ptmx",
	.cls = CLASS_TTY,
	.movable = false,
	.read = master_read,
	.write = master_write,
	.lseek = master_lseek,
	.ioctl = master_ioctl,
	.poll = master_poll,
	.stat = master_stat,
	.release = master_closed,
};

/* ---- names ---- */

static bool may_have_another(u32 uid)
{
	u32 n = 0;
	for (u32 i = 0; i < PTYS_MAX; i++)
		n += ptys[i] && ptys[i]->uid == uid;
	return uid == 0 || n < PTYS_USER_MAX;
}

struct ofile *pty_open_master(u32 flags, int *err)
{
	u32 n = 0;
	while (n < PTYS_MAX && ptys[n])
		n++;
	*err = -ENOSPC;
	if (n == PTYS_MAX || !may_have_another(current->u->names.uid))
		return NULL;
	*err = -ENOMEM;
	struct pty *p = kmalloc(sizeof *p);
	struct ofile *f = p ? ofile_new(&master_ops, flags) : NULL;
	if (!f) {
		kfree(p);
		return NULL;
	}
	p->number = n;
	p->uid = current->u->names.uid;
	p->gid = GID_TTY;
	p->mode = 0620;
	p->locked = true;
	p->master = true;
	waitq_init(&p->read_wait);
	waitq_init(&p->write_wait);
	tty_begin(&p->t, &slave_device, show, p);
	ptys[n] = p;
	f->data = p;
	*err = 0;
	return f;
}

/* PTYS_MAX: no number. */
static u32 number_of(const char *name)
{
	u32 n = 0;
	const char *c = name;
	for (; *c >= '0' && *c <= '9' && n < PTYS_MAX; c++)
		n = n * 10 + (u32)(*c - '0');
	return c == name || *c || (*name == '0' && name[1]) ? PTYS_MAX : MIN(n, PTYS_MAX);
}

/* Held by current since before it moved: to this process the name still means that one. */
static struct ofile *far_slave(const char *name)
{
	u32 n = number_of(name);
	return n < PTYS_MAX ? far_terminal(RDEV(PTS_MAJOR, n)) : NULL;
}

struct tty *pty_find(const char *name)
{
	u32 n = number_of(name);
	bool there = n < PTYS_MAX && ptys[n] && ptys[n]->master;
	return there && !far_slave(name) ? &ptys[n]->t : NULL;
}

int pty_stat(const char *name, struct fs_attr *a)
{
	const struct ofile *far = far_slave(name);
	struct tty *t = far ? NULL : pty_find(name);
	if (far)
		*a = far->end->attr;
	return far ? 0 : t ? slave_stat(t, a) : -ENOENT;
}

struct ofile *pty_open_slave(const char *name, u32 flags, int *err)
{
	static const u32 wants[] = {[O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK};
	struct ofile *far = far_slave(name);
	struct tty *t = pty_find(name);
	const struct fs_cred cred = fs_cred_effective();
	struct fs_attr a;
	if (far) { /* the same description, as by /dev/fd */
		ofile_ref(far);
		*err = 0;
		return far;
	}
	*err = t ? slave_stat(t, &a) : -ENOENT;
	if (!*err)
		*err = known_access(&a, &cred, wants[flags & O_ACCMODE]);
	if (!*err && pty_of(t)->locked)
		*err = -EIO;
	struct ofile *f = *err ? NULL : tty_open_file(t, flags);
	if (!f && !*err)
		*err = -ENOMEM;
	return f;
}

void pty_list(struct pseudo_list *l)
{
	char name[8];
	for (u32 i = 0; i < PTYS_MAX; i++) {
		if (!ptys[i] || !ptys[i]->master)
			continue;
		struct text t = TEXT(name, sizeof name);
		text_printf(&t, "%u", i);
		pseudo_list_add(l, 'c', name);
	}
}

int pty_chmod(struct tty *t, u32 mode)
{
	struct pty *p = pty_of(t);
	if (t->dev != &slave_device)
		return 0;
	if (current->u->names.euid && current->u->names.euid != p->uid)
		return -EPERM;
	p->mode = mode & 0777;
	return 0;
}

int pty_chown(struct tty *t, u32 uid, u32 gid)
{
	struct pty *p = pty_of(t);
	const struct fs_cred cred = fs_cred_effective();
	if (t->dev != &slave_device)
		return 0;
	bool owner = cred.uid == p->uid && (uid == ~0u || uid == p->uid) &&
		     (gid == ~0u || gid == p->gid || fs_cred_in_group(&cred, gid));
	if (cred.uid && !owner)
		return -EPERM;
	p->uid = uid == ~0u ? p->uid : uid;
	p->gid = gid == ~0u ? p->gid : gid;
	return 0;
}
