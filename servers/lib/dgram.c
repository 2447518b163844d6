/* SPDX-License-Identifier: MIT */
#include "dgram.h"

#include <string.h>

#include "sodium/crypto_generichash_blake2b.h"
#include "sodium/utils.h"

static const uint8_t for_dgram[16] = "whimbrel dgram 2";

static uint32_t magic_of(bool plain)
{
	return plain ? DGRAM_MAGIC_OPEN : DGRAM_MAGIC_SEALED;
}

/* The key of one session, from one port to one other: what the head says of both, but the counter. */
static void derive(const struct dgram_self *self, const struct dgram_head *h, struct seal *key)
{
	struct {
		uint32_t magic;
		uint16_t from, to, sport, dport;
		uint32_t zero;
		uint64_t incarnation, start;
		uint8_t salt[DGRAM_SALT];
	} about = {.magic = h->magic,
		   .from = h->from,
		   .to = h->to,
		   .sport = h->sport,
		   .dport = h->dport,
		   .incarnation = h->incarnation,
		   .start = h->start};

	memcpy(about.salt, h->salt, DGRAM_SALT);
	key->plain = self->plain;
	crypto_generichash_blake2b_salt_personal(key->key, SEAL_KEY, (const uint8_t *)&about,
						 sizeof(about), self->key, SEAL_KEY, NULL,
						 for_dgram);
}

void dgram_seal(const struct dgram_self *self, struct dgram_mate *to, uint16_t node, uint16_t sport,
		uint16_t dport, enum dgram_kind kind, const void *payload, size_t len, void *out)
{
	struct dgram_head h = {.magic = magic_of(self->plain),
			       .from = self->node,
			       .to = node,
			       .sport = sport,
			       .dport = dport,
			       .kind = (uint16_t)kind,
			       .incarnation = self->incarnation,
			       .start = self->start,
			       .counter = ++to->counter};
	uint8_t *p = out;

	memcpy(h.salt, self->salt, DGRAM_SALT);
	memcpy(h.to_salt, kind == DGRAM_HEARD ? to->stale : to->salt, DGRAM_SALT);
	if (!to->keyed) {
		derive(self, &h, &to->key);
		to->keyed = true;
	}
	memcpy(p, &h, sizeof(h));
	if (len > 0)
		memcpy(p + sizeof(h), payload, len);
	seal_close(&to->key, h.counter, p, sizeof(h), sizeof(h) + len);
}

/* -1, 0, 1: the head's session is before, is, or is after the one we accept from this mate. */
static int session_order(const struct dgram_mate *m, const struct dgram_head *h)
{
	if (h->incarnation != m->incarnation)
		return h->incarnation < m->incarnation ? -1 : 1;
	if (h->start != m->start)
		return h->start < m->start ? -1 : 1;
	return 0;
}

/* Was this counter here already, or is it too old to tell? If not, note it. */
static bool repeated(struct dgram_mate *m, uint64_t counter)
{
	if (counter > m->highest) {
		uint64_t ahead = counter - m->highest;

		m->window = ahead < DGRAM_WINDOW ? m->window << ahead | 1 : 1;
		m->highest = counter;
		return false;
	}
	uint64_t behind = m->highest - counter;

	if (behind >= DGRAM_WINDOW || m->window >> behind & 1)
		return true;
	m->window |= 1ull << behind;
	return false;
}

enum dgram_verdict dgram_open(const struct dgram_self *self, struct dgram_mate *from, uint16_t node,
			      uint16_t sport, uint16_t dport, void *data, size_t size,
			      void **payload, size_t *len)
{
	struct dgram_head h;
	struct seal key;

	if (size < DGRAM_EXTRA)
		return DGRAM_FOREIGN;
	memcpy(&h, data, sizeof(h));
	if (h.magic != magic_of(self->plain) || h.from != node || h.to != self->node ||
	    h.sport != sport || h.dport != dport || h.kind > DGRAM_HEARD || h.zero ||
	    h.incarnation == 0)
		return DGRAM_FOREIGN;
	int order = session_order(from, &h);

	if (order < 0)
		return DGRAM_FORMER;
	if (order == 0)
		key = from->heard_key;
	else
		derive(self, &h, &key);
	size_t inner = size - SEAL_TAG;

	if (!seal_open(&key, h.counter, data, sizeof(h), inner))
		return DGRAM_FORGED;
	if (sodium_memcmp(h.to_salt, self->salt, DGRAM_SALT)) {
		/* It may be old, so nothing is learnt from it but whom to answer. */
		memcpy(from->stale, h.salt, DGRAM_SALT);
		return h.kind == DGRAM_SAYS ? DGRAM_STALE : DGRAM_REPEAT;
	}
	if (order > 0) {
		from->incarnation = h.incarnation;
		from->start = h.start;
		from->heard_key = key;
		from->highest = from->window = 0;
	}
	if (repeated(from, h.counter))
		return DGRAM_REPEAT;
	memcpy(from->salt, h.salt, DGRAM_SALT);
	if (h.kind == DGRAM_HEARD)
		return DGRAM_LEARNED;
	*payload = (uint8_t *)data + sizeof(h);
	*len = inner - sizeof(h);
	return DGRAM_GOOD;
}
