/* SPDX-License-Identifier: MIT */
/* Frames between peers: header, checksum, incremental decoder. Pure. See peer_frame.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer_frame.h"
#include "wmem.h"

_Static_assert(sizeof(struct peer_frame) == 24, "the frame header is part of the wire");
_Static_assert(sizeof(struct peer_hello) == 24, "HELLO is part of the wire");

enum { WORD = 8, FIRST_CAP = 4096 };

/* ---- checksum ---- */

/* Odd constant with well mixed bits (2^64 / golden ratio): multiplying by it spreads a word
 * upwards. */
#define MIX 0x9e3779b97f4a7c15ull

static uint64_t add_word(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * MIX;
	return sum ^ sum >> 32; /* and back down, so that no bit can hide at the top */
}

uint64_t peer_check_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t word;

	for (; len >= WORD; len -= WORD, p += WORD) {
		memcpy(&word, p, WORD);
		sum = add_word(sum, word);
	}
	if (len > 0) {
		word = 0;
		memcpy(&word, p, len);
		sum = add_word(sum, word);
	}
	return sum;
}

uint32_t peer_check_end(uint64_t sum)
{
	return (uint32_t)(add_word(sum, 0) >>
			  32); /* not a fold: that would undo add_word's last step */
}

/* Begin with the frame's number, then the header, its own check field counted as zero. */
static uint64_t check_header(const struct peer_frame *f, uint64_t number)
{
	struct peer_frame copy = *f;

	copy.check = 0;
	return peer_check_add(add_word(0, number), &copy, sizeof(copy));
}

void peer_frame_make(struct peer_frame *f, uint64_t number, uint32_t type, uint64_t id,
		     const void *hdr, size_t hlen, const void *payload, size_t plen)
{
	*f = (struct peer_frame){
		.magic = PEER_FRAME_MAGIC, .length = hlen + plen, .id = id, .type = type};
	uint64_t sum = check_header(f, number);
	size_t whole = hlen & ~(size_t)(WORD - 1), tail = hlen - whole;

	sum = peer_check_add(sum, hdr, whole);
	if (tail > 0) { /* the word in which header and payload meet */
		uint8_t word[WORD];
		size_t first = plen < WORD - tail ? plen : WORD - tail;

		memcpy(word, (const uint8_t *)hdr + whole, tail);
		if (first > 0)
			memcpy(word + tail, payload, first);
		sum = peer_check_add(sum, word, tail + first);
		if (plen == first) {
			f->check = peer_check_end(sum);
			return;
		}
		payload = (const uint8_t *)payload + first;
		plen -= first;
	}
	f->check = peer_check_end(peer_check_add(sum, payload, plen));
}

/* ---- decoder ---- */

static int check_shape(const struct peer_frame *f)
{
	if (f->magic != PEER_FRAME_MAGIC)
		return -EPROTO;
	return f->length > PEER_BODY_MAX ? -EMSGSIZE : 0;
}

static int deliver(struct peer_decoder *d, const struct peer_frame *f, peer_frame_fn fn, void *arg)
{
	const void *body = f + 1;

	if (peer_check_end(peer_check_add(check_header(f, d->frames), body, f->length)) != f->check)
		return -EBADMSG;
	d->frames++;
	return fn(arg, f, body) ? -ECANCELED : 0;
}

/* Make room for `need` bytes of one frame; keeps what is there. */
static int reserve(struct peer_decoder *d, size_t need)
{
	size_t cap = d->cap ? d->cap : FIRST_CAP;

	while (cap < need)
		cap *= 2;
	if (cap == d->cap)
		return 0;
	uint8_t *buf = realloc(d->buf, cap);

	if (!buf)
		return -ENOMEM;
	d->buf = buf;
	d->cap = cap;
	return 0;
}

/* Move up to `want` bytes in total into the buffer; true when they are there. */
static int fill(struct peer_decoder *d, size_t want, const uint8_t **p, size_t *len)
{
	size_t n = want - d->have;

	if (n > *len)
		n = *len;
	wmem_copy(d->buf + d->have, *p, n);
	d->have += n;
	*p += n;
	*len -= n;
	return d->have == want;
}

/* Complete the frame that began in an earlier chunk, or start to collect one that does not end in
 * this chunk. */
static int collect(struct peer_decoder *d, const uint8_t **p, size_t *len, peer_frame_fn fn,
		   void *arg)
{
	struct peer_frame f;
	int err = reserve(d, sizeof(f));

	if (err)
		return err;
	if (d->have < sizeof(f) && !fill(d, sizeof(f), p, len))
		return 0;
	memcpy(&f, d->buf, sizeof(f));
	err = check_shape(&f); /* before its length is believed */
	if (!err)
		err = reserve(d, peer_frame_bytes(f.length));
	if (err)
		return err;
	if (!fill(d, peer_frame_bytes(f.length), p, len))
		return 0;
	d->have = 0;
	return deliver(d, (const struct peer_frame *)(void *)d->buf, fn, arg);
}

/* The frame that starts at p, if all of it is in this chunk: delivered where it is. 1: it is not. */
static int in_place(struct peer_decoder *d, const uint8_t **p, size_t *len, peer_frame_fn fn,
		    void *arg)
{
	const struct peer_frame *f = (const void *)*p;

	if (*len < sizeof(*f))
		return 1;
	int err = check_shape(f);

	if (err)
		return err;
	size_t bytes = peer_frame_bytes(f->length);

	if (*len < bytes)
		return 1;
	*p += bytes;
	*len -= bytes;
	return deliver(d, f, fn, arg);
}

int peer_decode(struct peer_decoder *d, const void *data, size_t len, peer_frame_fn fn, void *arg)
{
	const uint8_t *p = data;

	while (len > 0 && !d->broken) {
		int err = 1;

		/* A collected frame may have ended anywhere in the chunk: only aligned ones stay. */
		if (d->have == 0 && (uintptr_t)p % WORD == 0)
			err = in_place(d, &p, &len, fn, arg);
		if (err > 0)
			err = collect(d, &p, &len, fn, arg);
		d->broken = err;
	}
	return d->broken;
}

void peer_decoder_free(struct peer_decoder *d)
{
	free(d->buf);
	*d = (struct peer_decoder){0};
}
