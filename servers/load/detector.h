/* SPDX-License-Identifier: MIT */
/*
 * The failure detector: which nodes are alive, judged by the reports that arrive. Pure.
 *
 * Silence proves nothing: a silent node may be slow, or cut off and running. So silence makes a
 * node SUSPECT and no more: nothing new is sent there, what it owns stays its own. That a node, or
 * rather one incarnation of it, is *dead* is known in two ways only, and for ever:
 *   - a report of a later incarnation: it has been restarted, so what ran there before is gone;
 *   - the operator's word (`nodes dead K`), passed on in the reports of every node.
 * This is the fence that the migration protocol waits for (design §8).
 */
#ifndef LOAD_DETECTOR_H
#define LOAD_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "whimbrel.h"

struct detected {
	enum wh_node_state state;
	uint64_t incarnation; /* the latest heard of */
	uint64_t fenced;      /* this incarnation and all before are dead; 0: none */
	uint64_t heard_ns;    /* when the last report came; 0: never */
};

struct detector {
	uint32_t self;	     /* this node: always alive, never judged */
	uint64_t ask_ns;     /* silence after which a node is asked for a report */
	uint64_t suspect_ns; /* silence after which a node is suspected */
	struct detected node[WH_MAX_NODES + 1]; /* by number, from 1 */
};

enum detector_news {
	DETECTOR_SAME,	 /* nothing new: still alive */
	DETECTOR_ALIVE,	 /* first report, or heard again */
	DETECTOR_REBORN, /* a new incarnation: the one before is fenced */
	DETECTOR_GHOST,	 /* a report of a dead incarnation: ignore it */
};

void detector_init(struct detector *d, uint32_t self, uint64_t incarnation, uint64_t ask_ns,
		   uint64_t suspect_ns);

/* A report came. node: 1..WH_MAX_NODES, not ourselves; incarnation > 0. */
enum detector_news detector_report(struct detector *d, uint32_t node, uint64_t incarnation,
				   uint64_t now);

/* Time passed. Returns the nodes that have just become suspect: bit (node - 1). */
uint64_t detector_tick(struct detector *d, uint64_t now);

/* The nodes that are alive and have been silent for so long that one had better ask: bit (node - 1).
 * One lost report is no silence, and who is asked answers at once. */
uint64_t detector_overdue(const struct detector *d, uint64_t now);

/* When somebody may become overdue, if nothing is heard until then; UINT64_MAX: nobody can. */
uint64_t detector_overdue_at(const struct detector *d);

/* This node was itself away, stopped or starved, for `ns` until `now`: what it did not hear meanwhile
 * says nothing about the others. */
void detector_away(struct detector *d, uint64_t ns, uint64_t now);

/* `incarnation` of a node, and all before, are dead. True if that is news. */
bool detector_fence(struct detector *d, uint32_t node, uint64_t incarnation);

#endif
