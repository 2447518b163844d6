/* SPDX-License-Identifier: MIT */
/* fork, vfork, clone; exit. */
#include "cpu.h"
#include "env/clock.h"
#include "ipc.h"
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "trace.h"
#include "usercopy.h"

enum {
	CLONE_VM = 0x100,
	CLONE_VFORK = 0x4000,
	CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
	CLONE_CHILD_SETTID = 0x1000000,
	CLONE_SETTLS = 0x80000,
	CLONE_KNOWN = CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
		      CLONE_CHILD_SETTID | CLONE_SETTLS | 0xff,
};

void vfork_done(struct proc *p)
{
	if (!p->vfork_waiter)
		return;
	p->vfork_waiter = NULL;
	wake_all(&p->vfork_wait);
}

static struct proc *copy_process(u64 flags, u64 stack, u64 tls)
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
	struct thread *t = p->leader, *caller = current_thread;
	fpu_save(caller);
	memcpy(t->fpu, caller->fpu, sizeof t->fpu);
	t->fpu_used = caller->fpu_used;
	t->fs_base = flags & CLONE_SETTLS ? tls : caller->fs_base;
	t->gs_base = caller->gs_base;
	t->selectors = cpu_selectors();
	p->privileged = parent->privileged;
	if (!p->vm || env_fork(p, parent)) {
		env_release(p, false);
		proc_free(p);
		return NULL;
	}
	struct trapframe tf = *caller->tf;
	tf.rax = 0;
	tf.vector = VEC_SYSCALL;
	if (!parent->privileged)
		tf.rflags &= ~(u64)RFLAGS_IOPL;
	if (stack)
		tf.rsp = stack;
	thread_prepare_return(t, &tf);
	p->parent = parent;
	list_push_back(&parent->children, &p->sibling);
	return p;
}

static i64 do_clone(u64 flags, u64 stack, u64 ptid, u64 ctid, u64 tls)
{
	/* Threads do not exist yet: sharing memory is vfork only, where the parent sleeps
	 * meanwhile. */
	if ((flags & ~(u64)CLONE_KNOWN) || ((flags & CLONE_VM) && !(flags & CLONE_VFORK)))
		return -ENOSYS;
	if ((flags & CLONE_SETTLS) && tls >= USER_TOP)
		return -EPERM; /* the processor takes canonical addresses only */
	struct proc *p = copy_process(flags, stack, tls);
	if (!p)
		return -EAGAIN;
	i32 pid = p->pid;
	trace(TRACE_FORK, (u64)pid, (u64)current->pid, flags);
	if (flags & CLONE_CHILD_SETTID) {
		/* In the child's memory: it is a copy of ours as of now, so write there before
		 * either goes on. */
		struct vm *mine = current->vm;
		current->vm = p->vm;
		vm_switch(p->vm);
		copy_to_user(ctid, &pid, sizeof pid);
		current->vm = mine;
		vm_switch(mine);
	}
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user(ptid, &pid, sizeof pid);
	if (flags & CLONE_VFORK)
		p->vfork_waiter = current;
	proc_start(p);
	while (flags & CLONE_VFORK) {
		struct proc *child = proc_find(pid);
		if (!child || child->vfork_waiter != current)
			break;
		current_thread->uninterruptible_call = true;
		wait_on(&child->vfork_wait, NO_DEADLINE, false);
		current_thread->uninterruptible_call = false;
	}
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
	proc_exit((i32)(arg[0] & 0xff) << 8);
}

i64 sys_exit_group(const u64 *arg)
{
	return sys_exit(arg);
}
