/* SPDX-License-Identifier: MIT */
/*
 * The destination host's half of a migration; source.c is its mirror. Until PREPARED is sent D may
 * drop what it holds whenever it likes; afterwards only ABORT or the fence of S allows that,
 * because S may have sent COMMIT. When COMMIT is received P is D's.
 */
#include <stdio.h>
#include <string.h>
#include "inside.h"

static uint32_t index_of(const struct mg_node *n, const struct mg_target *t)
{
	return t - n->target;
}

struct mg_target *target_of(struct mg_node *n, const struct wire_uq *uq)
{
	for (struct mg_target *t = n->target; t < n->target + MG_TARGETS; t++)
		if (t->state != T_FREE && mg_same(&t->uq, uq))
			return t;
	return NULL;
}

static struct mg_target *target_of_handle(struct mg_node *n, uint32_t handle)
{
	for (struct mg_target *t = n->target; t < n->target + MG_TARGETS; t++)
		if (t->state != T_FREE && t->handle == handle)
			return t;
	return NULL;
}

/* S says these before it knows our ticket. */
static bool without_ticket(enum wire_type type)
{
	return type == WIRE_OFFER || type == WIRE_ABORT;
}

static struct mg_target *target_of_attempt(struct mg_node *n, const struct wire_head *h)
{
	for (struct mg_target *t = n->target; t < n->target + MG_TARGETS; t++)
		if (t->state != T_FREE && t->serial == h->serial && t->source == h->from &&
		    t->source_inc == h->from_inc && mg_same(&t->uq, &h->uq) &&
		    (h->ticket == t->handle || (h->ticket == 0 && without_ticket(h->type))))
			return t;
	return NULL;
}

static struct mg_effect *effect(struct mg_node *n, const struct mg_target *t,
				enum mg_effect_kind kind)
{
	struct mg_effect *e = mg_emit(n, kind);
	e->slot = index_of(n, t);
	e->serial = t->handle;
	e->uq = t->uq;
	e->pid = t->pid;
	e->epoch = t->epoch;
	e->node = t->source;
	e->inc = t->source_inc;
	return e;
}

static struct wire_msg *to_source(struct mg_node *n, const struct mg_target *t, enum wire_type type)
{
	struct wire_msg *m =
		mg_send(n, type, t->source, t->source_inc, &t->uq, t->epoch, t->serial);
	m->head.ticket = t->handle;
	return m;
}

static void refuse(struct mg_node *n, const struct wire_head *h, const char *reason)
{
	struct wire_msg *m =
		mg_send(n, WIRE_REFUSE, h->from, h->from_inc, &h->uq, h->epoch, h->serial);
	m->head.ticket = h->ticket;
	snprintf(m->u.refuse.reason, sizeof(m->u.refuse.reason), "%s", reason);
}

static void forget(struct mg_node *n, struct mg_target *t)
{
	struct wire_uq uq = t->uq;
	mg_set_timer(n, MG_TIMER_TARGET + index_of(n, t), 0);
	memset(t, 0, sizeof(*t));
	source_settled(n, &uq);
}

/* Give back everything: P is not ours and never will be by this attempt. */
static void drop(struct mg_node *n, struct mg_target *t)
{
	effect(n, t, MG_DROP);
	if (!mg_at_home(n, &t->uq))
		guest_gone(n, &t->uq);
	forget(n, t);
}

static void drop_and_say(struct mg_node *n, struct mg_target *t, const char *reason)
{
	struct wire_msg *m = to_source(n, t, WIRE_REFUSE);
	snprintf(m->u.refuse.reason, sizeof(m->u.refuse.reason), "%s", reason);
	drop(n, t);
}

