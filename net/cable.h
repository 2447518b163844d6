/* SPDX-License-Identifier: MIT */
/*
 * The cluster's wire: what is checked on it depends on what its owner, the switch, says it may do
 * to frames (abi/link.h).
 */
#ifndef NET_CABLE_H
#define NET_CABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"

#include "link.h"
#include "nic.h"

enum { LINK_TAIL_BYTES = sizeof(struct link_tail) };

struct cable_stats {
	unsigned mode;	   /* enum link_mode we go by */
	uint32_t epoch;	   /* of it; 0: nobody has told us */
	uint64_t told;	   /* times */
	uint64_t bad_tail; /* frames dropped because their tail was wrong */
	uint64_t no_tail;  /* or because they had none (LINK_CHECKED) */
};

/* Go by LINK_OPEN and ask. `n` is the interface at `nic`. */
void cable_start(struct netif *n, struct nic *nic);

/* Send a frame, with a tail if the wire asks for one. */
err_t cable_send(struct pbuf *p);

/* Was this frame the switch's, for us? Of any length; the pbuf stays the caller's. */
bool cable_told(const struct pbuf *p);

/* May the stack have this frame, of at least the smallest headers' size? */
bool cable_accept(const struct pbuf *p);

/* Every tick: asks again. */
void cable_tick(uint64_t now);

const struct cable_stats *cable_stats(void);

#endif
