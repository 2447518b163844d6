/* SPDX-License-Identifier: MIT */
/*
 * A thread: registers, kernel stack, current call, signal mask (design 3). All else is its
 * process's (proc.h). The first thread of a process, its leader, bears the process's number and
 * stays until the process ends.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H
#include "types.h"
#include "sched.h"
#include "trap.h"
#include "ublock.h"

#define KSTACK_SIZE 16384

enum thread_state {
	THREAD_NEW,	/* being made: has never run */
	THREAD_RUN,	/* running or runnable */
	THREAD_WAIT,	/* in wait_on */
	THREAD_STOPPED, /* job control */
	THREAD_FROZEN,	/* at the user boundary, everything saved */
	THREAD_ENDED,
};

struct thread {
	struct proc *proc;
	struct list proc_link; /* in proc->threads */
	i32 tid;	       /* of the same numbers as pids */

	/* travels */
	struct uthread u;
	struct trapframe *tf; /* user registers, at the top of the kernel stack */
	u64 fs_base, gs_base;
	u64 selectors;				  /* of cpu_selectors(), while not running */
	u8 fpu[512] __attribute__((aligned(16))); /* FXSAVE; valid unless fpu_owner == this */
	bool fpu_used;

	/* rebuilt at the destination */
	u8 *kstack; /* KSTACK_SIZE bytes; this structure lies at their end, the stack below it */
	u64 ksp;    /* saved kernel stack pointer while not running */
	struct timer sleep_timer;

	/* scheduling */
	enum thread_state state;
	struct list run_link, wait_link;
	struct waitq *waiting_on;
	bool wait_interruptible;
	bool uninterruptible_call; /* a file request is in flight */
	int wait_result;
	u64 slice_end_ns, last_start_ns;
};

extern struct thread *current_thread; /* NULL in the idle loop */

static inline u64 thread_stack_top(const struct thread *t)
{
	return (u64)t & ~15ull;
}
/* Build the kernel stack of a new thread so that schedule() enters user mode with *tf. */
void thread_prepare_return(struct thread *t, const struct trapframe *tf);
void thread_free(struct thread *t);
#endif
