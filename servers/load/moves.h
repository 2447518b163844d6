/* SPDX-License-Identifier: MIT */
/*
 * The moves that this node's policy has started: asked of the migration handler, asynchronously,
 * and remembered for as long as the averages do not show them, and as a log.
 */
#ifndef LOAD_MOVES_H
#define LOAD_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report.h"

/* Ask for the process to be moved. `done` is called when one ended. False: the handler takes none. */
bool moves_start(int32_t pid, const char *comm, uint32_t node, void (*done)(void));

/* Moves under way. */
uint32_t moves_under_way(void);

/* Load that left, or is leaving, and is still in our average; to `node`, or to all if node is 0. */
uint32_t moves_unseen(uint32_t node, uint32_t settle_ms);

/* Is the process to be left alone: under way, or refused less than `bar_ms` ago (and longer after
 * repeated refusals)? */
bool moves_barred(int32_t pid, uint32_t bar_ms);

/* Fill the rows of a report; returns how many. */
unsigned moves_rows(struct report_move *rows, uint32_t settle_ms);

/* The log, latest first, one line each. Returns the length, below `size`. */
size_t moves_text(char *text, size_t size);

#endif
