/* SPDX-License-Identifier: MIT */
/*
 * Layout of the messages listed in wire.def. All numbers little endian, no padding. A message is
 * one struct wire_msg (whatever its type) and head.bytes further bytes, which only IMAGE has.
 */
#ifndef WHIMBREL_WIRE_H
#define WHIMBREL_WIRE_H

#include <stdint.h>

#define WIRE_VERSION   1
#define WIRE_TEXT      160   /* bytes of a reason, the terminating zero included */
#define WIRE_FEATURES  8     /* 32-bit words of processor features, XCR0 included */
#define WIRE_CHUNK_MAX 61440 /* bytes of the image in one IMAGE message */

enum wire_type {
#define WIRE(name, number, body, way, meaning) WIRE_##name = (number),
#include "wire.def"
#undef WIRE
	WIRE_TYPES
};

/* Unique for ever, unlike the pid: home node, its incarnation, birth on its own scale (design 11). */
struct wire_uq {
	uint64_t birth;
	uint32_t home, incarnation;
};

struct wire_head {
	uint16_t type, version;
	uint32_t bytes; /* that follow the body */
	uint32_t from, from_inc;
	uint32_t to, to_inc; /* to_inc 0: whichever incarnation is there (HELLO, ASK, SIGNAL) */
	/* The attempt: {source node, its incarnation, serial}; uq and epoch say what it is about. */
	struct wire_uq uq;
	uint32_t epoch; /* the one P has, or would have, at D */
	uint32_t serial;
	/*
	 * D's own number of the attempt, given in ACCEPT and repeated by S from then on (else 0).
	 * Without it a late second copy of a whole handshake would make D run P again after S has
	 * died.
	 */
	uint32_t ticket, zero;
};

struct wire_none {
	uint32_t zero[2];
};

struct wire_hello {
	uint32_t image_version;
	uint32_t features[WIRE_FEATURES];
	uint32_t zero;
};

struct wire_offer {
	uint64_t pages, bytes; /* resident pages; an upper bound of the image in bytes */
	uint32_t files, pid;
	uint32_t uid, pinned; /* pinned: the load server of D leaves it alone */
	char comm[16];
};

struct wire_refuse {
	char reason[WIRE_TEXT];
};

struct wire_image {
	uint32_t chunk, last; /* number of this chunk from 0; 1 if no further one exists */
};

struct wire_taken {
	uint32_t next, zero;
};

struct wire_prepared {
	uint64_t digest;
};

struct wire_where {
	uint32_t pid, node, inc, zero; /* P runs, or is said to run, in this incarnation of node */
};

struct wire_exited {
	uint32_t pid;
	int32_t status; /* as wait4 gives it */
	uint32_t lost, zero;
};

struct wire_ask {
	uint32_t pid;
	uint32_t dead, dead_inc; /* evidence: this node's incarnations up to dead_inc are gone */
	uint32_t zero;
};

enum wire_order { WIRE_ORDER_SIGNAL, WIRE_ORDER_PARENT };

struct wire_signal {
	uint32_t pid, order;	/* enum wire_order */
	uint32_t value, zero;	/* signal number, or pid of the new parent */
	uint32_t number, floor; /* of this sender to this receiver; below floor all are answered */
};

struct wire_told {
	uint32_t number, here;
};

union wire_body {
	struct wire_none none;
	struct wire_hello hello;
	struct wire_offer offer;
	struct wire_refuse refuse;
	struct wire_image image;
	struct wire_taken taken;
	struct wire_prepared prepared;
	struct wire_where where;
	struct wire_exited exited;
	struct wire_ask ask;
	struct wire_signal signal;
	struct wire_told told;
};

struct wire_msg {
	struct wire_head head;
	union wire_body u;
};

_Static_assert(sizeof(struct wire_head) == 56, "wire_head has no padding");
_Static_assert(sizeof(union wire_body) == WIRE_TEXT, "no body is longer than a reason");
_Static_assert(sizeof(struct wire_msg) == 56 + WIRE_TEXT, "wire_msg has no padding");

#endif
