/* SPDX-License-Identifier: MIT */
/*
 * The network as callbacks, for servers other than the net server: datagrams and byte streams
 * between the services of different nodes. Wraps the requests of abi/msg_net.h. For messages
 * between equal services use peer.h instead, which is built on this.
 *
 * Needs serve.h's loop; nothing here blocks. The net server may start after us or be restarted:
 * binds and listens are remembered and repeated, streams go down (on_down), datagrams are lost. A
 * node is named by its number; there are no addresses here.
 */
#ifndef SERVERS_LIB_NET_H
#define SERVERS_LIB_NET_H

#include <stddef.h>
#include <stdint.h>

#include "dgram.h"
#include "msg_net.h"

enum {
	NET_MAX_BINDS = 8,     /* ports of one server, UDP and TCP each */
	NET_MAX_STREAMS = 288, /* of one server: both directions to every node, and some spare */
	NET_QUEUE_MAX = 512 * 1024, /* bytes queued on one stream before net_send says -EAGAIN */
	NET_MAX_PIECES = 6,
	NET_DATAGRAM_MAX = NET_UDP_MAX - DGRAM_EXTRA, /* bytes of one datagram of ours */
};

/* ---- datagrams ---- */

/* A datagram came to our port from `node`, port `port`: authenticated, not a repetition, and of that
 * node's present session (dgram.h). The data is gone when this returns. */
typedef void (*net_datagram_fn)(void *arg, unsigned node, uint16_t port, const void *data,
				size_t len);

/* Receive datagrams for `port` of this node, now or as soon as the net server runs. */
void net_udp_bind(uint16_t port, net_datagram_fn fn, void *arg);
/* Send from our bound port `lport` at most NET_DATAGRAM_MAX bytes; copies and seals. 0; or -EMSGSIZE, -EAGAIN (too
 * many at once, or this node has no incarnation yet), -ESRCH (no net server now), -EACCES (no cluster key), -EINVAL
 * (no such node, or not bound). 0 means handed over, not arrived. */
int net_udp_send(uint16_t lport, unsigned node, uint16_t port, const void *data, size_t len);

/* ---- streams ---- */

struct net_stream; /* one TCP connection; freed by the library after on_down has returned */

/* A piece of what is to be sent. */
struct net_piece {
	const void *data;
	size_t len;
};

/*
 * What a stream tells its owner. Any member may be NULL, except on_down. Inside every callback all
 * calls below are allowed, net_close(s) too. After on_down `s` must not be used again.
 */
struct net_stream_ops {
	void (*on_up)(struct net_stream *s); /* connected (streams of net_connect only) */
	void (*on_data)(struct net_stream *s, void *data,
			size_t len); /* data: 8-byte aligned, may be changed, gone on return */
	void (*on_room)(struct net_stream *s); /* after -EAGAIN: half of the queue is free again */
	/* Exactly once, the last call: why = 0 the peer closed, or -errno (-ECONNREFUSED,
	 * -ETIMEDOUT, -ECONNRESET, -EHOSTUNREACH, -EIO: the net server died). What was queued is
	 * lost. Not called for a stream that the owner closed himself. */
	void (*on_down)(struct net_stream *s, int why);
};

/* A peer connected to `port`. Set the owner's pointer with net_set_arg, return the ops; NULL: close
 * it. */
typedef const struct net_stream_ops *(*net_accept_fn)(void *arg, struct net_stream *s);

/* Accept connections on `port`, now or as soon as the net server runs. */
void net_listen(uint16_t port, net_accept_fn fn, void *arg);

/*
 * Connect to a node's port, not before `not_before` (node monotonic ns, 0: at once; for
 * reconnecting with a delay). What is sent meanwhile is queued. NULL: too many streams, or no
 * memory. on_up or on_down follows, never from inside this call.
 */
struct net_stream *net_connect(unsigned node, uint16_t port, uint64_t not_before,
			       const struct net_stream_ops *ops, void *arg);

/* Queue the pieces, all or nothing; copies. 0; -EAGAIN: the queue is full, on_room will tell (a
 * single send into an empty queue may exceed NET_QUEUE_MAX); -ENOMEM. */
int net_send(struct net_stream *s, const struct net_piece *piece, unsigned pieces);

/* The same without a copy: room for len bytes at the end of the queue, 8-byte aligned, to be filled
 * and passed to net_commit before anything else is called. NULL: *err says why, as net_send would. */
void *net_reserve(struct net_stream *s, size_t len, int *err);
void net_commit(struct net_stream *s, size_t len);

/* Stop reading (back-pressure to the peer by TCP's window), or read on. A chunk already on its way
 * may still be delivered. */
void net_pause(struct net_stream *s, int paused);

/* End it at once: no callback follows, what is queued is lost. The peer sees a close, or a reset if
 * data was lost. `s` is gone. */
void net_close(struct net_stream *s);

unsigned net_node(const struct net_stream *s); /* at the other end */
size_t net_queued(const struct net_stream *s); /* bytes not yet taken by the net server */
void *net_arg(const struct net_stream *s);
void net_set_arg(struct net_stream *s, void *arg);

#endif
