/* SPDX-License-Identifier: MIT */
/*
 * Total freezing (design 3 and 8). A process freezes at the boundary to user mode only, where
 * nothing of it is on a kernel stack: interruptible waits end at once and are re-executed later, an
 * uninterruptible one delays the freeze. The end of every freeze that was asked for is one
 * WH_MSG_K_FROZEN request to the migration handler, unless the handler itself gave it up (thaw).
 */
#include "env/clock.h"
#include "cpu.h"
#include "frame.h"
#include "ipc.h"
#include "lib.h"
#include "proc.h"
#include "procctl.h"
#include "restless.h"
#include "siggroup.h"
#include "trace.h"

static int answer(const struct proc *p, i32 status, const char *why)
{
	struct wh_msg m = {.type = WH_MSG_K_FROZEN};
	struct wh_k_frozen *k = WH_BODY(&m, struct wh_k_frozen);

	k->pid = p->pid;
	k->status = status;
	strlcpy(k->why, why, sizeof k->why);
	trace(TRACE_FREEZE, (u64)p->pid, p->state, (u64)(-status));
	return ipc_post(WH_SVC_MIGRATE, &m);
}

static const char *call_name(u64 nr)
{
	for (u32 row = 0; row < V_ROWS; row++)
		if (syscall_rows[row].nr == nr)
			return syscall_rows[row].name;
	return "a call";
}

/* The thread that keeps p from being frozen, or NULL. */
static const struct thread *not_frozen(const struct proc *p)
{
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->state != THREAD_FROZEN && t->state != THREAD_ENDED)
			return t;
	return NULL;
}

/* No thread is to wait at the boundary any longer. */
static void let_go(struct proc *p)
{
	p->freeze_req = false;
	timer_cancel(&p->freeze_timer);
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->state == THREAD_FROZEN && t == current_thread)
			t->state = THREAD_RUN; /* it has not left yet */
		else if (t->state == THREAD_FROZEN)
			sched_add(t);
}

static void deadline_passed(struct timer *timer)
{
	struct proc *p = container_of(timer, struct proc, freeze_timer);
	const struct thread *t = not_frozen(p);
	char words[160];
	struct text why = TEXT(words, sizeof words);

	const char *call = call_name(t ? t->u.call.nr : ~0ull);
	if (t && (t->uninterruptible_call || t->state == THREAD_WAIT))
		text_printf(
			&why,
			"%s is waiting for its answer and cannot be interrupted; try again later",
			call);
	else
		text_printf(&why, "the process did not come to rest in time (last call: %s)", call);
	let_go(p);
	answer(p, -EBUSY, words);
}

void freeze_settle(struct proc *p)
{
	if (!p->freeze_req || not_frozen(p))
		return;
	p->freeze_req = false;
	timer_cancel(&p->freeze_timer);
	clock_suspend(p);
	p->frozen_ns = now_ns();
	p->packed_pending = ~0ull;
	p->packed_stop = 0;
	p->late_group = 0;
	p->state = PROC_FROZEN;
	bool own = p->own_freeze;
	p->own_freeze = false;
	if ((own ? restless_park(p) : answer(p, 0, "")) < 0) {
		/* Nobody is there who could thaw it. */
		p->state = PROC_ALIVE;
		clock_resume(p);
		let_go(p);
	}
}

void freeze_point(void)
{
	struct thread *t = current_thread;

	if (!t->proc->freeze_req)
		return;
	fpu_save(t);
	t->state = THREAD_FROZEN;
	freeze_settle(t->proc);
	if (t->state == THREAD_FROZEN)
		schedule();
}

void freeze_ended(struct proc *p)
{
	if (!p->freeze_req)
		return;
	p->freeze_req = false;
	timer_cancel(&p->freeze_timer);
	if (!p->own_freeze)
		answer(p, -ESRCH, "the process ended first");
}

void freeze_begin(struct proc *p)
{
	p->freeze_req = true;
	/* A stopped thread also stands at the boundary; it stops again when thawed. */
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->state == THREAD_STOPPED)
			sched_add(t);
		else
			interrupt_thread(t);
}

static void thaw(struct proc *p)
{
	p->parked = false;
	clock_resume(p);
	proc_start(p);
	restless_arm(p);
}

void freeze_handler_gone(void)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->state == PROC_FROZEN && p->parked)
			thaw(p);
}

/* pid, deadline (node monotonic ns) */
i64 wh_sys_proc_freeze(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);

	if (current->service != WH_SVC_MIGRATE)
		return -EPERM;
	if (!p || p->state == PROC_AWAY || p->state == PROC_ZOMBIE)
		return -ESRCH;
	if (p->privileged)
		return -EPERM;
	if (p->parked) {
		p->parked = false;
		return answer(p, 0, "");
	}
	if (p->state == PROC_NEW || p->state == PROC_FROZEN || (p->freeze_req && !p->own_freeze))
		return -EBUSY;
	p->freeze_timer.fire = deadline_passed;
	timer_arm(&p->freeze_timer, arg[1]);
	if (p->own_freeze)
		p->own_freeze = false; /* now it is asked for, too */
	else
		freeze_begin(p);
	return 0;
}

static int thaw_arrived(struct proc *p)
{
	int r = p->vm ? image_complete(p) : -EINVAL;

	if (r)
		return r;
	frame_unreserve(p->reserved_frames);
	p->reserved_frames = 0;
	stub_absorb(p);
	env_bind(p);
	list_for_each(t, &p->threads, struct thread, proc_link) {
		if (t->state == THREAD_ENDED)
			continue;
		struct trapframe tf = *t->tf;
		thread_prepare_return(t, &tf);
	}
	p->foreign = p->uqpid.home != node_id.node;
	p->started = true;
	p->arrived_ns = now_ns();
	migrations_in++;
	proc_start(p);
	group_arrived(p);
	return 0;
}

/* pid, only if it is parked */
i64 wh_sys_proc_thaw(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);

	if (current->service != WH_SVC_MIGRATE)
		return -EPERM;
	if (!p || (arg[1] && !p->parked))
		return -ESRCH;
	if (p->state == PROC_NEW)
		return thaw_arrived(p);
	if (p->state == PROC_FROZEN) {
		thaw(p);
		return 0;
	}
	if (!p->freeze_req || p->own_freeze)
		return -ESRCH;
	let_go(p);
	restless_arm(p);
	return 0;
}
