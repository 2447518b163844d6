/* SPDX-License-Identifier: MIT */
/* See pathlex.h. Nothing here looks at a disk. */
#include "pathlex.h"
#include "lib.h"

/* What `..` did on the way: needed because only the server knows what a `..` behind a link means. */
struct walk {
	bool climbed[3]; /* [d]: after d components had been reached, it went above them */
	bool through;	 /* entered /n, /dev, /proc or /home at some point */
};

static bool special(const char *c, size_t n)
{
	return (n == 1 && c[0] == 'n') || (n == 3 && !strncmp(c, "dev", 3)) ||
	       (n == 4 && (!strncmp(c, "proc", 4) || !strncmp(c, "home", 4)));
}

/* Normalise the absolute path `in` into out (same size or smaller): no "//", ".", "..", no slash at the end. */
static void normalise(const char *in, char *out, struct walk *w)
{
	size_t at = 0;
	u32 depth = 0, deepest = 0;
	memset(w, 0, sizeof *w);
	while (*in) {
		while (*in == '/')
			in++;
		const char *end = in;
		while (*end && *end != '/')
			end++;
		size_t n = (size_t)(end - in);
		if (n == 2 && in[0] == '.' && in[1] == '.') {
			while (at && out[--at] != '/')
				;
			depth -= depth > 0;
		} else if (n && !(n == 1 && in[0] == '.')) {
			w->through |= depth == 0 && special(in, n);
			out[at++] = '/';
			memcpy(out + at, in, n);
			at += n;
			depth++;
		}
		deepest = MAX(deepest, depth);
		for (u32 d = 1; d < 3; d++)
			w->climbed[d] |= deepest >= d && depth < d;
		in = end;
	}
	if (!at)
		out[at++] = '/';
	out[at] = 0;
}

/* Is `dir` the first component(s) of path? */
static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return !strncmp(path, dir, n) && (path[n] == 0 || path[n] == '/');
}

/* What follows the first n components, as an absolute path; for names that never climbed, where "." and ".." (at
 * the root) lead nowhere. */
static const char *after_components(const char *p, u32 n)
{
	while (n) {
		while (*p == '/')
			p++;
		const char *start = p;
		while (*p && *p != '/')
			p++;
		bool dots =
			*start == '.' && (p - start == 1 || (p - start == 2 && start[1] == '.'));
		n -= !dots;
	}
	return p;
}

/* "/n/K" or "/n/K/...": K, else 0. */
static u32 tree_of(const char *norm)
{
	u32 k = 0;
	const char *p = norm + 3;
	if (strncmp(norm, "/n/", 3) || *p < '1' || *p > '9')
		return 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		k = k * 10 + (u32)(*p - '0');
		if (k > WH_MAX_NODES)
			return 0;
	}
	return *p == 0 || *p == '/' ? k : 0;
}

/* The part behind /n/K: what was written, if its `..` never climb out of /n/K; else normalised, for the server
 * would stop at its root where the process means to go on to /n. */
static void inside_tree(struct path *out, const char *joined, const char *norm,
			const struct walk *w)
{
	const char *tail = after_components(w->climbed[1] || w->climbed[2] ? norm : joined, 2);
	strlcpy(out->name, *tail ? tail : "/", sizeof out->name);
}

int path_lex(struct path *out, const char *cwd, const char *name, u32 home_tree, u32 nodes)
{
	static char joined[PATH_CAP], norm[PATH_CAP]; /* does not block: one user at a time */
	struct walk w;
	size_t n = strnlen(name, PATH_CAP), at = 0;
	if (!n)
		return -ENOENT;
	if (name[0] != '/') {
		at = strlen(cwd);
		if (at + 1 + n >= PATH_CAP)
			return -ENAMETOOLONG;
		memcpy(joined, cwd, at);
		joined[at++] = '/';
	}
	if (at + n >= PATH_CAP)
		return -ENAMETOOLONG;
	memcpy(joined + at, name, n);
	joined[at + n] = 0;
	normalise(joined, norm, &w);

	out->tree = home_tree;
	if (below(norm, "/dev") || below(norm, "/proc")) {
		out->kind = norm[1] == 'd' ? PATH_DEV : PATH_PROC;
		strlcpy(out->name, norm, sizeof out->name);
	} else if (!strcmp(norm, "/n")) {
		out->kind = PATH_NODES;
		strlcpy(out->name, norm, sizeof out->name);
	} else if (below(norm, "/n")) {
		out->kind = PATH_TREE;
		out->tree = tree_of(norm);
		if (!out->tree || out->tree > nodes)
			return -ENOENT;
		inside_tree(out, joined, norm, &w);
	} else {
		bool home = below(norm, "/home");
		out->kind = PATH_TREE;
		if (home)
			out->tree = HOME_TREE;
		/* Verbatim unless its `..` lead from one tree into another. */
		strlcpy(out->name, w.climbed[1] && (home || w.through) ? norm : joined,
			sizeof out->name);
	}
	return 0;
}

int path_show(char *out, size_t cap, u32 tree, const char *name, u32 home_tree)
{
	struct text t = TEXT(out, cap);
	out[0] = 0;
	if (tree != home_tree && !(tree == HOME_TREE && below(name, "/home")))
		text_printf(&t, "/n/%u", tree);
	if (strcmp(name, "/") || !t.len)
		text_printf(&t, "%s", name);
	return t.len + 1 >= cap ? -ENAMETOOLONG : 0;
}
