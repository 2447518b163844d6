/* SPDX-License-Identifier: MIT */
/* Frames between peers: header, seal, incremental decoder. Pure. See peer_frame.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer_frame.h"
#include "wmem.h"

_Static_assert(sizeof(struct peer_frame) == 24, "the frame header is part of the wire");

enum { WORD = 8, FIRST_CAP = 4096 };

/* ---- making ---- */

void peer_frame_make(void *at, bool plain, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
		     const void *payload, size_t plen)
{
	struct peer_frame f = {.magic = plain ? PEER_MAGIC_OPEN : PEER_MAGIC_SEALED,
			       .length = (uint32_t)(hlen + plen),
			       .id = id,
			       .type = type};
	uint8_t *p = at;

	memcpy(p, &f, sizeof(f));
	p += sizeof(f);
	if (hlen > 0)
		wmem_copy(p, hdr, hlen);
	if (plen > 0)
		wmem_copy(p + hlen, payload, plen);
	p += hlen + plen;
	memset(p, 0, peer_frame_bytes(hlen + plen) - sizeof(f) - hlen - plen);
}

void peer_frame_seal(void *at, const struct seal *key, uint64_t number)
{
	struct peer_frame f;

	memcpy(&f, at, sizeof(f));
	seal_close(key, number, at, PEER_CLEAR, peer_frame_bytes(f.length) - SEAL_TAG);
}

/* ---- decoder ---- */

static int check_shape(const struct peer_decoder *d, const struct peer_frame *f)
{
	bool sealed = d->keyed && !d->key.plain;

	if (f->magic != (sealed ? PEER_MAGIC_SEALED : PEER_MAGIC_OPEN))
		return -EPROTO;
	return f->length > (d->keyed ? PEER_BODY_MAX : PEER_STRANGER_MAX) ? -EMSGSIZE : 0;
}

static int deliver(struct peer_decoder *d, struct peer_frame *f, peer_frame_fn fn, void *arg)
{
	size_t len = peer_frame_bytes(f->length) - SEAL_TAG;

	if (d->keyed && !seal_open(&d->key, d->frames++, f, PEER_CLEAR, len))
		return -EBADMSG;
	return fn(arg, f, f + 1) ? -ECANCELED : 0;
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
static int fill(struct peer_decoder *d, size_t want, uint8_t **p, size_t *len)
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
static int collect(struct peer_decoder *d, uint8_t **p, size_t *len, peer_frame_fn fn, void *arg)
{
	struct peer_frame f;
	int err = reserve(d, sizeof(f));

	if (err)
		return err;
	if (d->have < sizeof(f) && !fill(d, sizeof(f), p, len))
		return 0;
	memcpy(&f, d->buf, sizeof(f));
	err = check_shape(d, &f); /* before its length is believed */
	if (!err)
		err = reserve(d, peer_frame_bytes(f.length));
	if (err)
		return err;
	if (!fill(d, peer_frame_bytes(f.length), p, len))
		return 0;
	d->have = 0;
	return deliver(d, (struct peer_frame *)(void *)d->buf, fn, arg);
}

/* The frame that starts at p, if all of it is in this chunk: delivered where it is. 1: it is not. */
static int in_place(struct peer_decoder *d, uint8_t **p, size_t *len, peer_frame_fn fn, void *arg)
{
	struct peer_frame *f = (void *)*p;

	if (*len < sizeof(*f))
		return 1;
	int err = check_shape(d, f);

	if (err)
		return err;
	size_t bytes = peer_frame_bytes(f->length);

	if (*len < bytes)
		return 1;
	*p += bytes;
	*len -= bytes;
	return deliver(d, f, fn, arg);
}

int peer_decode(struct peer_decoder *d, void *data, size_t len, peer_frame_fn fn, void *arg)
{
	uint8_t *p = data;

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
