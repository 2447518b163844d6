/* SPDX-License-Identifier: MIT */
/* Between procfs.c (names, the node's files) and procfs_proc.c (the files of one process). */
#ifndef KERNEL_PROCFS_H
#define KERNEL_PROCFS_H
#include "proc.h"
#include "pseudo.h"

struct procfs_node_file {
	const char *name;
	void (*make)(struct text *t);
};
struct procfs_file {
	const char *name;
	bool link;    /* what make prints is the link's target */
	bool private; /* for the owner of the process and root only */
	void (*make)(const struct proc *p, struct text *t);
};
const struct procfs_file *procfs_file_find(const char *name); /* or NULL */
const struct procfs_file *procfs_file_row(u32 i);	      /* or NULL past the last */
void procfs_mounts(struct text *t);
void procfs_fd_target(const struct proc *p, int fd, struct text *t);
#endif
