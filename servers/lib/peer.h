/* SPDX-License-Identifier: MIT */
/*
 * Messages between the same service on different nodes: one logical channel to each node, over TCP.
 *
 * Connections are opened on demand by the first peer_send to a node, and each side sends only on
 * the connection that it opened, so two nodes may connect at the same moment without a tie to
 * break:
 *   1. A connects to B's port of this service and sends HELLO.
 *   2. B answers with WELCOME on the same connection: A knows B, its channel to B is up.
 *   3. A sends CONFIRM: B knows A. (auth.h says how they know, and how they get a key.)
 *   4. A's frames follow, sealed with that key; B only reads from now on. (B's answers travel on the
 *      connection that B opens.)
 *
 * Promise: frames of one channel arrive in order, intact, from the node they are said to come from,
 * read by nobody else (unless --plain) and at most once, with no gap until on_down. Loss happens only
 * with on_down(node): then anything sent to, *or expected from*, that node since may be lost, and
 * nothing is resent here. Callers put their own id into each message, and after on_down (or a
 * time-out of their own) resend what is unanswered or give it up; receivers therefore expect
 * repeated ids.
 *
 * Bytes that are not ours (garbage, another version, another cluster's, a wrong node's) are answered
 * by closing that connection with a log line. Before CONFIRM a connection costs us 5 kB of
 * memory and two hashes, and there is at most one such of each node.
 */
#ifndef SERVERS_LIB_PEER_H
#define SERVERS_LIB_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_BODY_MAX 131072 /* bytes of header plus payload in one message */
#define PEER_TYPE_MAX 0xffff /* message types 1..PEER_TYPE_MAX are the service's own */

/* Any member may be NULL, except on_message. All run from serve_run's loop; all calls are allowed
 * in them. */
struct peer_ops {
	/* A message came from `node` (which is sure). body: 8-byte aligned, header and
	 * payload joined, gone on return. It is the peer's claim: a node may be compromised, so check
	 * every length in it. */
	void (*on_message)(unsigned node, uint32_t type, uint64_t id, const void *body, size_t len);
	/* Our channel to `node` is up; its incarnation is known (peer_incarnation). */
	void (*on_up)(unsigned node);
	/* A connection with `node`, of either direction, failed or could not be made; see the
	 * promise above. May come several times in a row. */
	void (*on_down)(unsigned node);
	/* After peer_send said -EAGAIN: there is room again. */
	void (*on_room)(unsigned node);
};

/* Start listening on this service's port (services.def) and remember ops. Once, before peer_send. A node without a
 * cluster key does not listen. */
void peer_start(unsigned svc, const struct peer_ops *ops);

/*
 * Queue one message to the same service on `node`, connecting if need be (with a delay of up to 2 s
 * if the last attempt failed, so that a dead node is not hammered). Copies both parts. 0: queued,
 * not arrived. -EAGAIN: the queue is full, on_room will tell; or this node has no incarnation yet
 * (init has not run), try later. -EMSGSIZE; -EINVAL: no such node, ourselves, or a bad type;
 * -ENOMEM; -EACCES: this node has no cluster key.
 */
int peer_send(unsigned node, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
	      const void *payload, size_t plen);

/* Is our channel to `node` up? (A hint: it may have failed without anyone knowing yet.) */
bool peer_is_up(unsigned node);

/* Incarnation of `node` when it last proved itself, 0 if it never did. */
uint64_t peer_incarnation(unsigned node);

/* Incarnation with which the peer of the message now in on_message identified that connection. */
uint64_t peer_message_incarnation(void);

/* Bytes queued to `node` and not yet taken by the net server: for pacing. */
size_t peer_queued(unsigned node);

/* Close both directions now (a fenced node). No on_down follows. */
void peer_forget(unsigned node);

#endif
