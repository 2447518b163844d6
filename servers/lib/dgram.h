/* SPDX-License-Identifier: MIT */
/*
 * Datagrams between services of different nodes that nobody can forge, read or repeat. Pure: no
 * I/O, no clock.
 *
 * Every process that sends has a session: its node's incarnation, the time of its start, and a random
 * salt. The key of what it tells one port of one node is derived from these and the cluster's key, the
 * nonce is a counter. A datagram names the salt of the session that it is meant for: so one that was
 * recorded before its receiver started does not count, and within a session a window sees what was
 * there already. Who does not know the receiver's salt yet, or a former one's, is told it by return
 * (DGRAM_STALE), and says again what it had to say.
 */
#ifndef SERVERS_LIB_DGRAM_H
#define SERVERS_LIB_DGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seal.h"

#define DGRAM_MAGIC_OPEN   0x32444857u /* "WHD2": readable (--plain) */
#define DGRAM_MAGIC_SEALED 0x32454857u /* "WHE2" */

enum { DGRAM_SALT = 16, DGRAM_WINDOW = 64 };

enum dgram_kind {
	DGRAM_SAYS = 0,	 /* a message of the service */
	DGRAM_HEARD = 1, /* no payload: this is my salt, you had another one */
};

/* On the wire, little endian; then the payload, which may be encrypted, and a tag of SEAL_TAG bytes. */
struct dgram_head {
	uint32_t magic;
	uint16_t from, to;	     /* nodes */
	uint16_t sport, dport;	     /* as in UDP's header */
	uint16_t kind, zero;	     /* enum dgram_kind */
	uint64_t incarnation;	     /* of `from` */
	uint64_t start;		     /* of the sending process: its node's monotonic time, ns */
	uint64_t counter;	     /* of this session to this port of `to`, from 1 */
	uint8_t salt[DGRAM_SALT];    /* of the sender's session */
	uint8_t to_salt[DGRAM_SALT]; /* of the session that it is meant for; zeros: not known yet */
};
_Static_assert(sizeof(struct dgram_head) == 72, "no padding goes over the wire");

enum { DGRAM_EXTRA = sizeof(struct dgram_head) + SEAL_TAG }; /* bytes more than the payload */

/* Our own session. */
struct dgram_self {
	const uint8_t *key; /* the cluster's, SEAL_KEY bytes */
	bool plain;
	uint16_t node;
	uint64_t incarnation, start;
	uint8_t salt[DGRAM_SALT];
};

/* What we know of one port of one other node. Zeroed = nothing. */
struct dgram_mate {
	/* to it */
	uint64_t counter;
	bool keyed;
	struct seal key;
	uint8_t salt[DGRAM_SALT];  /* of its session, as far as we know */
	uint8_t stale[DGRAM_SALT]; /* of the session that last used a former salt of ours */
	/* from it: the session that we accept, and of its counters the highest and those just below */
	uint64_t incarnation, start, highest, window;
	struct seal heard_key;
};

enum dgram_verdict {
	DGRAM_GOOD,    /* payload is the sender's, now, and new */
	DGRAM_LEARNED, /* its salt: say again what was said last */
	DGRAM_STALE,   /* genuine, but for a former session of ours: answer with DGRAM_HEARD */
	DGRAM_REPEAT,  /* was here already, or is older than the window */
	DGRAM_FORMER,  /* of a former session of the sender */
	DGRAM_FOREIGN, /* no datagram of ours, or not for us */
	DGRAM_FORGED,  /* a wrong tag */
};

/* Write the datagram to out, which has room for len + DGRAM_EXTRA bytes. */
void dgram_seal(const struct dgram_self *self, struct dgram_mate *to, uint16_t node, uint16_t sport,
		uint16_t dport, enum dgram_kind kind, const void *payload, size_t len, void *out);

/*
 * A datagram came from port `sport` of `node` to our `dport`. Opens it where it lies; DGRAM_GOOD: the
 * payload is the *len bytes at *payload. Nothing changes in `from` unless the tag is right and the
 * datagram is not a repetition.
 */
enum dgram_verdict dgram_open(const struct dgram_self *self, struct dgram_mate *from, uint16_t node,
			      uint16_t sport, uint16_t dport, void *data, size_t size,
			      void **payload, size_t *len);

#endif
