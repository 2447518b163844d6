/* SPDX-License-Identifier: MIT */
/*
 * The source host's half of a migration; target.c is its mirror. P is S's until D receives COMMIT.
 * S may change its mind until it has sent COMMIT (commit() is the point of no return), and never
 * after: then it waits for DONE, or for the fence that proves that D, and P with it, died.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "inside.h"

static const char *const step_name[S_STATES] = {
	[S_SETTLE] = "its previous move is not settled yet",
	[S_HELLO] = "no answer to HELLO",
	[S_OFFER] = "no answer to OFFER",
	[S_FREEZE] = "freezing",
	[S_IMAGE] = "no answer to IMAGE",
	[S_COMMIT] = "no answer to COMMIT",
};

static uint32_t index_of(const struct mg_node *n, const struct mg_source *s)
{
	return s - n->source;
}

struct mg_source *source_of(struct mg_node *n, const struct wire_uq *uq)
{
	for (struct mg_source *s = n->source; s < n->source + MG_SOURCES; s++)
		if (s->state != S_FREE && mg_same(&s->uq, uq))
			return s;
	return NULL;
}

struct mg_source *source_of_pid(struct mg_node *n, uint32_t pid)
{
	for (struct mg_source *s = n->source; s < n->source + MG_SOURCES; s++)
		if (s->state != S_FREE && s->pid == pid)
			return s;
	return NULL;
}

static struct mg_source *source_of_serial(struct mg_node *n, uint32_t serial)
{
	for (struct mg_source *s = n->source; s < n->source + MG_SOURCES; s++)
		if (s->state != S_FREE && s->serial == serial)
			return s;
	return NULL;
}

static struct mg_effect *effect(struct mg_node *n, const struct mg_source *s,
				enum mg_effect_kind kind)
{
	struct mg_effect *e = mg_emit(n, kind);
	e->slot = index_of(n, s);
	e->serial = s->serial;
	e->uq = s->uq;
	e->pid = s->pid;
	e->epoch = s->epoch;
	e->node = s->dest;
	e->inc = s->dest_inc;
	e->cookie = s->cookie;
	return e;
}

static struct wire_msg *to_dest(struct mg_node *n, const struct mg_source *s, enum wire_type type)
{
	struct wire_msg *m = mg_send(n, type, s->dest, s->dest_inc, &s->uq, s->epoch, s->serial);
	m->head.ticket = s->ticket;
	return m;
}

static void finish(struct mg_node *n, struct mg_source *s, enum mg_result result, const char *text)
{
	struct mg_effect *e = effect(n, s, MG_REPORT);
	e->value = result;
	snprintf(e->text, sizeof(e->text), "%s", text);
	mg_set_timer(n, MG_TIMER_SOURCE + index_of(n, s), 0);
	memset(s, 0, sizeof(*s));
}

/* P stays. D needs to hear ABORT once only: whatever it says about this attempt later is answered
 * so. */
__attribute__((format(printf, 4, 5))) static void
give_up(struct mg_node *n, struct mg_source *s, enum mg_result result, const char *fmt, ...)
{
	char text[WIRE_TEXT];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->state >= S_FREEZE)
		effect(n, s, MG_THAW);
	if (s->state >= S_OFFER && !mg_is_dead(n, s->dest, s->dest_inc))
		to_dest(n, s, WIRE_ABORT);
	finish(n, s, result, text);
}

static void send_chunk(struct mg_node *n, const struct mg_source *s, uint32_t chunk)
{
	struct wire_msg *m = to_dest(n, s, WIRE_IMAGE);
	m->u.image.chunk = chunk;
	m->u.image.last = s->complete && chunk + 1 == s->exported;
}

/* Keep the window full; one EXPORT at a time, because the encoder has one position. */
static void pump(struct mg_node *n, struct mg_source *s)
{
	if (s->complete || s->exporting || s->exported - s->taken >= MG_WINDOW)
		return;
	s->exporting = true;
	effect(n, s, MG_EXPORT)->value = s->exported;
}

static void hello(const struct mg_node *n, struct wire_msg *m)
{
	m->u.hello.image_version = n->image_version;
	memcpy(m->u.hello.features, n->features, sizeof(n->features));
}

