/* SPDX-License-Identifier: MIT */
/*
 * The process image: one versioned, self-describing stream for migration and, later, for checkpoints
 * on disk (design 5; the disk is one more vertex, HMF 3.2).
 *
 *   struct image_header, then records: struct image_record, payload, zeros up to a multiple of 8.
 *
 * The encoder is pulled for bytes and reads the frozen process through a function with the contract of
 * wh_proc_get; the decoder is fed bytes in pieces of any size and writes through one with the contract
 * of wh_proc_set. So neither does I/O, and the host tests run the same code on a process of their own.
 * All numbers are little endian. The digest is XXH64 (seed 0) over every byte before the END payload.
 */
#ifndef SERVERS_LIB_IMAGE_H
#define SERVERS_LIB_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whimbrel.h"

#define IMAGE_MAGIC    0x304547414d494857ull /* "WHIMAGE0" */
#define IMAGE_VERSION  2
#define IMAGE_PAGE     4096
#define IMAGE_USER_END 0x800000000000ull /* first address that no process can have */

enum image_type {
#define RECORD(name, number, what, least, most, meaning) IMAGE_##name = (number),
#include "image.def"
#undef RECORD
	IMAGE_TYPES
};

struct image_header {
	uint64_t magic;
	uint32_t version, bytes; /* of this header */
	uint64_t pages, zeros;	 /* private pages sent; private pages that are zero */
	struct wh_pinfo info;	 /* at the time of freezing */
};

struct image_record {
	uint32_t type, zero;
	uint64_t bytes; /* of the payload, without the padding */
};

/* ---- XXH64 ---- */

struct image_digest {
	uint64_t lane[4], total;
	uint8_t part[32];
};

void image_digest_start(struct image_digest *d);
void image_digest_add(struct image_digest *d, const void *data, size_t len);
uint64_t image_digest_end(const struct image_digest *d);

/* ---- encoder ---- */

/* Bytes placed in buf, or -errno; for arrays as many whole elements as fit (wh_proc_get). */
typedef long (*image_get_fn)(void *ctx, unsigned what, uint64_t arg, void *buf, size_t len);

struct image_encoder {
	image_get_fn get;
	void *ctx;
	struct image_header header;
	unsigned stage; /* type of the next record; 0: the header */
	bool done;
	size_t guess;	       /* room for the next blob */
	uint64_t digest;       /* once done */
	uint64_t bytes;	       /* produced so far */
	uint64_t next;	       /* first address whose page has not been sent */
	uint64_t pages, zeros; /* sent */
	struct image_digest sum;
	uint64_t map[512]; /* part of the page map: map_at..map_end are still to be sent */
	unsigned map_at, map_end;
	uint8_t *stash; /* rest of a record that did not fit into the caller's buffer */
	size_t stash_at, stash_end, stash_size;
};

/* The process must be frozen. 0, or -errno of get. End with image_encoder_free. */
int image_encode_start(struct image_encoder *e, image_get_fn get, void *ctx);
/* Up to len bytes into buf: the number, less than len only when done; or -errno. */
long image_encode(struct image_encoder *e, void *buf, size_t len);
void image_encoder_free(struct image_encoder *e);

/* ---- decoder ---- */

/*
 * 0 or more, or -errno (wh_proc_set). Comes with the parts in the order of image.def; before them
 * WH_P_INFO, to compare with what was expected (the number of pages is a limit for all that
 * follows); WH_P_HOLDS, to be remembered. A page that is all zero comes as WH_P_PAGE with buf =
 * NULL.
 */
typedef long (*image_set_fn)(void *ctx, unsigned what, uint64_t arg, const void *buf, size_t len);

struct image_decoder {
	image_set_fn set;
	void *ctx;
	struct image_header header; /* valid once have_header */
	bool have_header, done;
	uint64_t digest; /* once done */
	unsigned last;	 /* type of the last record */
	uint64_t next;	 /* pages must not lie below */
	uint64_t pages, zeros;
	struct image_digest sum;
	struct wh_region *regions;
	unsigned nregions, region; /* region: where the last page was */
	uint8_t *buf;		   /* the header or record that is not complete yet */
	size_t have, size;
	char why[120];
};

/* End with image_decoder_free, also after an error. */
void image_decode_start(struct image_decoder *d, image_set_fn set, void *ctx);
/*
 * The next len bytes. 0; or -errno for good, with the reason in d->why: -EPROTO it is not a valid
 * image, -ENOMEM, or what set returned. Bytes after the END record are an error.
 */
int image_decode(struct image_decoder *d, const void *data, size_t len);
void image_decoder_free(struct image_decoder *d);

#endif
