/* SPDX-License-Identifier: MIT */
/*
 * Requests to the NET service (other servers only). Everything that may wait is a request whose
 * reply comes later: use servers/lib/net.h, which wraps this in callbacks.
 */
#ifndef ABI_MSG_NET_H
#define ABI_MSG_NET_H
#include "whimbrel.h"

#define NET_UDP_MAX 1400  /* bytes of one datagram's payload */
#define NET_IO_MAX  65536 /* bytes of one NET_SEND/NET_RECV */

enum net_type {
	NET_UDP_BIND = 1, /* net_addr.port; one socket per port, owned by the calling service */
	NET_UDP_SEND = 2, /* net_addr (node, port = destination, lport = source), bulk in */
	NET_UDP_RECV = 3, /* net_addr.lport, bulk out; answered when a datagram is there ->
			     net_addr; status = bytes */
	NET_LISTEN = 4,	  /* net_addr.lport */
	NET_ACCEPT = 5,	  /* net_addr.lport; answered when a peer connected -> net_conn */
	NET_CONNECT =
		6, /* net_addr (node, port) -> net_conn; -ECONNREFUSED, -ETIMEDOUT, -EHOSTUNREACH */
	NET_SEND = 7, /* net_conn, bulk in; answered when all bytes were accepted; status = bytes or
			 -EPIPE */
	NET_RECV =
		8, /* net_conn, bulk out; answered when at least 1 byte is there; 0 = peer closed */
	NET_CLOSE = 9,	/* net_conn; pending requests on it are answered -ECANCELED */
	NET_ABORT = 10, /* net_conn; RST */
};

struct net_addr {
	uint32_t node;
	uint16_t port, lport;
};
struct net_conn {
	uint64_t conn;
	uint32_t node; /* peer */
	uint16_t port, lport;
};

/* NET service wh_ctl ops (text answers). */
enum net_ctl {
	NET_CTL_STATS = 1, /* lwIP and driver statistics, "name value\n" */
	NET_CTL_IPERF = 2, /* "start PORT", "stop" or "": lwIP's iperf server; root only */
};
#endif
