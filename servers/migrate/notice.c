/* SPDX-License-Identifier: MIT */
/*
 * What the home node H of a process P must know while P is away: where it runs (ARRIVED), and how
 * it ended (EXITED), so that P's parent, who stays at H as long as it has children, can wait for
 * it. Both are resent until NOTED; keyed by {uq-pid, epoch} they may arrive twice and in any order.
 *
 * When the node H knew P on dies, P need not be dead: it may have moved, and the news of that may
 * still be under way. H therefore asks every node (ASK, with the evidence of the death). A node
 * that answers "not here" has processed that evidence first, so it has dropped what the dead node
 * had prepared there and takes no COMMIT of it any more. P cannot slip through between two answers,
 * because it may not leave the node it moved to before H has acknowledged its arrival there
 * (notice_settled).
 */
#include <string.h>
#include "inside.h"

struct mg_guest *guest_of(struct mg_node *n, const struct wire_uq *uq)
{
	for (struct mg_guest *g = n->guest; g < n->guest + MG_GUESTS; g++)
		if (g->state != G_FREE && mg_same(&g->uq, uq))
			return g;
	return NULL;
}

struct mg_guest *guest_of_pid(struct mg_node *n, uint32_t pid)
{
	for (struct mg_guest *g = n->guest; g < n->guest + MG_GUESTS; g++)
		if (g->state != G_FREE && g->pid == pid)
			return g;
	return NULL;
}

struct mg_stub *stub_of(struct mg_node *n, const struct wire_uq *uq)
{
	for (struct mg_stub *b = n->stub; b < n->stub + MG_STUBS; b++)
		if (b->state != B_FREE && mg_same(&b->uq, uq))
			return b;
	return NULL;
}

struct mg_stub *stub_of_pid(struct mg_node *n, uint32_t pid)
{
	for (struct mg_stub *b = n->stub; b < n->stub + MG_STUBS; b++)
		if (b->state != B_FREE && b->pid == pid)
			return b;
	return NULL;
}

static void guest_free(struct mg_node *n, struct mg_guest *g)
{
	mg_set_timer(n, MG_TIMER_GUEST + (g - n->guest), 0);
	memset(g, 0, sizeof(*g));
}

static void stub_free(struct mg_node *n, struct mg_stub *b)
{
	mg_set_timer(n, MG_TIMER_STUB + (b - n->stub), 0);
	memset(b, 0, sizeof(*b));
}

static bool home_is_dead(const struct mg_node *n, const struct wire_uq *uq)
{
	return mg_is_dead(n, uq->home, uq->incarnation);
}

/* Say what our state is, now and until it is NOTED. */
static void guest_tell(struct mg_node *n, struct mg_guest *g)
{
	bool ended = g->state == G_ENDED;
	struct wire_msg *m = mg_send(n, ended ? WIRE_EXITED : WIRE_ARRIVED, g->uq.home,
				     g->uq.incarnation, &g->uq, g->epoch, ended);
	if (ended) {
		m->u.exited.pid = g->pid;
		m->u.exited.status = g->status;
		m->u.exited.lost = g->lost;
	} else {
		m->u.where.pid = g->pid;
		m->u.where.node = g->node;
		m->u.where.inc = g->inc;
	}
	mg_again(n, MG_TIMER_GUEST + (g - n->guest), &g->delay);
}

/* Its home knows, or there is nobody left to know, that it is here. */
static void settled(struct mg_node *n, struct mg_guest *g)
{
	g->announced = true;
	mg_set_timer(n, MG_TIMER_GUEST + (g - n->guest), 0);
	source_settled(n, &g->uq);
}

void guest_timer(struct mg_node *n, uint32_t i)
{
	struct mg_guest *g = &n->guest[i];
	if (g->state == G_ENDED || g->state == G_MOVED || (g->state == G_HERE && !g->announced))
		guest_tell(n, g);
}

bool guest_coming(struct mg_node *n, const struct wire_uq *uq, uint32_t pid, uint32_t epoch)
{
	for (struct mg_guest *g = n->guest; g < n->guest + MG_GUESTS; g++) {
		if (g->state != G_FREE)
			continue;
		*g = (struct mg_guest){.state = G_COMING,
				       .uq = *uq,
				       .pid = pid,
				       .epoch = epoch,
				       .node = n->self,
				       .inc = n->inc};
		return true;
	}
	return false;
}

void guest_arrived(struct mg_node *n, const struct wire_uq *uq)
{
	struct mg_guest *g = guest_of(n, uq);
	g->state = G_HERE;
	g->announced = home_is_dead(n, uq);
	if (!g->announced)
		guest_tell(n, g);
}

