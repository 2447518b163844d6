/* SPDX-License-Identifier: MIT */
/* wait4 and waitid: a parent hears of its children, who stay what they are until it has. */
#include "env/clock.h"
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

/* Of both calls; waitid wants to be told of ends by WEXITED, wait4 always is. */
enum {
	WNOHANG = 1,
	WSTOPPED = 2, /* WUNTRACED */
	WEXITED = 4,
	WCONTINUED = 8,
	WNOWAIT = 0x1000000,
	WALL = 0x40000000 | 0x80000000, /* __WALL, __WCLONE: there is one kind of child */
};
enum { P_ALL = 0, P_PID = 1, P_PGID = 2 };
#define CONTINUED 0xffff /* as wait4 gives it */

static bool selected(const struct proc *c, i32 pid)
{
	i32 pgid = c->u ? c->u->names.pgid : c->away_pgid;
	if (pid > 0)
		return c->pid == pid;
	if (pid == -1)
		return true;
	return pgid == (pid == 0 ? current->u->names.pgid : -pid);
}

/* A child to report now; *any tells whether there is one to wait for. */
static struct proc *find_child(i32 pid, u32 options, bool *any)
{
	list_for_each(c, &current->children, struct proc, sibling) {
		if (!selected(c, pid))
			continue;
		*any = true;
		if ((c->state == PROC_ZOMBIE && (options & WEXITED)) ||
		    (c->stopped_unwaited && (options & WSTOPPED)) ||
		    (c->continued_unwaited && (options & WCONTINUED)))
			return c;
	}
	return NULL;
}

/* What a child used becomes its parent's children's time, and what it knew of clocks its parent's
 * knowledge. */
static void inherit_from_child(struct proc *c)
{
	if (c->u)
		current->u->child_cpu_ns += c->u->cpu_ns + c->u->child_cpu_ns;
	clock_learn(current, c);
}

struct news {
	i32 pid, status; /* status as wait4 gives it */
	u32 uid;
	u64 cpu_ns;
};

/* c's news are taken before they are told: writing to the user's memory may block, and c end meanwhile. As on Linux, a
 * bad address comes too late for the child. */
static void take(struct proc *c, u32 options, struct news *n)
{
	bool ended = c->state == PROC_ZOMBIE && (options & WEXITED);
	*n = (struct news){.pid = c->pid, .uid = c->u ? c->u->names.uid : c->away_uid};
	n->status = ended ? c->exit_status
		    : c->continued_unwaited && (options & WCONTINUED)
			    ? CONTINUED
			    : (c->stopped_unwaited << 8 | 0x7f);
	if (c->u)
		n->cpu_ns = c->u->cpu_ns + c->u->child_cpu_ns;
	if (options & WNOWAIT)
		return;
	if (ended) {
		inherit_from_child(c);
		proc_free(c);
	} else {
		c->stopped_unwaited = 0;
		c->continued_unwaited = false;
	}
}

/* The pid of whom *n is about, 0 (WNOHANG), or -errno. */
static i64 do_wait(i32 pid, u32 options, struct news *n)
{
	for (;;) {
		bool any = false;
		struct proc *c = find_child(pid, options, &any);
		if (c) {
			take(c, options, n);
			return n->pid;
		}
		if (!any)
			return -ECHILD;
		if (options & WNOHANG)
			return 0;
		if (wait_on(&current->child_wait, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
}

/* The time a child and its children used; the rest is not counted. */
static int put_rusage(u64 uaddr, const struct news *n)
{
	struct {
		i64 sec, usec, rest[16];
	} ru = {.sec = (i64)(n->cpu_ns / NS_PER_SEC), .usec = (i64)(n->cpu_ns % NS_PER_SEC / 1000)};
	return uaddr ? copy_to_user(uaddr, &ru, sizeof ru) : 0;
}

i64 sys_wait4(const u64 *arg)
{
	u32 options = (u32)arg[2];
	struct news n;
	if (options & ~(u32)(WNOHANG | WSTOPPED | WCONTINUED | WALL))
		return -EINVAL;
	i64 r = do_wait((i32)arg[0], options | WEXITED, &n);
	if (r <= 0)
		return r;
	if ((arg[1] && copy_to_user(arg[1], &n.status, sizeof n.status)) || put_rusage(arg[3], &n))
		return -EFAULT;
	return r;
}

static i32 code_of(i32 status, i32 *value)
{
	if (status == CONTINUED) {
		*value = SIGCONT;
		return CLD_CONTINUED;
	}
	if ((status & 0xff) == 0x7f) {
		*value = status >> 8 & 0xff;
		return CLD_STOPPED;
	}
	*value = status & 0x7f ? status & 0x7f : status >> 8 & 0xff;
	return status & 0x7f ? CLD_KILLED : CLD_EXITED;
}

/* which, id, siginfo, options, rusage */
i64 sys_waitid(const u64 *arg)
{
	u32 options = (u32)arg[3];
	i32 id = (i32)arg[1], pid = -1;
	struct news n;
	if (options & ~(u32)(WNOHANG | WSTOPPED | WEXITED | WCONTINUED | WNOWAIT | WALL) ||
	    !(options & (WSTOPPED | WEXITED | WCONTINUED)))
		return -EINVAL;
	if ((u32)arg[0] == P_PID)
		pid = id;
	else if ((u32)arg[0] == P_PGID)
		pid = -id;
	else if ((u32)arg[0] != P_ALL)
		return -EINVAL;
	if (((u32)arg[0] == P_PID && id <= 0) || ((u32)arg[0] == P_PGID && id < 0))
		return -EINVAL;
	i64 r = do_wait(pid, options, &n);
	if (r < 0)
		return r;
	struct {
		i32 signo, error, code, pad, pid;
		u32 uid;
		i32 status, rest[25];
	} info = {0};
	if (r > 0) {
		info.signo = SIGCHLD;
		info.code = code_of(n.status, &info.status);
		info.pid = n.pid;
		info.uid = n.uid;
		if (put_rusage(arg[4], &n))
			return -EFAULT;
	}
	return arg[2] && copy_to_user(arg[2], &info, sizeof info) ? -EFAULT : 0;
}
