/* SPDX-License-Identifier: MIT */
/* From the stream described in image.h to a process under construction. The bytes are a peer's:
 * none is trusted. */
#include "image.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	unsigned what;
	size_t least, most;
} record[IMAGE_TYPES] = {
#define RECORD(name, number, what, least, most, meaning) [number] = {#name, what, least, most},
#include "image.def"
#undef RECORD
};

__attribute__((format(printf, 3, 4))) static int reject(struct image_decoder *d, int error,
							const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
	return error;
}

void image_decode_start(struct image_decoder *d, image_set_fn set, void *ctx)
{
	memset(d, 0, sizeof(*d));
	d->set = set;
	d->ctx = ctx;
	image_digest_start(&d->sum);
}

void image_decoder_free(struct image_decoder *d)
{
	free(d->buf);
	free(d->regions);
	d->buf = NULL;
	d->regions = NULL;
}

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

static int check_header(struct image_decoder *d)
{
	const struct image_header *h = &d->header;
	if (h->magic != IMAGE_MAGIC)
		return reject(d, -EPROTO, "not a process image");
	if (h->version != IMAGE_VERSION || h->bytes != sizeof(*h))
		return reject(d, -EPROTO, "image of version %u, this node knows %d", h->version,
			      IMAGE_VERSION);
	if (h->pages > h->info.private_pages || h->zeros != h->info.private_pages - h->pages)
		return reject(d, -EPROTO, "numbers of pages that do not agree");
	d->have_header = true;
	long r = d->set(d->ctx, WH_P_INFO, 0, &h->info, sizeof(h->info));
	return r < 0 ? reject(d, (int)r, "not the process that was offered") : 0;
}

static int check_record(struct image_decoder *d, const struct image_record *r)
{
	if (r->type == 0 || r->type >= IMAGE_TYPES || r->zero)
		return reject(d, -EPROTO, "record of unknown type %u", r->type);
	if (r->bytes < record[r->type].least || r->bytes > record[r->type].most)
		return reject(d, -EPROTO, "%s record of %llu bytes", record[r->type].name,
			      (unsigned long long)r->bytes);
	/* Each one once and in order; pages of both kinds after the regions, as many as there are. */
	bool pages = r->type == IMAGE_ZERO || r->type == IMAGE_PAGE_RECORD;
	unsigned expected = d->last + 1;
	if (d->last >= IMAGE_REGIONS)
		expected = pages ? r->type : IMAGE_END;
	if (r->type != expected)
		return reject(d, -EPROTO, "%s record where %s is due", record[r->type].name,
			      record[expected].name);
	return 0;
}

static int take_regions(struct image_decoder *d, const uint8_t *payload, size_t bytes)
{
	if (bytes % sizeof(struct wh_region))
		return reject(d, -EPROTO, "part of a region");
	d->nregions = (unsigned)(bytes / sizeof(struct wh_region));
	d->regions = malloc(bytes ? bytes : 1);
	if (!d->regions)
		return reject(d, -ENOMEM, "no memory for the memory map");
	memcpy(d->regions, payload, bytes);
	uint64_t end = 0;
	for (unsigned i = 0; i < d->nregions; i++) {
		const struct wh_region *g = &d->regions[i];
		if ((g->start | g->end) % IMAGE_PAGE || g->start < end || g->end <= g->start ||
		    g->end > IMAGE_USER_END)
			return reject(d, -EPROTO, "region %u is not one", i);
		end = g->end;
	}
	return 0;
}

/* Pages ascend, and each lies within one region: d->region moves forward with them. */
static int check_pages(struct image_decoder *d, uint64_t at, uint64_t count)
{
	if (at % IMAGE_PAGE || at < d->next || at >= IMAGE_USER_END || count == 0 ||
	    count > (IMAGE_USER_END - at) / IMAGE_PAGE)
		return reject(d, -EPROTO, "page out of order");
	for (uint64_t i = 0; i < count; i++, at += IMAGE_PAGE) {
		while (d->region < d->nregions && d->regions[d->region].end <= at)
			d->region++;
		if (d->region == d->nregions || at < d->regions[d->region].start)
			return reject(d, -EPROTO, "page outside of all regions");
	}
	d->next = at;
	return 0;
}

static int put(struct image_decoder *d, unsigned type, unsigned what, uint64_t arg, const void *buf,
	       size_t len)
{
	long r = d->set(d->ctx, what, arg, buf, len);
	if (r < 0)
		return reject(d, (int)r, "%s record: the kernel says error %ld", record[type].name,
			      -r);
	return 0;
}

