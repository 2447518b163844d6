/* SPDX-License-Identifier: MIT */
/*
 * The frames of peer.h, as pure functions over bytes: no I/O, no clock, so that host tests and
 * fuzzing run the very same code. Little endian, every frame padded with zeros to a multiple of 8.
 */
#ifndef SERVERS_LIB_PEER_FRAME_H
#define SERVERS_LIB_PEER_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "peer.h"

#define PEER_FRAME_MAGIC 0x31504857u /* "WHP1" */
#define PEER_VERSION	 1
#define PEER_T_HELLO	 0x10000u /* body: struct peer_hello */

struct peer_frame {
	uint32_t magic;
	uint32_t length; /* bytes of body, without padding; <= PEER_BODY_MAX */
	uint64_t id;	 /* the sender's own */
	uint32_t type;
	uint32_t check; /* over the frame's number, this header with check = 0, and the body */
};

struct peer_hello {
	uint32_t version; /* PEER_VERSION */
	uint32_t port;	  /* of the service: both ends must be the same one */
	uint32_t node;
	uint32_t pad_;
	uint64_t incarnation;
};

/* Bytes on the wire of a frame with a body of len bytes. */
static inline size_t peer_frame_bytes(size_t len)
{
	return sizeof(struct peer_frame) + ((len + 7) & ~(size_t)7);
}

/*
 * Checksum of bytes joined from pieces: start with 0; every piece but the last has a multiple of 8
 * bytes. Damage is missed once in 2^32.
 */
uint64_t peer_check_add(uint64_t sum, const void *data, size_t len);
uint32_t peer_check_end(uint64_t sum);

/*
 * Fill in the header of a message whose body is hdr followed by payload. number: how many frames
 * this connection has carried before; it is not sent, but the check covers it, so that a frame lost
 * or repeated whole is noticed too.
 */
void peer_frame_make(struct peer_frame *f, uint64_t number, uint32_t type, uint64_t id,
		     const void *hdr, size_t hlen, const void *payload, size_t plen);

/* Receives one intact frame; body is 8-byte aligned. Returning nonzero stops the decoder for good. */
typedef int (*peer_frame_fn)(void *arg, const struct peer_frame *f, const void *body);

/* The state of one incoming byte stream. Zeroed = fresh. */
struct peer_decoder {
	uint8_t *buf; /* an incomplete frame */
	size_t cap, have;
	uint64_t frames; /* delivered so far */
	int broken;	 /* the error that ended it */
};

/*
 * Feed bytes as they come (data: 8-byte aligned); calls fn for every completed frame. 0; or for
 * good -EPROTO (not a frame of ours), -EBADMSG (damaged), -EMSGSIZE (too long), -ENOMEM, -ECANCELED
 * (fn said so).
 */
int peer_decode(struct peer_decoder *d, const void *data, size_t len, peer_frame_fn fn, void *arg);
void peer_decoder_free(struct peer_decoder *d);

#endif
