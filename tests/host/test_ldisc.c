/* SPDX-License-Identifier: MIT */
/* The terminal's line discipline (kernel/ldisc.c): typed characters in; lines, echo and signals out. */
#include <stdio.h>
#include <string.h>
#include "ldisc.h"
#include "signo.h"

static struct ldisc d;
static char screen[8192];
static size_t shown;
static int failures;

static void put(void *ctx, u8 c)
{
	(void)ctx;
	if (shown < sizeof screen - 1)
		screen[shown++] = (char)c;
	screen[shown] = 0;
}

static void fresh(void)
{
	ldisc_init(&d, put, NULL);
	shown = 0;
	screen[0] = 0;
}

/* Returns the last signal raised. */
static int type(const char *s)
{
	int sig = 0;
	for (; *s; s++) {
		int r = ldisc_input(&d, (u8)*s);
		sig = r ? r : sig;
	}
	return sig;
}

static void check(const char *name, bool good, const char *why)
{
	printf(good ? "ok %s\n" : "not ok %s: %s\n", name, why);
	failures += !good;
}

/* The next read of up to len bytes gives exactly `want`. */
static void check_read(const char *name, size_t len, const char *want)
{
	u8 buf[LDISC_INPUT + 1];
	char why[128];
	size_t n = ldisc_read(&d, buf, len);
	buf[n] = 0;
	snprintf(why, sizeof why, "read %zu bytes \"%.60s\"", n, (char *)buf);
	check(name, n == strlen(want) && memcmp(buf, want, n) == 0, why);
}

static void check_screen(const char *name, const char *want)
{
	check(name, strcmp(screen, want) == 0, screen);
}

static void set_local(u32 on, u32 off)
{
	struct ktermios t = d.t;
	t.lflag = (t.lflag | on) & ~off;
	ldisc_set(&d, &t);
}

static void canonical(void)
{
	fresh();
	type("ab");
	check("half a line is not readable", !ldisc_readable(&d), "it is");
	type("c\r");
	check("a line is readable", ldisc_readable(&d), "it is not");
	type("next\n");
	check_read("a read gives one line, CR mapped to NL", 100, "abc\n");
	check_read("the next read gives the next line", 100, "next\n");
	check_screen("echo maps NL to CR NL", "abc\r\nnext\r\n");

	type("long\n");
	check_read("a short read gives the line's beginning", 2, "lo");
	check_read("and the next one its rest", 100, "ng\n");
}

static void editing(void)
{
	fresh();
	type("cax\x7ft\n");
	check_read("erase", 100, "cat\n");
	check_screen("erase wipes one column", "cax\b \bt\r\n");
	fresh();
	type("\x7f\x7fx\n");
	check_screen("erase stops at the line's beginning", "x\r\n");
	fresh();
	type("a\x01\x7f"
	     "b\n");
	check_screen("a control character takes two columns", "a^A\b \b\b \bb\r\n");
	fresh();
	type("a\t\x7f"
	     "b\n");
	check_screen("a tab is wiped to its beginning",
		     "a\t\b \b\b \b\b \b\b \b\b \b\b \b\b \bb\r\n");
	fresh();
	type("rm -rf /\x15ls\n");
	check_read("kill drops the line", 100, "ls\n");
	type("one two  \x17"
	     "2\n");
	check_read("word erase drops blanks and a word", 100, "one 2\n");
	fresh();
	struct ktermios t = d.t;
	t.iflag |= IUTF8;
	ldisc_set(&d, &t);
	type("\xc3\xa4\x7fo\n");
	check_read("erase takes a whole UTF-8 character", 100, "o\n");
	check_screen("which is one column wide", "\xc3\xa4\b \bo\r\n");
	fresh();
	type("\x16\x03\x16\x7f\n");
	check_read("^V takes the next character literally", 100, "\x03\x7f\n");
}

static void end_of_file(void)
{
	fresh();
	type("\x04");
	check("^D alone is readable", ldisc_readable(&d), "it is not");
	check_read("and reads as end of file", 100, "");
	check("once", !ldisc_readable(&d), "twice");
	type("ab\x04");
	check_read("^D after text ends the read without a mark", 100, "ab");
	check("and leaves nothing", !ldisc_readable(&d), "something is left");
	type("cd\x04");
	check_read("a read of just the text", 2, "cd");
	check("takes the mark with it", !ldisc_readable(&d), "end of file is left over");
}

static void signals(void)
{
	fresh();
	check("^C is SIGINT", type("abc\x03") == SIGINT, "it is not");
	check_screen("and is shown", "abc^C");
	type("x\n");
	check_read("and drops what was typed", 100, "x\n");
	check("^\\ is SIGQUIT", type("\x1c") == SIGQUIT, "it is not");
	check("^Z is SIGTSTP", type("\x1a") == SIGTSTP, "it is not");
	set_local(NOFLSH, 0);
	type("kept");
	type("\x03\n");
	check_read("NOFLSH keeps what was typed", 100, "kept\n");
	set_local(0, ISIG);
	check("without ISIG ^C is a character", type("\x03\n") == 0, "it raised a signal");
	check_read("that is read", 100, "\x03\n");
	d.t.cc[VINTR] = 0;
	set_local(ISIG, 0);
	check("a disabled key is no key", ldisc_input(&d, 0) == 0, "NUL raised a signal");
}

static void raw(void)
{
	fresh();
	type("half");
	set_local(0, ICANON | ECHO);
	check("leaving canonical mode makes half a line readable", ldisc_readable(&d),
	      "it does not");
	check_read("and it is read", 100, "half");
	shown = 0, screen[0] = 0;
	type("\x7f\x04q");
	check_read("editing keys are characters", 100, "\x7f\x04q");
	check_screen("without ECHO nothing is shown", "");
	d.t.cc[VMIN] = 3;
	type("ab");
	check("VMIN holds a read back", !ldisc_readable(&d), "it does not");
	type("c");
	check("until enough is there", ldisc_readable(&d), "it is not readable");
	check("all of it is available", ldisc_available(&d) == 3, "another number");
}

static void limits(void)
{
	static u8 line[2 * LDISC_INPUT];
	fresh();
	set_local(0, ECHO);
	memset(line, 'x', sizeof line - 1);
	type((char *)line);
	type("\n");
	check("a line longer than the buffer still ends", ldisc_readable(&d), "it does not");
	size_t n = ldisc_read(&d, line, sizeof line);
	check("and keeps what fits", n == LDISC_INPUT && line[n - 1] == '\n', "another length");
	for (int i = 0; i < 3000; i++) {
		type("0123456789\n");
		n = ldisc_read(&d, line, sizeof line);
		if (n != 11)
			break;
	}
	check("the ring wraps", n == 11, "a line was damaged");
}

static void output(void)
{
	fresh();
	for (const char *s = "a\nb"; *s; s++)
		ldisc_output(&d, (u8)*s);
	check_screen("output maps NL to CR NL", "a\r\nb");
	struct ktermios t = d.t;
	t.oflag = 0;
	ldisc_set(&d, &t);
	ldisc_output(&d, '\n');
	check_screen("without OPOST it does not", "a\r\nb\n");
}

int main(void)
{
	canonical();
	editing();
	end_of_file();
	signals();
	raw();
	limits();
	output();
	return failures != 0;
}