static int take_zeros(struct image_decoder *d, const uint8_t *payload)
{
	uint64_t run[2];
	memcpy(run, payload, sizeof(run));
	if (run[1] > d->header.zeros - d->zeros)
		return reject(d, -EPROTO, "more zero pages than announced");
	int r = check_pages(d, run[0], run[1]);
	for (uint64_t i = 0; i < run[1] && r == 0; i++)
		r = put(d, IMAGE_ZERO, WH_P_PAGE, run[0] + i * IMAGE_PAGE, NULL, IMAGE_PAGE);
	d->zeros += run[1];
	return r;
}

static int take_page(struct image_decoder *d, const uint8_t *payload)
{
	uint64_t at;
	memcpy(&at, payload, sizeof(at));
	if (d->pages++ == d->header.pages)
		return reject(d, -EPROTO, "more pages than announced");
	int r = check_pages(d, at, 1);
	return r ? r : put(d, IMAGE_PAGE_RECORD, WH_P_PAGE, at, payload + 8, IMAGE_PAGE);
}

static int take_end(struct image_decoder *d, const uint8_t *payload)
{
	uint64_t said;
	memcpy(&said, payload, sizeof(said));
	if (d->pages != d->header.pages || d->zeros != d->header.zeros)
		return reject(d, -EPROTO, "fewer pages than announced");
	d->digest = image_digest_end(&d->sum);
	if (said != d->digest)
		return reject(d, -EPROTO, "digest %016llx, should be %016llx",
			      (unsigned long long)d->digest, (unsigned long long)said);
	d->done = true;
	return 0;
}

/* A whole record is at p. */
static int take_record(struct image_decoder *d, const uint8_t *p)
{
	struct image_record r;
	memcpy(&r, p, sizeof(r));
	const uint8_t *payload = p + sizeof(r);
	for (size_t i = r.bytes; i < padded(r.bytes); i++)
		if (payload[i])
			return reject(d, -EPROTO, "padding that is not zero");
	d->last = r.type;
	image_digest_add(&d->sum, p, sizeof(r) + (r.type == IMAGE_END ? 0 : padded(r.bytes)));
	switch (r.type) {
	case IMAGE_ZERO:
		return take_zeros(d, payload);
	case IMAGE_PAGE_RECORD:
		return take_page(d, payload);
	case IMAGE_END:
		return take_end(d, payload);
	case IMAGE_HOLDS:
		if (r.bytes % sizeof(struct wh_hold))
			return reject(d, -EPROTO, "part of a hold");
		break;
	case IMAGE_REGIONS: {
		int error = take_regions(d, payload, r.bytes);
		if (error)
			return error;
		break;
	}
	}
	return put(d, r.type, record[r.type].what, 0, payload, r.bytes);
}

/*
 * Bytes that the item at p (header or record) needs before it can be taken, as far as len bytes of
 * it tell; 0 with *error set if it cannot be one.
 */
static size_t needed(struct image_decoder *d, const uint8_t *p, size_t len, int *error)
{
	*error = 0;
	if (!d->have_header)
		return sizeof(struct image_header);
	if (len < sizeof(struct image_record))
		return sizeof(struct image_record);
	struct image_record r;
	memcpy(&r, p, sizeof(r));
	*error = check_record(d, &r);
	return *error ? 0 : sizeof(r) + padded(r.bytes);
}

static int take(struct image_decoder *d, const uint8_t *p, size_t len)
{
	if (d->have_header)
		return take_record(d, p);
	memcpy(&d->header, p, sizeof(d->header));
	image_digest_add(&d->sum, p, len);
	return check_header(d);
}

/* Append what is missing of the incomplete item, at most len bytes; the number taken, or -errno. */
static long top_up(struct image_decoder *d, const uint8_t *p, size_t len, size_t need)
{
	if (need > d->size) {
		uint8_t *more = realloc(d->buf, need);
		if (!more)
			return reject(d, -ENOMEM, "no memory for a record");
		d->buf = more;
		d->size = need;
	}
	size_t part = need - d->have < len ? need - d->have : len;
	memcpy(d->buf + d->have, p, part);
	d->have += part;
	return (long)part;
}

int image_decode(struct image_decoder *d, const void *data, size_t len)
{
	const uint8_t *p = data;
	int error = 0;
	if (d->why[0])
		return -EPROTO;
	while (len) {
		if (d->done)
			return reject(d, -EPROTO, "bytes after the end");
		bool partial = d->have > 0;
		size_t need = needed(d, partial ? d->buf : p, partial ? d->have : len, &error);
		if (error)
			return error;
		if (!partial && need <= len &&
		    (d->have_header ? len >= sizeof(struct image_record) : true)) {
			error = take(d, p, need);
			p += need;
			len -= need;
		} else {
			long part = top_up(d, p, len, need);
			if (part < 0)
				return (int)part;
			p += part;
			len -= (size_t)part;
			need = needed(d, d->buf, d->have, &error);
			if (!error && d->have == need) {
				d->have = 0;
				error = take(d, d->buf, need);
			}
		}
		if (error)
			return error;
	}
	return 0;
}
