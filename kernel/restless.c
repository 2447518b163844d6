/* SPDX-License-Identifier: MIT */
/* When a restless process is due, and how it says so. See restless.h. */
#include "restless.h"
#include "env/clock.h"
#include "ipc.h"
#include "proc.h"
#include "procctl.h"
#include "usercopy.h"

#define NS_PER_MS 1000000ull
#define MAX_LATE  8 /* doublings */

static void due(struct proc *p)
{
	p->restless_left = 0;
	if (p->state != PROC_ALIVE || p->freeze_req)
		return; /* it is about to move anyway, and is armed again where it goes on */
	p->own_freeze = true;
	freeze_begin(p);
}

static void wait_for_time(struct proc *p)
{
	u64 ns = p->u->restless.ms * NS_PER_MS;

	timer_arm(&p->restless_timer, now_ns() + (ns << p->restless_late));
}

/* On a busy machine the time may be up before the first instruction, or before a page has come: it would travel for ever
 * and never get anywhere. Then it stays until the page is there, or for twice as long, and so on. */
static void time_is_up(struct timer *timer)
{
	struct proc *p = container_of(timer, struct proc, restless_timer);
	const struct thread *t = p->leader;
	bool waits =
		t->state == THREAD_STOPPED || (t->state == THREAD_WAIT && t->wait_interruptible);
	/* A loop may be met at the same instruction always, but not without using time. */
	bool same_place =
		t->tf->rip == p->restless_rip && proc_cpu_ns(p) - p->restless_cpu < NS_PER_MS / 2;

	if (!waits && (t->uninterruptible_call || same_place) && p->restless_late < MAX_LATE) {
		p->restless_late += same_place;
		wait_for_time(p);
		return;
	}
	due(p);
}

void restless_arm(struct proc *p)
{
	const struct wh_restless *r = &p->u->restless;

	timer_cancel(&p->restless_timer);
	p->restless_left = r->calls;
	if (!r->ms)
		return;
	p->restless_timer.fire = time_is_up;
	p->restless_rip = p->leader->tf->rip;
	p->restless_cpu = proc_cpu_ns(p);
	p->restless_late = 0;
	wait_for_time(p);
}

void restless_called(struct proc *p)
{
	if (--p->restless_left == 0)
		due(p);
}

int restless_park(struct proc *p)
{
	struct wh_msg m = {.type = WH_MSG_K_RESTLESS};

	*WH_BODY(&m, struct wh_k_restless) = (struct wh_k_restless){
		.uqpid = p->uqpid, .epoch = p->epoch, .stays = p->restless_stays++};
	p->parked = true;
	int r = ipc_post(WH_SVC_MIGRATE, &m);
	if (r < 0) {
		p->parked = false;
		restless_arm(p);
	}
	return r;
}

/* pid (0: this process), struct wh_restless */
i64 wh_sys_restless(const u64 *arg)
{
	struct wh_restless r;
	const struct unames *me = &current->u->names;

	if (copy_from_user(&r, arg[1], sizeof r))
		return -EFAULT;
	struct proc *p =
		arg[0] ? proc_find((i32)arg[0]) : current; /* copying may block, and it end */
	if (!p || !p->u || p->privileged || p->state == PROC_NEW || p->state == PROC_ZOMBIE)
		return -ESRCH;
	if (me->euid && me->euid != p->u->names.uid)
		return -EPERM;
	if (r.calls && r.ms)
		return -EINVAL;
	p->u->restless = r;
	if (p->state != PROC_FROZEN)
		restless_arm(p);
	return 0;
}
