/* SPDX-License-Identifier: MIT */
/* The TCP half of the NET service: listeners and connections of the other servers (abi/msg_net.h). */
#ifndef NET_TCP_H
#define NET_TCP_H

#include <stdint.h>

void tcp_service_start(void);

/* Every slow tick (node monotonic ns): repeat what had no room, end what waits for a silent peer. */
void tcp_service_tick(uint64_t now);

/* A service died: end what it had. */
void tcp_service_gone(unsigned svc);

/* Counters for NET_CTL_STATS. */
struct tcp_service_stats {
	unsigned listeners, connections;
	uint64_t opened, accepted, timed_out;
};
void tcp_service_stats(struct tcp_service_stats *s);

#endif
