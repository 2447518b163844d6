/* SPDX-License-Identifier: MIT */
/*
 * The load server: measures, reports, listens, decides. A few times a second it
 *   1. takes this node's load from the kernel,
 *   2. judges which nodes are alive, and reports to all of them (cluster.c),
 *   3. asks the policy (policy.c) and, if it says so, the migration handler for a move (moves.c).
 * All other nodes do the same, for themselves; there is no master.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster.h"
#include "moves.h"
#include "msg_load.h"
#include "policy.h"
#include "serve.h"
#include "settings.h"

enum { PAGE = 4096, MAX_PROCS = 512, TEXT_MAX = 16384, REQUEST_MAX = 64 };
#define AWAY_NS (500 * SERVE_MS) /* a timer that is so late is this node's doing, not the others' */

static struct wh_identity identity;
static struct load_settings settings;
static struct load_state state;
static struct load_decision decision;
static struct wh_counters counters;
static struct serve_timer timer;

static struct cluster_self myself(void)
{
	return (struct cluster_self){
		.load_milli = (uint32_t)counters.load_milli,
		.threshold_milli = state.threshold_milli,
		.balancing = settings.balance,
		.free_bytes = (counters.frames_free + counters.frames_cache) * PAGE,
		.settle_ms = settings.settle_ms,
		.beat_ms = settings.beat_ms,
		.suspect_ms = settings.suspect_ms,
	};
}

static bool is_candidate(const struct wh_pinfo *p)
{
	return p->state == WH_PS_RUN || p->state == WH_PS_SLEEP;
}

/* The processes here as the policy wants them. *rows stays valid for the names. */
static size_t list_candidates(struct load_candidate *c, const struct wh_pinfo **rows)
{
	static struct wh_pinfo table[MAX_PROCS];
	long n = wh_proc_list(table, MAX_PROCS);
	uint64_t now = wh_now();
	size_t found = 0;

	for (long i = 0; i < n; i++) {
		const struct wh_pinfo *p = &table[i];
		uint64_t here_ms = now > p->arrived_ns ? (now - p->arrived_ns) / SERVE_MS : 0;

		if (!is_candidate(p))
			continue;
		rows[found] = p;
		c[found++] = (struct load_candidate){
			.pid = p->uqpid.pid,
			.pinned = p->pinned,
			.barred = moves_barred(p->uqpid.pid, settings.bar_ms),
			.started = p->started,
			.foreign = p->foreign,
			.runnable = p->runnable,
			.here_ms = here_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)here_ms,
			.bytes = (uint64_t)p->private_pages * PAGE,
		};
	}
	return found;
}

static void on_move_done(void)
{
	struct cluster_self self = myself();

	cluster_report(&self);
}

static void carry_out(const struct load_decision *d, const struct load_candidate *c,
		      const struct wh_pinfo *const *rows, size_t n)
{
	struct cluster_self self = myself();
	const char *comm = "?";

	for (size_t i = 0; i < n; i++)
		if (c[i].pid == d->pid)
			comm = rows[i]->comm;
	if (moves_start(d->pid, comm, d->node, on_move_done))
		cluster_report(&self);
}

static void decide(void)
{
	static struct load_candidate candidates[MAX_PROCS];
	static const struct wh_pinfo *rows[MAX_PROCS];
	struct load_peer peers[WH_MAX_NODES];
	struct load_self self = {
		.node = identity.node,
		.load_milli = (uint32_t)counters.load_milli,
		.leaving_milli = moves_unseen(0, settings.settle_ms),
		.moving = moves_under_way(),
	};
	size_t npeers = cluster_peers(peers), n;

	for (size_t i = 0; i < npeers; i++)
		peers[i].coming_milli += moves_unseen(peers[i].node, settings.settle_ms);
	/* Nearly always there is nothing to do, which is known without looking at the processes. */
	decision = load_decide(&settings.policy, &state, &self, peers, npeers, NULL, 0);
	if (decision.reason == LOAD_NO_CANDIDATE) {
		n = list_candidates(candidates, rows);
		decision =
			load_decide(&settings.policy, &state, &self, peers, npeers, candidates, n);
		if (decision.reason == LOAD_MOVE)
			carry_out(&decision, candidates, rows, n);
	}
	state = decision.next;
}

