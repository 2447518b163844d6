/* SPDX-License-Identifier: MIT */
/*
 * Our configuration of lwIP as its own unit tests are run in: net/port/lwipopts.h, and beside it what some tests cannot do
 * without: parts of lwIP that we leave out, and small windows, since they count in 16 bits what fits into a window.
 */
#ifndef TESTS_HOST_LWIP_LWIPOPTS_H
#define TESTS_HOST_LWIP_LWIPOPTS_H

#include <sys/time.h>

#include "net/port/lwipopts.h"

#define LWIP_TESTMODE 1

/* Tests foretell sequence numbers: ours are random. */
#undef LWIP_HOOK_FILENAME

/* They count ticks to the first repeat, which lwIP sends after 3 s whatever a tick is; stack.c bounds that for us. */
#undef TCP_TMR_INTERVAL
#define TCP_TMR_INTERVAL 250

/* Left out of a node's stack. */
#undef NO_SYS
#undef LWIP_SOCKET
#undef LWIP_NETCONN
#undef LWIP_TIMERS
#undef LWIP_IPV6
#undef LWIP_DHCP
#undef LWIP_IGMP
#undef IP_REASSEMBLY
#undef IP_FRAG
#undef LWIP_RAW
#define NO_SYS			       0
#define LWIP_SOCKET		       1
#define LWIP_NETCONN		       1
#define LWIP_NETCONN_FULLDUPLEX	       1
#define LWIP_NETCONN_SEM_PER_THREAD    1
#define LWIP_NETBUF_RECVINFO	       1
#define LWIP_HAVE_LOOPIF	       1
#define LWIP_TIMERS		       1
#define LWIP_IPV6		       1
#define LWIP_DHCP		       1
#define LWIP_IGMP		       1
#define LWIP_MDNS_RESPONDER	       1
#define LWIP_NUM_NETIF_CLIENT_DATA     1
#define IP_REASSEMBLY		       1
#define IP_FRAG			       1
#define LWIP_RAW		       1
#define ETHARP_SUPPORT_STATIC_ENTRIES  1
#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_TIMEVAL_PRIVATE	       0 /* the host has one */
#define TCPIP_THREAD_TEST
#define MEMP_NUM_SYS_TIMEOUT	   (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 8)
#define LWIP_MEM_ILLEGAL_FREE(msg) /* a test does that */

/* Sizes. */
#undef TCP_MSS
#undef TCP_WND
#undef TCP_SND_BUF
#undef TCP_SND_QUEUELEN
#undef TCP_RCV_SCALE
#undef MEM_SIZE
#undef PBUF_POOL_SIZE
#undef MEMP_NUM_TCP_SEG
#undef TCP_OOSEQ_MAX_BYTES
#define TCP_MSS		 536
#define TCP_WND		 (10 * TCP_MSS)
#define TCP_SND_BUF	 (12 * TCP_MSS)
#define TCP_SND_QUEUELEN 40
#define TCP_RCV_SCALE	 0
#define MEM_SIZE	 16000
#define PBUF_POOL_SIZE	 400
#define MEMP_NUM_TCP_SEG TCP_SND_QUEUELEN

#endif
