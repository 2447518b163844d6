/* SPDX-License-Identifier: MIT */
/* Incarnations and fences, dispatch of messages and timers, the queue of effects. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "inside.h"

const struct mg_params mg_default_params = {
	.retry_first = 200, /* the peers speak TCP: only a lost connection loses anything */
	.retry_max = 2000,
	.patience = 8000,
};

void mg_init(struct mg_node *n, uint32_t self, uint32_t inc, uint32_t nodes,
	     const struct mg_params *par, const uint32_t features[WIRE_FEATURES])
{
	memset(n, 0, offsetof(struct mg_node, queue));
	n->self = self;
	n->inc = inc;
	n->nodes = nodes;
	n->par = *par;
	n->known[self] = inc;
	n->dead[self] = inc - 1;
	memcpy(n->features, features, sizeof(n->features));
}

struct mg_effect *mg_emit(struct mg_node *n, enum mg_effect_kind kind)
{
	/*
	 * One place stays free: the effect that mg_next returned last is still being executed. The
	 * queue holds what a fence of every entry of every table emits, so a full one is our own
	 * error.
	 */
	if (n->tail - n->head >= MG_QUEUE - 1)
		__builtin_trap();
	struct mg_effect *e = &n->queue[n->tail++ % MG_QUEUE];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	return e;
}

const struct mg_effect *mg_next(struct mg_node *n)
{
	return n->head == n->tail ? NULL : &n->queue[n->head++ % MG_QUEUE];
}

void mg_set_timer(struct mg_node *n, uint32_t timer, uint32_t delay)
{
	struct mg_effect *e = mg_emit(n, MG_TIMER);
	e->timer = timer;
	e->delay = delay;
}

void mg_again(struct mg_node *n, uint32_t timer, uint32_t *delay)
{
	*delay = *delay ? *delay * 2 : n->par.retry_first;
	if (*delay > n->par.retry_max)
		*delay = n->par.retry_max;
	mg_set_timer(n, timer, *delay);
}

struct wire_msg *mg_send(struct mg_node *n, enum wire_type type, uint32_t k, uint32_t to_inc,
			 const struct wire_uq *uq, uint32_t epoch, uint32_t serial)
{
	struct wire_msg *m = &mg_emit(n, MG_SEND)->msg;
	m->head = (struct wire_head){
		.type = type,
		.version = WIRE_VERSION,
		.from = n->self,
		.from_inc = n->inc,
		.to = k,
		.to_inc = to_inc,
		.uq = *uq,
		.epoch = epoch,
		.serial = serial,
	};
	return m;
}

void mg_log(struct mg_node *n, const char *fmt, ...)
{
	struct mg_effect *e = mg_emit(n, MG_LOG);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

bool mg_is_dead(const struct mg_node *n, uint32_t k, uint32_t inc)
{
	return inc <= n->dead[k];
}

void mg_fence(struct mg_node *n, uint32_t k, uint32_t inc)
{
	if (k == 0 || k > n->nodes || k == n->self || inc <= n->dead[k])
		return;
	n->dead[k] = inc;
	if (n->known[k] < inc)
		n->known[k] = inc;
	source_fence(n, k);
	target_fence(n, k);
	notice_fence(n, k);
	signal_fence(n, k);
}

void mg_node_up(struct mg_node *n, uint32_t k, uint32_t inc)
{
	if (k == 0 || k > n->nodes || k == n->self || inc <= n->known[k])
		return;
	n->known[k] = inc;
	mg_fence(n, k, inc - 1);
}

/* A message for an incarnation of us that is gone. Our answer is the proof of that. */
static void stale(struct mg_node *n, const struct wire_head *h)
{
	if (h->to_inc < n->inc && h->type != WIRE_STALE)
		mg_send(n, WIRE_STALE, h->from, h->from_inc, &h->uq, h->epoch, h->serial);
}

static bool any_incarnation(enum wire_type type)
{
	return type == WIRE_HELLO || type == WIRE_ASK || type == WIRE_SIGNAL;
}

void mg_message(struct mg_node *n, const struct wire_msg *m)
{
	const struct wire_head *h = &m->head;
	if (h->version != WIRE_VERSION || h->from == 0 || h->from > n->nodes ||
	    h->from == n->self || h->to != n->self || h->from_inc == 0) {
		mg_log(n, "message of type %u from node %u to %u, version %u: not for us", h->type,
		       h->from, h->to, h->version);
		return;
	}
	if (mg_is_dead(n, h->from, h->from_inc))
		return; /* the dead do not speak, whatever is still under way from them */
	mg_node_up(n, h->from, h->from_inc);
	if (h->to_inc != n->inc && !(h->to_inc == 0 && any_incarnation(h->type))) {
		stale(n, h);
		return;
	}
	switch ((enum wire_type)h->type) {
	case WIRE_STALE:
		break; /* its head has done the work */
	case WIRE_WELCOME:
	case WIRE_ACCEPT:
	case WIRE_REFUSE:
	case WIRE_TAKEN:
	case WIRE_PREPARED:
	case WIRE_DONE:
		source_message(n, m);
		break;
	case WIRE_HELLO:
	case WIRE_OFFER:
	case WIRE_IMAGE:
	case WIRE_COMMIT:
	case WIRE_RELEASED:
	case WIRE_ABORT:
		target_message(n, m);
		break;
	case WIRE_ARRIVED:
	case WIRE_EXITED:
	case WIRE_NOTED:
	case WIRE_ASK:
	case WIRE_HERE:
		notice_message(n, m);
		break;
	case WIRE_SIGNAL:
	case WIRE_TOLD:
		signal_message(n, m);
		break;
	case WIRE_TYPES:
	default:
		mg_log(n, "message of unknown type %u from node %u", h->type, h->from);
	}
}

void mg_timer(struct mg_node *n, uint32_t timer)
{
	if (timer < MG_TIMER_TARGET)
		source_timer(n, timer - MG_TIMER_SOURCE);
	else if (timer < MG_TIMER_GUEST)
		target_timer(n, timer - MG_TIMER_TARGET);
	else if (timer < MG_TIMER_STUB)
		guest_timer(n, timer - MG_TIMER_GUEST);
	else if (timer < MG_TIMER_SIGNAL)
		stub_timer(n, timer - MG_TIMER_STUB);
	else if (timer < MG_TIMERS)
		signal_timer(n, timer - MG_TIMER_SIGNAL);
}
