/* SPDX-License-Identifier: MIT */
/* Image streams of the migrations that leave and arrive, and the files that must follow them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handler.h"
#include "image.h"
#include "msg_file.h"

/* ---- leaving ---- */

struct leaving {
	struct image_encoder encoder;
	uint32_t serial, pid, exported;
	uint8_t *window; /* MG_WINDOW chunks; NULL: slot not in use */
	size_t len[MG_WINDOW];
};

static struct leaving leaving[MG_SOURCES];

static long get_part(void *ctx, unsigned what, uint64_t arg, void *buf, size_t len)
{
	const struct leaving *l = ctx;
	return wh_proc_get((int)l->pid, what, arg, buf, len);
}

void transfer_source_end(unsigned slot)
{
	if (slot >= MG_SOURCES || !leaving[slot].window)
		return;
	struct leaving *l = &leaving[slot];
	image_encoder_free(&l->encoder);
	free(l->window);
	memset(l, 0, sizeof(*l));
}

static int start(unsigned slot, uint32_t serial, uint32_t pid)
{
	struct leaving *l = &leaving[slot];
	transfer_source_end(slot);
	l->window = malloc((size_t)MG_WINDOW * WIRE_CHUNK_MAX);
	if (!l->window)
		return -ENOMEM;
	l->serial = serial;
	l->pid = pid;
	return image_encode_start(&l->encoder, get_part, l);
}

void transfer_export(const struct mg_effect *e)
{
	struct leaving *l = &leaving[e->slot];
	char why[WIRE_TEXT];
	long r = e->value == 0 ? start(e->slot, e->serial, e->pid) : 0;
	if (r == 0 && (l->serial != e->serial || l->exported != e->value))
		r = -EPROTO;
	if (r == 0) {
		unsigned place = l->exported % MG_WINDOW;
		r = image_encode(&l->encoder, l->window + (size_t)place * WIRE_CHUNK_MAX,
				 WIRE_CHUNK_MAX);
		l->len[place] = r > 0 ? (size_t)r : 0;
	}
	if (r < 0) {
		snprintf(why, sizeof(why), "cannot read the process: %s", strerror((int)-r));
		mg_exported(&node, e->serial, false, false, 0, why);
		return;
	}
	l->exported++;
	bool last = l->encoder.done && l->encoder.stash_at == l->encoder.stash_end;
	if (last)
		moves_sent(e->cookie, l->encoder.pages, l->encoder.zeros, l->encoder.bytes);
	mg_exported(&node, e->serial, true, last, l->encoder.digest, "");
}

const void *transfer_chunk(unsigned slot, uint32_t chunk, size_t *len)
{
	const struct leaving *l = &leaving[slot];
	if (!l->window || chunk >= l->exported || l->exported - chunk > MG_WINDOW)
		return NULL;
	*len = l->len[chunk % MG_WINDOW];
	return l->window + (size_t)(chunk % MG_WINDOW) * WIRE_CHUNK_MAX;
}

/* ---- arriving ---- */

struct arriving {
	struct image_decoder decoder;
	bool used;
	uint32_t handle, epoch;
	int pid;
	struct wh_uqpid uqpid;
	struct wh_hold *holds;
	unsigned nholds, asked, adopted; /* of holds */
	bool failed;
};

static struct arriving arriving[MG_TARGETS];
static const void *incoming;
static size_t incoming_len;

void transfer_incoming(const void *data, size_t len)
{
	incoming = data;
	incoming_len = len;
}

void transfer_target_end(unsigned slot)
{
	struct arriving *a = &arriving[slot];
	if (!a->used)
		return;
	image_decoder_free(&a->decoder);
	free(a->holds);
	memset(a, 0, sizeof(*a));
}

static long remember_holds(struct arriving *a, const void *buf, size_t len)
{
	a->holds = malloc(len ? len : 1);
	if (!a->holds)
		return -ENOMEM;
	memcpy(a->holds, buf, len);
	a->nholds = (unsigned)(len / sizeof(struct wh_hold));
	return 0;
}

static long expected(const struct arriving *a, const struct wh_pinfo *info)
{
	const struct wh_uqpid *u = &info->uqpid;
	return u->home == a->uqpid.home && u->pid == a->uqpid.pid &&
			       u->birth_ns == a->uqpid.birth_ns &&
			       u->incarnation == a->uqpid.incarnation && info->epoch + 1 == a->epoch
		       ? 0
		       : -EINVAL;
}

/* A zero page of anonymous memory comes by itself at the first touch; over a file it must be there. */
static long set_zero(struct arriving *a, uint64_t at)
{
	static const uint8_t zero[IMAGE_PAGE];
	const struct image_decoder *d = &a->decoder;
	if (!(d->regions[d->region].flags & WH_RG_FILE))
		return 0;
	return wh_proc_set(a->pid, WH_P_PAGE, at, zero, sizeof(zero));
}

