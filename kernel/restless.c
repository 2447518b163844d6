/* SPDX-License-Identifier: MIT */
/* Restless processes: they migrate after every so many calls, or so many ms (docs/restless.md). */
#include "proc.h"
#include "usercopy.h"
#include "whimbrel.h"

/* pid (0: this process), struct wh_restless */
i64 wh_sys_restless(const u64 *arg)
{
	struct wh_restless r;
	struct proc *p = arg[0] ? proc_find((i32)arg[0]) : current;
	const struct unames *me = &current->u->names;

	if (copy_from_user(&r, arg[1], sizeof r))
		return -EFAULT;
	if (!p || !p->u || p->state == PROC_NEW || p->state == PROC_ZOMBIE)
		return -ESRCH;
	if (p->privileged || (me->euid && me->euid != p->u->names.uid))
		return -EPERM;
	if (r.calls && r.ms)
		return -EINVAL;
	p->u->restless = r;
	return 0;
}
