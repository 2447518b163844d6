/* SPDX-License-Identifier: MIT */
/*
 * Class Ident: who the process is -- pid, parent, group, session, credentials, and the name of its node. All of it
 * lies in the U-block and travels, so the rule `same` holds anywhere: a pid is unique in the cluster
 * (node << 20 | serial) and uname keeps naming the home node. What cannot move yet is a parent: wait4 looks for its
 * children on this node.
 */
#include "env/rows.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

#define NGROUPS ARRAY_LEN(((struct unames *)0)->groups)
#define KEEP_ID 0xffffffffu

static struct unames *me(void)
{
	return &current->u->names;
}

/* ---- pids, groups, sessions ---- */

static i64 own_pid(void)
{
	check_same(current, "pid", &current->u->check.pid, me()->pid);
	return me()->pid;
}

i64 sys_getpid(const u64 *arg)
{
	(void)arg;
	return own_pid();
}

/* A tid is its thread's name wherever the process runs. */
i64 sys_gettid(const u64 *arg)
{
	(void)arg;
	return current_thread->tid;
}

i64 sys_set_tid_address(const u64 *arg)
{
	current_thread->u.clear_child_tid = arg[0];
	return current_thread->tid;
}

i64 sys_getppid(const u64 *arg)
{
	(void)arg;
	return me()->ppid;
}

/* 0 means current; NULL: no such living process whose names are known here. */
static struct proc *named(i32 pid)
{
	struct proc *p = pid ? proc_find(pid) : current;
	return p && p->u && p->state != PROC_NEW ? p : NULL;
}

static bool group_exists(i32 pgid, i32 sid)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->u && p->u->names.pgid == pgid && p->u->names.sid == sid)
			return true;
	return false;
}

i64 sys_setpgid(const u64 *arg)
{
	i32 pid = (i32)arg[0], pgid = (i32)arg[1];
	struct proc *p = named(pid);
	if (pgid < 0)
		return -EINVAL;
	if (!p || (p != current && p->parent != current))
		return -ESRCH;
	struct unames *n = &p->u->names;
	if (pgid == 0)
		pgid = n->pid;
	if (n->sid != me()->sid || n->sid == n->pid)
		return -EPERM;
	if (pgid != n->pid && !group_exists(pgid, n->sid))
		return -EPERM;
	n->pgid = pgid;
	return 0;
}

i64 sys_getpgid(const u64 *arg)
{
	i32 pid = (i32)arg[0];
	const struct proc *p = pid ? proc_find(pid) : current;
	return p && p->state != PROC_NEW ? signal_pgid_of(p) : -ESRCH;
}

i64 sys_getpgrp(const u64 *arg)
{
	(void)arg;
	return me()->pgid;
}

i64 sys_getsid(const u64 *arg)
{
	const struct proc *p = named((i32)arg[0]);
	return p ? p->u->names.sid : -ESRCH;
}

i64 sys_setsid(const u64 *arg)
{
	(void)arg;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->u && p->u->names.pgid == me()->pid)
			return -EPERM;
	me()->sid = me()->pgid = me()->pid;
	return me()->pid;
}

/* ---- credentials ---- */

i64 sys_getuid(const u64 *arg)
{
	(void)arg;
	return me()->uid;
}

i64 sys_geteuid(const u64 *arg)
{
	(void)arg;
	return me()->euid;
}

i64 sys_getgid(const u64 *arg)
{
	(void)arg;
	return me()->gid;
}

i64 sys_getegid(const u64 *arg)
{
	(void)arg;
	return me()->egid;
}

i64 sys_setuid(const u64 *arg)
{
	u32 id = (u32)arg[0];
	if (id == KEEP_ID)
		return -EINVAL;
	if (me()->euid == 0)
		me()->uid = me()->suid = id;
	else if (id != me()->uid && id != me()->suid)
		return -EPERM;
	me()->euid = id;
	return 0;
}

i64 sys_setgid(const u64 *arg)
{
	u32 id = (u32)arg[0];
	if (id == KEEP_ID)
		return -EINVAL;
	if (me()->euid == 0)
		me()->gid = me()->sgid = id;
	else if (id != me()->gid && id != me()->sgid)
		return -EPERM;
	me()->egid = id;
	return 0;
}

i64 sys_getgroups(const u64 *arg)
{
	i32 room = (i32)arg[0];
	u32 n = me()->ngroups;
	if (room == 0)
		return n;
	if (room < 0 || (u32)room < n)
		return -EINVAL;
	return copy_to_user(arg[1], me()->groups, n * sizeof(u32)) < 0 ? -EFAULT : (i64)n;
}

