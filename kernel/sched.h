/* SPDX-License-Identifier: MIT */
/*
 * One CPU; the kernel is not preemptible and runs with interrupts off (they arrive in user mode and
 * in the idle loop), so kernel data needs no locks: only a call that blocks (wait_on and what calls
 * it) can see the world change under it.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H
#include "timerheap.h"
#include "types.h"

struct proc;
struct thread;
struct waitq {
	struct list waiters;
};
#define WAITQ_INIT(name)                                                                           \
	{                                                                                          \
		LIST_INIT((name).waiters)                                                          \
	}
static inline void waitq_init(struct waitq *q)
{
	list_init(&q->waiters);
}
#define NO_DEADLINE (~0ull)

/* Sleep on q until woken (0), until node monotonic time `deadline` (-ETIMEDOUT), or, if
 * interruptible, until a signal or a freeze is pending (-EINTR; returned at once if one already
 * is). Re-check your condition in a loop. */
int wait_on(struct waitq *q, u64 deadline_ns, bool interruptible);
void wake_all(struct waitq *q);
void wake_thread(struct thread *t); /* ends its wait with 0 */
/* Something interruptible must notice (signal, freeze): ends an interruptible wait with -EINTR. */
void interrupt_thread(struct thread *t);

void sched_add(struct thread *t); /* make runnable */
void schedule(void);		  /* give up the CPU (state already set) */
extern bool need_resched;
void sched_start(struct thread *first)
	__attribute__((noreturn)); /* leave the boot stack for good */
/* Privilege changes while running: keep the count of user processes right. */
void sched_set_privileged(struct proc *p, bool on);
void sched_reap_later(struct proc *p);
void sched_reap_thread_later(struct thread *t);
void sched_finish_switch(void);
u64 sched_load_milli(void); /* run queue of user processes, averaged over 1 s, * 1000 */
u64 sched_runnable_users(void);
extern u64 switch_count, fault_count, ipc_count, syscall_count;

/* ---- time (timer.c) ---- */
static inline u64 rdtsc_raw(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}
/* The clock between two looks at the HPET, private to now_ns and timer.c. */
extern struct timebase {
	u64 tsc, ns;	 /* at the last look */
	u64 mult;	 /* ns per TSC tick << 32; 0 before timer_init */
	u64 ticks_limit; /* look again after so many */
} timebase;
void timebase_resync(void);
static inline u64 timebase_at(u64 ticks)
{
	return timebase.ns + (u64)(((unsigned __int128)ticks * timebase.mult) >> 32);
}
/* Node monotonic: TSC, scaled by the node's drift. */
static inline u64 now_ns(void)
{
	u64 ticks = rdtsc_raw() - timebase.tsc;
	if (UNLIKELY(ticks > timebase.ticks_limit)) {
		timebase_resync();
		ticks = 0;
	}
	return timebase_at(ticks);
}
/* Deadlines in node monotonic time. */
void timer_arm(struct timer *t, u64 deadline_ns);
extern u64 timer_armed_for; /* not later than any timer's deadline */
void timer_rearm(void);
/* The running thread's slice ends then. */
static inline void timer_slice(u64 end_ns)
{
	if (UNLIKELY(end_ns < timer_armed_for))
		timer_rearm();
}
void timer_cancel(struct timer *t);
#endif
