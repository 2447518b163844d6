/* SPDX-License-Identifier: MIT */
/*
 * How two equal services of different nodes make sure of each other, and of a key that only they
 * know, on a connection that one of them opened. Pure: bytes in, bytes out; random numbers are given.
 *
 *   1. A -> B  HELLO    who I am and whom I mean, a random number, one half of an exchange (X25519)
 *   2. B -> A  WELCOME  the same of B
 *   3. A -> B  CONFIRM  nothing but a tag
 *
 * Each ends with a tag that only who knows the cluster's key can make: BLAKE2b over all frames up to
 * and with this one. So A trusts B after 2, B trusts A after 3, and nothing said before can be said
 * again: B's random number is in what CONFIRM's tag covers, A's in WELCOME's. The key of what follows
 * is BLAKE2b, with the cluster's key, over the exchange's result and both frames: who learns the
 * cluster's key later, and who has it but only listens, cannot read it.
 */
#ifndef SERVERS_LIB_AUTH_H
#define SERVERS_LIB_AUTH_H

#include "peer_frame.h"
#include "seal.h"

enum { AUTH_NONCE = 16, AUTH_POINT = 32 };

/* Body of HELLO and of WELCOME. */
struct auth_hello {
	uint32_t version; /* PEER_VERSION */
	uint32_t plain;	  /* 1: frames will be readable; both ends must want the same */
	uint32_t port;	  /* of the service: both ends must be the same one */
	uint32_t from, to;
	uint32_t zero;
	uint64_t incarnation; /* of `from` */
	uint8_t nonce[AUTH_NONCE];
	uint8_t share[AUTH_POINT];
};
_Static_assert(sizeof(struct auth_hello) == 80, "HELLO is part of the wire");

/* A handshake's frame as it lies on the wire. CONFIRM has no hello: its tag follows at once. */
struct auth_frame {
	struct peer_frame head;
	struct auth_hello hello;
	uint8_t tag[SEAL_TAG];
};
_Static_assert(sizeof(struct auth_frame) == 120, "no padding goes over the wire");

struct auth_confirm {
	struct peer_frame head;
	uint8_t tag[SEAL_TAG];
};

/* Who we are. */
struct auth_self {
	const uint8_t *key; /* the cluster's, SEAL_KEY bytes */
	bool plain;
	uint32_t port, node;
	uint64_t incarnation;
};

/* Our half of an exchange. It may serve several handshakes at once, but none after one has succeeded. */
struct auth_share {
	uint8_t secret[AUTH_POINT], point[AUTH_POINT];
};
void auth_share_make(struct auth_share *s, const uint8_t random[AUTH_POINT]);

/* One handshake; zeroed = fresh. */
struct auth {
	uint32_t peer;	      /* the node at the other end, as its address says */
	uint64_t incarnation; /* its own; to be believed only when the handshake has succeeded */
	uint8_t secret[AUTH_POINT];
	struct auth_frame sent, got; /* ours and theirs */
};

/* A: begin. Makes HELLO in a->sent. */
void auth_begin(struct auth *a, const struct auth_self *self, uint32_t peer,
		const struct auth_share *share, const uint8_t nonce[AUTH_NONCE]);

/* B: HELLO came from `peer`. NULL, and WELCOME is in a->sent; or what is wrong with it. */
const char *auth_answer(struct auth *a, const struct auth_self *self, uint32_t peer,
			const struct auth_frame *hello, const struct auth_share *share,
			const uint8_t nonce[AUTH_NONCE]);

/* A: WELCOME came. NULL, CONFIRM is made and *key is the channel's; or what is wrong with it. */
const char *auth_confirm(struct auth *a, const struct auth_self *self,
			 const struct auth_frame *welcome, struct auth_confirm *confirm,
			 struct seal *key);

/* B: CONFIRM came. NULL, and *key is the channel's; or what is wrong with it. */
const char *auth_finish(struct auth *a, const struct auth_self *self,
			const struct auth_confirm *confirm, struct seal *key);

#endif