/* What S says in its current state, first and again. */
static void speak(struct mg_node *n, struct mg_source *s)
{
	switch (s->state) {
	case S_HELLO:
		s->dest_inc = 0;
		hello(n, to_dest(n, s, WIRE_HELLO));
		break;
	case S_OFFER:
		to_dest(n, s, WIRE_OFFER)->u.offer = s->offer;
		break;
	case S_IMAGE: {
		/* All taken and no PREPARED yet: the last chunk again makes D repeat it. */
		uint32_t from = s->taken;
		if (s->complete && from == s->exported)
			from--;
		for (uint32_t chunk = from; chunk < s->exported; chunk++)
			send_chunk(n, s, chunk);
		break;
	}
	case S_COMMIT:
		to_dest(n, s, WIRE_COMMIT);
		break;
	case S_FREE:
	case S_SETTLE:
	case S_FREEZE:
	case S_STATES:
		break;
	}
}

static void progress(struct mg_node *n, struct mg_source *s)
{
	s->waited = 0;
	s->delay = 0;
	mg_again(n, MG_TIMER_SOURCE + index_of(n, s), &s->delay);
}

static void enter(struct mg_node *n, struct mg_source *s, enum mg_source_state state)
{
	s->state = state;
	progress(n, s);
	speak(n, s);
}

static const char *why_not(struct mg_node *n, const struct mg_job *job)
{
	if (job->dest == 0 || job->dest > n->nodes)
		return "there is no such node";
	if (job->dest == n->self)
		return "the process is on that node already";
	if (n->known[job->dest] && mg_is_dead(n, job->dest, n->known[job->dest]))
		return "that node has been declared dead";
	if (source_of(n, &job->uq))
		return "the process is being moved already";
	return NULL;
}

void mg_start(struct mg_node *n, const struct mg_job *job)
{
	const char *why = why_not(n, job);
	struct mg_source *s = NULL;
	for (uint32_t i = 0; !why && i < MG_SOURCES && !s; i++)
		if (n->source[i].state == S_FREE)
			s = &n->source[i];
	if (!s) {
		struct mg_effect *e = mg_emit(n, MG_REPORT);
		e->slot = MG_SOURCES;
		e->uq = job->uq;
		e->pid = job->offer.pid;
		e->node = job->dest;
		e->cookie = job->cookie;
		e->value = MG_REFUSED;
		snprintf(e->text, sizeof(e->text), "%s",
			 why ? why : "too many moves under way on this node");
		return;
	}
	*s = (struct mg_source){
		.serial = ++n->serials,
		.uq = job->uq,
		.pid = job->offer.pid,
		.epoch = job->epoch + 1,
		.dest = job->dest,
		.offer = job->offer,
		.cookie = job->cookie,
	};
	enter(n, s, notice_settled(n, &s->uq) ? S_HELLO : S_SETTLE);
}

void source_settled(struct mg_node *n, const struct wire_uq *uq)
{
	struct mg_source *s = source_of(n, uq);
	if (s && s->state == S_SETTLE && notice_settled(n, uq))
		enter(n, s, S_HELLO);
}

bool mg_cancel(struct mg_node *n, uint32_t pid, const char *why)
{
	struct mg_source *s = source_of_pid(n, pid);
	if (!s || s->state == S_COMMIT)
		return false;
	give_up(n, s, MG_CANCELLED, "%s", why);
	return true;
}

void source_ended(struct mg_node *n, const struct wire_uq *uq)
{
	struct mg_source *s = source_of(n, uq);
	if (s && s->state <= S_FREEZE)
		give_up(n, s, MG_FAILED, "the process ended first");
}

void mg_frozen(struct mg_node *n, uint32_t serial, bool ok, const char *reason)
{
	struct mg_source *s = source_of_serial(n, serial);
	if (!s || s->state != S_FREEZE)
		return; /* given up meanwhile: THAW follows or has undone it */
	if (!ok) {
		give_up(n, s, MG_REFUSED, "%s", reason);
		return;
	}
	enter(n, s, S_IMAGE);
	pump(n, s);
}

void mg_exported(struct mg_node *n, uint32_t serial, bool ok, bool last, uint64_t digest,
		 const char *reason)
{
	struct mg_source *s = source_of_serial(n, serial);
	if (!s || s->state != S_IMAGE || !s->exporting)
		return;
	s->exporting = false;
	if (!ok) {
		give_up(n, s, MG_FAILED, "%s", reason);
		return;
	}
	s->complete = last;
	s->digest = digest;
	send_chunk(n, s, s->exported++);
	pump(n, s);
}

static void taken(struct mg_node *n, struct mg_source *s, uint32_t next)
{
	if (s->state != S_IMAGE || next <= s->taken || next > s->exported)
		return;
	s->taken = next;
	progress(n, s);
	pump(n, s);
}

