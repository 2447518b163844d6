/* SPDX-License-Identifier: MIT */
/*
 * Files and directories that exist only in the kernel: /proc, /dev and /n. Their content is a snapshot taken
 * when they are opened, so that a reader with a small buffer still sees one moment.
 */
#ifndef KERNEL_PSEUDO_H
#define KERNEL_PSEUDO_H
#include "file.h"

#define PSEUDO_BUF 16384

/* The directory behind an open file of this kind (e.g. "/proc/7"), else NULL. */
const char *pseudo_dir_path(const struct ofile *f);

/* A readable file with this content (copied). NULL: no memory. */
struct ofile *pseudo_file(const char *content, size_t len, u32 flags);

/* A directory being made: start, add entries, open. */
struct pseudo_list {
	struct text text; /* lines "TYPE NAME\n" */
};
bool pseudo_list_begin(struct pseudo_list *l); /* false: no memory */
void pseudo_list_add(struct pseudo_list *l, char type,
		     const char *name); /* type: d directory, f file, c device, l link */
/* Frees the list. NULL: no memory. */
struct ofile *pseudo_list_open(struct pseudo_list *l, const char *path, u32 flags);

/* Attributes of something that is only in the kernel. */
void pseudo_attr(struct fs_attr *a, const char *path, u32 mode);

/* The name in /dev of the terminal that has these attributes. */
void dev_terminal_name(const struct fs_attr *a, struct text *t);

/* /n: one directory per node. */
struct ofile *nodes_open(u32 flags, int *err);

/* Links under /proc and /dev: the target as seen by the current process. Length, or -EINVAL (no link), -ENOENT. */
i64 proc_readlink(const char *path, char *buf, size_t cap);
/* "/proc/self/fd/3", "/dev/fd/3", "/dev/stdin": the descriptor number, else -1. */
int proc_fd_alias(const char *path);
#endif