i64 sys_setgroups(const u64 *arg)
{
	u32 n = (u32)arg[0], groups[NGROUPS] = {0};
	if (me()->euid != 0)
		return -EPERM;
	if (n > NGROUPS)
		return -EINVAL;
	if (copy_from_user(groups, arg[1], n * sizeof(u32)) < 0)
		return -EFAULT;
	memcpy(me()->groups, groups, sizeof groups);
	me()->ngroups = n;
	return 0;
}

/* ---- names ---- */

struct utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

i64 sys_uname(const u64 *arg)
{
	/* The release begins with a number since glibc refuses kernels older than those it knows. */
	struct utsname u = {
		.sysname = "Whimbrel",
		.release = "6.1.0-whimbrel",
		.version = "#1",
		.machine = "x86_64",
		.domainname = "(none)",
	};
	strlcpy(u.nodename, me()->nodename, sizeof u.nodename);
	return copy_to_user(arg[0], &u, sizeof u);
}

enum { PR_SET_NAME_ = 15, PR_GET_NAME_ = 16 };

i64 sys_prctl(const u64 *arg)
{
	char name[sizeof me()->comm] = "";
	i64 len;
	switch (arg[0]) {
	case PR_SET_NAME_:
		len = str_from_user(name, arg[1], sizeof name);
		if (len == -EFAULT)
			return len;
		name[sizeof name - 1] = 0;
		memcpy(me()->comm, name, sizeof name);
		return 0;
	case PR_GET_NAME_:
		return copy_to_user(arg[1], me()->comm, sizeof name);
	default:
		return -EINVAL;
	}
}

/* ---- the class ---- */

static int ident_fork(struct proc *child, const struct proc *parent)
{
	static const enum env_row own[] = {V_getpid, V_gettid, V_set_tid_address, V_getppid};
	struct unames *n = &child->u->names;
	struct unames fresh = *n;
	*n = parent->u->names;
	n->pid = fresh.pid;
	n->uqpid = fresh.uqpid;
	n->epoch = 0;
	n->ppid = parent->u->names.pid;
	/* What the parent saw of its own identity is no knowledge about the child's. */
	for (u32 i = 0; i < ARRAY_LEN(own); i++)
		child->u->vrec[own[i]] = (struct vrec){0};
	return 0;
}

/* The numbers the handler has given the arriving process already (pid, uq-pid, epoch) stay: they are what it was
 * announced as. They travel here too, only to be compared. */
static int ident_pack(struct proc *p, struct blob *b)
{
	blob_put_u32(b, sizeof(struct unames));
	blob_put(b, &p->u->names, sizeof(struct unames));
	return b->bad ? -EINVAL : 0;
}

static int ident_unpack(struct proc *p, struct blob *b)
{
	struct unames n;
	if (blob_get_u32(b) != sizeof n)
		return -EINVAL;
	blob_get(b, &n, sizeof n);
	if (b->bad || n.pid != p->pid || memcmp(&n.uqpid, &p->uqpid, sizeof n.uqpid) != 0)
		return -EINVAL;
	if (n.ppid < 0 || n.pgid < 0 || n.sid < 0 || n.tree < 1 || n.tree > WH_MAX_NODES ||
	    n.ngroups > NGROUPS || strnlen(n.comm, sizeof n.comm) == sizeof n.comm ||
	    strnlen(n.nodename, sizeof n.nodename) == sizeof n.nodename)
		return -EINVAL;
	n.epoch = p->epoch;
	p->u->names = n;
	return 0;
}

static int ident_verdict(struct proc *p, u32 node, struct text *why)
{
	if (p->privileged) {
		text_printf(why, "process %d is a server of this node: rule local; it stays",
			    p->pid);
		return -EPERM;
	}
	if (!list_empty(&p->children)) {
		const struct proc *child = container_of(p->children.next, struct proc, sibling);
		text_printf(
			why,
			"ident: wait4 looks for its children on this node: child %d (%s): rule local; "
			"cure: wait for it, then move to node %u",
			child->pid, child->state == PROC_ZOMBIE ? "ended" : "alive", node);
		return -EPERM;
	}
	return 0;
}

static void ident_view(const struct proc *p, struct text *out)
{
	const struct unames *n = &p->u->names;
	text_printf(out, "  pid %d uq-pid {%u, %lx, %lu} epoch %u ppid %d group %d session %d\n",
		    n->pid, n->uqpid.home, n->uqpid.incarnation, n->uqpid.birth_ns, n->epoch,
		    n->ppid, n->pgid, n->sid);
	text_printf(out, "  uid %u/%u gid %u/%u tree %u node name %s comm %s\n", n->uid, n->euid,
		    n->gid, n->egid, n->tree, n->nodename, n->comm);
	rows_view(p, CLASS_IDENT, out);
}

const struct env_class env_ident = {
	.name = "ident",
	.version = 1,
	.fork = ident_fork,
	.pack = ident_pack,
	.unpack = ident_unpack,
	.verdict = ident_verdict,
	.view = ident_view,
};
