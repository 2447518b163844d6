/* SPDX-License-Identifier: MIT */
/*
 * Signals for processes that are away: to the home node, which alone knows where the process is,
 * and from there to it. Each hop is resent until answered. The receiver remembers by number what it
 * has answered, so a signal is delivered once; only when the node that had it dies before answering
 * may it be delivered a second time, because nobody can know any more. Until P is released or
 * thawed nobody answers for it: the image may have left without the signal.
 */
#include <string.h>
#include "inside.h"

#define REMEMBERED 64 /* bits of mg_heard.seen */

static void signal_free(struct mg_node *n, struct mg_signal *g)
{
	mg_set_timer(n, MG_TIMER_SIGNAL + (g - n->signal), 0);
	memset(g, 0, sizeof(*g));
}

/* All smaller numbers towards node k are answered. */
static uint32_t floor_of(const struct mg_node *n, uint32_t k)
{
	uint32_t low = n->numbers[k] + 1;
	for (const struct mg_signal *g = n->signal; g < n->signal + MG_SIGNALS; g++)
		if (g->used && g->sent && g->to == k && g->number < low)
			low = g->number;
	return low;
}

static void transmit(struct mg_node *n, const struct mg_signal *g)
{
	static const struct wire_uq none;
	struct wire_msg *m = mg_send(n, WIRE_SIGNAL, g->to, 0, &none, 0, 0);
	m->u.signal.pid = g->pid;
	m->u.signal.order = g->order;
	m->u.signal.value = g->value;
	m->u.signal.number = g->number;
	m->u.signal.floor = floor_of(n, g->to);
}

/* The image of P may have been taken: what P gets now would be lost with the copy here. */
static bool leaving(struct mg_node *n, uint32_t pid)
{
	const struct mg_source *s = source_of_pid(n, pid);
	return s && s->state >= S_FREEZE;
}

static void execute(struct mg_node *n, uint32_t pid, uint32_t order, uint32_t value)
{
	struct mg_effect *e = mg_emit(n, order == WIRE_ORDER_PARENT ? MG_PARENT : MG_KILL);
	e->pid = pid;
	e->value = value;
}

/* Where to? Leaves the signal unsent if that is not known just now. */
static void route(struct mg_node *n, struct mg_signal *g)
{
	uint32_t home = mg_home_of(g->pid), to = home;
	if (home == n->self) {
		const struct mg_stub *b = stub_of_pid(n, g->pid);
		if (!b && leaving(n, g->pid))
			return;
		if (!b) {
			/* Came back, or has ended: the kernel knows. */
			execute(n, g->pid, g->order, g->value);
			signal_free(n, g);
			return;
		}
		if (b->state != B_AWAY)
			return;
		to = b->node;
	} else if (home == 0 || home > n->nodes ||
		   (n->known[home] && mg_is_dead(n, home, n->known[home]))) {
		signal_free(n, g);
		return;
	}
	if (n->numbers[to] + 1 - floor_of(n, to) >= REMEMBERED)
		return;
	g->to = to;
	g->inc = n->known[to];
	g->number = ++n->numbers[to];
	g->sent = true;
	g->delay = 0;
	transmit(n, g);
}

static void step(struct mg_node *n, struct mg_signal *g)
{
	if (g->sent && n->known[g->to] && mg_is_dead(n, g->to, n->known[g->to]))
		g->sent = false;
	if (g->sent)
		transmit(n, g);
	else
		route(n, g);
	if (g->used)
		mg_again(n, MG_TIMER_SIGNAL + (g - n->signal), &g->delay);
}

static bool start(struct mg_node *n, uint32_t pid, uint32_t order, uint32_t value)
{
	for (struct mg_signal *g = n->signal; g < n->signal + MG_SIGNALS; g++) {
		if (g->used)
			continue;
		*g = (struct mg_signal){.used = true, .pid = pid, .order = order, .value = value};
		step(n, g);
		return true;
	}
	return false;
}

