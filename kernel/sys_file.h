/* SPDX-License-Identifier: MIT */
/* Handlers of class File, and the opening of files on behalf of other parts of the kernel. */
#ifndef KERNEL_SYS_FILE_H
#define KERNEL_SYS_FILE_H
#include "linux_file.h"
#include "path.h"
#include "pseudo.h"

/* Every handler of the table: one row, one function. */
#define SYSCALL(nr, name, cls, kind, rule) i64 sys_##name(const u64 *arg);
#define WHCALL(nr, name, cls, kind, rule)  i64 wh_sys_##name(const u64 *arg);
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL

/* Open what `path` means (path->name is scratch afterwards), for the current process. NULL: *err. */
struct ofile *file_open_path(struct path *path, u32 flags, u32 mode, int *err);
/* A user's vector of n <= IOV_MAX buffers into v. 0, -EFAULT, or -EINVAL: a length, or their sum, is too large. */
i64 iovec_from_user(struct linux_iovec *v, u64 uaddr, u32 n);
int path_stat(struct path *p, bool nofollow, struct fs_attr *a);
#endif