static long set_part(void *ctx, unsigned what, uint64_t arg, const void *buf, size_t len)
{
	struct arriving *a = ctx;
	switch (what) {
	case WH_P_INFO:
		return expected(a, buf);
	case WH_P_HOLDS:
		return remember_holds(a, buf, len);
	case WH_P_PAGE:
		if (!buf)
			return set_zero(a, arg);
		break;
	}
	return wh_proc_set(a->pid, what, arg, buf, len);
}

void transfer_reserve(const struct mg_effect *e)
{
	const struct wire_offer *o = &e->msg.u.offer;
	struct wh_pinfo info = {.uqpid = uqpid_of(&e->uq, e->pid),
				.epoch = e->epoch,
				.uid = o->uid,
				.pinned = o->pinned};
	/* The stub is at the home, unless that home is gone and the parent with it. */
	uint32_t stub = mg_is_dead(&node, e->uq.home, e->uq.incarnation) ? 0 : e->uq.home;
	long r = o->pages > UINT32_MAX ? -ENOMEM : wh_proc_create(&info, (uint32_t)o->pages, stub);
	if (r < 0) {
		char why[WIRE_TEXT];
		if (r == -ENOMEM)
			snprintf(why, sizeof(why), "not enough free memory for %llu pages",
				 (unsigned long long)o->pages);
		else
			snprintf(why, sizeof(why), "the process cannot be created: %s",
				 strerror((int)-r));
		mg_reserved(&node, e->serial, false, why);
		return;
	}
	struct arriving *a = &arriving[e->slot];
	transfer_target_end(e->slot);
	*a = (struct arriving){.used = true,
			       .handle = e->serial,
			       .epoch = e->epoch,
			       .pid = (int)e->pid,
			       .uqpid = info.uqpid};
	image_decode_start(&a->decoder, set_part, a);
	mg_reserved(&node, e->serial, true, "");
}

void transfer_import(const struct mg_effect *e)
{
	struct arriving *a = &arriving[e->slot];
	int r = image_decode(&a->decoder, incoming, incoming_len);
	const char *why = a->decoder.why;
	if (r == 0 && a->decoder.done != (e->last != 0)) {
		r = -EPROTO;
		why = "the image does not end with its last chunk";
	}
	mg_imported(&node, e->serial, r == 0, a->decoder.done, a->decoder.digest, why);
}

/* ---- files ---- */

/* What an answer of the file server is about: it may come when the slot is someone else's. */
struct adoption {
	unsigned slot;
	uint32_t handle;
	struct wh_hold hold;
};

static void adopt_next(struct arriving *a, unsigned slot);

static void adopt_failed(struct arriving *a, const struct wh_hold *h, int error)
{
	char why[WIRE_TEXT];
	if (a->failed)
		return;
	a->failed = true;
	snprintf(why, sizeof(why), "file %llx of node %u cannot follow: %s",
		 (unsigned long long)h->hold, h->tree, strerror(error));
	mg_adopted(&node, a->handle, false, why);
}

static void on_adopted(void *arg, const struct wh_msg *reply)
{
	struct adoption *o = arg;
	struct arriving *a = &arriving[o->slot];
	/*
	 * Given up meanwhile: the kernel closed this node's share when the copy was dropped, and
	 * its request came after ours on the same way.
	 */
	if (a->used && a->handle == o->handle) {
		if (reply->status < 0)
			adopt_failed(a, &o->hold, -reply->status);
		else if (++a->adopted == a->nholds)
			mg_adopted(&node, a->handle, true, "");
		else
			adopt_next(a, o->slot);
	}
	free(o);
	effects_run();
}

static void adopt_next(struct arriving *a, unsigned slot)
{
	const unsigned at_once = 16;
	while (!a->failed && a->asked < a->nholds && a->asked - a->adopted < at_once) {
		struct adoption *o = malloc(sizeof(*o));
		const struct wh_hold *h = &a->holds[a->asked];
		struct wh_msg m = {.type = FS_ADOPT};
		*WH_BODY(&m, struct fs_adopt) = (struct fs_adopt){.tree = h->tree,
								  .owner = node.self,
								  .hold = h->hold,
								  .owner_incarnation = node.inc};
		if (o)
			*o = (struct adoption){.slot = slot, .handle = a->handle, .hold = *h};
		int r = o ? serve_send(WH_SVC_FILE, &m, NULL, 0, WH_BULK_NONE, on_adopted, o)
			  : -ENOMEM;
		if (r < 0) {
			free(o);
			adopt_failed(a, h, -r);
			return;
		}
		a->asked++;
	}
}

void transfer_adopt(const struct mg_effect *e)
{
	struct arriving *a = &arriving[e->slot];
	if (a->nholds == 0)
		mg_adopted(&node, e->serial, true, "");
	else
		adopt_next(a, e->slot);
}
