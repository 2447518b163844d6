/* SPDX-License-Identifier: MIT */
/*
 * Scheduling as programs ask for it. There is one policy and one processor a node: what can be set is kept and told,
 * and is the same on every node; it has no effect.
 */
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

enum { SCHED_OTHER = 0, SCHED_FIFO = 1, SCHED_RR = 2, SCHED_BATCH = 3, SCHED_IDLE = 5 };
enum { PRIO_PROCESS = 0, PRIO_PGRP = 1, PRIO_USER = 2 };

/* pid 0: current. NULL: none here. */
static struct proc *find(i32 pid)
{
	struct proc *p = pid ? proc_find(pid) : current;
	const struct thread *t = p ? NULL : thread_find(pid);
	if (t)
		p = t->proc;
	return p && p->u && p->state != PROC_NEW ? p : NULL;
}

static bool mine(const struct proc *p)
{
	u32 euid = current->u->names.euid;
	return euid == 0 || euid == p->u->names.uid || euid == p->u->names.euid;
}

/* ---- nice values ---- */

static bool meant(const struct proc *p, u32 which, u32 who)
{
	if (!p->u || p->state == PROC_NEW || p->state == PROC_ZOMBIE)
		return false;
	if (which == PRIO_PROCESS)
		return who ? p->pid == (i32)who : p == current;
	if (which == PRIO_PGRP)
		return p->u->names.pgid == (who ? (i32)who : current->u->names.pgid);
	return p->u->names.uid == (who ? who : current->u->names.uid);
}

/* 20 - nice of the one with the most favourable. */
i64 sys_getpriority(const u64 *arg)
{
	i64 best = -ESRCH;
	if ((u32)arg[0] > PRIO_USER)
		return -EINVAL;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (meant(p, (u32)arg[0], (u32)arg[1]))
			best = MAX(best, (i64)(20 - p->u->nice));
	return best;
}

i64 sys_setpriority(const u64 *arg)
{
	i32 nice = MAX(MIN((i32)arg[2], 19), -20);
	i64 r = -ESRCH;
	if ((u32)arg[0] > PRIO_USER)
		return -EINVAL;
	list_for_each(p, &all_procs, struct proc, all_link) {
		if (!meant(p, (u32)arg[0], (u32)arg[1]))
			continue;
		if (!mine(p)) {
			r = -EPERM;
		} else if (nice < p->u->nice && current->u->names.euid) {
			r = -EACCES;
		} else {
			p->u->nice = nice;
			r = r == -ESRCH ? 0 : r;
		}
	}
	return r;
}

/* ---- policies ---- */

i64 sys_sched_getscheduler(const u64 *arg)
{
	if ((i32)arg[0] < 0)
		return -EINVAL;
	return find((i32)arg[0]) ? SCHED_OTHER : -ESRCH;
}

i64 sys_sched_setscheduler(const u64 *arg)
{
	u32 policy = (u32)arg[1] & ~0x40000000u; /* SCHED_RESET_ON_FORK */
	i32 priority;
	if ((i32)arg[0] < 0 || !arg[2])
		return -EINVAL;
	if (copy_from_user(&priority, arg[2], sizeof priority))
		return -EFAULT;
	const struct proc *p = find((i32)arg[0]); /* not before: copying may block, and it end */
	if (!p)
		return -ESRCH;
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return priority < 1 || priority > 99 ? -EINVAL : -EPERM;
	if ((policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE) || priority)
		return -EINVAL;
	return mine(p) ? 0 : -EPERM;
}

i64 sys_sched_getparam(const u64 *arg)
{
	i32 priority = 0;
	if ((i32)arg[0] < 0 || !arg[1])
		return -EINVAL;
	if (!find((i32)arg[0]))
		return -ESRCH;
	return copy_to_user(arg[1], &priority, sizeof priority) ? -EFAULT : 0;
}

i64 sys_sched_setparam(const u64 *arg)
{
	i32 priority;
	if ((i32)arg[0] < 0 || !arg[1])
		return -EINVAL;
	if (copy_from_user(&priority, arg[1], sizeof priority))
		return -EFAULT;
	const struct proc *p = find((i32)arg[0]);
	if (!p)
		return -ESRCH;
	return priority ? -EINVAL : mine(p) ? 0 : -EPERM;
}

static i64 bound(u32 policy, i64 of_real_time)
{
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return of_real_time;
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ? 0 : -EINVAL;
}

i64 sys_sched_get_priority_max(const u64 *arg)
{
	return bound((u32)arg[0], 99);
}

i64 sys_sched_get_priority_min(const u64 *arg)
{
	return bound((u32)arg[0], 1);
}

i64 sys_sched_rr_get_interval(const u64 *arg)
{
	i64 t[2] = {0, 10 * 1000 * 1000};
	if ((i32)arg[0] < 0)
		return -EINVAL;
	if (!find((i32)arg[0]))
		return -ESRCH;
	return copy_to_user(arg[1], t, sizeof t) ? -EFAULT : 0;
}

/* ---- processors: number 0, on any node ---- */

i64 sys_sched_getaffinity(const u64 *arg)
{
	u64 mask = 1;
	if (arg[1] < sizeof mask || arg[1] % sizeof mask)
		return -EINVAL;
	if (!find((i32)arg[0]))
		return -ESRCH;
	return copy_to_user(arg[2], &mask, sizeof mask) ? -EFAULT : (i64)sizeof mask;
}

i64 sys_sched_setaffinity(const u64 *arg)
{
	u64 mask = 0;
	if (copy_from_user(&mask, arg[2], MIN(arg[1], sizeof mask)))
		return -EFAULT;
	const struct proc *p = find((i32)arg[0]);
	if (!p)
		return -ESRCH;
	if (!mine(p))
		return -EPERM;
	return mask & 1 ? 0 : -EINVAL;
}

i64 sys_getcpu(const u64 *arg)
{
	u32 zero = 0;
	for (int i = 0; i < 2; i++)
		if (arg[i] && copy_to_user(arg[i], &zero, sizeof zero))
			return -EFAULT;
	return 0;
}
