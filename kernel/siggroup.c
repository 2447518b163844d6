/* SPDX-License-Identifier: MIT */
/*
 * Signals to process groups whose members may be on several nodes. The node where one is sent signals the members that are
 * on it, at once, and tells the other live nodes, each of which signals those that are on it. Stubs have no part in this.
 * No order of arrival makes a member get it twice, or not at all while it is in transit:
 *
 * - A group signal has an origin and a number. A process that leaves takes along what its node has heard (usignal.heard),
 *   be it meant for it or not; where it arrives it gets what was sent to its group lately and it has not heard, before it
 *   runs, and later nothing that it has heard. What is forked there inherits that.
 * - What reaches a frozen process after its signal state was packed counts only if it goes on here (proc.late_group).
 *
 * So a fork bomb cannot outrun a SIGKILL: on each node all are signalled at one moment, and who comes later at his coming.
 */
#include "siggroup.h"
#include "env/clock.h"
#include "ipc.h"
#include "proc.h"
#include "signal.h"

#define KEPT	 64 /* group signals that one in transit may have missed */
#define KEPT_NS	 (60ull * 1000000000)
#define SEQ_LIFE 28    /* numbers within one incarnation: 2^28 */
#define MARKS	 4096u /* of pids, by their last bits */

static u64 heard[WH_MAX_NODES + 1]; /* by origin */
static struct kept {
	u64 at; /* node monotonic; 0: none */
	struct fs_signal q;
} kept[KEPT]; /* oldest first from `next` on */
static u32 next;

/* ---- who may be elsewhere ---- */

/*
 * Groups that have, or had, a member on another node. A member elsewhere left this node as such, or descends from one that
 * did, or joined there: a group that existed there, or the group named after itself, born here.
 */
static u64 marks[MARKS / 64];

static void mark(i32 pid)
{
	marks[(u32)pid % MARKS / 64] |= 1ull << ((u32)pid % 64);
}

static void mark_groups_of(const struct proc *p)
{
	mark(p->u->names.pgid);
	mark(p->pid);
}

static bool may_be_elsewhere(i32 pgid)
{
	bool marked = marks[(u32)pgid % MARKS / 64] >> ((u32)pgid % 64) & 1;
	return node_id.nodes > 1 && (marked || WH_PID_NODE(pgid) != node_id.node);
}

/* ---- the members here ---- */

static struct unames sender_of(const struct fs_signal *q)
{
	return (struct unames){.pid = q->pid, .sid = q->sid, .uid = q->uid, .euid = q->euid};
}

static i64 give(struct proc *p, const struct fs_signal *q)
{
	struct unames sender = sender_of(q);
	if (!signal_permitted(&sender, p, q->sig))
		return -EPERM;
	if (q->sig == 0)
		return 0;
	bool was_pending = p->u->sig.pending.set & SIG_BIT(q->sig);
	signal_send(p, q->sig, q->code, q->pid);
	if (q->seq && p->state == PROC_FROZEN && !was_pending)
		p->late_group |= SIG_BIT(q->sig);
	return 0;
}

static bool is_member(const struct proc *p, const struct fs_signal *q)
{
	return p->u && p->state != PROC_NEW && !p->privileged && p->u->names.pgid == -q->target;
}

static i64 better(i64 a, i64 b)
{
	return a == 0 || b == 0 ? 0 : a == -EPERM || b == -EPERM ? -EPERM : a;
}

static i64 sweep(const struct fs_signal *q)
{
	i64 result = -ESRCH;
	list_for_each_safe(p, &all_procs, struct proc, all_link) {
		if (!is_member(p, q))
			continue;
		bool had_it = q->seq && heard_has(p->u->sig.heard[q->owner], q->seq);
		result = better(result, had_it ? 0 : give(p, q));
	}
	return result;
}

/* The same signal to the same group again: who missed both need not have them twice. */
static bool is_like(const struct fs_signal *a, const struct fs_signal *b)
{
	return a->target == b->target && a->sig == b->sig && a->euid == b->euid &&
	       a->uid == b->uid && a->sid == b->sid;
}

