/* SPDX-License-Identifier: MIT */
/* Resource limits: they belong to the process, travel with it, and are inherited. */
#ifndef KERNEL_RLIMIT_H
#define KERNEL_RLIMIT_H
#include "proc.h"

enum {
	RLIMIT_CPU = 0,
	RLIMIT_FSIZE = 1,
	RLIMIT_DATA = 2,
	RLIMIT_STACK = 3,
	RLIMIT_CORE = 4,
	RLIMIT_NPROC = 6,
	RLIMIT_NOFILE = 7,
	RLIMIT_AS = 9,
};
#define RLIM_INFINITY (~0ull)

void rlimit_defaults(struct ublock *u);
static inline u64 rlimit(const struct proc *p, u32 which)
{
	return p->u->rlimit[which].cur;
}
/* May current's memory grow by len? `data`: private and writable. */
bool rlimit_memory(u64 len, bool data);
/* How many of len bytes may be written at off; 0 after SIGXFSZ was sent: -EFBIG. */
u64 rlimit_file(u64 off, u64 len);
#endif
