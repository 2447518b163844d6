/* SPDX-License-Identifier: MIT */
/*
 * Line discipline: what a terminal makes of the characters that come and go. Pure: characters in;
 * editable lines, output and signal numbers out. No I/O, no waiting, so the host tests run this
 * very file (tests/host/test_ldisc.c).
 */
#ifndef KERNEL_LDISC_H
#define KERNEL_LDISC_H
#include "types.h"

/* struct termios of the Linux kernel ABI (TCGETS). */
#define LD_NCC 19
struct ktermios {
	u32 iflag, oflag, cflag, lflag;
	u8 line;
	u8 cc[LD_NCC];
};
_Static_assert(sizeof(struct ktermios) == 36, "struct termios is part of the Linux ABI");

enum ldisc_cc {
	VINTR = 0,
	VQUIT = 1,
	VERASE = 2,
	VKILL = 3,
	VEOF = 4,
	VTIME = 5,
	VMIN = 6,
	VSUSP = 10,
	VEOL = 11,
	VREPRINT = 12,
	VWERASE = 14,
	VLNEXT = 15,
	VEOL2 = 16,
};
enum ldisc_iflag { INLCR = 0000100, IGNCR = 0000200, ICRNL = 0000400, IUTF8 = 0040000 };
enum ldisc_oflag { OPOST = 0000001, ONLCR = 0000004, OCRNL = 0000010, ONLRET = 0000040 };
enum ldisc_lflag {
	ISIG = 0000001,
	ICANON = 0000002,
	ECHO = 0000010,
	ECHOE = 0000020,
	ECHOK = 0000040,
	ECHONL = 0000100,
	NOFLSH = 0000200,
	TOSTOP = 0000400,
	ECHOCTL = 0001000,
	ECHOKE = 0004000,
	IEXTEN = 0100000,
};

#define LDISC_INPUT 4096 /* characters that may wait to be read */

struct ldisc {
	struct ktermios t;
	/* Ring of entries: a character and what it means to a reader. Those before `committed` may
	 * be read; the rest is the line being edited (canonical mode only). Indices run freely. */
	u16 ring[LDISC_INPUT];
	u32 read, committed, end;
	u32 column, line_column;      /* of the cursor; where the edited line began */
	bool literal;		      /* the next character is taken as it is (^V) */
	void (*put)(void *ctx, u8 c); /* where output and echo go; never blocks, may drop */
	void *ctx;
};

void ldisc_init(struct ldisc *d, void (*put)(void *ctx, u8 c), void *ctx);
/* One character arrived. Returns a signal number for the foreground group, or 0. */
int ldisc_input(struct ldisc *d, u8 c);
/* Is there something to read (a whole line in canonical mode; else VMIN characters, at least one)? */
bool ldisc_readable(const struct ldisc *d);
u32 ldisc_available(const struct ldisc *d); /* characters a read could return now */
/* Characters that can come now without one being lost for want of readers; an overlong line does lose its end. */
u32 ldisc_room(const struct ldisc *d);
/* At most one line in canonical mode. Only if ldisc_readable or in raw mode. 0 is an end of file
 * (^D). */
size_t ldisc_read(struct ldisc *d, u8 *buf, size_t len);
/* A program writes one character. */
void ldisc_output(struct ldisc *d, u8 c);
/* At most this many characters come out for one that goes in to ldisc_output. */
#define LDISC_EXPANSION 2
void ldisc_set(struct ldisc *d, const struct ktermios *t);
void ldisc_flush_input(struct ldisc *d);
#endif
