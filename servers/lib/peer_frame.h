/* SPDX-License-Identifier: MIT */
/*
 * The frames of peer.h, as pure functions over bytes: no I/O, no clock, so that host tests and
 * fuzzing run the very same code. Little endian. A frame is
 *
 *	struct peer_frame	24 bytes; all but the first 8 are encrypted if the magic is SEALED
 *	body			length bytes, encrypted likewise
 *	zeros			up to a multiple of 8, encrypted likewise
 *	tag			16 bytes: over all of it, and over the frame's number on its connection,
 *				which is not sent: what is lost, repeated or exchanged does not open
 *
 * The first frames of a connection are the handshake's (auth.h), readable, with tags of their own.
 */
#ifndef SERVERS_LIB_PEER_FRAME_H
#define SERVERS_LIB_PEER_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "peer.h"
#include "seal.h"

#define PEER_MAGIC_OPEN	  0x32504857u /* "WHP2": readable: the handshake; with --plain all */
#define PEER_MAGIC_SEALED 0x32534857u /* "WHS2" */
#define PEER_VERSION	  2

/* Types of the handshake's frames; those of messages are 1..PEER_TYPE_MAX. */
#define PEER_T_HELLO   0x10000u /* auth.h: struct auth_hello */
#define PEER_T_WELCOME 0x10001u /* the same */
#define PEER_T_CONFIRM 0x10002u /* no body */

struct peer_frame {
	uint32_t magic;
	uint32_t length; /* bytes of body, without the zeros; <= PEER_BODY_MAX */
	uint64_t id;	 /* the sender's own */
	uint32_t type;
	uint32_t zero;
};

enum { PEER_CLEAR = 8 }; /* bytes at the start of a frame that are never encrypted */

/* Bytes on the wire of a frame with a body of len bytes. */
static inline size_t peer_frame_bytes(size_t len)
{
	return sizeof(struct peer_frame) + ((len + 7) & ~(size_t)7) + SEAL_TAG;
}

/*
 * Make the frame at `at`, which has room for all of peer_frame_bytes(hlen + plen), with hdr followed
 * by payload as its body. Not sealed yet.
 */
void peer_frame_make(void *at, bool plain, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
		     const void *payload, size_t plen);

/* Seal a frame that was made: the number-th of its connection, from 0. */
void peer_frame_seal(void *at, const struct seal *key, uint64_t number);

/*
 * Receives one frame, which the tag has vouched for if the decoder had a key; else it is a
 * handshake's, and anybody's: only that it is no longer than `limit` is sure. body: 8-byte aligned,
 * its tag lies behind it and the zeros. Returning nonzero stops the decoder for good.
 */
typedef int (*peer_frame_fn)(void *arg, const struct peer_frame *f, const void *body);

/* The state of one incoming byte stream. Zeroed = fresh. */
struct peer_decoder {
	uint8_t *buf; /* an incomplete frame */
	size_t cap, have;
	bool keyed; /* key is set: from now on frames are opened */
	struct seal key;
	uint64_t frames; /* opened so far */
	int broken;	 /* the error that ended it */
};

enum { PEER_STRANGER_MAX = 80 }; /* bytes of body that are taken before there is a key: HELLO's */

/*
 * Feed bytes as they come (data: 8-byte aligned; frames are opened where they lie); calls fn for every
 * completed frame. 0; or for good -EPROTO (not a frame of ours), -EBADMSG (damaged, or not of whom we
 * talk to), -EMSGSIZE (too long), -ENOMEM, -ECANCELED (fn said so).
 */
int peer_decode(struct peer_decoder *d, void *data, size_t len, peer_frame_fn fn, void *arg);
void peer_decoder_free(struct peer_decoder *d);

#endif
