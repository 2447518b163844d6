/* SPDX-License-Identifier: MIT */
/* Family AF_INET: datagrams of UDP and ICMP. One that comes is copied into kernel memory, up to what SO_RCVBUF allows. */
#include "env/inet.h"
#include "poll.h"
#include "proc.h"

#define IP_TTL_	    2
#define IP_PKTINFO_ 8
#define ICMP_ECHO   8
#define UDP_MAX	    65507u
#define ALL_MAX	    (4u << 20) /* bytes of datagrams that wait, of all sockets */

static u32 all_bytes;

struct pktinfo {
	i32 ifindex;
	u32 spec_dst, addr;
};

struct datagram *inet_dgram_new(struct inet *i, u32 len)
{
	if (i->s.shut & 1 << SHUT_RD ||
	    i->datagram_bytes + len + sizeof(struct datagram) > i->s.opt.rcvbuf ||
	    all_bytes + len + sizeof(struct datagram) > ALL_MAX)
		return NULL;
	struct datagram *d = kmalloc(sizeof *d + len);
	if (d)
		d->len = len;
	return d;
}

static void account(struct inet *i, const struct datagram *d, bool in)
{
	u32 n = d->len + (u32)sizeof *d;
	i->datagram_bytes += in ? n : -n;
	all_bytes += in ? n : -n;
}

void inet_dgram_put(struct inet *i, struct datagram *d, bool first)
{
	if (first)
		list_push_front(&i->datagrams, &d->link);
	else
		list_push_back(&i->datagrams, &d->link);
	account(i, d, true);
}

static struct datagram *take_first(struct inet *i)
{
	struct datagram *d = container_of(i->datagrams.next, struct datagram, link);
	list_remove(&d->link);
	account(i, d, false);
	return d;
}

void inet_dgram_drop(struct inet *i)
{
	list_for_each_safe(d, &i->datagrams, struct datagram, link) {
		list_remove(&d->link);
		account(i, d, false);
		kfree(d);
	}
}

/* ---- sending ---- */

/* An echo socket has its number in its requests, whatever the program put there. */
static i64 finish_echo(const struct inet *i, u8 *p, u64 len)
{
	if (len < 8)
		return -EINVAL;
	if (p[0] != ICMP_ECHO || p[1] != 0)
		return -EINVAL;
	p[4] = (u8)(i->local.port >> 8);
	p[5] = (u8)i->local.port;
	p[2] = p[3] = 0; /* the net server computes the sum */
	return 0;
}

static i64 number_echo(struct inet *i)
{
	struct sock_req q = {0};
	if (i->s.protocol != IPPROTO_ICMP || i->s.type != SOCK_DGRAM || i->bound)
		return 0;
	i64 r = inet_request(i, SOCK_BIND, &q, NULL, 0);
	if (r)
		return r;
	i->local.port = q.lport;
	i->bound = true;
	return 0;
}

i64 inet_dgram_send(struct inet *i, struct sock_io *io)
{
	struct inet_addr to = {0};
	if (i->s.shut & 1 << SHUT_WR)
		return -EPIPE;
	i64 r = socket_take_error(&i->s);
	if (!r && io->len > UDP_MAX)
		r = -EMSGSIZE;
	if (!r && io->addr.len)
		r = inet_addr_in(&io->addr, &to);
	else if (!r && i->state != INET_CONNECTED)
		r = -EDESTADDRREQ;
	if (!r && io->addr.len && !to.port && i->s.protocol == IPPROTO_UDP)
		r = -EINVAL;
	if (!r)
		r = inet_may_reach(i, io->addr.len ? &to : &i->peer);
	if (!r)
		r = number_echo(i);
	if (r)
		return r;
	u8 *buf = kmalloc(io->len + 1);
	if (!buf)
		return -ENOBUFS;
	r = sock_gather(io, 0, buf, io->len);
	if (!r && i->s.protocol == IPPROTO_ICMP && i->s.type == SOCK_DGRAM)
		r = finish_echo(i, buf, io->len);
	struct sock_req q = {.addr = to.addr, .port = to.port};
	if (!r)
		r = inet_request(i, SOCK_SEND, &q, buf, io->len);
	kfree(buf);
	if (r < 0)
		return r;
	if (!i->bound && i->s.protocol == IPPROTO_UDP) {
		i->local.port = q.lport;
		i->bound = true;
	}
	return (i64)io->len;
}

/* ---- receiving ---- */

static int put_control(const struct inet *i, const struct datagram *d, struct sock_io *io)
{
	i32 ttl = (i32)d->ttl;
	struct pktinfo info = {1, d->to.addr, d->to.addr};
	int err = i->pktinfo ? sock_put_cmsg(io, IPPROTO_IP, IP_PKTINFO_, &info, sizeof info) : 0;
	if (!err && i->recvttl)
		err = sock_put_cmsg(io, IPPROTO_IP, IP_TTL_, &ttl, sizeof ttl);
	return err;
}

i64 inet_dgram_recv(struct inet *i, struct sock_io *io)
{
	u64 deadline = socket_deadline(i->s.opt.rcvtimeo_ns);
	while (list_empty(&i->datagrams)) {
		i64 r = socket_take_error(&i->s);
		if (!r && i->s.shut & 1 << SHUT_RD)
			return 0;
		if (!r)
			r = socket_wait(&i->s.readers, io->flags & MSG_DONTWAIT, deadline);
		if (r)
			return r;
	}
	/* The copy may wait for a page: nobody else gets this one meanwhile. */
	struct datagram *d = take_first(i);
	u64 n = MIN((u64)d->len, io->len);
	int err = sock_scatter(io, 0, d->bytes, n);
	if (!err)
		err = put_control(i, d, io);
	inet_addr_out(&d->from, &io->addr);
	if (n < d->len)
		io->out_flags |= MSG_TRUNC;
	i64 r = err ? err : io->flags & MSG_TRUNC ? (i64)d->len : (i64)n;
	if (io->flags & MSG_PEEK) {
		inet_dgram_put(i, d, true);
	} else {
		kfree(d);
	}
	return r;
}