/* A node with nothing to move and nobody to miss looks once a beat, or a second. */
static void tick(void *arg)
{
	struct cluster_self self;
	uint64_t now = wh_now(), pause = settings.report_ms * SERVE_MS, quiet_until;
	uint64_t beat = settings.beat_ms * SERVE_MS, rest = beat < SERVE_SEC ? beat : SERVE_SEC;

	(void)arg;
	if (now > timer.deadline + AWAY_NS)
		cluster_away(now - timer.deadline);
	serve_timer(&timer, now + pause, tick, NULL);
	if (wh_counters(&counters) < 0)
		return;
	self = myself();
	quiet_until = cluster_tick(&self);
	if (quiet_until > now + pause && self.load_milli < LOAD_ONE / 4)
		serve_timer(&timer, quiet_until < now + rest ? quiet_until : now + rest, tick,
			    NULL);
	if (settings.balance && !cluster_outcast())
		decide();
}

static void beat_due(void)
{
	tick(NULL);
}

/* ---- commands ---- */

static size_t load_text(char *text, size_t size)
{
	size_t len = cluster_load_text(text, size);

	len += (size_t)snprintf(text + len, size - len,
				"\nhere: SelfLoad %.2f LoadMin %.2f LoadThreshold %.2f, %u moving, "
				"last decision: %s\n\n",
				decision.self_milli / 1000.0, decision.min_milli / 1000.0,
				state.threshold_milli / 1000.0, moves_under_way(),
				settings.balance ? load_reason_name(decision.reason) : "off");
	len += settings_text(&settings, text + len, size - len);
	len += (size_t)snprintf(text + len, size - len, "\n");
	return len + moves_text(text + len, size - len);
}

static void set(const struct serve_ctl *c, const char *text)
{
	char why[128] = "";
	int status = c->uid ? -EPERM : settings_set(&settings, text, why, sizeof(why));

	/* A threshold below T0 would break the policy's own rule. */
	if (!status && state.threshold_milli < settings.policy.t0_milli)
		state.threshold_milli = settings.policy.t0_milli;
	serve_ctl_answer(c, status, why, strlen(why));
}

static void fence(const struct serve_ctl *c, const char *text)
{
	char why[128] = "";
	int status = -EPERM;

	if (!c->uid)
		status = cluster_fence((uint32_t)strtoul(text, NULL, 10), why, sizeof(why));
	serve_ctl_answer(c, status, why, strlen(why));
}

static void on_ctl(const struct wh_event *ev)
{
	static char text[TEXT_MAX];
	char request[REQUEST_MAX];
	struct serve_ctl c;

	if (serve_ctl_get(ev, &c, request, sizeof(request)))
		return;
	switch (c.op) {
	case LOAD_CTL_TABLE:
		serve_ctl_answer(&c, 0, text, load_text(text, sizeof(text)));
		break;
	case LOAD_CTL_NODES:
		serve_ctl_answer(&c, 0, text, cluster_nodes_text(text, sizeof(text)));
		break;
	case LOAD_CTL_SET:
		set(&c, request);
		break;
	case LOAD_CTL_DEAD:
		fence(&c, request);
		break;
	default:
		serve_ctl_printf(&c, -EINVAL, "no such request\n");
	}
}

int main(void)
{
	uint64_t step;

	serve_init(WH_SVC_LOAD);
	if (wh_identity(&identity))
		serve_die("no identity");
	settings_init(&settings, identity.nodes);
	state = (struct load_state){.threshold_milli = settings.policy.t0_milli,
				    .last_node = identity.node};
	serve_on(WH_MSG_CTL, on_ctl);
	cluster_start(identity.node, identity.nodes, beat_due);
	/* Nodes that start together should not decide together: each has its own phase. */
	step = settings.report_ms * SERVE_MS / (identity.nodes ? identity.nodes : 1);
	serve_timer(&timer, wh_now() + identity.node * step, tick, NULL);
	serve_run();
}
