/* SPDX-License-Identifier: MIT */
/* Private to the TCP half: a connection as tcp.c keeps it, and the listeners of listen.c. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/tcp.h"

#include "stream.h"
#include "wh.h"

enum { MAX_SENDS = 4 }; /* a power of two */

/* A NET_SEND that lwIP has not taken whole. */
struct send {
	uint64_t request;
	uint32_t len, off; /* bytes in all, taken */
};

/* One connection of a service. Without pcb: it has ended, and waits for the owner to close it. */
struct conn {
	unsigned svc;  /* owner; 0: free */
	uint64_t name; /* net_conn.conn */
	unsigned node; /* at the other end */
	struct tcp_pcb *pcb;
	int error;     /* why it ended, -errno */
	bool finished; /* the peer has closed its direction */
	/* requests that wait, 0: none */
	uint64_t connecting, receiving;
	uint32_t recv_room;
	struct send send[MAX_SENDS]; /* a ring */
	unsigned send_first, sends;
	uint64_t waiting_since; /* last progress of sending, node monotonic ns */
	struct rx_queue rx;
	bool is_ready;
	struct conn *next_ready;
	struct conn *next_queued; /* accepted and not yet fetched */
};

/* A connection for an accepted pcb; NULL: not from a node, or the table is full. */
struct conn *conn_accepted(unsigned svc, struct tcp_pcb *pcb);
/* Fill in the net_conn of an answer. */
void conn_describe(const struct conn *c, struct wh_msg *m);
/* Reset and forget it; or all of a service. */
void conn_abort(struct conn *c);
void conn_abort_all(unsigned svc);

/* Requests NET_LISTEN and NET_ACCEPT. */
void on_listen(const struct wh_event *ev);
void on_accept(const struct wh_event *ev);

void listen_gone(unsigned svc);
unsigned listen_count(void);

#endif
