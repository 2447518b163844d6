/* SPDX-License-Identifier: MIT */
/* The user stack frame of a signal handler: Linux x86-64 layout (struct rt_sigframe), so that musl
 * and glibc find ucontext and siginfo where they expect them and restore with rt_sigreturn. */
#ifndef KERNEL_SIGFRAME_H
#define KERNEL_SIGFRAME_H
#include "types.h"
#include "ublock.h"

struct thread;
struct trapframe;

/* Save *tf, the FPU and `mask` on the user's stack and make *tf enter the handler of sig.
 * t is current_thread. May block. -EFAULT: no such stack, or the action has no restorer; *tf is then undefined.
 */
/* siginfo_t (128 bytes, zeroed) of such a signal. */
void sigframe_info(void *info, const struct thread *t, int sig, struct sigorigin from);
int sigframe_push(struct thread *t, struct trapframe *tf, int sig, struct sigorigin from, u64 mask);
/* Undo it from the frame that tf->rsp points behind. Trusts nothing in it. May block. 0 or -EFAULT. */
int sigframe_pop(struct thread *t, struct trapframe *tf);
#endif
