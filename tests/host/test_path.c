/* SPDX-License-Identifier: MIT */
/* The lexical rules of names (kernel/pathlex.c): which tree or pseudo file system a path means. */
#include "pathlex.h"
#include "lib.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What pathlex.c uses of the kernel's library and the C library does not have. */
size_t strlcpy(char *dst, const char *src, size_t cap)
{
	size_t n = strlen(src), m = MIN(n, cap - 1);
	memcpy(dst, src, m);
	dst[m] = 0;
	return n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len = MIN(t->len + (size_t)n, t->cap - 1);
}

static int failed;

static void check(const char *what, bool good, const char *why)
{
	if (good)
		printf("ok %s\n", what);
	else
		printf("not ok %s: %s\n", what, why);
	failed |= !good;
}

/* Home tree 2 of 3 nodes. kind < 0: an error is expected. */
struct row {
	const char *cwd, *name;
	int kind;
	u32 tree;
	const char *result;
};
static const struct row rows[] = {
	{"/", "a", PATH_TREE, 2, "//a"},
	{"/usr", "/etc/passwd", PATH_TREE, 2, "/etc/passwd"},
	{"/usr", "lib/../bin", PATH_TREE, 2,
	 "/usr/lib/../bin"}, /* only the server knows where lib leads */
	{"/tmp", "../etc/x", PATH_TREE, 2, "/tmp/../etc/x"},
	{"/", "", -ENOENT, 0, ""},
	{"/", "/dev/null", PATH_DEV, 0, "/dev/null"},
	{"/dev", "null", PATH_DEV, 0, "/dev/null"},
	{"/tmp", "../dev//./null", PATH_DEV, 0, "/dev/null"},
	{"/", "/dev/../etc", PATH_TREE, 2, "/etc"},
	{"/", "/devices", PATH_TREE, 2, "/devices"},
	{"/", "/proc/self/stat", PATH_PROC, 0, "/proc/self/stat"},
	{"/proc/7", "..", PATH_PROC, 0, "/proc"},
	{"/proc", "../tmp/f", PATH_TREE, 2, "/tmp/f"},
	{"/", "/n", PATH_NODES, 0, "/n"},
	{"/", "/n/", PATH_NODES, 0, "/n"},
	{"/n", "3", PATH_TREE, 3, "/"},
	{"/", "/n/1/etc/x", PATH_TREE, 1, "/etc/x"},
	{"/", "/n/1/a/../b", PATH_TREE, 1, "/a/../b"},
	{"/", "/n/./1/a/", PATH_TREE, 1, "/a/"},
	{"/n/1/d", "../../3/x", PATH_TREE, 3, "/x"},
	{"/n/1/d", "../../../etc", PATH_TREE, 2, "/etc"},
	{"/n/1", "../2/../1/x", PATH_TREE, 1, "/x"},
	{"/", "/n/4/x", -ENOENT, 0, ""},
	{"/", "/n/0/x", -ENOENT, 0, ""},
	{"/", "/n/1x", -ENOENT, 0, ""},
	{"/", "/n/99999999999", -ENOENT, 0, ""},
	{"/", "/home", PATH_TREE, HOME_TREE, "/home"},
	{"/home/ann", "f", PATH_TREE, HOME_TREE, "/home/ann/f"},
	{"/home/ann", "../../etc", PATH_TREE, 2, "/etc"},
	{"/", "/homes", PATH_TREE, 2, "/homes"},
	{"/", "/../../x", PATH_TREE, 2, "/../../x"},
};

static void check_rows(void)
{
	static struct path p;
	for (u32 i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		char what[128], why[5000];
		int got = path_lex(&p, r->cwd, r->name, 2, 3);
		snprintf(what, sizeof what, "path %s + '%s'", r->cwd, r->name);
		snprintf(why, sizeof why, "error %d kind %d tree %u name %s", got,
			 got ? -1 : (int)p.kind, p.tree, got ? "" : p.name);
		bool good = r->kind < 0 ? got == r->kind
					: !got && (int)p.kind == r->kind &&
						  !strcmp(p.name, r->result) &&
						  (p.kind != PATH_TREE || p.tree == r->tree);
		check(what, good, why);
	}
}

