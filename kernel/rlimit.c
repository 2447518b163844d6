/* SPDX-License-Identifier: MIT */
/*
 * Resource limits. What means something: FSIZE, DATA, STACK (at the next exec), NPROC, NOFILE, AS. The others
 * can be set and read.
 */
#include "rlimit.h"
#include "lib.h"
#include "signal.h"
#include "usercopy.h"
#include "vm_internal.h"

#define STACK_BYTES (8ull << 20)

void rlimit_defaults(struct ublock *u)
{
	for (u32 i = 0; i < RLIMIT_COUNT; i++)
		u->rlimit[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	u->rlimit[RLIMIT_STACK].cur = STACK_BYTES;
	u->rlimit[RLIMIT_CORE].cur = 0;
	u->rlimit[RLIMIT_NOFILE] = (struct rlimit){NOFILE, NOFILE};
	u->rlimit[RLIMIT_NPROC] = (struct rlimit){USER_PROCS_MAX, USER_PROCS_MAX};
}

static bool counts(const struct region *r, bool data)
{
	return !data || ((r->flags & WH_RG_WRITE) && !(r->flags & (VM_RG_SHARED | WH_RG_STACK)));
}

static u64 in_use(bool data)
{
	u64 sum = 0;
	list_for_each(r, &current->vm->regions, struct region, link)
		if (counts(r, data))
			sum += r->end - r->start;
	return sum;
}

static bool fits(u32 which, bool data, u64 len)
{
	u64 limit = rlimit(current, which);
	if (limit == RLIM_INFINITY)
		return true;
	u64 now = in_use(data);
	return now <= limit && len <= limit - now;
}

bool rlimit_memory(u64 len, bool data)
{
	return fits(RLIMIT_AS, false, len) && (!data || fits(RLIMIT_DATA, true, len));
}

u64 rlimit_file(u64 off, u64 len)
{
	u64 limit = rlimit(current, RLIMIT_FSIZE);
	if (limit == RLIM_INFINITY || !len)
		return len;
	if (off < limit)
		return MIN(len, limit - off);
	signal_send(current, SIGXFSZ, SI_USER, current->pid);
	return 0;
}

/* ---- system calls ---- */

static i64 set(struct proc *p, u32 which, const struct rlimit *new)
{
	struct rlimit *old = &p->u->rlimit[which];
	if (new->cur > new->max)
		return -EINVAL;
	if (new->max > old->max && current->u->names.euid != 0)
		return -EPERM;
	if (which == RLIMIT_NOFILE &&
	    new->max > NOFILE) /* there is room for no more, root or not */
		return -EPERM;
	*old = *new;
	return 0;
}

/* Whose limits: another's only if it is here and the caller's own (or the caller is root). */
static struct proc *whose(i32 pid, i64 *err)
{
	const struct unames *me = &current->u->names;
	struct proc *p = pid ? proc_find(pid) : current;
	*err = -ESRCH;
	if (!p || !p->u || p->state == PROC_NEW)
		return NULL;
	const struct unames *n = &p->u->names;
	*err = -EPERM;
	if (p != current && me->euid &&
	    (me->uid != n->uid || me->uid != n->euid || me->uid != n->suid || me->gid != n->gid ||
	     me->gid != n->egid || me->gid != n->sgid))
		return NULL;
	return p;
}

i64 sys_getrlimit(const u64 *arg)
{
	if (arg[0] >= RLIMIT_COUNT)
		return -EINVAL;
	struct rlimit l = current->u->rlimit[arg[0]];
	return copy_to_user(arg[1], &l, sizeof l) ? -EFAULT : 0;
}

i64 sys_setrlimit(const u64 *arg)
{
	struct rlimit l;
	if ((u32)arg[0] >= RLIMIT_COUNT)
		return -EINVAL;
	if (copy_from_user(&l, arg[1], sizeof l))
		return -EFAULT;
	return set(current, (u32)arg[0], &l);
}

/* pid, resource, new, old */
i64 sys_prlimit64(const u64 *arg)
{
	u32 which = (u32)arg[1];
	struct rlimit new, old;
	i64 err;
	if (which >= RLIMIT_COUNT)
		return -EINVAL;
	if (arg[2] && copy_from_user(&new, arg[2], sizeof new))
		return -EFAULT;
	struct proc *p = whose((i32)arg[0], &err);
	if (!p)
		return err;
	old = p->u->rlimit[which];
	err = arg[2] ? set(p, which, &new) : 0;
	if (err)
		return err;
	return arg[3] && copy_to_user(arg[3], &old, sizeof old) ? -EFAULT : 0;
}
