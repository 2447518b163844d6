/* SPDX-License-Identifier: MIT */
/*
 * A terminal: a line discipline, a size, and the session it controls. What its characters come from and go to is a device: the
 * UART for the console (env/tty.c), a ring that the master reads for a pseudo-terminal (env/pty.c). tty_open, for /dev/console,
 * is declared in file.h.
 */
#ifndef KERNEL_TTY_H
#define KERNEL_TTY_H
#include "file.h"
#include "ldisc.h"
#include "sched.h"

#define TTY_MAJOR    5u /* tty 0, console 1, ptmx 2 */
#define PTS_MAJOR    136u
#define RDEV(ma, mi) ((ma) << 8 | (mi))

#define O_NOCTTY_   0400u
#define O_NONBLOCK_ 04000u

struct winsize {
	u16 rows, columns, xpixel, ypixel;
};

struct tty;
/* None may block. */
struct tty_device {
	u32 (*room)(struct tty *t);   /* characters that it takes now */
	u32 (*unsent)(struct tty *t); /* characters that tcdrain waits for */
	void (*drop)(struct tty *t);  /* forget what has not been sent */
	int (*stat)(struct tty *t, struct fs_attr *a);
	/* NULL: nobody wants to know. */
	void (*was_read)(struct tty *t);    /* there is room for more input, perhaps */
	void (*was_written)(struct tty *t); /* characters have been put */
	void (*opened)(struct tty *t);	    /* an open file of it was made */
	void (*closed)(struct tty *t);	    /* an open file of it has gone */
};

struct tty {
	struct ldisc ld;
	struct winsize size;
	i32 sid, pgid; /* session it controls and its foreground group; 0: none */
	u32 servers;   /* services that use it, told when something came */
	bool hung;     /* nobody is at the other end any more: reads end, writes fail */
	struct waitq read_wait, write_wait;
	const struct tty_device *dev;
	struct list link; /* all terminals of this node */
};

void tty_init(void); /* the console: once, after irq_init */
/* A terminal begins; its output goes to put(ctx, c), which must not block. */
void tty_begin(struct tty *t, const struct tty_device *dev, void (*put)(void *ctx, u8 c),
	       void *ctx);
void tty_end(struct tty *t); /* controls nothing, is used by nobody */
/* Characters arrive from its device: keys may signal the foreground group. */
void tty_received(struct tty *t, const u8 *c, size_t n);
void tty_has_room(struct tty *t); /* the device takes characters again */
/* /dev/tty: the terminal if it controls current's session, else NULL and *err = -ENXIO; also
 * -ENOMEM. */
struct ofile *tty_open_controlling(u32 flags, int *err);
/* An open file of t, which becomes the controlling terminal of a session's leader that has none. NULL: no memory. */
struct ofile *tty_open_file(struct tty *t, u32 flags);
struct tty *tty_of_file(const struct ofile *f); /* NULL: not one of this node's */

/* ---- sessions (env/tty.c), for whoever asks, also from afar (ends.h) ---- */
bool tty_is_mine(const struct tty *t); /* controls the session of who asks */
bool tty_never_waits(const struct ofile *f);
/* May current go on with an access that its group, in the background, would be stopped for by `sig`? */
i64 tty_check_background(struct tty *t, int sig);
i64 tty_set_controlling(struct tty *t, u64 steal);
i64 tty_set_foreground(struct tty *t, i32 pgid);
i64 tty_give_up(struct tty *t);
/* The other end has gone: the session's leader is told, and all uses end. */
void tty_hang_up(struct tty *t);

/* ---- use (env/ttyio.c) ---- */
extern const struct ofile_ops tty_ops;
/* Requests that mean the same at both ends. */
i64 tty_ioctl_common(struct tty *t, u32 cmd, u64 arg);

/* ---- pseudo-terminals (env/pty.c) ---- */
#define PTYS_MAX      256u
#define PTYS_USER_MAX 32u /* of one user other than root */
struct pseudo_list;
/* /dev/ptmx: a new pair. NULL: -ENOSPC (too many), -ENOMEM. */
struct ofile *pty_open_master(u32 flags, int *err);
/* /dev/pts/N; `name` is what follows "/dev/pts/". */
struct ofile *pty_open_slave(const char *name, u32 flags, int *err);
int pty_stat(const char *name, struct fs_attr *a);
void pty_list(struct pseudo_list *l);
/* The terminal of /dev/pts/N, borrowed; NULL: there is none, or it is another node's. */
struct tty *pty_find(const char *name);
/* 0 or -EPERM. Of another terminal: nothing is done. uid, gid: ~0 stays what it is. */
int pty_chmod(struct tty *t, u32 mode);
int pty_chown(struct tty *t, u32 uid, u32 gid);
u32 counters_ptys(void);
#endif
