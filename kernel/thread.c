/* SPDX-License-Identifier: MIT */
/* Threads from clone to their end, and the end of many at once. */
#include "thread.h"
#include "cpu.h"
#include "file.h"
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "trace.h"
#include "usercopy.h"

extern char proc_first_return[];

struct thread *thread_alloc(struct proc *p, i32 tid)
{
	u8 *kstack = kmalloc(KSTACK_SIZE);
	if (!kstack)
		return NULL;
	/* On the page of its stack that every call uses: one page less to fill the TLB with. */
	struct thread *t = (struct thread *)(void *)(kstack + KSTACK_SIZE) - 1;
	t->kstack = kstack;
	t->proc = p;
	t->tid = tid;
	t->state = THREAD_NEW;
	t->tf = (struct trapframe *)(void *)thread_stack_top(t) - 1;
	t->slice_end_ns = NO_DEADLINE;
	list_init(&t->run_link);
	list_init(&t->wait_link);
	list_push_back(&p->threads, &t->proc_link);
	return t;
}

void thread_free(struct thread *t)
{
	ASSERT(t != current_thread);
	fpu_forget(t);
	thread_drop_held(t);
	timer_cancel(&t->sleep_timer);
	list_remove(&t->proc_link);
	list_remove(&t->run_link);
	kfree(t->kstack); /* and with it t */
}

struct thread *thread_find(i32 tid)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		list_for_each(t, &p->threads, struct thread, proc_link)
			if (t->tid == tid && t->state != THREAD_ENDED && p->state != PROC_NEW)
				return t;
	return NULL;
}

void thread_prepare_return(struct thread *t, const struct trapframe *tf)
{
	*t->tf = *tf;
	/* What context_switch() pops: r15 r14 r13 r12 rbx rbp, return address. */
	u64 *sp = (u64 *)(void *)t->tf;
	*--sp = (u64)proc_first_return;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	t->ksp = (u64)sp;
}

void thread_copy(struct thread *t, u64 flags, u64 stack, u64 uctid, u64 tls)
{
	struct thread *caller = current_thread;
	fpu_save(caller);
	memcpy(t->fpu, caller->fpu, sizeof t->fpu);
	t->fpu_used = caller->fpu_used;
	t->fs_base = flags & CLONE_SETTLS ? tls : caller->fs_base;
	t->gs_base = caller->gs_base;
	t->selectors = cpu_selectors();
	t->u.sig.blocked = caller->u.sig.blocked;
	t->u.clear_child_tid = flags & CLONE_CHILD_CLEARTID ? uctid : 0;
	struct trapframe tf = *caller->tf;
	tf.rax = 0;
	tf.vector = VEC_SYSCALL;
	if (stack)
		tf.rsp = stack;
	if (!caller->proc->privileged)
		tf.rflags &= ~(u64)RFLAGS_IOPL;
	thread_prepare_return(t, &tf);
}

i64 thread_clone(u64 flags, u64 stack, u64 uptid, u64 uctid, u64 tls)
{
	struct proc *p = current;
	if (p->privileged)
		return -EPERM;
	if (p->live >= THREADS_MAX || !proc_may_fork())
		return -EAGAIN;
	i32 tid = pid_next();
	struct thread *t = tid > 0 ? thread_alloc(p, tid) : NULL;
	if (!t)
		return -EAGAIN;
	/* From here on it counts, though it cannot run yet: writing the numbers may block. */
	p->live++;
	thread_copy(t, flags, stack, uctid, tls);
	trace(TRACE_FORK, (u64)tid, (u64)p->pid, flags);
	if (flags & CLONE_CHILD_SETTID)
		copy_to_user(uctid, &tid, sizeof tid);
	if (flags & CLONE_PARENT_SETTID)
		copy_to_user(uptid, &tid, sizeof tid);
	sched_add(t);
	return tid;
}

/* ---- the end ---- */

bool thread_must_end(const struct thread *t)
{
	return t->proc->ending && t->proc->survivor != t;
}

void thread_end(i32 status)
{
	struct thread *t = current_thread;
	struct proc *p = t->proc;
	thread_drop_held(t);
	futex_thread_ended(t); /* its locks may lie in memory that other processes have */
	if (!p->ending && p->live > 1 && t->u.clear_child_tid)
		futex_store_and_wake(t->u.clear_child_tid, 0);
	fpu_forget(t);
	if (!p->group_exit && (t == p->leader))
		p->exit_status = status;
	if (p->live == 1)
		proc_ended(p->exit_status);
	t->state = THREAD_ENDED;
	if (--p->live && !p->ending)
		signal_retarget(p); /* it may have been meant to take one */
	if (p->survivor && p->live == 1)
		wake_all(&p->alone);
	if (p->freeze_req)
		freeze_settle(p);
	if (t != p->leader)
		sched_reap_thread_later(t);
	schedule();
	panic("a dead thread ran");
}

void thread_end_others(struct proc *p, struct thread *survivor)
{
	p->ending = true;
	p->survivor = survivor;
	wake_all(&p->alone); /* another survivor is none any more */
	list_for_each(t, &p->threads, struct thread, proc_link) {
		if (t == current_thread || t == survivor)
			continue;
		if (t->state == THREAD_STOPPED || t->state == THREAD_FROZEN)
			sched_add(t);
		else
			interrupt_thread(t);
	}
}

int thread_become_only(void)
{
	struct thread *t = current_thread;
	struct proc *p = t->proc;
	if (p->ending)
		return -EINTR;
	if (p->live > 1) {
		thread_end_others(p, t);
		t->uninterruptible_call = true;
		while (p->live > 1 && p->survivor == t)
			wait_on(&p->alone, NO_DEADLINE, false);
		t->uninterruptible_call = false;
		if (p->survivor != t)
			return -EINTR;
		p->ending = false;
		p->survivor = NULL;
	}
	if (t != p->leader) {
		struct thread *old = p->leader;
		p->leader = t;
		t->tid = p->pid;
		thread_free(old);
	}
	return 0;
}

/* ---- open files in use ---- */

void thread_hold(struct ofile *f)
{
	struct thread *t = current_thread;
	for (u32 i = 0; i < THREAD_HELD; i++)
		if (t->held[i] == f)
			return;
	/* Only poll() asks for more than a call uses at a time, and it forgets each again. */
	struct ofile **slot = &t->held[t->held_next++ % THREAD_HELD], *old = *slot;
	ofile_ref(f);
	*slot = f;
	t->holds = true;
	if (old)
		ofile_put(old);
}

void thread_drop_held(struct thread *t)
{
	t->holds = false;
	for (u32 i = 0; i < THREAD_HELD; i++) {
		struct ofile *f = t->held[i];
		t->held[i] = NULL;
		if (f)
			ofile_put(f);
	}
}
