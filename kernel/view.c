/* SPDX-License-Identifier: MIT */
/* What people ask about processes and the node: `view PID`, the counters, and requests to the
 * services in text. */
#include "env/clock.h"
#include "file.h"
#include "frame.h"
#include "fs.h"
#include "known.h"
#include "ipc.h"
#include "ipc_internal.h"
#include "lib.h"
#include "proc.h"
#include "procctl.h"
#include "tty.h"
#include "usercopy.h"
#include "vm_internal.h"

#define TEXT_MAX  65536 /* bytes of a view, or of a request and its answer */
#define SMALL_ARG 65536 /* below this a number is printed as one */

/* ---- view ---- */

static const char *state_name(const struct proc *p)
{
	switch (proc_letter(p)) {
	case 'N':
		return "arriving";
	case 'R':
		return "running";
	case 'T':
		return "stopped";
	case 'D':
		return "frozen";
	case 'Z':
		return "ended";
	case 'A':
		return "away";
	default:
		return "asleep";
	}
}

static void view_names(const struct proc *p, struct text *out)
{
	const struct unames *n = &p->u->names;

	text_printf(out, "pid %d (%s) on node %u: %s%s%s\n", p->pid, n->comm, node_id.node,
		    state_name(p), p->freeze_req ? ", to be frozen" : "",
		    p->pinned ? ", pinned" : "");
	text_printf(out, "uq-pid: home node %u, incarnation %lu, born at %lu ns; epoch %u\n",
		    p->uqpid.home, p->uqpid.incarnation, p->uqpid.birth_ns, p->epoch);
	text_printf(out, "parent %d, group %d, session %d, home tree %u\n", n->ppid, n->pgid,
		    n->sid, n->tree);
}

/* One argument: a small number, an error or an address. */
static void view_arg(struct text *out, u64 v)
{
	if ((i64)v > -4096 && (i64)v < SMALL_ARG)
		text_printf(out, "%ld", (i64)v);
	else if (v >> 32 == 0 && (i32)v < 0 && (i32)v > -4096)
		text_printf(out, "%d", (i32)v); /* an int argument */
	else
		text_printf(out, "0x%lx", v);
}

static void view_call(const struct thread *t, struct text *out)
{
	static const char *const kinds[] = {
		[KIND_V] = "V-function", [KIND_O] = "O-function",	[KIND_OV] = "OV-function",
		[KIND_N] = "no object",	 [KIND_X] = "exempt: physical",
	};
	const struct ucall *c = &t->u.call;

	for (u32 row = 0; row < V_ROWS; row++) {
		const struct syscall_row *r = &syscall_rows[row];
		if (r->nr != c->nr)
			continue;
		text_printf(out, "%s %s(",
			    t->state == THREAD_WAIT ? "current call:" : "last call:", r->name);
		for (u32 i = 0; i < ARRAY_LEN(c->args); i++) {
			text_printf(out, "%s", i ? ", " : "");
			view_arg(out, c->args[i]);
		}
		text_printf(out, ") of class %s, %s", env_classes[r->cls]->name, kinds[r->kind]);
		if (t->state != THREAD_WAIT) {
			text_printf(out, ", value ");
			view_arg(out, c->values[0]);
		}
		if (c->resume_valid)
			text_printf(out, "; interrupted, resumes with %lu", c->resume[0]);
		text_printf(out, "\n");
	}
}

static void view_verdicts(struct proc *p, struct text *out)
{
	for (u32 node = 1; node <= node_id.nodes; node++) {
		char words[512] = "";
		struct text why = TEXT(words, sizeof words);
		if (node == node_id.node)
			continue;
		int r = env_verdict(p, node, &why);
		text_printf(out, "node %u: %s%s\n", node, r ? "may not move: " : "may move", words);
	}
}

static void view_process(struct proc *p, struct text *out)
{
	if (!p->u) {
		text_printf(out, "pid %d (%s): %s, on node %u in epoch %u\n", p->pid, p->away_comm,
			    state_name(p), p->away_node, p->epoch);
		return;
	}
	view_names(p, out);
	list_for_each(t, &p->threads, struct thread, proc_link)
		view_call(t, out);
	env_view(p, out);
	check_view(p, out);
	if (p->vm)
		view_verdicts(p, out);
}

