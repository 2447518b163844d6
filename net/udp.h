/* SPDX-License-Identifier: MIT */
/* The UDP half of the NET service: bound ports of the other servers (abi/msg_net.h). */
#ifndef NET_UDP_H
#define NET_UDP_H

#include <stdint.h>

void udp_service_start(void);

/* A service died: unbind what it had. */
void udp_service_gone(unsigned svc);

struct udp_service_stats {
	unsigned bound;
	uint64_t queue_full; /* datagrams dropped because the service did not fetch them */
};
void udp_service_stats(struct udp_service_stats *s);

#endif
