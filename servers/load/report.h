/* SPDX-License-Identifier: MIT */
/*
 * The report that every load server sends to every other, in one UDP datagram: a few times a
 * second while what it says changes, and else once a second, so that it is known to live. Little endian, as it lies in memory. Reports may be lost, repeated or late: each one
 * says all that there is to say, and a `seq` not above the last one's is ignored.
 */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "whimbrel.h"

enum { REPORT_MAGIC = 0x57484c44, REPORT_VERSION = 2, REPORT_ROWS = 8 };

/* Load on its way from the sender to `node`. */
struct report_move {
	uint32_t node, milli;
};

/* `incarnation` of `node`, and all before, are dead by the word of an operator. */
struct report_fence {
	uint64_t incarnation;
	uint32_t node, pad_;
};

struct load_report {
	uint32_t magic;
	uint16_t version, bytes; /* bytes = sizeof(struct load_report) */
	uint32_t check;		 /* of all the rest: UDP's own may be switched off */
	uint32_t node;		 /* the sender */
	uint64_t incarnation;	 /* of the sender */
	uint64_t seq;		 /* grows by one with every report of an incarnation */
	uint64_t free_bytes;
	uint32_t load_milli, threshold_milli;
	uint16_t balancing; /* 1: takes part, so it may be sent processes */
	uint16_t asks;	    /* 1: the receiver is to answer with a report at once */
	uint16_t nmoves, nfences;
	struct report_move move[REPORT_ROWS];
	struct report_fence fence[REPORT_ROWS];
};
_Static_assert(sizeof(struct load_report) == 248, "no padding goes over the wire");

/* Complete a report before it is sent: magic, version, size, check. */
void report_seal(struct load_report *r);

/* Is this a whole, undamaged report of node `from`, with all numbers in their ranges? Copies it. */
bool report_open(struct load_report *r, const void *data, size_t len, uint32_t from);

#endif
