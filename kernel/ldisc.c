/* SPDX-License-Identifier: MIT */
#include "ldisc.h"
#include "signo.h"

#define ENTRY_END 0x100u /* the last one of a line */
#define ENTRY_EOF 0x200u /* ... and not part of it */

#define TAB_STOPS 8
#define DISABLED  0 /* _POSIX_VDISABLE: no key */

#define CTRL(letter) ((letter)&0x1f)
#define B115200	     0010002u
#define CS8	     0000060u
#define CREAD	     0000200u
#define HUPCL	     0002000u

void ldisc_init(struct ldisc *d, void (*put)(void *ctx, u8 c), void *ctx)
{
	*d = (struct ldisc){.put = put, .ctx = ctx};
	d->t = (struct ktermios){
		.iflag = ICRNL,
		.oflag = OPOST | ONLCR,
		.cflag = B115200 | CS8 | CREAD | HUPCL,
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.cc = {[VINTR] = CTRL('C'),
		       [VQUIT] = CTRL('\\'),
		       [VERASE] = 0x7f,
		       [VKILL] = CTRL('U'),
		       [VEOF] = CTRL('D'),
		       [VMIN] = 1,
		       [VSUSP] = CTRL('Z'),
		       [VREPRINT] = CTRL('R'),
		       [VWERASE] = CTRL('W'),
		       [VLNEXT] = CTRL('V')},
	};
}

static bool local(const struct ldisc *d, u32 flag)
{
	return d->t.lflag & flag;
}

static bool is_key(const struct ldisc *d, u8 c, enum ldisc_cc key)
{
	return d->t.cc[key] != DISABLED && c == d->t.cc[key];
}

static bool is_control(u8 c)
{
	return c < 32 || c == 0x7f;
}

/* Follows another byte of the same character (UTF-8): takes no column. */
static bool is_continuation(const struct ldisc *d, u8 c)
{
	return (d->t.iflag & IUTF8) && (c & 0xc0) == 0x80;
}

/* ---- output ---- */

static void emit(struct ldisc *d, u8 c)
{
	if (c == '\r')
		d->column = 0;
	else if (c == '\b')
		d->column -= d->column > 0;
	else if (c == '\t')
		d->column = (d->column / TAB_STOPS + 1) * TAB_STOPS;
	else if (!is_control(c) && !is_continuation(d, c))
		d->column++;
	d->put(d->ctx, c);
}

void ldisc_output(struct ldisc *d, u8 c)
{
	if (d->t.oflag & OPOST) {
		if (c == '\n' && (d->t.oflag & ONLCR))
			emit(d, '\r');
		else if (c == '\r' && (d->t.oflag & OCRNL))
			c = '\n';
		if (c == '\n' && (d->t.oflag & ONLRET))
			d->column = 0;
	}
	emit(d, c);
}

/* ---- echo and editing ---- */

static bool echoes_as_two(const struct ldisc *d, u8 c)
{
	return local(d, ECHOCTL) && is_control(c) && c != '\t' && c != '\n';
}

static void echo(struct ldisc *d, u8 c)
{
	if (echoes_as_two(d, c)) {
		emit(d, '^');
		emit(d, c ^ 0x40);
	} else {
		ldisc_output(d, c);
	}
}

static void push(struct ldisc *d, u16 entry)
{
	d->ring[d->end++ % LDISC_INPUT] = entry;
}

static u32 width_at(const struct ldisc *d, u8 c, u32 column)
{
	if (c == '\t')
		return TAB_STOPS - column % TAB_STOPS;
	if (is_control(c))
		return echoes_as_two(d, c) ? 2 : 0;
	return is_continuation(d, c) ? 0 : 1;
}

/* The column at which entry `upto` of the edited line begins. */
static u32 column_of(const struct ldisc *d, u32 upto)
{
	u32 column = d->line_column;
	for (u32 i = d->committed; i != upto; i++)
		column += width_at(d, (u8)d->ring[i % LDISC_INPUT], column);
	return column;
}

static u8 last_char(const struct ldisc *d)
{
	return (u8)d->ring[(d->end - 1) % LDISC_INPUT];
}

/* Take the last character off the line, and off the screen if `show`. */
static void erase_char(struct ldisc *d, bool show)
{
	u32 before = column_of(d, d->end);
	while (d->end != d->committed && is_continuation(d, last_char(d)))
		d->end--;
	if (d->end != d->committed)
		d->end--;
	if (!show)
		return;
	for (u32 n = before - column_of(d, d->end); n; n--) {
		emit(d, '\b');
		emit(d, ' ');
		emit(d, '\b');
	}
}

static void erase_word(struct ldisc *d, bool show)
{
	bool in_word = false;
	while (d->end != d->committed) {
		bool blank = last_char(d) == ' ' || last_char(d) == '\t';
		if (blank && in_word)
			break;
		in_word |= !blank;
		erase_char(d, show);
	}
}

static void erase_line(struct ldisc *d)
{
	bool show = local(d, ECHO) && local(d, ECHOKE) && local(d, ECHOE);
	while (d->end != d->committed)
		erase_char(d, show);
	if (local(d, ECHO) && local(d, ECHOK) && !show) {
		echo(d, d->t.cc[VKILL]);
		ldisc_output(d, '\n');
	}
}