static void check_long(void)
{
	static struct path p;
	static char name[2 * FS_PATH_MAX];
	memset(name, 'x', sizeof name - 1);
	name[0] = '/';
	check("too long by far", path_lex(&p, "/", name, 1, 1) == -ENAMETOOLONG, "accepted");
	name[PATH_CAP] = 0;
	check("too long by one", path_lex(&p, "/", name, 1, 1) == -ENAMETOOLONG, "accepted");
	name[PATH_CAP - 1] = 0;
	check("longest", path_lex(&p, "/", name, 1, 1) == 0 && strlen(p.name) == PATH_CAP - 1,
	      "refused");
	check("too long behind a directory", path_lex(&p, "/tmp", name + 1, 1, 1) == -ENAMETOOLONG,
	      "accepted");
}

static void check_show(void)
{
	char out[32];
	check("show home tree", !path_show(out, sizeof out, 2, "/etc", 2) && !strcmp(out, "/etc"),
	      out);
	check("show other tree",
	      !path_show(out, sizeof out, 3, "/etc", 2) && !strcmp(out, "/n/3/etc"), out);
	check("show root of other tree",
	      !path_show(out, sizeof out, 3, "/", 2) && !strcmp(out, "/n/3"), out);
	check("show root", !path_show(out, sizeof out, 2, "/", 2) && !strcmp(out, "/"), out);
	check("show /home",
	      !path_show(out, sizeof out, 1, "/home/ann", 2) && !strcmp(out, "/home/ann"), out);
	check("show too long", path_show(out, 8, 3, "/abcdef", 2) == -ENAMETOOLONG, out);
}

/* The model: components on a stack, nothing else. Returns the depth. */
static u32 stack_of(const char *path, char stack[][8])
{
	char copy[256], *save = NULL;
	u32 n = 0;
	snprintf(copy, sizeof copy, "%s", path);
	for (char *c = strtok_r(copy, "/", &save); c; c = strtok_r(NULL, "/", &save)) {
		if (!strcmp(c, ".."))
			n -= n > 0;
		else if (strcmp(c, "."))
			snprintf(stack[n++], 8, "%s", c);
	}
	return n;
}

/* Where no link is involved, the place that is found must be the model's. */
static bool agrees(const char *cwd, const char *name)
{
	static struct path p;
	char full[256], want[16][8], got[16][8];
	snprintf(full, sizeof full, "%s/%s", name[0] == '/' ? "" : cwd, name);
	u32 n = stack_of(full, want), skip = 0, tree = 2;
	int err = path_lex(&p, cwd, name, 2, 3);
	if (n && (!strcmp(want[0], "dev") || !strcmp(want[0], "proc")))
		return !err && p.kind == (want[0][0] == 'd' ? PATH_DEV : PATH_PROC);
	if (n && !strcmp(want[0], "n")) {
		if (n == 1)
			return !err && p.kind == PATH_NODES;
		tree = (u32)atoi(want[1]);
		if (tree < 1 || tree > 3)
			return err == -ENOENT;
		skip = 2;
	} else if (n && !strcmp(want[0], "home")) {
		tree = HOME_TREE;
	}
	if (err || p.kind != PATH_TREE || p.tree != tree || stack_of(p.name, got) != n - skip)
		return false;
	for (u32 i = skip; i < n; i++)
		if (strcmp(want[i], got[i - skip]))
			return false;
	return true;
}

static void check_random(void)
{
	static const char *const parts[] = {"n",  "1",	"3", "dev", "proc", "home",
					    "..", "..", ".", "a",   "",	    "9"};
	static const char *const cwds[] = {"/", "/n/3/x", "/home/b", "/dev", "/a/b", "/n"};
	char why[160] = "";
	u32 seed = 1;
	for (u32 round = 0; round < 200000 && !why[0]; round++) {
		char name[128] = "";
		const char *cwd = cwds[round % ARRAY_LEN(cwds)];
		u32 n = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 8;
		while (n--) {
			strcat(name, "/");
			strcat(name, parts[(seed = seed * 1103515245 + 12345) / 65536 %
					   ARRAY_LEN(parts)]);
		}
		const char *given = name + (seed >> 20) % 2;
		if (*given && !agrees(cwd, given))
			snprintf(why, sizeof why, "%s + %s", cwd, given);
	}
	check("200000 random names agree with a model", !why[0], why);
}

int main(void)
{
	check_rows();
	check_long();
	check_show();
	check_random();
	return failed;
}
