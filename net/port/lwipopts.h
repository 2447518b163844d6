/* SPDX-License-Identifier: MIT */
/* How we configure lwIP 2.1.3: raw API, no threads, no timers of its own (net/stack.c drives TCP). */
#ifndef NET_PORT_LWIPOPTS_H
#define NET_PORT_LWIPOPTS_H

#include "port.h"

/* The cluster's wire: frames with headers, but our tail (cable.h) within, that lwIP can count. */
#define NET_MTU_MAX	65521
#define NET_MTU_DEFAULT 61488 /* segments of 15 pages */

/* One thread, one loop. */
#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET	     0
#define LWIP_NETCONN	     0
#define LWIP_TIMERS	     0
#define LWIP_HOOK_FILENAME   "hooks.h"

/* Memory. The heap holds what waits to be sent or acknowledged, and lies where the device can read
 * it. */
#define MEM_ALIGNMENT		     8
#define MEM_SIZE		     (4 * 1024 * 1024 - 8192)
#define LWIP_RAM_HEAP_POINTER	     port_heap
#define LWIP_SUPPORT_CUSTOM_PBUF     1
#define PBUF_LINK_ENCAPSULATION_HLEN 12	  /* NIC_HEADROOM */
#define MEMP_NUM_PBUF		     4096 /* what users have written is sent from where it lies */
#define PBUF_POOL_SIZE		     8
#define MEMP_NUM_UDP_PCB	     256
#define MEMP_NUM_RAW_PCB	     256
#define MEMP_NUM_TCP_PCB	     400
#define MEMP_NUM_TCP_PCB_LISTEN	     256
#define MEMP_NUM_TCP_SEG	     8192

/* A flat network without fragments. */
#define LWIP_IPV4		     1
#define LWIP_IPV6		     0
#define LWIP_ARP		     1
#define ARP_QUEUEING		     0
#define LWIP_ICMP		     1
#define LWIP_RAW		     1
#define LWIP_UDP		     1
#define LWIP_TCP		     1
#define LWIP_DNS		     0
#define LWIP_DHCP		     0
#define LWIP_IGMP		     0
#define IP_FORWARD		     0
#define IP_REASSEMBLY		     0
#define IP_FRAG			     0
#define LWIP_NETIF_API		     0
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1 /* cable.c: by what the wire may do */

/* Users' sockets: this node's own addresses, and ports that are used again. */
#define LWIP_HAVE_LOOPIF	1
#define LWIP_NETIF_LOOPBACK	1
#define LWIP_LOOPBACK_MAX_PBUFS 1024
#define SO_REUSE		1

/* TCP: a window that covers the virtual wire, time-outs in units of 50 ms instead of 250. */
#define TCP_MSS			   (NET_MTU_MAX - 48) /* at most: the interface decides */
#define LWIP_WND_SCALE		   1
#define TCP_RCV_SCALE		   5
#define TCP_WND			   (1024 * 1024)
#define TCP_SND_BUF		   (1024 * 1024)
#define TCP_SND_QUEUELEN	   2048
#define TCP_OVERSIZE		   1024
#define TCP_QUEUE_OOSEQ		   1
#define TCP_OOSEQ_MAX_BYTES	   TCP_WND
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
