/* SPDX-License-Identifier: MIT */
/* Names as user programs give them: from user memory and the working directory to a tree and a name in it. */
#ifndef KERNEL_PATH_H
#define KERNEL_PATH_H
#include "pathlex.h"

struct proc;
struct ofile;

#define AT_FDCWD (-100)

/* The path at user address uname, relative to dirfd (or AT_FDCWD). *out is the caller's: kfree. -EFAULT, -ENOENT
 * (also for ""), -ENAMETOOLONG, -EBADF, -ENOTDIR, -ENOMEM. */
int path_from_user(int dirfd, u64 uname, struct path **out);
/* The same for a string in kernel memory. */
int path_from_kernel(int dirfd, const char *name, struct path **out);
/* Replace a path that names one of /proc's links (/proc/self/exe) by the path it leads to. 0 or -errno. */
int path_follow(struct path **p);
/* What the process calls an open directory (absolute). -ENOTDIR, -ENAMETOOLONG. */
int path_of_ofile(const struct proc *p, const struct ofile *f, char *out, size_t cap);
/* What the process calls the file a path means; *out is the caller's: kfree. */
int path_name(const struct proc *p, const struct path *path, char **out);
#endif
