/* SPDX-License-Identifier: MIT */
/*
 * The truth about every process, kept from what really happens on the nodes, and the invariants:
 *  1 never two running copies              2 what resumes is the last state there was
 *  3 lost only if its owner died, or while COMMIT was under way one of the two ends died
 *  4 a parent is told once, the truth, and nothing of P runs afterwards
 *  5 every attempt ends with one report, and the report is true
 *  6 at the end nothing is left: no frozen or half-made copy, no table entry, no armed timer
 *  7 signals arrive once (as long as no node crashes), and all of them do
 */
#include <stdarg.h>
#include <stdio.h>
#include "sim.h"

void fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!sim.failed)
		vsnprintf(sim.why, sizeof(sim.why), fmt, ap);
	va_end(ap);
	sim.failed = true;
	say("VIOLATION: %s", sim.why);
}

static uint32_t running_copies(uint32_t p)
{
	uint32_t copies = 0;
	for (uint32_t k = 1; k <= sim.par.nodes; k++) {
		const struct node *d = &sim.node[k];
		copies += d->up && (d->copy[p].state == RUN || d->copy[p].state == FREEZING);
	}
	return copies;
}

/* P is about to run on node, by RESUME or THAW. */
static void may_run(uint32_t p, uint32_t node)
{
	const struct truth *t = &sim.truth[p];
	if (running_copies(p))
		fail("process %u is about to run on node %u, and runs elsewhere", p, node);
	if (t->exited)
		fail("process %u runs on node %u after it has exited", p, node);
	if (t->told)
		fail("process %u runs on node %u after its parent was told that it ended", p, node);
	if (sim.node[node].copy[p].snap.steps != t->steps)
		fail("process %u resumes at step %llu, had reached %llu", p,
		     (unsigned long long)sim.node[node].copy[p].snap.steps,
		     (unsigned long long)t->steps);
	if (sim.node[node].copy[p].snap.signals != t->signals_got)
		fail("process %u has lost a signal on the way", p);
}

void truth_commit_sent(uint32_t p, const struct wire_head *h)
{
	struct truth *t = &sim.truth[p];
	if (t->owner == h->from && t->transit == 0) {
		t->transit = h->to;
		t->committer = h->from;
		/* PREPARED may be the last word of a node that is dead by now. */
		t->doubtful = !sim.node[h->to].up || sim.node[h->to].inc != h->to_inc;
	}
}

void truth_resumed(uint32_t p, uint32_t node)
{
	struct truth *t = &sim.truth[p];
	may_run(p, node);
	if (t->transit != node)
		fail("process %u resumes on node %u, which nobody told to take over", p, node);
	t->owner = node;
	t->transit = 0;
	t->doubtful = false;
	counts.resumed++;
}

void truth_thawed(uint32_t p, uint32_t node)
{
	const struct truth *t = &sim.truth[p];
	may_run(p, node);
	if (t->owner != node || t->transit)
		fail("process %u is thawed on node %u, which does not own it", p, node);
}

void truth_released(uint32_t p, uint32_t node, bool lost)
{
	struct truth *t = &sim.truth[p];
	if (lost) {
		if (t->owner == node && !t->doubtful)
			fail("process %u given up as lost by node %u, whose destination lives", p,
			     node);
		if (t->owner && t->owner != node)
			fail("process %u given up as lost by node %u, runs on node %u", p, node,
			     t->owner);
		t->owner = 0;
		t->transit = 0;
		t->doubtful = false;
	} else if (t->owner == node) {
		fail("process %u released by node %u, which still owns it", p, node);
	}
}

void truth_exited(uint32_t p, uint32_t node, int32_t status)
{
	struct truth *t = &sim.truth[p];
	t->exited = true;
	t->exited_on = node;
	t->exited_inc = sim.node[node].inc;
	t->status = status;
	t->owner = 0;
}

void truth_crashed(uint32_t node)
{
	for (uint32_t p = 0; p < sim.par.procs; p++) {
		struct truth *t = &sim.truth[p];
		if (t->home == node)
			t->home_died = true;
		if (t->transit && (t->transit == node || t->committer == node))
			t->doubtful = true;
		else if (t->owner == node)
			t->owner = 0;
	}
	for (struct attempt *a = sim.attempt; a < sim.attempt + sim.attempts; a++)
		if (a->node == node && a->inc == sim.node[node].inc)
			a->dead = true;
}

void truth_child(uint32_t p, uint32_t node, int32_t status)
{
	struct truth *t = &sim.truth[p];
	counts.told++;
	if (node != t->home || t->home_died)
		fail("node %u was told of the end of process %u, whose parent is not there", node,
		     p);
	if (t->told++)
		fail("the parent of process %u was told twice that it ended", p);
	const struct node *last = &sim.node[t->exited_on];
	bool words_lost = status == MG_STATUS_LOST && !(last->up && last->inc == t->exited_inc);
	if (t->exited && status != t->status && !words_lost)
		fail("the parent of process %u got status %d instead of %d", p, status, t->status);
	if (!t->exited && t->owner && !t->doubtful)
		fail("the parent of process %u was told that it ended, it lives on node %u", p,
		     t->owner);
}

void truth_signal(uint32_t p, uint32_t node, uint32_t number)
{
	struct truth *t = &sim.truth[p];
	uint64_t bit = 1ull << number;
	if ((t->signals_got & bit) && !sim.any_crash)
		fail("process %u on node %u got signal %u twice", p, node, number);
	t->signals_got |= bit;
	sim.node[node].copy[p].snap.signals |= bit;
}

