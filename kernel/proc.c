/* SPDX-License-Identifier: MIT */
/* Processes from allocation to the grave. */
#include "proc.h"
#include "cpu.h"
#include "file.h"
#include "frame.h"
#include "ipc.h"
#include "lib.h"
#include "signal.h"
#include "trace.h"

struct list all_procs = LIST_INIT(all_procs);
struct proc *init_proc;
struct wh_identity node_id;

/* Serials of this boot, from init's file on disk: a pid does not come back while it may be
 * remembered. */
static u32 pid_base = 2, pid_limit = 4096, pid_serial = 2;

void pid_set_range(u32 base, u32 limit)
{
	pid_base = pid_serial = base;
	pid_limit = limit;
}

i32 pid_next(void)
{
	for (u32 tries = pid_limit - pid_base; tries; tries--) {
		if (pid_serial >= pid_limit)
			pid_serial = pid_base;
		i32 pid = (i32)(node_id.node << WH_PID_NODE_SHIFT | pid_serial++);
		if (!proc_find(pid))
			return pid;
	}
	return -EAGAIN;
}

struct proc *proc_find(i32 pid)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->pid == pid)
			return p;
	return NULL;
}

struct proc *proc_find_uq(const struct wh_uqpid *u)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->uqpid.home == u->home && p->uqpid.pid == u->pid &&
		    p->uqpid.incarnation == u->incarnation && p->uqpid.birth_ns == u->birth_ns)
			return p;
	return NULL;
}

/* Birth times are strictly increasing, so that (home, incarnation, birth time) is unique for ever
 * (thesis §4.3.1). */
static u64 birth_time(void)
{
	static u64 last;
	u64 now = now_ns();
	last = now > last ? now : last + 1;
	return last;
}

struct proc *proc_alloc(i32 pid)
{
	struct proc *p = kmalloc(sizeof *p);
	if (!p)
		return NULL;
	p->u = kmalloc(sizeof *p->u);
	p->kstack = kmalloc(KSTACK_SIZE);
	if (!p->u || !p->kstack) {
		kfree(p->u);
		kfree(p->kstack);
		kfree(p);
		return NULL;
	}
	p->pid = pid ? pid : pid_next();
	if (p->pid < 0) {
		kfree(p->u);
		kfree(p->kstack);
		kfree(p);
		return NULL;
	}
	p->uqpid = (struct wh_uqpid){.home = node_id.node,
				     .pid = p->pid,
				     .incarnation = node_id.incarnation,
				     .birth_ns = birth_time()};
	p->u->names.pid = p->pid;
	p->u->names.uqpid = p->uqpid;
	p->state = PROC_NEW;
	p->arrived_ns = now_ns();
	p->tf = (struct trapframe *)(void *)(p->kstack + KSTACK_SIZE) - 1;
	p->slice_end_ns = NO_DEADLINE;
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->run_link);
	list_init(&p->wait_link);
	waitq_init(&p->child_wait);
	waitq_init(&p->vfork_wait);
	list_push_back(&all_procs, &p->all_link);
	return p;
}

void proc_free(struct proc *p)
{
	ASSERT(p != current);
	fpu_forget(p);
	list_remove(&p->all_link);
	list_remove(&p->sibling);
	list_remove(&p->run_link);
	timer_cancel(&p->sleep_timer);
	timer_cancel(&p->alarm_timer);
	timer_cancel(&p->freeze_timer);
	if (p->vm)
		vm_put(p->vm);
	if (p->reserved_frames)
		frame_unreserve(p->reserved_frames);
	kfree(p->u);
	kfree(p->kstack);
	kfree(p);
}

extern char proc_first_return[];

void proc_prepare_return(struct proc *p, const struct trapframe *tf)
{
	*p->tf = *tf;
	/* What context_switch() pops: r15 r14 r13 r12 rbx rbp, return address. */
	u64 *sp = (u64 *)(void *)p->tf;
	*--sp = (u64)proc_first_return;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	p->ksp = (u64)sp;
}

void proc_reparent_children(struct proc *p)
{
	list_for_each_safe(c, &p->children, struct proc, sibling) {
		list_remove(&c->sibling);
		if (c->state == PROC_AWAY) {
			stub_orphaned(c);
			continue;
		}
		c->parent = init_proc;
		if (c->u)
			c->u->names.ppid = init_proc->pid;
		list_push_back(&init_proc->children, &c->sibling);
		if (c->state == PROC_ZOMBIE) {
			ipc_note(WH_SVC_INIT, WH_NOTE_CHILD);
			wake_all(&init_proc->child_wait);
		}
	}
}

void proc_become_zombie(struct proc *p, i32 status)
{
	p->exit_status = status;
	p->state = PROC_ZOMBIE;
	if (!p->parent) {
		if (p->stub_node)
			stub_notify_exit(p, status);
		if (p == current)
			sched_reap_later(p);
		else
			proc_free(p);
		return;
	}
	struct proc *parent = p->parent;
	if (parent->privileged && parent->service)
		ipc_note(parent->service, WH_NOTE_CHILD);
	bool ignored = signal_ignores_child(parent);
	signal_send(parent, SIGCHLD, (status & 0x7f) ? CLD_KILLED : CLD_EXITED, p->pid);
	if (ignored) {
		p->parent = NULL;
		list_remove(&p->sibling);
		wake_all(&parent->child_wait); /* perhaps the last one: ECHILD */
		if (p == current)
			sched_reap_later(p);
		else
			proc_free(p);
		return;
	}
	wake_all(&parent->child_wait);
}

void proc_exit(i32 status)
{
	struct proc *p = current;
	if (p == init_proc)
		panic("init ended with status %x", status);
	trace(TRACE_EXIT, (u64)p->pid, (u64)status, p->parent ? (u64)p->parent->pid : 0);
	if (p->service)
		klog("service %u (%s, pid %d) ended with status %x", p->service, p->u->names.comm,
		     p->pid, status);
	timer_cancel(&p->alarm_timer);
	ipc_proc_gone(p);
	vfork_done(p);
	env_release(p, false);
	check_ended(p);
	proc_reparent_children(p);
	fpu_forget(p);
	vm_switch(NULL);
	vm_put(p->vm);
	p->vm = NULL;
	freeze_ended(p);
	proc_become_zombie(p, status);
	schedule();
	panic("a dead process ran");
}
