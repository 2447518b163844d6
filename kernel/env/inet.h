/* SPDX-License-Identifier: MIT */
/* Between the files of the family AF_INET: a socket as the kernel keeps it. The protocols are the net server's (abi/msg_sock.h). */
#ifndef KERNEL_ENV_INET_H
#define KERNEL_ENV_INET_H
#include "env/socket.h"
#include "msg_sock.h"

enum inet_state {
	INET_NEW,
	INET_CONNECTING,
	INET_CONNECTED, /* a datagram socket: has a peer */
	INET_LISTENING,
	INET_ENDED, /* the connection failed, or was reset */
};

struct inet_addr {
	u32 addr; /* network order */
	u16 port; /* host order */
};

struct datagram {
	struct list link;
	struct inet_addr from, to;
	u32 ttl;
	u32 len;
	u8 bytes[];
};

struct inet {
	struct socket s; /* first */
	u32 id;		 /* 0: the net server does not know it, or is gone */
	enum inet_state state;
	bool bound;
	struct inet_addr local, peer;
	struct sock_options opt;
	bool recvttl, recverr, pktinfo;

	/* what the net server has yet to learn */
	struct list news_link;
	u32 news;				    /* enum sock_news_flags */
	u64 read, read_told, written, written_told; /* told: at the last news */
	u32 pieces_read;			    /* since read_told */

	/* a stream: received and not read, and the ring to write into */
	struct sock_seg *seg; /* SOCK_SEGS_MAX of them; NULL: nothing has come yet */
	u32 seg_first, seg_count;
	u64 seg_bytes;
	bool eof;
	u64 ring, ring_size, ring_start; /* address in the net server; its first byte's position */
	u64 acked;

	/* a listener: connections that nobody has accepted */
	struct list queue, queue_link;
	u32 backlog, queued;

	/* datagrams */
	struct list datagrams;
	u32 datagram_bytes;
};

static inline struct inet *inet_of(struct socket *s)
{
	return (struct inet *)s;
}

/* ---- inet_net.c: the net server ---- */

/* Give it a number; -EMFILE and its kin if there are too many. */
int inet_number(struct inet *i);
void inet_unnumber(struct inet *i); /* the net server has not taken it */
/* A request on it. 0 or -errno; the answer is in *q. Does not wait for anything but the server. */
i64 inet_request(struct inet *i, u32 type, struct sock_req *q, void *kbuf, size_t len);
/* Its options are others now. */
int inet_announce(struct inet *i);
/* The net server has something to learn of it. */
void inet_news(struct inet *i, u32 flags);
/* That more was written, when the server runs next for another reason: somebody must be sure that it will. */
void inet_news_later(struct inet *i);
/* Nobody uses it: tell, and free it. */
void inet_close(struct inet *i, bool reset);
/* A piece of the net server's memory: where the kernel sees it, and in *n (at most what it was) how far. NULL: it is gone. */
void *inet_memory(u64 addr, u64 *n, bool write);

/* ---- inet_stream.c, inet_dgram.c ---- */
i64 inet_stream_send(struct inet *i, struct sock_io *io);
i64 inet_stream_recv(struct inet *i, struct sock_io *io);
u64 inet_ring_room(const struct inet *i);
i64 inet_dgram_send(struct inet *i, struct sock_io *io);
i64 inet_dgram_recv(struct inet *i, struct sock_io *io);
/* One has come: how many bytes of it to take, or 0. */
struct datagram *inet_dgram_new(struct inet *i, u32 len);
void inet_dgram_put(struct inet *i, struct datagram *d, bool first);
void inet_dgram_drop(struct inet *i);
void inet_addr_out(const struct inet_addr *from, struct sockaddr_buf *a);
/* -EINVAL, -EAFNOSUPPORT */
int inet_addr_in(const struct sockaddr_buf *a, struct inet_addr *to);
/* May a user send to, or connect to it? -EACCES: a broadcast without SO_BROADCAST, a service's port. */
int inet_may_reach(const struct inet *i, const struct inet_addr *to);
#endif
