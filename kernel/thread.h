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
#define THREADS_MAX 256 /* of a process: more would not fit into its image (image.c) */
#define THREAD_HELD 4	/* open files in use by one call */

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
	u64 cr3; /* likewise; 0: it has never run. What it was cannot change meanwhile: only exec */
	bool tsd; /* and exit change an address space, their own. And whether rdtsc traps */
	struct timer sleep_timer;

	/* scheduling */
	enum thread_state state;
	struct list run_link, wait_link;
	struct waitq *waiting_on;
	bool wait_interruptible;
	bool uninterruptible_call; /* a file request is in flight */
	int wait_result;
	u64 slice_end_ns, last_start_ns;

	/* Open files that its current call uses: another thread may close them meanwhile (ofile.c). */
	struct ofile *held[THREAD_HELD];
	u32 held_next;
	bool holds;
};

extern struct thread *current_thread; /* NULL in the idle loop */

static inline u64 thread_stack_top(const struct thread *t)
{
	return (u64)t & ~15ull;
}

/* A THREAD_NEW thread of p. NULL: no memory. */
struct thread *thread_alloc(struct proc *p, i32 tid);
void thread_free(struct thread *t);
struct thread *thread_find(i32 tid); /* one that has not ended, or NULL */
/* Build the kernel stack of a new thread so that schedule() enters user mode with *tf. */
void thread_prepare_return(struct thread *t, const struct trapframe *tf);
enum clone_flags {
	CLONE_VM = 0x100,
	CLONE_FS = 0x200,
	CLONE_FILES = 0x400,
	CLONE_SIGHAND = 0x800,
	CLONE_VFORK = 0x4000,
	CLONE_THREAD = 0x10000,
	CLONE_SYSVSEM = 0x40000,
	CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
	CLONE_DETACHED = 0x400000, /* of old; means nothing */
	CLONE_CHILD_SETTID = 0x1000000,
};
/* Give t what the running thread hands on: registers (0 in rax), FPU, mask; ready to run. */
void thread_copy(struct thread *t, u64 flags, u64 stack, u64 uctid, u64 tls);
/* clone(CLONE_THREAD) by current_thread: the new tid, or -errno. */
i64 thread_clone(u64 flags, u64 stack, u64 uptid, u64 uctid, u64 tls);

/* The running thread ends; with the last one its process, whose wait status is the leader's unless
 * proc_exit() has set one. */
void thread_end(i32 status) __attribute__((noreturn));
/* Must it end instead of returning to user mode? */
bool thread_must_end(const struct thread *t);
/* All threads of p but `survivor` (NULL: all) end at their next return to user mode; who waits
 * interruptibly or stands there goes on to that end. */
void thread_end_others(struct proc *p, struct thread *survivor);
/* exec: end all other threads, wait until they have ended, and lead the process. -EINTR: the
 * process is ending. */
int thread_become_only(void);
/* The running thread's call uses f, or has ended. */
void thread_hold(struct ofile *f);
void thread_drop_held(struct thread *t);

/* futex.c: *uaddr became `value` at the end of a thread. */
void futex_store_and_wake(u64 uaddr, u32 value);
/* The locks that the running thread leaves behind (set_robust_list). */
void futex_thread_ended(struct thread *t);
/* The node's clock was set: deadlines on it move. */
void futex_clock_set(void);
#endif
