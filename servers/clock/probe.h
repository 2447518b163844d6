/* SPDX-License-Identifier: MIT */
/* Measuring the other nodes' clocks, over UDP, and answering their measurements. */
#ifndef CLOCK_PROBE_H
#define CLOCK_PROBE_H

#include <stdint.h>

struct serve_ctl;

/* Start. `now` returns this node's REALTIME in ns. */
void probe_start(uint32_t node, uint32_t nodes, int64_t (*now)(void));

/* This node's clock was set: what was measured so far is void. */
void probe_clock_was_set(void);

/* CLOCK_CTL_OFFSETS: a line for each peer. */
void probe_table(const struct serve_ctl *c);

#endif