bool mg_kill(struct mg_node *n, uint32_t pid, uint32_t signo)
{
	return start(n, pid, WIRE_ORDER_SIGNAL, signo);
}

bool mg_orphan(struct mg_node *n, uint32_t pid, uint32_t new_parent)
{
	return start(n, pid, WIRE_ORDER_PARENT, new_parent);
}

void signal_follow(struct mg_node *n, uint32_t pid)
{
	for (struct mg_signal *g = n->signal; g < n->signal + MG_SIGNALS; g++)
		if (g->used && g->pid == pid)
			step(n, g);
}

void signal_timer(struct mg_node *n, uint32_t i)
{
	if (n->signal[i].used)
		step(n, &n->signal[i]);
}

void signal_fence(struct mg_node *n, uint32_t k)
{
	/* Numbers go on across incarnations of k: the new one starts from our floor. */
	for (struct mg_signal *g = n->signal; g < n->signal + MG_SIGNALS; g++)
		if (g->used && g->sent && g->to == k && g->inc && mg_is_dead(n, k, g->inc))
			g->sent = false; /* its timer finds a new way */
}

enum answer { LATER, TAKEN_OVER, NOT_HERE };

static enum answer deliver(struct mg_node *n, uint32_t pid, uint32_t order, uint32_t value)
{
	if (stub_of_pid(n, pid))
		return start(n, pid, order, value) ? TAKEN_OVER : LATER;
	if (leaving(n, pid))
		return LATER;
	const struct mg_guest *g = guest_of_pid(n, pid);
	if (mg_home_of(pid) != n->self && (!g || g->state == G_COMING || g->state == G_MOVED))
		return NOT_HERE;
	execute(n, pid, order, value);
	return TAKEN_OVER;
}

static void received(struct mg_node *n, const struct wire_msg *m)
{
	struct mg_heard *heard = &n->heard[m->head.from];
	uint32_t number = m->u.signal.number, floor = m->u.signal.floor;
	if (heard->inc != m->head.from_inc)
		*heard = (struct mg_heard){.inc = m->head.from_inc, .floor = floor};
	if (floor > heard->floor) {
		uint32_t by = floor - heard->floor;
		heard->seen = by < REMEMBERED ? heard->seen >> by : 0;
		heard->here = by < REMEMBERED ? heard->here >> by : 0;
		heard->floor = floor;
	}
	if (number < heard->floor || number - heard->floor >= REMEMBERED)
		return; /* answered long ago */
	uint64_t bit = 1ull << (number - heard->floor);
	if (!(heard->seen & bit)) {
		enum answer a = deliver(n, m->u.signal.pid, m->u.signal.order, m->u.signal.value);
		if (a == LATER)
			return;
		heard->seen |= bit;
		if (a == TAKEN_OVER)
			heard->here |= bit;
	}
	struct wire_msg *r =
		mg_send(n, WIRE_TOLD, m->head.from, m->head.from_inc, &m->head.uq, 0, 0);
	r->u.told.number = number;
	r->u.told.here = !!(heard->here & bit);
}

static void told(struct mg_node *n, const struct wire_msg *m)
{
	for (struct mg_signal *g = n->signal; g < n->signal + MG_SIGNALS; g++) {
		if (!g->used || !g->sent || g->to != m->head.from || g->number != m->u.told.number)
			continue;
		if (m->u.told.here) {
			signal_free(n, g);
			return;
		}
		g->sent = false; /* the news of where it went is here, or on its way: then the timer
				    tries again */
		const struct mg_stub *b = stub_of_pid(n, g->pid);
		if (!b || b->node != m->head.from)
			step(n, g);
		return;
	}
}

void signal_message(struct mg_node *n, const struct wire_msg *m)
{
	if (m->head.type == WIRE_SIGNAL)
		received(n, m);
	else
		told(n, m);
}
