/* SPDX-License-Identifier: MIT */
/* What the parts of the migration machines use of each other; see machine.h. */
#ifndef WHIMBREL_MIGRATE_INSIDE_H
#define WHIMBREL_MIGRATE_INSIDE_H

#include "machine.h"

/* machine.c */
struct mg_effect *mg_emit(struct mg_node *n, enum mg_effect_kind kind);
void mg_set_timer(struct mg_node *n, uint32_t timer, uint32_t delay);
/* Doubles *delay up to the cap and arms the timer. */
void mg_again(struct mg_node *n, uint32_t timer, uint32_t *delay);
/* A message to node k; to_inc 0 means any incarnation. Fill in the rest of the returned message. */
struct wire_msg *mg_send(struct mg_node *n, enum wire_type type, uint32_t k, uint32_t to_inc,
			 const struct wire_uq *uq, uint32_t epoch, uint32_t serial);
void mg_log(struct mg_node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline bool mg_same(const struct wire_uq *a, const struct wire_uq *b)
{
	return a->birth == b->birth && a->home == b->home && a->incarnation == b->incarnation;
}
/* P was born on this node since it booted last, so its stub is, or was, here. */
static inline bool mg_at_home(const struct mg_node *n, const struct wire_uq *uq)
{
	return uq->home == n->self && uq->incarnation == n->inc;
}

/* Each part takes its messages, its timers and fences. */
void source_message(struct mg_node *n, const struct wire_msg *m);
void source_timer(struct mg_node *n, uint32_t i);
void source_fence(struct mg_node *n, uint32_t k);
/* The entry of P, if it is being moved away. */
struct mg_source *source_of(struct mg_node *n, const struct wire_uq *uq);
struct mg_source *source_of_pid(struct mg_node *n, uint32_t pid);
/* P's previous move may have become settled: its next one need not wait any longer. */
void source_settled(struct mg_node *n, const struct wire_uq *uq);
/* P ended before it was frozen. */
void source_ended(struct mg_node *n, const struct wire_uq *uq);

void target_message(struct mg_node *n, const struct wire_msg *m);
void target_timer(struct mg_node *n, uint32_t i);
void target_fence(struct mg_node *n, uint32_t k);
struct mg_target *target_of(struct mg_node *n, const struct wire_uq *uq);

void notice_message(struct mg_node *n, const struct wire_msg *m);
void guest_timer(struct mg_node *n, uint32_t i);
void stub_timer(struct mg_node *n, uint32_t i);
void notice_fence(struct mg_node *n, uint32_t k);
/* Guests: reserved with the offer, real from COMMIT on, gone when P has moved on. */
struct mg_guest *guest_of(struct mg_node *n, const struct wire_uq *uq);
struct mg_guest *guest_of_pid(struct mg_node *n, uint32_t pid);
bool guest_coming(struct mg_node *n, const struct wire_uq *uq, uint32_t pid, uint32_t epoch);
void guest_arrived(struct mg_node *n, const struct wire_uq *uq);
void guest_gone(struct mg_node *n, const struct wire_uq *uq);
void guest_moved(struct mg_node *n, const struct wire_uq *uq, uint32_t epoch, uint32_t node,
		 uint32_t inc);
/* P, still a guest by our table, died with the node it had moved to in epoch. */
void guest_lost(struct mg_node *n, const struct wire_uq *uq, uint32_t epoch);
/* Stubs: reserved before COMMIT is sent, real from DONE on, gone when P is back or has ended. */
struct mg_stub *stub_of(struct mg_node *n, const struct wire_uq *uq);
struct mg_stub *stub_of_pid(struct mg_node *n, uint32_t pid);
bool stub_leaving(struct mg_node *n, const struct wire_uq *uq, uint32_t pid, uint32_t epoch);
void stub_away(struct mg_node *n, const struct wire_uq *uq, uint32_t node, uint32_t inc);
void stub_back(struct mg_node *n, const struct wire_uq *uq);
void stub_lost(struct mg_node *n, const struct wire_uq *uq);
/* All who must know that P is here do: it may move on. */
bool notice_settled(struct mg_node *n, const struct wire_uq *uq);

void signal_message(struct mg_node *n, const struct wire_msg *m);
void signal_timer(struct mg_node *n, uint32_t i);
void signal_fence(struct mg_node *n, uint32_t k);
/* H has learned where P is. What waits for it goes there, or asks again where it went in vain, before P may move on: a
 * process that moves all the time would be out of reach. */
void signal_follow(struct mg_node *n, uint32_t pid);

#endif