/* pid, buf, len */
i64 wh_sys_view(const u64 *arg)
{
	struct proc *p = procctl_find((i32)arg[0]);
	u64 room = MIN(arg[2], (u64)TEXT_MAX);

	if (!p)
		return -ESRCH;
	if (room == 0)
		return -EINVAL;
	int err = proc_may_inspect(p);
	if (err)
		return err;
	char *buf = kmalloc(room);
	if (!buf)
		return -ENOMEM;
	struct text t = TEXT(buf, room);
	view_process(p, &t);
	u64 n = strnlen(buf, room);
	i64 r = copy_to_user(arg[1], buf, n) < 0 ? -EFAULT : (i64)n;
	kfree(buf);
	return r;
}

/* ---- counters ---- */

i64 wh_sys_counters(const u64 *arg)
{
	struct wh_counters c = {
		.frames_total = frame_total_count(),
		.frames_free = frame_free_count(),
		.frames_cache = pagecache_frames() + known_bytes() / PAGE_SIZE,
		.fobjs = counters_fobjs(),
		.ofiles = counters_ofiles(),
		.pipes = counters_pipes(),
		.ptys = counters_ptys(),
		.regions = region_count,
		.requests = ipc_open_requests,
		.kmem_bytes = kmem_in_use() - known_bytes() - idle_bytes(), /* what is in use */
		.run_queue = sched_runnable_users(),
		.load_milli = sched_load_milli(),
		.syscalls = syscall_count,
		.switches = switch_count,
		.faults = fault_count,
		.ipcs = ipc_count,
		.migrations_in = migrations_in,
		.migrations_out = migrations_out,
		.checker_observations = check_observations,
		.checker_violations = check_violations,
	};

	list_for_each(p, &all_procs, struct proc, all_link) {
		if (p->state == PROC_AWAY)
			c.stubs++;
		else
			c.procs++;
	}
	return copy_to_user(arg[0], &c, sizeof c);
}

/* ---- requests to services ---- */

static bool service_exists(u64 svc)
{
	switch (svc) {
#define SERVICE(id, NAME, path, rank, port, flags) case id:
#include "services.def"
#undef SERVICE
		return true;
	default:
		return false;
	}
}

/* The buffer travels with the request; when the call is interrupted it belongs to the request. */
static i64 ask(u64 svc, u32 op, void *buf, u64 in_len, u64 size, u64 uanswer, u64 uout_len)
{
	struct wh_msg m = {.type = WH_MSG_CTL};

	*WH_BODY(&m, struct wh_ctl_msg) =
		(struct wh_ctl_msg){.op = op, .in_len = (u32)in_len, .uid = current->u->names.euid};
	i64 r = ipc_call_intr((u32)svc, &m, buf, size, WH_BULK_IN | WH_BULK_OUT);
	if (r == -EINTR && m.status != -EINTR)
		return -EINTR;
	u32 n = (u32)MIN((u64)WH_BODY(&m, struct wh_ctl_msg)->out_len, size);
	if (copy_to_user(uanswer, buf, n) < 0 ||
	    (uout_len && copy_to_user(uout_len, &n, sizeof n) < 0))
		r = -EFAULT;
	kfree(buf);
	return r;
}

/* svc, op, buf, in_len, size, out_len */
i64 wh_sys_ctl(const u64 *arg)
{
	u64 in_len = arg[3], size = arg[4];

	if (!service_exists(arg[0]) || size == 0 || size > TEXT_MAX || in_len > size)
		return -EINVAL;
	if (!ipc_service_up((u32)arg[0]))
		return -ESRCH;
	if (current->service)
		return -EPERM; /* a server would wait for another: it sends */
	void *buf = kmalloc(size);
	if (!buf)
		return -ENOMEM;
	if (copy_from_user(buf, arg[2], in_len) < 0) {
		kfree(buf);
		return -EFAULT;
	}
	return ask(arg[0], (u32)arg[1], buf, in_len, size, arg[2], arg[5]);
}