void guest_gone(struct mg_node *n, const struct wire_uq *uq)
{
	struct mg_guest *g = guest_of(n, uq);
	if (g)
		guest_free(n, g);
}

/*
 * P has moved on. Its new node announces it, but may die before that is heard; then only we know
 * where P was, so we announce it too.
 */
void guest_moved(struct mg_node *n, const struct wire_uq *uq, uint32_t epoch, uint32_t node,
		 uint32_t inc)
{
	struct mg_guest *g = guest_of(n, uq);
	if (!g)
		return;
	g->state = G_MOVED;
	g->epoch = epoch;
	g->node = node;
	g->inc = inc;
	g->delay = 0;
	if (node == uq->home || home_is_dead(n, uq))
		guest_free(n, g);
	else
		guest_tell(n, g);
}

static void guest_ended(struct mg_node *n, struct mg_guest *g, int32_t status, bool lost)
{
	g->state = G_ENDED;
	g->status = status;
	g->lost = lost;
	g->delay = 0;
	if (home_is_dead(n, &g->uq))
		guest_free(n, g); /* the parent died with its node */
	else
		guest_tell(n, g);
}

void guest_lost(struct mg_node *n, const struct wire_uq *uq, uint32_t epoch)
{
	struct mg_guest *g = guest_of(n, uq);
	if (!g)
		return;
	g->epoch = epoch;
	guest_ended(n, g, MG_STATUS_LOST, true);
}

void mg_exited(struct mg_node *n, const struct wire_uq *uq, int32_t status)
{
	source_ended(n, uq);
	struct mg_guest *g = guest_of(n, uq);
	if (g && g->state == G_HERE)
		guest_ended(n, g, status, false);
}

bool notice_settled(struct mg_node *n, const struct wire_uq *uq)
{
	const struct mg_guest *g = guest_of(n, uq);
	return !target_of(n, uq) && (!g || g->announced);
}

bool stub_leaving(struct mg_node *n, const struct wire_uq *uq, uint32_t pid, uint32_t epoch)
{
	for (struct mg_stub *b = n->stub; b < n->stub + MG_STUBS; b++) {
		if (b->state != B_FREE)
			continue;
		*b = (struct mg_stub){.state = B_LEAVING, .uq = *uq, .pid = pid, .epoch = epoch};
		return true;
	}
	return false;
}

void stub_away(struct mg_node *n, const struct wire_uq *uq, uint32_t node, uint32_t inc)
{
	struct mg_stub *b = stub_of(n, uq);
	b->state = B_AWAY;
	b->node = node;
	b->inc = inc;
}

void stub_back(struct mg_node *n, const struct wire_uq *uq)
{
	struct mg_stub *b = stub_of(n, uq);
	struct mg_effect *e = mg_emit(n, MG_HOME);
	e->uq = b->uq;
	e->pid = b->pid;
	stub_free(n, b);
}

static void stub_ended(struct mg_node *n, struct mg_stub *b, int32_t status)
{
	struct mg_effect *e = mg_emit(n, MG_CHILD);
	e->uq = b->uq;
	e->pid = b->pid;
	e->epoch = b->epoch;
	e->value = (uint32_t)status;
	stub_free(n, b);
}

void stub_lost(struct mg_node *n, const struct wire_uq *uq)
{
	stub_ended(n, stub_of(n, uq), MG_STATUS_LOST);
}

/* Nodes of which nobody can have P: they said so, or all of their incarnations we know are dead. */
static bool cannot_have(const struct mg_node *n, const struct mg_stub *b, uint32_t k)
{
	return k == n->self || (b->answered >> (k - 1) & 1) ||
	       (n->known[k] && mg_is_dead(n, k, n->known[k]));
}

static void stub_ask(struct mg_node *n, struct mg_stub *b)
{
	bool waiting = false;
	for (uint32_t k = 1; k <= n->nodes; k++) {
		if (cannot_have(n, b, k))
			continue;
		struct wire_msg *m = mg_send(n, WIRE_ASK, k, 0, &b->uq, b->epoch, 0);
		m->u.ask.pid = b->pid;
		m->u.ask.dead = b->node;
		m->u.ask.dead_inc = b->inc;
		waiting = true;
	}
	if (waiting)
		mg_again(n, MG_TIMER_STUB + (b - n->stub), &b->delay);
	else
		stub_ended(n, b, MG_STATUS_LOST);
}

void stub_timer(struct mg_node *n, uint32_t i)
{
	if (n->stub[i].state == B_ASKING)
		stub_ask(n, &n->stub[i]);
}

/* Is the node that has P dead? Asks later: a fence may concern all stubs, the queue is for one
 * event. */
