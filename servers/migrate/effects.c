/* SPDX-License-Identifier: MIT */
/* What the machines want done: messages, timers, and the kernel's process control. */
#include <errno.h>
#include <string.h>

#include "handler.h"
#include "peer.h"

#define FREEZE_MS 3000 /* the kernel refuses a freeze that takes longer, naming the call */

static struct serve_timer timers[MG_TIMERS];

struct wh_uqpid uqpid_of(const struct wire_uq *uq, uint32_t pid)
{
	return (struct wh_uqpid){.home = uq->home,
				 .pid = (int32_t)pid,
				 .incarnation = uq->incarnation,
				 .birth_ns = uq->birth};
}

struct wire_uq uq_of(const struct wh_uqpid *u)
{
	return (struct wire_uq){
		.birth = u->birth_ns, .home = u->home, .incarnation = (uint32_t)u->incarnation};
}

/* An answer of the kernel that our own tables say cannot be. */
static void expect(long r, const char *what, uint32_t pid)
{
	if (r < 0)
		serve_log("%s of process %u: %s", what, pid, strerror((int)-r));
}

static void on_timer(void *arg)
{
	mg_timer(&node, (uint32_t)((struct serve_timer *)arg - timers));
	effects_run();
}

static void set_timer(const struct mg_effect *e)
{
	struct serve_timer *t = &timers[e->timer];
	if (e->delay)
		serve_timer(t, wh_now() + e->delay * SERVE_MS, on_timer, t);
	else
		serve_timer_stop(t);
}

/* A message that cannot go now is lost: the machines resend. */
static void send(const struct mg_effect *e)
{
	struct wire_msg m = e->msg;
	const void *chunk = NULL;
	size_t len = 0;
	if (m.head.type == WIRE_IMAGE) {
		for (unsigned slot = 0; slot < MG_SOURCES && !chunk; slot++)
			if (node.source[slot].state != S_FREE &&
			    node.source[slot].serial == m.head.serial)
				chunk = transfer_chunk(slot, m.u.image.chunk, &len);
		if (!chunk)
			return;
	}
	m.head.bytes = (uint32_t)len;
	peer_send(m.head.to, m.head.type, m.head.serial, &m, sizeof(m), chunk, len);
}

static void freeze(const struct mg_effect *e)
{
	long r = wh_proc_freeze((int)e->pid, wh_now() + FREEZE_MS * SERVE_MS);
	if (r < 0)
		mg_frozen(&node, e->serial, false,
			  r == -ESRCH ? "the process ended first"
				      : "the kernel refuses to freeze it");
}

/* P has ended here before it could run: tell whoever waits for it. */
static void resume(const struct mg_effect *e)
{
	long r = wh_proc_thaw((int)e->pid);
	transfer_target_end(e->slot);
	if (r == 0)
		return;
	expect(r, "resuming", e->pid);
	wh_proc_release((int)e->pid, WH_REL_DROP, 0);
	mg_exited(&node, &e->uq, MG_STATUS_LOST);
}

static void release(const struct mg_effect *e)
{
	expect(wh_proc_release((int)e->pid, WH_REL_AWAY, e->node), "release", e->pid);
	transfer_source_end(e->slot);
	if (e->value)
		serve_log("process %u was lost with node %u", e->pid, e->node);
}

static void child(const struct mg_effect *e)
{
	struct wh_uqpid u = uqpid_of(&e->uq, e->pid);
	long r = wh_proc_exited(&u, e->epoch, (int)e->value);
	if (r != -ESRCH) /* an orphan has no stub */
		expect(r, "end", e->pid);
}

static void located(const struct mg_effect *e)
{
	struct wh_uqpid u = uqpid_of(&e->uq, e->pid);
	long r = wh_proc_moved(&u, e->epoch, e->node);
	if (r != -ESRCH)
		expect(r, "new place", e->pid);
}

/* Signals and news of the parent go by pid; the kernel wants to be sure whom we mean. */
static void order(const struct mg_effect *e)
{
	struct wh_pinfo info;
	if (wh_proc_get((int)e->pid, WH_P_INFO, 0, &info, sizeof(info)) < 0)
		return; /* it has ended */
	if (e->kind == MG_KILL)
		wh_proc_signal(&info.uqpid, (int)e->value);
	else
		wh_proc_reparent(&info.uqpid, (int)e->value);
}

static void execute(const struct mg_effect *e)
{
	switch (e->kind) {
	case MG_SEND:
		send(e);
		break;
	case MG_TIMER:
		set_timer(e);
		break;
	case MG_FREEZE:
		freeze(e);
		break;
	case MG_THAW:
		wh_proc_thaw((int)e->pid); /* may have ended before it froze */
		transfer_source_end(e->slot);
		break;
	case MG_EXPORT:
		transfer_export(e);
		break;
	case MG_RELEASE:
		release(e);
		break;
	case MG_RESERVE:
		transfer_reserve(e);
		break;
	case MG_IMPORT:
		transfer_import(e);
		break;
	case MG_ADOPT:
		transfer_adopt(e);
		break;
	case MG_DROP:
		/* Closes this node's share of the files too, adopted or not. */
		wh_proc_release((int)e->pid, WH_REL_DROP, 0);
		transfer_target_end(e->slot);
		break;
	case MG_RESUME:
		resume(e);
		break;
	case MG_CHILD:
		child(e);
		break;
	case MG_LOCATED:
		located(e);
		break;
	case MG_HOME:
		break; /* the kernel replaces the stub when the process is resumed */
	case MG_KILL:
	case MG_PARENT:
		order(e);
		break;
	case MG_REPORT:
		moves_report(e);
		break;
	case MG_LOG:
		serve_log("%s", e->text);
		break;
	case MG_EFFECTS:
		break;
	}
}

void effects_run(void)
{
	const struct mg_effect *e;
	while ((e = mg_next(&node)))
		execute(e);
}