static void commit(struct mg_node *n, struct mg_source *s, uint64_t digest)
{
	if (s->state != S_IMAGE)
		return;
	if (!s->complete || digest != s->digest) {
		give_up(n, s, MG_FAILED, "the copy on node %u differs from the original", s->dest);
		return;
	}
	if (mg_at_home(n, &s->uq) && !stub_leaving(n, &s->uq, s->pid, s->epoch)) {
		give_up(n, s, MG_REFUSED, "too many processes born here are away");
		return;
	}
	/* Point of no return: from here on only DONE or the fence of D ends the attempt. */
	enter(n, s, S_COMMIT);
}

static void done(struct mg_node *n, struct mg_source *s)
{
	if (s->state != S_COMMIT)
		return;
	effect(n, s, MG_RELEASE);
	to_dest(n, s, WIRE_RELEASED);
	if (mg_at_home(n, &s->uq))
		stub_away(n, &s->uq, s->dest, s->dest_inc);
	else
		guest_moved(n, &s->uq, s->epoch, s->dest, s->dest_inc);
	uint32_t pid = s->pid;
	finish(n, s, MG_MOVED, "moved");
	signal_follow(n, pid);
}

static void lost(struct mg_node *n, struct mg_source *s)
{
	effect(n, s, MG_RELEASE)->value = 1;
	if (mg_at_home(n, &s->uq))
		stub_lost(n, &s->uq);
	else
		guest_lost(n, &s->uq, s->epoch);
	finish(n, s, MG_LOST, "the destination died after it was told to take over");
}

/* D speaks of an attempt that is over here. */
static void forgotten(struct mg_node *n, const struct wire_head *h)
{
	enum wire_type answer;
	switch (h->type) {
	case WIRE_DONE:
		answer = WIRE_RELEASED;
		break;
	case WIRE_ACCEPT:
	case WIRE_TAKEN:
	case WIRE_PREPARED:
		answer = WIRE_ABORT;
		break;
	default:
		return;
	}
	mg_send(n, answer, h->from, h->from_inc, &h->uq, h->epoch, h->serial)->head.ticket =
		h->ticket;
}

void source_message(struct mg_node *n, const struct wire_msg *m)
{
	const struct wire_head *h = &m->head;
	struct mg_source *s = source_of_serial(n, h->serial);
	bool other = s && s->ticket && h->ticket && s->ticket != h->ticket;
	if (!s || other || s->dest != h->from || !mg_same(&s->uq, &h->uq)) {
		forgotten(n, h);
		return;
	}
	switch (h->type) {
	case WIRE_WELCOME:
		if (s->state != S_HELLO)
			return;
		s->dest_inc = h->from_inc;
		enter(n, s, S_OFFER);
		break;
	case WIRE_ACCEPT:
		if (s->state != S_OFFER)
			return;
		s->state = S_FREEZE;
		s->ticket = h->ticket;
		mg_set_timer(n, MG_TIMER_SOURCE + index_of(n, s), 0);
		effect(n, s, MG_FREEZE);
		break;
	case WIRE_REFUSE:
		/* D refuses only what it does not hold; after PREPARED that cannot be this attempt. */
		if (s->state != S_COMMIT)
			give_up(n, s, MG_REFUSED, "node %u: %.*s", s->dest, WIRE_TEXT - 20,
				m->u.refuse.reason);
		break;
	case WIRE_TAKEN:
		taken(n, s, m->u.taken.next);
		break;
	case WIRE_PREPARED:
		commit(n, s, m->u.prepared.digest);
		break;
	case WIRE_DONE:
		done(n, s);
		break;
	}
}

void source_timer(struct mg_node *n, uint32_t i)
{
	struct mg_source *s = &n->source[i];
	if (s->state == S_FREE || s->state == S_FREEZE)
		return; /* the kernel answers a freeze within its own deadline */
	s->waited += s->delay;
	if (s->state != S_COMMIT && s->waited >= n->par.patience) {
		give_up(n, s, MG_FAILED, "node %u: %s for %u ms", s->dest, step_name[s->state],
			s->waited);
		return;
	}
	speak(n, s);
	mg_again(n, MG_TIMER_SOURCE + i, &s->delay);
}

void source_fence(struct mg_node *n, uint32_t k)
{
	for (struct mg_source *s = n->source; s < n->source + MG_SOURCES; s++) {
		if (s->state < S_OFFER || s->dest != k || !mg_is_dead(n, k, s->dest_inc))
			continue;
		if (s->state == S_COMMIT)
			lost(n, s);
		else
			give_up(n, s, MG_FAILED, "node %u died or restarted", k);
	}
}
