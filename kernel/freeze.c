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

static void deadline_passed(struct timer *timer)
{
	struct proc *p = container_of(timer, struct proc, freeze_timer);
	char words[160];
	struct text why = TEXT(words, sizeof words);

	p->freeze_req = false;
	const struct thread *t = p->leader;
	if (t->uninterruptible_call || t->state == THREAD_WAIT)
		text_printf(
			&why,
			"%s is waiting for its answer and cannot be interrupted; try again later",
			call_name(t->u.call.nr));
	else
		text_printf(&why, "the process did not come to rest in time (last call: %s)",
			    call_name(t->u.call.nr));
	answer(p, -EBUSY, words);
}

void freeze_point(void)
{
	struct proc *p = current;

	if (!p->freeze_req)
		return;
	p->freeze_req = false;
	timer_cancel(&p->freeze_timer);
	fpu_save(current_thread);
	clock_suspend(p);
	p->frozen_ns = now_ns();
	p->packed_pending = ~0ull;
	p->state = PROC_FROZEN;
	current_thread->state = THREAD_FROZEN;
	bool own = p->own_freeze;
	p->own_freeze = false;
	if ((own ? restless_park(p) : answer(p, 0, "")) < 0) {
		/* Nobody is there who could thaw it. */
		p->state = PROC_ALIVE;
		current_thread->state = THREAD_RUN;
		clock_resume(p);
		return;
	}
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
	struct thread *t = p->leader;

	p->freeze_req = true;
	if (t->state == THREAD_WAIT)
		interrupt_thread(t);
	else if (t->state == THREAD_STOPPED)
		sched_add(t); /* a stopped process also stands at the boundary; it stops again when
				 thawed */
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
	struct trapframe tf = *p->leader->tf;
	thread_prepare_return(p->leader, &tf);
	p->foreign = p->uqpid.home != node_id.node;
	p->started = true;
	p->arrived_ns = now_ns();
	migrations_in++;
	proc_start(p);
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
	p->freeze_req = false;
	timer_cancel(&p->freeze_timer);
	restless_arm(p);
	return 0;
}
