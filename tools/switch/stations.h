/* SPDX-License-Identifier: MIT */
/*
 * Who is behind which port, learnt from the source addresses of frames. Bounded in all and per port,
 * so that one port cannot push out the others' stations; what is not known is flooded, so an entry
 * that is missing costs time only. Pure (tests/host/test_fault.c).
 */
#ifndef TOOLS_SWITCH_STATIONS_H
#define TOOLS_SWITCH_STATIONS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	STATIONS = 1024,
	STATIONS_WAYS = 4,	/* places in which one address may be */
	STATIONS_PER_PORT = 128 /* learnt behind one port */
};

#define STATION_AGE_NS 300000000000u /* unheard for so long, a station is forgotten */

struct station {
	uint64_t mac; /* 0: free */
	uint64_t heard_ns;
	unsigned port;
};

/* Zeroed = empty. */
struct stations {
	struct station place[STATIONS / STATIONS_WAYS][STATIONS_WAYS];
	unsigned learnt[256]; /* by port */
};

static inline uint64_t mac_of(const uint8_t *p)
{
	uint64_t mac = 0;

	for (int i = 0; i < 6; i++)
		mac = mac << 8 | p[i];
	return mac;
}

/*
 * Node K's address, 52:54:00:00:00:K, is behind port K whatever anybody claims. The port, or 0 if
 * it is no such address of 1..nports.
 */
static inline unsigned mac_node(uint64_t mac, unsigned nports)
{
	return mac >> 8 == 0x5254000000 && (mac & 0xff) <= nports ? mac & 0xff : 0;
}

/* An address that is no node's and no group's was heard behind this port (1..255). */
void stations_learn(struct stations *s, uint64_t mac, unsigned port, uint64_t now_ns);
/* The port, or 0 if it is not known. */
unsigned stations_find(const struct stations *s, uint64_t mac, uint64_t now_ns);
/* The port's cable was pulled. */
void stations_forget(struct stations *s, unsigned port);

#endif
