/* SPDX-License-Identifier: MIT */
/* fork, vfork, clone; exit. */
#include "cpu.h"
#include "env/clock.h"
#include "frame.h"
#include "ipc.h"
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "trace.h"
#include "usercopy.h"

#define CLONE_KNOWN                                                                                \
	(CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |                     \
	 CLONE_CHILD_SETTID | CLONE_SETTLS | 0xff)
/* A thread shares all that a process has, or is none. */
#define CLONE_SHARED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_KNOWN_THREAD                                                                         \
	(CLONE_SHARED | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |                       \
	 CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED | 0xff)

void vfork_done(struct proc *p)
{
	if (!p->vfork_waiter)
		return;
	p->vfork_waiter = NULL;
	wake_all(&p->vfork_wait);
}

static struct proc *copy_process(u64 flags, u64 stack, u64 uctid, u64 tls)
{
	struct proc *parent = current, *p = proc_may_fork() ? proc_alloc(0) : NULL;
	if (!p)
		return NULL;
	if (flags & CLONE_VM) {
		p->vm = parent->vm;
		p->vm->refs++;
	} else {
		p->vm = vm_fork(parent->vm);
	}
	p->privileged = parent->privileged;
	if (!p->vm || env_fork(p, parent)) {
		env_release(p, false);
		proc_free(p);
		return NULL;
	}
	thread_copy(p->leader, flags, stack, uctid, tls);
	p->parent = parent;
	list_push_back(&parent->children, &p->sibling);
	return p;
}

static void wait_for_vfork(i32 pid)
{
	struct thread *t = current_thread;
	for (;;) {
		struct proc *child = proc_find(pid);
		if (!child || child->vfork_waiter != t)
			return;
		t->uninterruptible_call = true;
		wait_on(&child->vfork_wait, NO_DEADLINE, false);
		t->uninterruptible_call = false;
	}
}

static i64 do_clone(u64 flags, u64 stack, u64 ptid, u64 ctid, u64 tls)
{
	/* Sharing memory is for threads, and for vfork, where the parent sleeps meanwhile. */
	u64 known = flags & CLONE_THREAD ? CLONE_KNOWN_THREAD : CLONE_KNOWN;
	if ((flags & ~known) || ((flags & CLONE_VM) && !(flags & (CLONE_VFORK | CLONE_THREAD))))
		return -ENOSYS;
	if ((flags & CLONE_THREAD) && (~flags & CLONE_SHARED))
		return -EINVAL;
	if ((flags & CLONE_SETTLS) && tls >= USER_TOP)
		return -EPERM; /* the processor takes canonical addresses only */
	if (flags & CLONE_THREAD)
		return thread_clone(flags, stack, ptid, ctid, tls);
	struct proc *p = copy_process(flags, stack, ctid, tls);
	if (!p)
		return -EAGAIN;
	i32 pid = p->pid;
	trace(TRACE_FORK, (u64)pid, (u64)current->pid, flags);
	if (flags & CLONE_CHILD_SETTID) {
		/* In the child's memory, before it runs. A bad address is its own fault. */
		if (!(ctid % sizeof pid) && vm_fault(p->vm, ctid, true, false) == 0) {
			u64 phys = vm_translate(p->vm, ctid, true);
			if (phys)
				memcpy(P2V(phys), &pid, sizeof pid);
		}
	}
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user(ptid, &pid, sizeof pid);
	if (flags & CLONE_VFORK)
		p->vfork_waiter = current_thread;
	proc_start(p);
	if (flags & CLONE_VFORK)
		wait_for_vfork(pid);
	return pid;
}

i64 sys_fork(const u64 *arg)
{
	(void)arg;
	return do_clone(SIGCHLD, 0, 0, 0, 0);
}

i64 sys_vfork(const u64 *arg)
{
	(void)arg;
	return do_clone(CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}

i64 sys_clone(const u64 *arg)
{
	return do_clone(arg[0], arg[1], arg[2], arg[3], arg[4]);
}

i64 sys_exit(const u64 *arg)
{
	thread_end((i32)(arg[0] & 0xff) << 8);
}

i64 sys_exit_group(const u64 *arg)
{
	proc_exit((i32)(arg[0] & 0xff) << 8);
}
