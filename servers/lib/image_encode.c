/* SPDX-License-Identifier: MIT */
/* From a frozen process to the stream described in image.h. */
#include "image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_GUESS 16384 /* bytes offered for a blob before the most it may have */

static const struct {
	unsigned what;
	size_t least, most;
} record[IMAGE_TYPES] = {
#define RECORD(name, number, what, least, most, meaning) [number] = {what, least, most},
#include "image.def"
#undef RECORD
};

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* Next entries of the page map into e->map; leaves it empty after the last page. */
static int load_map(struct image_encoder *e)
{
	long got = e->get(e->ctx, WH_P_PAGEMAP, e->next, e->map, sizeof(e->map));
	if (got < 0)
		return (int)got;
	if (got % 8)
		return -EPROTO;
	e->map_at = 0;
	e->map_end = (unsigned)got / 8;
	return 0;
}

static uint64_t address(uint64_t entry)
{
	return entry & ~(uint64_t)(IMAGE_PAGE - 1);
}

int image_encode_start(struct image_encoder *e, image_get_fn get, void *ctx)
{
	memset(e, 0, sizeof(*e));
	e->get = get;
	e->ctx = ctx;
	e->header.magic = IMAGE_MAGIC;
	e->header.version = IMAGE_VERSION;
	e->header.bytes = sizeof(e->header);
	image_digest_start(&e->sum);
	long r = get(ctx, WH_P_INFO, 0, &e->header.info, sizeof(e->header.info));
	if (r < 0)
		return (int)r;
	if (r != sizeof(e->header.info))
		return -EPROTO;
	e->header.zeros = e->header.info.zero_pages;
	e->header.pages = e->header.info.private_pages - e->header.info.zero_pages;
	e->guess = FIRST_GUESS;
	return 0;
}

void image_encoder_free(struct image_encoder *e)
{
	free(e->stash);
	e->stash = NULL;
}

/* Header of a record at p; zeros behind a payload whose length is not a multiple of 8. */
static size_t finish(uint8_t *p, unsigned type, size_t payload)
{
	struct image_record r = {.type = type, .bytes = payload};
	memcpy(p, &r, sizeof(r));
	memset(p + sizeof(r) + payload, 0, padded(payload) - payload);
	return sizeof(r) + padded(payload);
}

/* Refill the map if need be; false at the end of the pages. */
static int more_pages(struct image_encoder *e, bool *more)
{
	int r = e->map_at == e->map_end ? load_map(e) : 0;
	*more = e->map_at < e->map_end;
	return r;
}

/* Zero pages that follow each other within the part of the map at hand, as one record. */
static size_t put_zeros(struct image_encoder *e, uint8_t *p)
{
	uint64_t run[2] = {address(e->map[e->map_at]), 0};
	while (e->map_at < e->map_end && (e->map[e->map_at] & 1) &&
	       address(e->map[e->map_at]) == run[0] + run[1] * IMAGE_PAGE) {
		run[1]++;
		e->map_at++;
	}
	e->next = run[0] + run[1] * IMAGE_PAGE;
	e->zeros += run[1];
	memcpy(p + sizeof(struct image_record), run, sizeof(run));
	return finish(p, IMAGE_ZERO, sizeof(run));
}

static long put_page(struct image_encoder *e, uint8_t *p)
{
	uint64_t at = address(e->map[e->map_at]);
	uint8_t *payload = p + sizeof(struct image_record);
	long r = e->get(e->ctx, WH_P_PAGE, at, payload + 8, IMAGE_PAGE);
	if (r != IMAGE_PAGE)
		return r < 0 ? r : -EPROTO;
	memcpy(payload, &at, 8);
	e->map_at++;
	e->next = at + IMAGE_PAGE;
	e->pages++;
	return (long)finish(p, IMAGE_PAGE_RECORD, 8 + IMAGE_PAGE);
}

