/* SPDX-License-Identifier: MIT */
/*
 * Sockets of user programs (abi/msg_sock.h), between lwIP and the kernel. sock.c: the table, requests, news; sock_tcp.c and
 * sock_dgram.c: the protocols.
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/ip_addr.h"

#include "msg_sock.h"
#include "wh.h"

struct pbuf;
struct tcp_pcb;
struct udp_pcb;
struct raw_pcb;

/* Memory that the kernel writes what is to be sent into. */
struct ring {
	uint8_t *mem; /* NULL: none */
	uint32_t size;
	uint64_t start; /* position of its first byte */
};

struct sock {
	uint32_t id; /* 0: the kernel has forgotten it; it ends when what was written is through */
	uint16_t protocol;
	bool raw;
	struct sock_options opt;
	struct udp_pcb *udp;
	struct raw_pcb *icmp;
	uint16_t ident; /* of an echo socket; 0: none yet */

	/* TCP. Positions count from the beginning of the connection. */
	struct tcp_pcb *pcb; /* NULL: not yet, or it has ended */
	bool listening, connecting;
	bool eof, eof_told; /* the peer sends no more */
	bool shut, fin;	    /* nor do we: asked for, done */
	bool acked_news;    /* to be told */
	int error;	    /* to be told, -errno */
	bool ready;	    /* in the list of those who have something to tell */
	struct sock *next_ready, *next_orphan;
	struct pbuf *rx,
		*rx_last; /* received and not taken by a program: packets chained, tot_len does not add up */
	struct pbuf *untold;	    /* the first of them that the kernel does not know of */
	unsigned rx_count;	    /* packets */
	uint64_t rx_start, rx_read; /* position of rx; taken */
	uint64_t written, queued, acked;
	struct ring ring,
		old;	  /* old: what was written before the ring was changed is not all acked */
	uint64_t grow_at; /* written: then the ring may grow */
	uint64_t swept;	  /* what was written at the last sweep */
	uint64_t orphan_since;
};

void sock_service_start(void);

struct sock_service_stats {
	unsigned sockets, connections, orphans;
	uint64_t ring_bytes, rx_bytes, refused;
};
void sock_service_stats(struct sock_service_stats *s);

/* ---- between the files ---- */
extern struct sock_service_stats sock_stats;
struct sock *sock_find(uint32_t id);
struct sock *sock_new(uint32_t id, uint16_t protocol);
void sock_free(struct sock *s);
/* Is it an address of this node? Is there a way to it? */
bool sock_is_local(uint32_t addr);
int sock_route(uint32_t addr);
int sock_errno(err_t err);
/* Fetch what users have done, and do it. */
void sock_take_news(void);

int sock_tcp_bind(struct sock *s, struct sock_req *q);
int sock_tcp_listen(struct sock *s, struct sock_req *q);
int sock_tcp_connect(struct sock *s, struct sock_req *q);
void sock_tcp_set(struct sock *s);
void sock_tcp_news(struct sock *s, const struct sock_news *n);
void sock_tcp_close(struct sock *s, bool reset);
void sock_tcp_deliver(void);

int sock_dgram_open(struct sock *s);
int sock_dgram_bind(struct sock *s, struct sock_req *q);
int sock_dgram_connect(struct sock *s, struct sock_req *q);
int sock_dgram_send(struct sock *s, struct sock_req *q, const struct wh_event *ev);
void sock_dgram_set(struct sock *s);
void sock_dgram_close(struct sock *s);
void sock_dgram_start(void);
/* For sock_dgram.c: each socket in turn. */
struct sock *sock_next(const struct sock *s);
#endif
