/* SPDX-License-Identifier: MIT */
/* Arguments of execve in kernel memory (exec_args.c), used by exec.c. */
#ifndef KERNEL_EXEC_H
#define KERNEL_EXEC_H
#include "types.h"

#define EXEC_STRINGS_MAX (128ul * 1024)
#define FS_SCRIPT_MAX	 255 /* longest #! line */

struct fobj;
/* argv strings, then envp strings, each NUL terminated, then the file name. */
struct exec_strings {
	char *buf;
	size_t len, cap;
	u32 argc, envc;
	size_t execfn; /* offset of the file name */
};
/* A #! script: argv[0] becomes the script's path; then the interpreter goes in front. 0 or -E2BIG. */
int exec_strings_shift(struct exec_strings *s, const char *script);
int exec_strings_prepend(struct exec_strings *s, const char *arg);
/* The program file, checked for type and permission. NULL: *err. */
struct fobj *exec_open(const char *path, int *err);
/* The first process: load `path` with one argument and no environment. */
i64 exec_first(const char *path);
#endif