static void stub_check(struct mg_node *n, struct mg_stub *b)
{
	if (!mg_is_dead(n, b->node, b->inc))
		return;
	b->state = B_ASKING;
	b->answered = 1ull << (b->node - 1);
	b->delay = 0;
	mg_again(n, MG_TIMER_STUB + (b - n->stub), &b->delay);
}

void notice_fence(struct mg_node *n, uint32_t k)
{
	for (struct mg_guest *g = n->guest; g < n->guest + MG_GUESTS; g++) {
		if (g->state == G_FREE || g->uq.home != k || !home_is_dead(n, &g->uq))
			continue;
		if (g->state == G_ENDED || g->state == G_MOVED)
			guest_free(n, g);
		else
			settled(n, g);
	}
	for (struct mg_stub *b = n->stub; b < n->stub + MG_STUBS; b++)
		if (b->state == B_AWAY && b->node == k)
			stub_check(n, b);
}

/* H: P runs on another node, in this epoch. True if that may be acknowledged. */
static bool located(struct mg_node *n, const struct wire_msg *m)
{
	const struct wire_head *h = &m->head;
	struct mg_stub *b = stub_of(n, &h->uq);
	if (!b)
		return true; /* ended, or back here: old news */
	if (b->state == B_LEAVING)
		return false; /* DONE comes first */
	uint32_t node = m->u.where.node;
	if (h->epoch > b->epoch && node != n->self && node > 0 && node <= n->nodes) {
		b->state = B_AWAY;
		b->epoch = h->epoch;
		b->node = node;
		b->inc = m->u.where.inc;
		mg_set_timer(n, MG_TIMER_STUB + (b - n->stub), 0);
		struct mg_effect *e = mg_emit(n, MG_LOCATED);
		e->uq = b->uq;
		e->pid = b->pid;
		e->epoch = b->epoch;
		e->node = node;
		stub_check(n, b);
		signal_follow(n, m->u.where.pid);
	}
	return true;
}

static bool ended(struct mg_node *n, const struct wire_msg *m)
{
	struct mg_stub *b = stub_of(n, &m->head.uq);
	if (!b)
		return true;
	if (b->state == B_LEAVING)
		return false; /* not before DONE */
	if (m->head.epoch >= b->epoch)
		stub_ended(n, b, m->u.exited.status);
	return true;
}

static void answer_ask(struct mg_node *n, const struct wire_msg *m)
{
	mg_fence(n, m->u.ask.dead, m->u.ask.dead_inc);
	const struct wire_head *h = &m->head;
	const struct mg_source *s = source_of(n, &h->uq);
	const struct mg_guest *g = guest_of(n, &h->uq);
	if ((s && s->state == S_COMMIT) || (g && g->state != G_HERE))
		return; /* undecided, or EXITED tells it: H asks again */
	struct wire_msg *r =
		mg_send(n, WIRE_HERE, h->from, h->from_inc, &h->uq, g ? g->epoch : 0, h->epoch);
	r->u.where.pid = m->u.ask.pid;
	r->u.where.node = n->self;
	r->u.where.inc = n->inc;
}

/* H: head.serial repeats the epoch of the question, so that an answer counts for that round only. */
static void answered(struct mg_node *n, const struct wire_msg *m)
{
	const struct wire_head *h = &m->head;
	struct mg_stub *b = stub_of(n, &h->uq);
	if (h->epoch) {
		located(n, m);
	} else if (b && b->state == B_ASKING && b->epoch == h->serial) {
		b->answered |= 1ull << (h->from - 1);
		for (uint32_t k = 1; k <= n->nodes; k++)
			if (!cannot_have(n, b, k))
				return;
		stub_ended(n, b, MG_STATUS_LOST);
	}
}

static void noted(struct mg_node *n, const struct wire_head *h)
{
	struct mg_guest *g = guest_of(n, &h->uq);
	if (!g || g->epoch != h->epoch)
		return;
	if (h->serial == 0 && g->state == G_HERE) {
		settled(n, g);
	} else if (h->serial == (g->state == G_ENDED) && g->state != G_COMING) {
		guest_free(n, g);
	}
}

void notice_message(struct mg_node *n, const struct wire_msg *m)
{
	const struct wire_head *h = &m->head;
	bool ok = false;
	switch (h->type) {
	case WIRE_ARRIVED:
		ok = located(n, m);
		break;
	case WIRE_EXITED:
		ok = ended(n, m);
		break;
	case WIRE_NOTED:
		noted(n, h);
		break;
	case WIRE_ASK:
		answer_ask(n, m);
		break;
	case WIRE_HERE:
		answered(n, m);
		break;
	}
	if (ok)
		mg_send(n, WIRE_NOTED, h->from, h->from_inc, &h->uq, h->epoch, h->serial);
}
