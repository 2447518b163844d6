/* SPDX-License-Identifier: MIT */
/*
 * Stubs: what stays of a process that runs on another node, where it was born or where its parent
 * is. A stub keeps the name, the place among the parent's children and, at the end, the wait
 * status. It has no memory, no files, no U-block. Signals for it are forwarded (signal.c). Whether
 * a process that was on a dead node is lost is for the migration handler to find out, who asks the
 * other nodes first; it ends the stub with wh_proc_exited.
 */
#include "cpu.h"
#include "ipc.h"
#include "lib.h"
#include "proc.h"
#include "procctl.h"
#include "signal.h"
#include "trace.h"
#include "usercopy.h"

u64 migrations_in, migrations_out;

/* Born on this node, in this life of it: its name leads here. */
static bool is_home(const struct proc *p)
{
	return p->uqpid.home == node_id.node && p->uqpid.incarnation == node_id.incarnation;
}

/* Signals that reached the frozen process after its signal state was packed follow it. */
static void send_after(struct proc *stub, u64 late, const struct upending *s)
{
	for (; late; late &= late - 1) {
		int sig = __builtin_ctzll(late) + 1;
		signal_send(stub, sig, s->origin[sig].code, s->origin[sig].pid);
	}
}

void stub_leave(struct proc *p, u32 node)
{
	struct ublock *u = p->u;
	u64 late = u->sig.pending.set & ~p->packed_pending & ~p->late_group;
	bool continued = p->packed_stop && !p->stop_sig && !(p->late_group & SIG_BIT(SIGCONT));

	trace(TRACE_MIGRATE, (u64)p->pid, p->epoch, node);
	env_release(p, true);
	list_for_each_safe(t, &p->threads, struct thread, proc_link)
		thread_free(t);
	p->leader = NULL;
	vm_put(p->vm);
	p->vm = NULL;
	p->state = PROC_AWAY;
	p->away_node = node;
	p->away_pgid = u->names.pgid;
	p->away_uid = u->names.uid;
	memcpy(p->away_comm, u->names.comm, sizeof p->away_comm);
	p->epoch++; /* the one it has there */
	p->stub_node = 0;
	p->u = NULL;
	send_after(p, late, &u->sig.pending);
	if (continued) /* after it was packed as stopped */
		signal_send(p, SIGCONT, 0, 0);
	kfree(u);
	migrations_out++;
	if (!p->parent && !is_home(p))
		proc_free(p);
}

static struct proc *stub_find(const struct wh_uqpid *u)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->state == PROC_AWAY && memcmp(&p->uqpid, u, sizeof *u) == 0)
			return p;
	return NULL;
}

void stub_absorb(struct proc *p)
{
	struct proc *stub = stub_find(&p->uqpid);

	if (!stub)
		return;
	p->parent = stub->parent;
	p->stopped_unwaited = stub->stopped_unwaited;
	p->continued_unwaited = stub->continued_unwaited;
	p->stub_node = 0;
	if (p->parent) {
		list_insert_before(&stub->sibling, &p->sibling);
		p->u->names.ppid = p->parent->pid;
	}
	proc_free(stub);
}

void stub_notify_exit(struct proc *p, i32 status)
{
	struct wh_msg m = {.type = WH_MSG_K_EXITED};

	*WH_BODY(&m, struct wh_k_exited) = (struct wh_k_exited){
		.uqpid = p->uqpid,
		.epoch = p->epoch,
		.status = status,
		.ppid = p->u->names.ppid,
		.from = p->stub_node,
		.utime_ns = p->u->cpu_ns,
	};
	if (ipc_post(WH_SVC_MIGRATE, &m) < 0)
		klog("pid %d ended with status %x, but no migration handler can tell its parent",
		     p->pid, (u32)status);
}

/* init adopts the stub like any other child. */
void stub_orphaned(struct proc *child)
{
	struct wh_msg m = {.type = WH_MSG_K_ORPHAN};

	child->parent = init_proc;
	list_push_back(&init_proc->children, &child->sibling);
	*WH_BODY(&m, struct wh_k_orphan) = (struct wh_k_orphan){
		.uqpid = child->uqpid,
		.epoch = child->epoch,
		.node = child->away_node,
		.new_ppid = init_proc->pid,
	};
	if (ipc_post(WH_SVC_MIGRATE, &m) < 0)
		klog("pid %d, away on node %u, does not learn of its new parent: no migration handler",
		     child->pid, child->away_node);
}

/* ---- calls of the migration handler ---- */

static int get_uq(u64 uaddr, struct wh_uqpid *u)
{
	if (current->service != WH_SVC_MIGRATE)
		return -EPERM;
	return copy_from_user(u, uaddr, sizeof *u);
}

/* The stub that news of this epoch are about; 0 or -errno. */
static int stub_of(u64 uuq, u32 epoch, struct proc **p)
{
	struct wh_uqpid u;
	int r = get_uq(uuq, &u);

	if (r)
		return r;
	*p = stub_find(&u);
	if (!*p)
		return -ESRCH;
	return epoch < (*p)->epoch ? -ESTALE : 0;
}

/* uq-pid, epoch, status */
i64 wh_sys_proc_exited(const u64 *arg)
{
	struct proc *p;
	int r = stub_of(arg[0], (u32)arg[1], &p);

	if (r)
		return r;
	proc_become_zombie(p, (i32)arg[2]);
	return 0;
}

/* uq-pid, epoch, node */
i64 wh_sys_proc_moved(const u64 *arg)
{
	struct proc *p;
	int r = stub_of(arg[0], (u32)arg[1], &p);

	if (r)
		return r;
	if (arg[2] < 1 || arg[2] > node_id.nodes)
		return -EINVAL;
	p->epoch = (u32)arg[1];
	p->away_node = (u32)arg[2];
	return 0;
}

/* The living process itself, not a stub of it nor a copy that is still arriving; 0 or -errno. */
static int alive_here(u64 uuq, struct proc **found)
{
	struct wh_uqpid u;
	int r = get_uq(uuq, &u);

	if (r)
		return r;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->state != PROC_AWAY && p->state != PROC_NEW && p->state != PROC_ZOMBIE &&
		    memcmp(&p->uqpid, &u, sizeof u) == 0) {
			*found = p;
			return 0;
		}
	return -ESRCH;
}

/* uq-pid, signal */
i64 wh_sys_proc_signal(const u64 *arg)
{
	struct proc *p;
	int r = alive_here(arg[0], &p);

	if (r)
		return r;
	if (arg[1] < 1 || arg[1] >= NSIG)
		return -EINVAL;
	signal_send(p, (int)arg[1], 0, 0);
	return 0;
}

/* uq-pid, pid of the new parent */
i64 wh_sys_proc_reparent(const u64 *arg)
{
	struct proc *p;
	int r = alive_here(arg[0], &p);

	if (r)
		return r;
	if ((i32)arg[1] <= 0)
		return -EINVAL;
	p->u->names.ppid = (i32)arg[1];
	p->u->check.ppid = 0; /* as a process sees it whose parent ends on its own node */
	return 0;
}
