/* SPDX-License-Identifier: MIT */
/*
 * The lexical half of names (pure; tested on the host): which tree or pseudo file system a path means.
 * Names that a process sees:  /dev, /proc  answered inside the kernel;  /n  the list of nodes;
 * /n/K/...  tree K (custodian node K);  /home  one tree for all (HOME_TREE);  everything else its home tree.
 */
#ifndef KERNEL_PATHLEX_H
#define KERNEL_PATHLEX_H
#include "types.h"
#include "msg_file.h"

#define HOME_TREE 1u		     /* custodian of /home */
#define PATH_CAP  (FS_PATH_MAX - 16) /* so that a struct path is one page */

enum path_kind {
	PATH_TREE,  /* ask the file server: tree, name */
	PATH_DEV,   /* name = normalised, "/dev" or "/dev/..." */
	PATH_PROC,  /* name = normalised, "/proc" or "/proc/..." */
	PATH_NODES, /* "/n" itself */
};

struct path {
	enum path_kind kind;
	u32 tree; /* PATH_TREE: custodian node */
	/* PATH_TREE: absolute within the tree, `..` and links left to the server, which alone knows where links lead. */
	char name[PATH_CAP];
};

/* Put `name` behind `cwd` (canonical) and classify. cwd is not looked at if name is absolute.
 * 0, -ENOENT (empty name, or a /n/K of no node), -ENAMETOOLONG. */
int path_lex(struct path *out, const char *cwd, const char *name, u32 home_tree, u32 nodes);

/* The name a process whose home tree is `home_tree` uses for `name` (canonical) in `tree`. -ENAMETOOLONG. */
int path_show(char *out, size_t cap, u32 tree, const char *name, u32 home_tree);
#endif
