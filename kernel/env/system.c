/* SPDX-License-Identifier: MIT */
/*
 * Class System: calls that ask for physical properties of the node. They are exempt from
 * consistency (Sinha §8.2.1: an object may be asked for properties of the node it is on), so a
 * migrated process sees the node it runs on. Here also travels what belongs to no object: the
 * markers and duplicates of rows without an object of their own, the memory's
 * limits, the checker's record, resource limits (rlimit.c), and whether the process is restless.
 */
#include "frame.h"
#include "proc.h"
#include "shared.h"
#include "restless.h"
#include "rlimit.h"
#include "usercopy.h"

struct user_sysinfo {
	i64 uptime;
	u64 loads[3];
	u64 totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	u16 procs, pad;
	u64 totalhigh, freehigh;
	u32 mem_unit;
	char reserved[4];
};
_Static_assert(sizeof(struct user_sysinfo) == 112, "Linux ABI");

i64 sys_sysinfo(const u64 *arg)
{
	u64 load = sched_load_milli() * 65536 / 1000; /* of the last second, for all three */
	struct user_sysinfo si = {
		.uptime = (i64)(now_ns() / NS_PER_SEC),
		.loads = {load, load, load},
		.totalram = frame_total_count() * PAGE_SIZE,
		.freeram = frame_free_count() * PAGE_SIZE,
		.mem_unit = 1,
	};

	list_for_each(p, &all_procs, struct proc, all_link)
		si.procs++;
	return copy_to_user(arg[0], &si, sizeof si);
}

/* The node's log: action, buffer, length. Lines have no priorities. */
i64 sys_syslog(const u64 *arg)
{
	enum { CLOSE, OPEN, READ, READ_ALL, READ_CLEAR, CLEAR, OFF, ON, LEVEL, UNREAD, SIZE };
	u32 action = (u32)arg[0];
	i64 len = (i32)arg[2];
	if (current->u->names.euid != 0)
		return -EPERM;
	if (action == SIZE)
		return klog_size();
	if (action == UNREAD)
		return (i64)klog_unread();
	if (action == CLEAR)
		klog_clear();
	if (action != READ_ALL && action != READ_CLEAR)
		return action == CLEAR || action == CLOSE || action == OPEN ||
				       (action >= OFF && action <= LEVEL)
			       ? 0
			       : -EINVAL;
	if (len < 0 || (len && !arg[1]))
		return -EINVAL;
	len = MIN(len, klog_size());
	char *buf = kmalloc((u64)len + 1);
	if (!buf)
		return -ENOMEM;
	i64 n = (i64)klog_read(buf, (u64)len);
	if (copy_to_user(arg[1], buf, (u64)n))
		n = -EFAULT;
	kfree(buf);
	if (n >= 0 && action == READ_CLEAR)
		klog_clear();
	return n;
}

enum { MEMBARRIER_QUERY, MEMBARRIER_PRIVATE = 8, MEMBARRIER_REGISTER_PRIVATE = 16 };

/* The threads of a process run on one processor in turn: each switch is a barrier. */
i64 sys_membarrier(const u64 *arg)
{
	if (arg[1])
		return -EINVAL;
	if (arg[0] == MEMBARRIER_QUERY)
		return MEMBARRIER_PRIVATE | MEMBARRIER_REGISTER_PRIVATE;
	return arg[0] == MEMBARRIER_PRIVATE || arg[0] == MEMBARRIER_REGISTER_PRIVATE ? 0 : -EINVAL;
}

i64 sys_getrandom(const u64 *arg)
{
	u64 addr = arg[0], len = MIN(arg[1], 256ul), word[32];

	for (u32 i = 0; i < ARRAY_LEN(word); i++)
		word[i] = rand64();
	return copy_to_user(addr, word, len) < 0 ? -EFAULT : (i64)len;
}

/* ---- the class ---- */

static int system_init(struct proc *p)
{
	rlimit_defaults(p->u);
	return 0;
}

static int system_fork(struct proc *child, const struct proc *parent)
{
	child->u->restless = parent->u->restless;
	memcpy(child->u->rlimit, parent->u->rlimit, sizeof child->u->rlimit);
	child->u->nice = parent->u->nice;
	restless_arm(child);
	return 0;
}

