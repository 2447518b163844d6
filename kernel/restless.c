/* SPDX-License-Identifier: MIT */
/* When a restless process is due, and how it says so. See restless.h. */
#include "restless.h"
#include "ipc.h"
#include "proc.h"
#include "procctl.h"
#include "usercopy.h"

#define NS_PER_MS 1000000ull

static void due(struct proc *p)
{
	p->restless_left = 0;
	if (p->state != PROC_ALIVE || p->freeze_req)
		return; /* it is about to move anyway, and is armed again where it goes on */
	p->own_freeze = true;
	freeze_begin(p);
}

static void time_is_up(struct timer *t)
{
	due(container_of(t, struct proc, restless_timer));
}

void restless_arm(struct proc *p)
{
	const struct wh_restless *r = &p->u->restless;

	timer_cancel(&p->restless_timer);
	p->restless_left = r->calls;
	if (!r->ms)
		return;
	p->restless_timer.fire = time_is_up;
	timer_arm(&p->restless_timer, now_ns() + r->ms * NS_PER_MS);
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
	struct proc *p = arg[0] ? proc_find((i32)arg[0]) : current;
	const struct unames *me = &current->u->names;

	if (copy_from_user(&r, arg[1], sizeof r))
		return -EFAULT;
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