void truth_report(const struct mg_effect *e, uint32_t node)
{
	struct attempt *a = &sim.attempt[e->cookie];
	const struct truth *t = &sim.truth[a->proc];
	counts.results[e->value]++;
	if (a->node != node || a->inc != sim.node[node].inc || e->cookie >= sim.attempts)
		fail("node %u reports an attempt that is not its own", node);
	if (a->reports++)
		fail("two reports of one attempt to move process %u", a->proc);
	if (e->value == MG_MOVED && t->owner == node)
		fail("process %u reported as moved is still on node %u", a->proc, node);
	if ((e->value == MG_FAILED || e->value == MG_REFUSED || e->value == MG_CANCELLED) &&
	    !t->exited && t->owner != node)
		fail("process %u reported as staying is not on node %u", a->proc, node);
	if (e->value == MG_LOST && t->owner)
		fail("process %u reported as lost runs on node %u", a->proc, t->owner);
}

static void final_tables(uint32_t k)
{
	const struct mg_node *m = &sim.node[k].m;
	for (uint32_t i = 0; i < MG_SOURCES; i++)
		if (m->source[i].state != S_FREE)
			fail("node %u: source entry left in state %d", k, m->source[i].state);
	for (uint32_t i = 0; i < MG_TARGETS; i++)
		if (m->target[i].state != T_FREE)
			fail("node %u: target entry left in state %d", k, m->target[i].state);
	for (uint32_t i = 0; i < MG_SIGNALS; i++)
		if (m->signal[i].used)
			fail("node %u: signal left to pid %x", k, m->signal[i].pid);
	for (uint32_t i = 0; i < MG_GUESTS; i++) {
		const struct mg_guest *g = &m->guest[i];
		if (g->state != G_FREE &&
		    (g->state != G_HERE || !g->announced || sim.truth[proc_of(&g->uq)].owner != k))
			fail("node %u: guest entry left in state %d", k, g->state);
	}
	for (uint32_t i = 0; i < MG_STUBS; i++) {
		const struct mg_stub *b = &m->stub[i];
		if (b->state != B_FREE &&
		    (b->state != B_AWAY || sim.truth[proc_of(&b->uq)].owner != b->node))
			fail("node %u: stub entry left in state %d", k, b->state);
	}
	for (uint32_t i = 0; i < TIMERS; i++)
		if (sim.node[k].timer[i])
			fail("node %u: timer %u still armed", k, i);
}

static void final_process(uint32_t p)
{
	const struct truth *t = &sim.truth[p];
	uint32_t owner = 0;
	for (uint32_t k = 1; k <= sim.par.nodes; k++) {
		const struct copy *c = &sim.node[k].copy[p];
		if (!sim.node[k].up)
			continue;
		if (c->state != NOT_HERE && c->state != RUN)
			fail("process %u: copy in state %d left on node %u", p, c->state, k);
		if (c->state == RUN)
			owner = k;
		if (c->stub && t->owner == 0)
			fail("process %u: stub left on node %u", p, k);
	}
	if (t->exited ? owner != 0 : owner != t->owner && !t->doubtful)
		fail("process %u should be on node %u at the end, is on node %u", p, t->owner,
		     owner);
	if (t->doubtful && owner)
		fail("process %u runs on node %u, nobody knows why", p, owner);
	if (t->told && owner)
		fail("process %u lives, its parent believes it dead", p);
	if (!owner)
		counts.lost += !t->exited;
	if (!sim.any_crash && owner && sim.node[owner].copy[p].snap.parent != t->parent)
		fail("process %u does not know that its parent has ended", p);
	if (!sim.any_crash && !t->exited && t->signals_got != t->signals_sent)
		fail("process %u got signals %llx of %llx", p, (unsigned long long)t->signals_got,
		     (unsigned long long)t->signals_sent);
}

void truth_final(void)
{
	for (uint32_t p = 0; p < sim.par.procs; p++)
		final_process(p);
	for (uint32_t k = 1; k <= sim.par.nodes; k++)
		if (sim.node[k].up)
			final_tables(k);
	for (const struct attempt *a = sim.attempt; a < sim.attempt + sim.attempts; a++)
		if (!a->dead && a->reports != 1)
			fail("attempt to move process %u from node %u to %u: %u reports", a->proc,
			     a->node, a->dest, a->reports);
}

/* Which steps of which migrations are hit when something happens to a node (0: to all)? */
void count_fault(uint32_t node, enum fault kind)
{
	for (uint32_t k = 1; k <= sim.par.nodes; k++) {
		const struct mg_node *m = &sim.node[k].m;
		if (!sim.node[k].up)
			continue;
		for (uint32_t i = 0; i < MG_SOURCES; i++) {
			const struct mg_source *s = &m->source[i];
			bool crash = kind == F_CRASH_S;
			if (s->state == S_FREE)
				continue;
			if (crash && s->dest == node)
				counts.step[s->state][F_CRASH_D]++;
			else if (crash && s->uq.home == node && k != node)
				counts.step[s->state][F_CRASH_H]++;
			else if (k == node || node == 0)
				counts.step[s->state][kind]++;
		}
		for (uint32_t i = 0; i < MG_TARGETS; i++) {
			const struct mg_target *t = &m->target[i];
			if (t->state != T_RUNNING)
				continue;
			if (kind == F_CRASH_S && t->source == node)
				counts.step[S_STATES][F_CRASH_S]++;
			else if (kind == F_CRASH_S && k == node)
				counts.step[S_STATES][F_CRASH_D]++;
			else if (kind == F_CRASH_S && t->uq.home == node)
				counts.step[S_STATES][F_CRASH_H]++;
			else if (kind != F_CRASH_S && (k == node || node == 0))
				counts.step[S_STATES][kind]++;
		}
	}
}