/* What D says in its current state, first and again. */
static void speak(struct mg_node *n, struct mg_target *t)
{
	switch (t->state) {
	case T_IMAGE:
		if (t->next == 0)
			to_source(n, t, WIRE_ACCEPT);
		else
			to_source(n, t, WIRE_TAKEN)->u.taken.next = t->next;
		break;
	case T_ADOPT:
		to_source(n, t, WIRE_TAKEN)->u.taken.next = t->next;
		break;
	case T_PREPARED:
		to_source(n, t, WIRE_PREPARED)->u.prepared.digest = t->digest;
		break;
	case T_RUNNING:
		to_source(n, t, WIRE_DONE);
		break;
	case T_FREE:
	case T_RESERVE:
	case T_STATES:
		break;
	}
}

static void enter(struct mg_node *n, struct mg_target *t, enum mg_target_state state)
{
	t->state = state;
	t->waited = 0;
	t->delay = 0;
	mg_again(n, MG_TIMER_TARGET + index_of(n, t), &t->delay);
	speak(n, t);
}

static void hello(struct mg_node *n, const struct wire_msg *m)
{
	if (m->u.hello.image_version != n->image_version) {
		refuse(n, &m->head, "another version of the process image is known here");
		return;
	}
	/* cpuid cannot be trapped, so a program that has looked must find at D all it saw at S. */
	for (int i = 0; i < WIRE_FEATURES; i++) {
		uint32_t missing = m->u.hello.features[i] & ~n->features[i];
		if (missing) {
			char why[WIRE_TEXT];
			snprintf(why, sizeof(why), "processor lacks features: word %d, bits %08x",
				 i, missing);
			refuse(n, &m->head, why);
			return;
		}
	}
	mg_send(n, WIRE_WELCOME, m->head.from, m->head.from_inc, &m->head.uq, m->head.epoch,
		m->head.serial);
}

/* True if P is, or was meanwhile, somewhere where this offer cannot be a current one. */
static bool outdated(struct mg_node *n, const struct wire_head *h)
{
	const struct mg_target *t = target_of(n, &h->uq);
	if (t && (t->state == T_RUNNING || t->epoch > h->epoch))
		return true;
	if (t && t->source == h->from && t->source_inc == h->from_inc && t->serial > h->serial)
		return true;
	const struct mg_guest *g = guest_of(n, &h->uq);
	if (source_of(n, &h->uq) || (g && (g->state == G_HERE || g->state == G_ENDED)))
		return true;
	if (g && g->state == G_MOVED && h->epoch <= g->epoch)
		return true;
	const struct mg_stub *b = stub_of(n, &h->uq);
	if (mg_at_home(n, &h->uq))
		return !b || h->epoch <= b->epoch;
	return false;
}

static void offer(struct mg_node *n, const struct wire_msg *m)
{
	const struct wire_head *h = &m->head;
	struct mg_target *t = target_of_attempt(n, h);
	if (t) {
		speak(n, t);
		return;
	}
	if (outdated(n, h))
		return;
	/* Whoever offers P owns it, so what is left here of an earlier attempt has been aborted. */
	t = target_of(n, &h->uq);
	if (t)
		drop(n, t);
	/* It has been here before, and could not come back without its home knowing that it had
	 * left. */
	guest_gone(n, &h->uq);
	for (t = n->target; t < n->target + MG_TARGETS && t->state != T_FREE; t++)
		;
	if (t == n->target + MG_TARGETS) {
		refuse(n, h, "too many processes arriving");
		return;
	}
	if (!mg_at_home(n, &h->uq) && !guest_coming(n, &h->uq, m->u.offer.pid, h->epoch)) {
		refuse(n, h, "too many processes of other nodes here");
		return;
	}
	*t = (struct mg_target){
		.state = T_RESERVE,
		.handle = ++n->serials,
		.source = h->from,
		.source_inc = h->from_inc,
		.serial = h->serial,
		.epoch = h->epoch,
		.pid = m->u.offer.pid,
		.uq = h->uq,
	};
	effect(n, t, MG_RESERVE)->msg = *m;
}

