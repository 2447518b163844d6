/* SPDX-License-Identifier: MIT */
/*
 * What this node knows of the others: their last reports, and whether they are alive. Sends our
 * reports, receives theirs, and publishes the result in the kernel's node table, where the
 * migration handler and the commands read it.
 */
#ifndef LOAD_CLUSTER_H
#define LOAD_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"
#include "report.h"

/* What a report of ours says of this node; the rest is filled in. */
struct cluster_self {
	uint32_t load_milli, threshold_milli, balancing;
	uint64_t free_bytes;
	uint32_t settle_ms, beat_ms, suspect_ms;
};

/* Start listening. `due` is called when it is time for the next tick because others have theirs. */
void cluster_start(uint32_t node, uint32_t nodes, void (*due)(void));

/* Time passed: judge who is silent, publish, and send what is due: a report to every node, if there
 * is something to say or the last one is a beat old; else one to those who are overdue. Does nothing
 * before init has given this node its incarnation. Returns until when all is quiet, if it stays so;
 * 0: it is not. */
uint64_t cluster_tick(const struct cluster_self *current);

/* This node itself was away for so long: see detector_away. */
void cluster_away(uint64_t ns);

/* Send a report now: a move has begun, which others must know before they choose the same node. */
void cluster_report(const struct cluster_self *current);

/* The other nodes as the policy wants them; `peers` has room for WH_MAX_NODES. Returns how many.
 * Moves of our own are counted by the caller. */
size_t cluster_peers(struct load_peer *peers);

/* Was this incarnation of ours declared dead by an operator? Then nobody listens to us any more. */
bool cluster_outcast(void);

/*
 * The operator's fence. 0; -EINVAL: no such node, or ourselves; -ESRCH: never heard of; -EBUSY: it
 * is alive. `why` gets a line of text.
 */
int cluster_fence(uint32_t node, char *why, size_t size);

/* Table `nodes`, and the part of table `load` about other nodes. Return the length, below `size`. */
size_t cluster_nodes_text(char *text, size_t size);
size_t cluster_load_text(char *text, size_t size);

#endif