static void reprint(struct ldisc *d)
{
	if (!local(d, ECHO))
		return;
	echo(d, d->t.cc[VREPRINT]);
	ldisc_output(d, '\n');
	d->line_column = d->column;
	for (u32 i = d->committed; i != d->end; i++)
		echo(d, (u8)d->ring[i % LDISC_INPUT]);
}

/* Canonical mode: an editing key? */
static bool edit(struct ldisc *d, u8 c)
{
	bool show = local(d, ECHO) && local(d, ECHOE);
	if (is_key(d, c, VERASE)) {
		if (d->end != d->committed)
			erase_char(d, show);
	} else if (is_key(d, c, VKILL)) {
		erase_line(d);
	} else if (local(d, IEXTEN) && is_key(d, c, VWERASE)) {
		erase_word(d, show);
	} else if (local(d, IEXTEN) && is_key(d, c, VREPRINT)) {
		reprint(d);
	} else {
		return false;
	}
	return true;
}

/* ---- input ---- */

static int signal_of(const struct ldisc *d, u8 c)
{
	if (!local(d, ISIG))
		return 0;
	if (is_key(d, c, VINTR))
		return SIGINT;
	if (is_key(d, c, VQUIT))
		return SIGQUIT;
	return is_key(d, c, VSUSP) ? SIGTSTP : 0;
}

static bool ends_line(const struct ldisc *d, u8 c)
{
	return c == '\n' || is_key(d, c, VEOL) || (local(d, IEXTEN) && is_key(d, c, VEOL2));
}

/* Put c where a reader finds it. A full ring drops it, but keeps a place for the end of a line. */
static void accept(struct ldisc *d, u8 c, bool literal)
{
	bool canonical = local(d, ICANON);
	bool eof = canonical && !literal && is_key(d, c, VEOF);
	bool end = eof || (canonical && !literal && ends_line(d, c));
	if (d->end - d->read >= LDISC_INPUT - (end ? 0u : 1u))
		return;
	if (d->end == d->committed)
		d->line_column = d->column;
	push(d, (u16)(c | (end ? ENTRY_END : 0) | (eof ? ENTRY_EOF : 0)));
	if (end || !canonical)
		d->committed = d->end;
	if (!eof && (local(d, ECHO) || (c == '\n' && canonical && local(d, ECHONL))))
		echo(d, c);
}

int ldisc_input(struct ldisc *d, u8 c)
{
	if (d->literal) {
		d->literal = false;
		accept(d, c, true);
		return 0;
	}
	if (c == '\r') {
		if (d->t.iflag & IGNCR)
			return 0;
		if (d->t.iflag & ICRNL)
			c = '\n';
	} else if (c == '\n' && (d->t.iflag & INLCR)) {
		c = '\r';
	}
	int sig = signal_of(d, c);
	if (sig) {
		if (local(d, ECHO))
			echo(d, c);
		if (!local(d, NOFLSH))
			ldisc_flush_input(d);
		return sig;
	}
	if (local(d, ICANON)) {
		if (edit(d, c))
			return 0;
		if (local(d, IEXTEN) && is_key(d, c, VLNEXT)) {
			d->literal = true;
			return 0;
		}
	}
	accept(d, c, false);
	return 0;
}

u32 ldisc_available(const struct ldisc *d)
{
	return d->committed - d->read;
}

u32 ldisc_room(const struct ldisc *d)
{
	if (local(d, ICANON) && d->read == d->committed)
		return LDISC_INPUT;
	return LDISC_INPUT - 1 - MIN(d->end - d->read, LDISC_INPUT - 1u);
}

bool ldisc_readable(const struct ldisc *d)
{
	u32 want = 1;
	if (!local(d, ICANON) && d->t.cc[VTIME] == 0 && d->t.cc[VMIN] > 1)
		want = d->t.cc[VMIN];
	return ldisc_available(d) >= want;
}

size_t ldisc_read(struct ldisc *d, u8 *buf, size_t len)
{
	size_t n = 0;
	while (d->read != d->committed && n < len) {
		u16 entry = d->ring[d->read++ % LDISC_INPUT];
		if (!(entry & ENTRY_EOF))
			buf[n++] = (u8)entry;
		if ((entry & ENTRY_END) && local(d, ICANON))
			return n;
	}
	/* A line that ends just here with ^D is complete: the mark must not look like another end
	 * of file. */
	if (n == len && n > 0 && local(d, ICANON) && d->read != d->committed &&
	    (d->ring[d->read % LDISC_INPUT] & ENTRY_EOF))
		d->read++;
	return n;
}

void ldisc_flush_input(struct ldisc *d)
{
	d->read = d->committed = d->end = 0;
}

void ldisc_set(struct ldisc *d, const struct ktermios *t)
{
	bool was_canonical = local(d, ICANON);
	d->t = *t;
	if (was_canonical && !local(d, ICANON))
		d->committed = d->end; /* half a line is readable now */
	d->literal = false;
}
