/* SPDX-License-Identifier: MIT */
/*
 * Freezing, export and import of processes, and stubs: between procctl.c, image.c, freeze.c and stub.c.
 *
 * A process on its way (design 8; the owner is in brackets):
 *   source:       RUN .. -> proc_freeze -> FROZEN -> proc_get ...  [source]
 *                 FROZEN -> proc_thaw -> RUN (abort), or -> proc_release(AWAY) -> stub or nothing [destination]
 *   destination:  proc_create -> NEW -> proc_set ... -> proc_thaw -> RUN [destination], or proc_release(DROP)
 *   home:         stub (AWAY) -> proc_moved ... -> proc_exited -> ZOMBIE; or absorbed when the process comes back
 */
#ifndef KERNEL_PROCCTL_H
#define KERNEL_PROCCTL_H
#include "types.h"
#include "whimbrel.h"

struct proc;

extern u64 migrations_in, migrations_out; /* of this boot */

/* The process that the migration handler means by pid: a copy that is just arriving comes before a
 * stub of the same pid. NULL: none. */
struct proc *procctl_find(i32 pid);
/* The arriving copy only, or NULL. */
struct proc *shell_find(i32 pid);

/* May current look into p: its memory map, what it has open, its views? Root may, and its user unless it runs with more
 * rights than he has. 0 or -EACCES. */
int proc_may_inspect(const struct proc *p);

void proc_info(struct proc *p, struct wh_pinfo *info); /* zero_pages is not counted */

/* image.c: one part of a frozen process to or from the handler's buffer. Bytes, or -errno. */
i64 image_get(struct proc *p, u32 what, u64 arg, u64 ubuf, u64 len);
i64 image_set(struct proc *p, u32 what, u64 arg, u64 ubuf, u64 len);
/* image_thread.c: -EINVAL if the processor would refuse them. */
struct thread;
struct blob;
void thread_regs_get(const struct thread *t, struct wh_regs *r);
int thread_regs_set(struct thread *t, const struct wh_regs *r);
void thread_fpu_arrived(struct thread *t); /* t->fpu has been filled from outside */
/* WH_P_THREADS. 0, -EINVAL, -ENOMEM, -ERANGE; then p has its leader only. */
int threads_pack(struct proc *p, struct blob *b);
int threads_unpack(struct proc *p, struct blob *b);
/* 0 if every part that a process cannot run without has arrived, else -EINVAL. */
int image_complete(const struct proc *p);

/* stub.c */
/* p, frozen here, runs on `node` now: free all of it, silently; what remains (perhaps) is a stub. */
void stub_leave(struct proc *p, u32 node);
/* The arriving copy takes the place of its stub here, if there is one. */
void stub_absorb(struct proc *p);
#endif
