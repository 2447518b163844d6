/* SPDX-License-Identifier: MIT */
/* How we configure lwIP 2.1.3: raw API, no threads, no timers of its own (net/stack.c drives TCP). */
#ifndef NET_PORT_LWIPOPTS_H
#define NET_PORT_LWIPOPTS_H

#include "port.h"

#define NET_MTU 9000

/* One thread, one loop. */
#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET	     0
#define LWIP_NETCONN	     0
#define LWIP_TIMERS	     0
#define LWIP_HOOK_FILENAME   "hooks.h"

/* Memory. The heap holds what waits to be sent or acknowledged, and lies where the device can read
 * it. */
#define MEM_ALIGNMENT		 8
#define MEM_SIZE		 (2 * 1024 * 1024)
#define LWIP_RAM_HEAP_POINTER	 port_heap
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define MEMP_NUM_PBUF		 64
#define PBUF_POOL_SIZE		 8
#define MEMP_NUM_UDP_PCB	 16
#define MEMP_NUM_TCP_PCB	 400
#define MEMP_NUM_TCP_PCB_LISTEN	 16
#define MEMP_NUM_TCP_SEG	 4096

/* A flat network without fragments. */
#define LWIP_IPV4      1
#define LWIP_IPV6      0
#define LWIP_ARP       1
#define ARP_QUEUEING   0
#define LWIP_ICMP      1
#define LWIP_RAW       0
#define LWIP_UDP       1
#define LWIP_TCP       1
#define LWIP_DNS       0
#define LWIP_DHCP      0
#define LWIP_IGMP      0
#define IP_FORWARD     0
#define IP_REASSEMBLY  0
#define IP_FRAG	       0
#define LWIP_NETIF_API 0

/* TCP: a window that covers the virtual wire, time-outs in units of 50 ms instead of 250. */
#define TCP_MSS			   (NET_MTU - 40)
#define LWIP_WND_SCALE		   1
#define TCP_RCV_SCALE		   3
#define TCP_WND			   (256 * 1024)
#define TCP_SND_BUF		   (256 * 1024)
#define TCP_SND_QUEUELEN	   (2 * TCP_SND_BUF / TCP_MSS + 16)
#define TCP_OVERSIZE		   1024
#define TCP_QUEUE_OOSEQ		   1
#define TCP_OOSEQ_MAX_BYTES	   (128 * 1024)
#define TCP_LISTEN_BACKLOG	   1
#define TCP_DEFAULT_LISTEN_BACKLOG 64
#define LWIP_TCP_KEEPALIVE	   1
#define TCP_TMR_INTERVAL	   50
#define LWIP_TCP_RTO_TIME	   1000
#define TCP_MSL			   1000
#define TCP_SYNMAXRTX		   5
/* Not the limit that matters: stack.c bounds the pause between repeats and the silence of a peer. */
#define TCP_MAXRTX 12
/* The check counts receive buffers in lwIP's own pool; ours are the card's. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define TCP_SNDLOWAT		       (4 * TCP_MSS) /* of the sockets we do not use */

/* Statistics for NET_CTL_STATS and for the log line about junk. */
#define LWIP_STATS	   1
#define LWIP_STATS_LARGE   1
#define LWIP_STATS_DISPLAY 0
#define MIB2_STATS	   1 /* for the count of segments sent again */

#endif
