/* SPDX-License-Identifier: MIT */
/* Processes from allocation to the grave. */
#include "proc.h"
#include "rlimit.h"
#include "shared.h"
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
static bool pids_come_again; /* of this boot: those in use must be left out */

void pid_set_range(u32 base, u32 limit)
{
	pid_base = pid_serial = base;
	pid_limit = limit;
}

bool proc_may_fork(void)
{
	u32 uid = current->u->names.uid, n = 0;
	if (uid == 0)
		return true;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->u && p->u->names.uid == uid)
			n += MAX(p->live, 1u);
	return n < MIN(rlimit(current, RLIMIT_NPROC), (u64)USER_PROCS_MAX);
}

i32 pid_next(void)
{
	for (u32 tries = pid_limit - pid_base; tries; tries--) {
		if (pid_serial >= pid_limit) {
			pid_serial = pid_base;
			pids_come_again = true;
		}
		i32 pid = (i32)(node_id.node << WH_PID_NODE_SHIFT | pid_serial++);
		if (!pids_come_again || (!proc_find(pid) && !thread_find(pid)))
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
	list_init(&p->threads);
	p->u = kmalloc(sizeof *p->u);
	p->pid = pid ? pid : pid_next();
	p->leader = p->u && p->pid > 0 ? thread_alloc(p, p->pid) : NULL;
	if (!p->leader) {
		kfree(p->u);
		kfree(p);
		return NULL;
	}
	p->uqpid = (struct wh_uqpid){.home = node_id.node,
				     .pid = p->pid,
				     .incarnation = node_id.incarnation,
				     .birth_ns = birth_time()};
	p->u->names.pid = p->pid;
	p->u->names.uqpid = p->uqpid;
	p->live = 1;
	p->state = PROC_NEW;
	p->arrived_ns = now_ns();
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->reap_link);
	waitq_init(&p->child_wait);
	waitq_init(&p->vfork_wait);
	waitq_init(&p->alone);
	list_push_back(&all_procs, &p->all_link);
	return p;
}

void proc_free(struct proc *p)
{
	ASSERT(p != current);
	list_remove(&p->all_link);
	list_remove(&p->sibling);
	list_remove(&p->reap_link);
	list_for_each_safe(t, &p->threads, struct thread, proc_link)
		thread_free(t);
	timer_cancel(&p->alarm_timer);
	timer_cancel(&p->freeze_timer);
	timer_cancel(&p->restless_timer);
	if (p->vm)
		vm_put(p->vm);
	if (p->reserved_frames)
		frame_unreserve(p->reserved_frames);
	kfree(p->u);
	kfree(p);
}

void proc_start(struct proc *p)
{
	p->state = PROC_ALIVE;
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->state != THREAD_ENDED)
			sched_add(t);
}

static char alive_letter(const struct proc *p)
{
	bool stopped = false;
	list_for_each(t, &p->threads, struct thread, proc_link) {
		if (t->state == THREAD_RUN)
			return 'R';
		stopped |= t->state == THREAD_STOPPED;
	}
	return stopped ? 'T' : 'S';
}

u32 proc_threads(const struct proc *p)
{
	u32 n = 0;
	list_for_each(t, &p->threads, struct thread, proc_link)
		n++;
	return n;
}

char proc_letter(const struct proc *p)
{
	switch (p->state) {
	case PROC_NEW:
		return 'N';
	case PROC_FROZEN:
		return 'D';
	case PROC_ZOMBIE:
		return 'Z';
	case PROC_AWAY:
		return 'A';
	default:
		return alive_letter(p);
	}
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
	if (!p->group_exit) {
		p->group_exit = true;
		p->exit_status = status;
	}
	thread_end_others(p, NULL);
	thread_end(status);
}

void proc_ended(i32 status)
{
	struct proc *p = current;
	trace(TRACE_EXIT, (u64)p->pid, (u64)status, p->parent ? (u64)p->parent->pid : 0);
	if (p->service)
		klog("service %u (%s, pid %d) ended with status %x", p->service, p->u->names.comm,
		     p->pid, status);
	shared_sync(p->vm, 0, USER_TOP);
	timer_cancel(&p->alarm_timer);
	ipc_proc_gone(p);
	if (p->service == WH_SVC_MIGRATE)
		freeze_handler_gone();
	vfork_done(p);
	env_release(p, false);
	check_ended(p);
	proc_reparent_children(p);
	vm_switch(NULL);
	vm_put(p->vm);
	p->vm = NULL;
	freeze_ended(p);
	current_thread->state = THREAD_ENDED;
	proc_become_zombie(p, status);
}