static void keep(const struct fs_signal *q)
{
	heard[q->owner] = heard_add(heard[q->owner], q->seq);
	for (struct kept *k = kept; k < kept + KEPT; k++)
		if (k->at && is_like(&k->q, q))
			k->at = 0;
	kept[next++ % KEPT] = (struct kept){now_ns(), *q};
}

/* ---- sending ---- */

/* Has the group a member that was here? */
static bool has_stub(const struct unames *me, i32 pgid, int sig)
{
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->state == PROC_AWAY && p->away_pgid == pgid && signal_permitted(me, p, sig))
			return true;
	return false;
}

/* The others. With `wait` their answers count, those of silent nodes excepted. */
static i64 tell_others(struct fs_signal *q, bool wait)
{
	i64 result = -ESRCH;
	for (u32 k = 1; k <= node_id.nodes; k++) {
		u32 state = node_state(k);
		if (k == node_id.node || state == WH_NODE_UNKNOWN || state == WH_NODE_DEAD)
			continue;
		struct wh_msg m = {.type = FS_SIGNAL};
		q->tree = k;
		*WH_BODY(&m, struct fs_signal) = *q;
		if (wait && state == WH_NODE_ALIVE)
			result = better(result, ipc_call(WH_SVC_FILE, &m, NULL, 0, WH_BULK_NONE));
		else if (ipc_post(WH_SVC_FILE, &m) < 0)
			klog("signal: %d for group %d does not reach node %u: no file server, or no room",
			     q->sig, -q->target, k);
	}
	return result == 0 || result == -EPERM ? result : -ESRCH;
}

static i64 send_group(const struct unames *me, i32 pgid, int sig, i32 code, bool may_sleep)
{
	static u64 count;
	struct fs_signal q = {
		.owner = node_id.node,
		.target = -pgid,
		.sig = sig,
		.code = code,
		.pid = me->pid,
		.sid = me->sid,
		.uid = me->uid,
		.euid = me->euid,
	};
	bool elsewhere = may_be_elsewhere(pgid);
	if (elsewhere && sig) {
		q.seq = node_id.incarnation << SEQ_LIFE | ++count;
		keep(&q);
	}
	i64 here = sweep(&q);
	if (here != 0 && has_stub(me, pgid, sig))
		here = 0;
	if (!elsewhere || (here == 0 && sig == 0))
		return here;
	return better(here, tell_others(&q, may_sleep && here != 0));
}

i64 group_kill(const struct unames *me, i32 pgid, int sig)
{
	return send_group(me, pgid, sig, SI_USER, true);
}

void signal_group(i32 pgid, int sig, i32 code, i32 sender_pid)
{
	struct unames kernel = {.pid = sender_pid}; /* which may all that root may */
	send_group(&kernel, pgid, sig, code, false);
}

i64 group_from_afar(const struct fs_signal *q)
{
	if (q->owner < 1 || q->owner > node_id.nodes || q->seq >> (64 - HEARD_BITS))
		return -EINVAL;
	if (q->seq && heard_has(heard[q->owner], q->seq))
		return 0;
	if (q->seq)
		keep(q);
	return sweep(q);
}

/* ---- members in motion ---- */

void group_pack(struct proc *p)
{
	mark_groups_of(p);
	for (u32 k = 1; k <= WH_MAX_NODES; k++)
		p->u->sig.heard[k] = heard_union(p->u->sig.heard[k], heard[k]);
}

void group_arrived(struct proc *p)
{
	mark_groups_of(p);
	for (u32 i = 0; i < KEPT; i++) {
		const struct kept *k = &kept[(next + i) % KEPT];
		if (k->at && now_ns() - k->at < KEPT_NS && is_member(p, &k->q) &&
		    !heard_has(p->u->sig.heard[k->q.owner], k->q.seq))
			give(p, &k->q);
	}
}