static void system_release(struct proc *p, bool away)
{
	(void)away;
	p->restless_left = 0;
	timer_cancel(&p->restless_timer);
}

static int system_pack(struct proc *p, struct blob *b)
{
	const struct ublock *u = p->u;
	u32 marked = 0;

	blob_put_u64(b, p->vm->brk_start);
	blob_put_u64(b, p->vm->brk);
	blob_put_u64(b, p->vm->mmap_top);
	for (u32 row = 0; row < V_ROWS; row++)
		marked += u->vrec[row].marker;
	blob_put_u32(b, marked);
	for (u32 row = 0; row < V_ROWS; row++) {
		if (!u->vrec[row].marker)
			continue;
		blob_put_u32(b,
			     syscall_rows[row].nr); /* rows may be numbered differently elsewhere */
		blob_put_u32(b, u->vrec[row].count);
		blob_put_u64(b, (u64)u->vrec[row].dup);
	}
	blob_put_u32(b, u->restless.calls);
	blob_put_u32(b, u->restless.ms);
	blob_put(b, u->rlimit, sizeof u->rlimit);
	blob_put_u32(b, (u32)u->nice);
	return check_pack(p, b);
}

static struct vrec *vrec_of(struct ublock *u, u32 nr)
{
	for (u32 row = 0; row < V_ROWS; row++)
		if (syscall_rows[row].nr == nr)
			return &u->vrec[row];
	return NULL;
}

static int system_unpack(struct proc *p, struct blob *b)
{
	struct ublock *u = p->u;

	u64 brk_start = blob_get_u64(b), brk = blob_get_u64(b), mmap_top = blob_get_u64(b);
	if (brk_start > brk || brk >= USER_TOP || mmap_top >= USER_TOP || (mmap_top & PAGE_MASK))
		return -EINVAL;
	p->vm->brk_start = brk_start;
	p->vm->brk = brk;
	p->vm->mmap_top = mmap_top;
	u32 marked = blob_get_u32(b);
	if (marked > V_ROWS)
		return -EINVAL;
	while (marked-- > 0) {
		struct vrec *v = vrec_of(u, blob_get_u32(b));
		if (!v)
			return -EINVAL;
		v->marker = 1;
		v->count = blob_get_u32(b);
		v->dup = (i64)blob_get_u64(b);
	}
	u->restless.calls = blob_get_u32(b);
	u->restless.ms = blob_get_u32(b);
	blob_get(b, u->rlimit, sizeof u->rlimit);
	u->nice = (i32)blob_get_u32(b);
	for (u32 i = 0; i < RLIMIT_COUNT; i++)
		if (u->rlimit[i].cur > u->rlimit[i].max)
			return -EINVAL;
	if (u->rlimit[RLIMIT_NOFILE].max > NOFILE || u->nice < -20 || u->nice > 19)
		return -EINVAL;
	return check_unpack(p, b);
}

static int system_verdict(struct proc *p, u32 node, struct text *why)
{
	if (!p->vm) {
		text_printf(why, "process %d has no memory here: it cannot move to node %u", p->pid,
			    node);
		return -EPERM;
	}
	if (p->vm->refs > 1) {
		text_printf(why,
			    "memory: vfork: pid %d shares its memory with its parent: rule local; "
			    "cure: let it exec, "
			    "then move to node %u",
			    p->pid, node);
		return -EPERM;
	}
	if (shared_why(p->vm, why)) {
		text_printf(
			why,
			": rule local: its frames are this node's and cannot be kept on node %u; cure: munmap it",
			node);
		return -EPERM;
	}
	return 0;
}

static void system_view(const struct proc *p, struct text *out)
{
	const struct wh_restless *r = &p->u->restless;
	if (!r->calls && !r->ms)
		return;
	text_printf(out, "  restless: every %u %s; due %u times here\n",
		    r->calls ? r->calls : r->ms, r->calls ? "calls" : "ms", p->restless_stays);
}

const struct env_class env_system = {
	.name = "system",
	.version = 3,
	.init = system_init,
	.fork = system_fork,
	.release = system_release,
	.bind = restless_arm,
	.view = system_view,
	.pack = system_pack,
	.unpack = system_unpack,
	.verdict = system_verdict,
};
