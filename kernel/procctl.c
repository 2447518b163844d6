/* SPDX-License-Identifier: MIT */
/* The calls with which the migration handler makes, inspects and gives away processes
 * (servers/lib/wh.h). */
#include "procctl.h"
#include "cpu.h"
#include "env/clock.h"
#include "frame.h"
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

#define PAGES_PER_TABLE 256 /* a generous share of page tables in what is reserved */
#define TABLES_MIN	16
#define WHY_MAX		512

static bool is_handler(void)
{
	return current->service == WH_SVC_MIGRATE;
}

int proc_may_inspect(const struct proc *p)
{
	u32 me = current->u->names.euid;
	if (me == 0)
		return 0;
	if (!p->u)
		return p->away_uid == me ? 0 : -EACCES;
	const struct unames *n = &p->u->names;
	return n->uid == me && n->euid == me && n->suid == me ? 0 : -EACCES;
}

struct proc *shell_find(i32 pid)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->pid == pid && p->state == PROC_NEW && p->vm)
			return p;
	return NULL;
}

struct proc *procctl_find(i32 pid)
{
	struct proc *p = shell_find(pid);

	return p ? p : proc_find(pid);
}

static u32 public_state(const struct proc *p)
{
	if (p->freeze_req)
		return WH_PS_FREEZING;
	switch (proc_letter(p)) {
	case 'R':
		return WH_PS_RUN;
	case 'T':
		return WH_PS_STOPPED;
	case 'Z':
		return WH_PS_ZOMBIE;
	case 'A':
		return WH_PS_AWAY;
	case 'N':
	case 'D':
		return WH_PS_FROZEN;
	default:
		return WH_PS_SLEEP;
	}
}

void proc_info(struct proc *p, struct wh_pinfo *info)
{
	*info = (struct wh_pinfo){
		.uqpid = p->uqpid,
		.epoch = p->epoch,
		.ppid = p->parent ? p->parent->pid : 0,
		.uid = p->away_uid,
		.state = public_state(p),
		.pinned = p->pinned,
		.foreign = p->foreign,
		.started = p->started,
		.runnable = proc_letter(p) == 'R',
		.arrived_ns = p->arrived_ns,
	};
	memcpy(info->comm, p->away_comm, sizeof info->comm);
	if (p->u) {
		info->ppid = p->u->names.ppid;
		info->uid = p->u->names.uid;
		info->cpu_ns = proc_cpu_ns(p);
		memcpy(info->comm, p->u->names.comm, sizeof info->comm);
	}
	if (p->vm) {
		info->regions = p->vm->region_count;
		info->private_pages = (u32)p->vm->private_pages;
		info->holds = file_holds(p, NULL, 0);
	}
}

/* pid, what, arg, buf, len */
i64 wh_sys_proc_get(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);

	if (!is_handler())
		return -EPERM;
	if (!p || p->privileged || p->state == PROC_ZOMBIE)
		return -ESRCH;
	return image_get(p, (u32)arg[1], arg[2], arg[3], arg[4]);
}

i64 wh_sys_proc_set(const u64 *arg)
{
	struct proc *p = shell_find((i32)arg[0]);

	if (!is_handler())
		return -EPERM;
	return p ? image_set(p, (u32)arg[1], arg[2], arg[3], arg[4]) : -ESRCH;
}

/* A process of this name that is here and not merely remembered. */
static int name_taken(const struct wh_pinfo *info)
{
	list_for_each(p, &all_procs, struct proc, all_link) {
		if (p->pid != info->uqpid.pid)
			continue;
		if (p->state != PROC_AWAY || memcmp(&p->uqpid, &info->uqpid, sizeof p->uqpid) != 0)
			return -EEXIST;
		if (p->epoch > info->epoch)
			return -ESTALE;
	}
	return 0;
}

/* info (its epoch is the one the process has here), pages, node that keeps the stub */
i64 wh_sys_proc_create(const u64 *arg)
{
	struct wh_pinfo info;

	if (!is_handler())
		return -EPERM;
	if (copy_from_user(&info, arg[0], sizeof info) < 0)
		return -EFAULT;
	if (info.uqpid.pid <= 0 || info.uqpid.home < 1 || info.uqpid.home > node_id.nodes ||
	    WH_PID_NODE(info.uqpid.pid) != info.uqpid.home || info.epoch == 0 ||
	    arg[1] > frame_total_count() || arg[2] > node_id.nodes)
		return -EINVAL;
	int r = name_taken(&info);
	if (r)
		return r;
	u64 frames = arg[1] + arg[1] / PAGES_PER_TABLE + TABLES_MIN;
	if (!frame_reserve(frames))
		return -ENOMEM;
	struct proc *p = proc_alloc(info.uqpid.pid);
	if (!p) {
		frame_unreserve(frames);
		return -ENOMEM;
	}
	p->reserved_frames = frames;
	p->vm = vm_create();
	if (!p->vm) {
		proc_free(p);
		return -ENOMEM;
	}
	waitq_init(&p->vfork_wait);
	p->uqpid = p->u->names.uqpid = info.uqpid;
	p->epoch = p->u->names.epoch = info.epoch;
	p->pinned = info.pinned;
	p->stub_node = arg[2] == node_id.node ? 0 : (u32)arg[2];
	return 0;
}

/* pid, how, node */
i64 wh_sys_proc_release(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);

	if (!is_handler())
		return -EPERM;
	if (!p || p->state == PROC_AWAY)
		return -ESRCH;
	switch (arg[1]) {
	case WH_REL_AWAY:
		if (p->state != PROC_FROZEN || !list_empty(&p->children))
			return -EBUSY;
		if (arg[2] < 1 || arg[2] > node_id.nodes)
			return -EINVAL;
		stub_leave(p, (u32)arg[2]);
		return 0;
	case WH_REL_DROP:
		if (p->state != PROC_NEW || !p->vm)
			return -EBUSY;
		env_release(p, true);
		proc_free(p);
		return 0;
	default:
		return -EINVAL;
	}
}

/* pid, node, text, its size */
i64 wh_sys_proc_verdict(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);
	char words[WHY_MAX] = "";
	struct text why = TEXT(words, sizeof words);
	i64 r;

	if (!is_handler())
		return -EPERM;
	if (!p || !p->u || p->state == PROC_ZOMBIE)
		return -ESRCH;
	if (arg[1] < 1 || arg[1] > node_id.nodes || arg[1] == node_id.node || arg[3] == 0)
		return -EINVAL;
	r = env_verdict(p, (u32)arg[1], &why);
	u64 n = MIN(strlen(words) + 1, arg[3]);
	words[n - 1] = 0;
	return copy_to_user(arg[2], words, n) < 0 ? -EFAULT : r;
}

/* pid, pinned */
i64 wh_sys_proc_pin(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);

	if (!is_handler() && current->service != WH_SVC_LOAD)
		return -EPERM;
	if (!p || p->privileged)
		return -ESRCH;
	p->pinned = arg[1] != 0;
	return 0;
}

/* rows, max */
i64 wh_sys_proc_list(const u64 *arg)
{
	u64 n = 0, max = MIN(arg[1], 1ul << 20);

	if (!is_handler() && current->service != WH_SVC_LOAD)
		return -EPERM;
	list_for_each(p, &all_procs, struct proc, all_link) {
		struct wh_pinfo info;
		if (p->privileged || p->state == PROC_NEW)
			continue;
		if (n == max)
			break;
		proc_info(p, &info);
		if (copy_to_user(arg[0] + n * sizeof info, &info, sizeof info) < 0)
			return -EFAULT;
		n++;
	}
	return (i64)n;
}