void mg_reserved(struct mg_node *n, uint32_t handle, bool ok, const char *reason)
{
	struct mg_target *t = target_of_handle(n, handle);
	if (!t || t->state != T_RESERVE)
		return;
	if (ok)
		enter(n, t, T_IMAGE);
	else
		drop_and_say(n, t, reason);
}

static void image(struct mg_node *n, struct mg_target *t, const struct wire_msg *m)
{
	if (t->state != T_IMAGE || m->u.image.chunk != t->next) {
		speak(n, t);
		return;
	}
	struct mg_effect *e = effect(n, t, MG_IMPORT);
	e->value = m->u.image.chunk;
	e->last = m->u.image.last;
}

void mg_imported(struct mg_node *n, uint32_t handle, bool ok, bool complete, uint64_t digest,
		 const char *reason)
{
	struct mg_target *t = target_of_handle(n, handle);
	if (!t || t->state != T_IMAGE)
		return;
	if (!ok) {
		drop_and_say(n, t, reason);
		return;
	}
	t->next++;
	t->digest = digest;
	enter(n, t, complete ? T_ADOPT : T_IMAGE);
	if (complete)
		effect(n, t, MG_ADOPT);
}

void mg_adopted(struct mg_node *n, uint32_t handle, bool ok, const char *reason)
{
	struct mg_target *t = target_of_handle(n, handle);
	if (!t || t->state != T_ADOPT)
		return;
	if (ok)
		enter(n, t, T_PREPARED);
	else
		drop_and_say(n, t, reason);
}

static void commit(struct mg_node *n, struct mg_target *t)
{
	if (t->state == T_RUNNING) {
		speak(n, t);
		return;
	}
	if (t->state != T_PREPARED) {
		mg_log(n, "COMMIT from node %u for a process that is not prepared", t->source);
		return;
	}
	/* Ownership passes here. P runs first: every further microsecond is freezing time. */
	bool home = mg_at_home(n, &t->uq);
	if (home)
		stub_back(n, &t->uq);
	effect(n, t, MG_RESUME);
	enter(n, t, T_RUNNING);
	if (home)
		signal_follow(n, t->pid);
	else
		guest_arrived(n, &t->uq);
}

void target_message(struct mg_node *n, const struct wire_msg *m)
{
	if (m->head.type == WIRE_HELLO) {
		hello(n, m);
		return;
	}
	if (m->head.type == WIRE_OFFER) {
		offer(n, m);
		return;
	}
	struct mg_target *t = target_of_attempt(n, &m->head);
	if (!t) {
		if (m->head.type == WIRE_IMAGE)
			refuse(n, &m->head, "this attempt is over here");
		return;
	}
	switch (m->head.type) {
	case WIRE_IMAGE:
		image(n, t, m);
		break;
	case WIRE_COMMIT:
		commit(n, t);
		break;
	case WIRE_RELEASED:
		if (t->state == T_RUNNING)
			forget(n, t);
		break;
	case WIRE_ABORT:
		if (t->state != T_RUNNING)
			drop(n, t);
		break;
	}
}

void target_timer(struct mg_node *n, uint32_t i)
{
	struct mg_target *t = &n->target[i];
	if (t->state == T_FREE || t->state == T_RESERVE)
		return;
	t->waited += t->delay;
	if (t->state < T_PREPARED && t->waited >= n->par.patience) {
		drop_and_say(n, t,
			     t->state == T_ADOPT ? "its files cannot be reached from here"
						 : "the image stopped coming");
		return;
	}
	speak(n, t);
	mg_again(n, MG_TIMER_TARGET + i, &t->delay);
}

void target_fence(struct mg_node *n, uint32_t k)
{
	for (struct mg_target *t = n->target; t < n->target + MG_TARGETS; t++) {
		if (t->state == T_FREE || t->source != k || !mg_is_dead(n, k, t->source_inc))
			continue;
		if (t->state == T_RUNNING)
			forget(n, t); /* nobody is left to be told */
		else
			drop(n, t); /* P died with S */
	}
}
