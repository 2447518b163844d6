/* SPDX-License-Identifier: MIT */
#include "work.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

FILE *work_out;
static FILE *progress;
static const struct work_usage *self;
static const char *out_path, *progress_path;

static const struct work_opt common[] = {
	{"out", OPT_TEXT, {.text = &out_path}, 0, "write the result to FILE (also -o FILE)"},
	{"progress",
	 OPT_TEXT,
	 {.text = &progress_path},
	 0,
	 "write progress lines to FILE; none: no"},
	{0},
};

static void list_options(FILE *f, const struct work_opt *o)
{
	for (; o->name; o++) {
		fprintf(f, "  --%-10s %-5s %s", o->name, o->kind == OPT_NUM ? "N" : "TEXT",
			o->help);
		if (o->kind == OPT_NUM)
			fprintf(f, " (%ld)", *o->to.num);
		else if (*o->to.text)
			fprintf(f, " (%s)", *o->to.text);
		fputc('\n', f);
	}
}

static _Noreturn void usage(FILE *f, int status)
{
	fprintf(f, "usage: %s [options]%s%s\n%s\n", self->name, self->operands ? " " : "",
		self->operands ? self->operands : "", self->what);
	list_options(f, self->opts);
	list_options(f, common);
	exit(status);
}

static _Noreturn void bad_option(const char *what, const char *arg)
{
	fprintf(stderr, "%s: %s: %s (see --help)\n", self->name, arg, what);
	exit(2);
}

static const struct work_opt *find(const struct work_opt *o, const char *name, size_t len)
{
	for (; o->name; o++)
		if (strlen(o->name) == len && !memcmp(o->name, name, len))
			return o;
	return NULL;
}

static void set_option(const struct work_opt *o, const char *value)
{
	char *end;
	long n;

	if (o->kind == OPT_TEXT) {
		*o->to.text = value;
		return;
	}
	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || end == value || *end)
		bad_option("not a number", value);
	if (n < o->min)
		bad_option("too small", value);
	*o->to.num = n;
}

/* Take the option at argv[i]; returns how many arguments it used. */
static int take_option(char **argv, int i)
{
	const char *arg = argv[i], *name = arg + 2, *value;
	const struct work_opt *o;
	size_t len;

	if (!strcmp(arg, "--help") || !strcmp(arg, "-h"))
		usage(stdout, 0);
	if (!strcmp(arg, "-o"))
		name = "out";
	else if (strncmp(arg, "--", 2))
		bad_option("unknown option", arg);
	value = strchr(name, '=');
	len = value ? (size_t)(value - name) : strlen(name);
	o = find(self->opts, name, len);
	if (!o)
		o = find(common, name, len);
	if (!o)
		bad_option("unknown option", arg);
	if (!value && !argv[i + 1])
		bad_option("needs a value", arg);
	set_option(o, value ? value + 1 : argv[i + 1]);
	return value ? 1 : 2;
}

static FILE *open_or_die(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		work_die("%s", path);
	return f;
}

void work_args(int argc, char **argv, const struct work_usage *u)
{
	int operands = 0;

	self = u;
	for (int i = 1; i < argc;) {
		if (argv[i][0] == '-' && argv[i][1]) {
			i += take_option(argv, i);
			continue;
		}
		if (operands == u->noperands)
			bad_option("one operand too many", argv[i]);
		u->operand[operands++] = argv[i++];
	}
	if (operands < u->noperands)
		usage(stderr, 2);
	work_out = out_path ? open_or_die(out_path) : stdout;
	if (!progress_path)
		progress = stderr;
	else if (strcmp(progress_path, "none"))
		progress = open_or_die(progress_path);
}

void work_progress(const char *fmt, ...)
{
	va_list ap;

	if (!progress)
		return;
	fprintf(progress, "%s: ", self->name);
	va_start(ap, fmt);
	vfprintf(progress, fmt, ap);
	va_end(ap);
	fputc('\n', progress);
	fflush(progress);
}

void work_die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	fprintf(stderr, "%s: ", self->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (err)
		fprintf(stderr, ": %s", strerror(err));
	fputc('\n', stderr);
	exit(1);
}

int work_end(int status)
{
	int bad = ferror(work_out);

	if (fclose(work_out) || bad)
		work_die("result not written");
	if (progress && progress != stderr)
		fclose(progress);
	return status;
}
