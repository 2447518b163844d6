/* SPDX-License-Identifier: MIT */
/* Class Clock: what others use of it (clock.c, sleep.c, tsc.c). */
#ifndef KERNEL_ENV_CLOCK_H
#define KERNEL_ENV_CLOCK_H
#include "types.h"
#include "env/clockview.h"

struct proc;

enum clock_id {
	CLOCK_REALTIME = 0,
	CLOCK_MONOTONIC = 1,
	CLOCK_PROCESS_CPUTIME_ID = 2,
	CLOCK_THREAD_CPUTIME_ID = 3,
	CLOCK_MONOTONIC_RAW = 4,
	CLOCK_REALTIME_COARSE = 5,
	CLOCK_MONOTONIC_COARSE = 6,
	CLOCK_BOOTTIME = 7,
	CLOCK_TSC = 8, /* the checker's number for rdtsc; not a clock id of the ABI */
};

/* The kernel variables that *ktime and *kztime of Fig. 1 bind to: the clock server publishes them
 * (wh_clock_set). */
extern i64 ktime; /* the node's REALTIME = now_ns() + ktime */
struct kzone {
	i32 minuteswest, dsttime;
};
extern struct kzone kztime;

extern enum clock_policy
	clock_policy; /* of this node; CLOCK_HOLD unless the command line says otherwise */
/* "hold", "block" or "slew". false: unknown, nothing changed. */
bool clock_policy_set(const char *name);

/* Memory that `from` wrote reaches `to` (wait): it brings along what `from` saw of the clocks. */
void clock_learn(struct proc *to, const struct proc *from);
/* The same through a pipe, which keeps for its readers the latest that its writers had seen. */
void clock_leave(struct cview *in_pipe, const struct proc *writer);
void clock_take(struct proc *reader, const struct cview *in_pipe);

/* Deadlines do not fire while a process is frozen (the signal would miss the copy that travels). */
void clock_suspend(struct proc *p);
void clock_resume(struct proc *p);

u64 proc_cpu_ns(const struct proc *p); /* used so far, the current slice included */

/* ---- between clock.c, sleep.c and view code ---- */
i64 node_realtime(void);
/* The process's MONOTONIC for the kernel's own use (deadlines); with views off the process is shown
 * something else. */
i64 clock_mono(const struct proc *p);
/* A MONOTONIC value that p names (it knows only what it was shown) on the scale of clock_mono. */
i64 clock_mono_from_user(const struct proc *p, i64 value);
/* REALTIME sleepers: woken when the node's clock is set. */
extern struct waitq clock_set_waiters;
#endif