static bool is_blob(unsigned stage)
{
	return stage == IMAGE_UBLOCK || stage == IMAGE_SIGNALS || stage == IMAGE_THREADS;
}

/* Bytes that the payload of a part other than pages may have. Whoever fills a blob needs as much
 * too. */
static size_t offer(const struct image_encoder *e)
{
	size_t most = record[e->stage].most;
	return is_blob(e->stage) && e->guess < most ? e->guess : most;
}

/* Room that the next record may need. */
static size_t room(const struct image_encoder *e)
{
	if (e->stage == 0)
		return sizeof(e->header);
	return sizeof(struct image_record) +
	       padded(e->stage < IMAGE_ZERO ? offer(e) : 8 + IMAGE_PAGE);
}

/* The part that e->stage names. -EAGAIN: it needs more room than was offered. */
static long put_part(struct image_encoder *e, uint8_t *p)
{
	size_t most = offer(e);
	long len = e->get(e->ctx, record[e->stage].what, 0, p + sizeof(struct image_record), most);
	if (len == -ERANGE && most < record[e->stage].most) {
		e->guess *= 4;
		return -EAGAIN;
	}
	if (len < 0)
		return len;
	/* An array that fills its room may have been cut. */
	if ((size_t)len < record[e->stage].least ||
	    ((size_t)len == most && record[e->stage].least < most && !is_blob(e->stage)))
		return -E2BIG;
	e->guess = FIRST_GUESS;
	return (long)finish(p, e->stage++, (size_t)len);
}

static long put_end(struct image_encoder *e, uint8_t *p)
{
	if (e->pages != e->header.pages || e->zeros != e->header.zeros)
		return -EBUSY; /* it was not frozen */
	struct image_record end = {.type = IMAGE_END, .bytes = 8};
	image_digest_add(&e->sum, &end, sizeof(end));
	e->digest = image_digest_end(&e->sum);
	memcpy(p + sizeof(end), &e->digest, 8);
	e->done = true;
	return (long)finish(p, IMAGE_END, 8);
}

static long put_memory(struct image_encoder *e, uint8_t *p)
{
	bool more;
	int r = more_pages(e, &more);
	if (r < 0)
		return r;
	if (!more)
		return put_end(e, p);
	return e->map[e->map_at] & 1 ? (long)put_zeros(e, p) : put_page(e, p);
}

/* The next record (or the header) to p, which has the room. Its length, or -errno. */
static long put_next(struct image_encoder *e, uint8_t *p)
{
	long len = sizeof(e->header);
	if (e->stage == 0) {
		memcpy(p, &e->header, sizeof(e->header));
		e->stage++;
	} else {
		len = e->stage < IMAGE_ZERO ? put_part(e, p) : put_memory(e, p);
	}
	if (len > 0 && !e->done)
		image_digest_add(&e->sum, p, (size_t)len);
	return len;
}

long image_encode(struct image_encoder *e, void *buf, size_t size)
{
	uint8_t *out = buf;
	size_t used = 0;
	while (used < size) {
		if (e->stash_at < e->stash_end) {
			size_t part = e->stash_end - e->stash_at;
			if (part > size - used)
				part = size - used;
			memcpy(out + used, e->stash + e->stash_at, part);
			e->stash_at += part;
			used += part;
			continue;
		}
		if (e->done)
			break;
		size_t need = room(e);
		if (need <= size - used) {
			long len = put_next(e, out + used);
			if (len == -EAGAIN)
				continue;
			if (len < 0)
				return len;
			used += (size_t)len;
			continue;
		}
		if (need > e->stash_size) {
			uint8_t *more = realloc(e->stash, need);
			if (!more)
				return -ENOMEM;
			e->stash = more;
			e->stash_size = need;
		}
		long len = put_next(e, e->stash);
		if (len == -EAGAIN)
			continue;
		if (len < 0)
			return len;
		e->stash_at = 0;
		e->stash_end = (size_t)len;
	}
	e->bytes += used;
	return (long)used;
}
