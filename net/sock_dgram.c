/* SPDX-License-Identifier: MIT */
/* Datagram sockets of user programs: UDP, and ICMP in two kinds (echo, raw). What comes is told to the kernel at once, which
 * copies it or drops it. */
#include <errno.h>

#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/raw.h"
#include "lwip/udp.h"

#include "port.h"
#include "serve.h"
#include "sock.h"
#include "stack.h"

enum { SEGS = 64, ICMP_HEADER = 8, ECHO_ID = 4, UNREACHABLE = 3, OF_PORT = 3 };

/* ---- what comes ---- */

/* Tell the bytes of p from `skip` on. */
static void tell(struct sock *s, const struct pbuf *p, size_t skip, uint16_t rport)
{
	struct sock_seg seg[SEGS];
	struct sock_tell t = {
		.id = s->id,
		.what = SOCK_T_DGRAM,
		.laddr = ip4_addr_get_u32(ip4_current_dest_addr()),
		.raddr = ip4_addr_get_u32(ip4_current_src_addr()),
		.lport = s->udp ? s->udp->local_port : 0,
		.rport = rport,
		.ttl = IPH_TTL(ip4_current_header()),
		.segs = (uintptr_t)seg,
	};

	for (; p && t.n < SEGS; p = p->next) {
		size_t here = LWIP_MIN(skip, p->len);

		skip -= here;
		seg[t.n++] = (struct sock_seg){(uintptr_t)p->payload + here, p->len - here};
	}
	if (!p && wh_sock_tell(&t) == 0)
		return;
	sock_stats.refused++;
}

static void on_udp(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *addr,
		   u16_t port)
{
	(void)pcb;
	(void)addr;
	tell(arg, p, 0, port);
	pbuf_free(p);
}

/* Every raw socket sees every ICMP packet, an echo socket the answers to its own requests; lwIP goes on with it. */
static u8_t on_icmp(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
	struct sock *s = arg;
	size_t header = ip_current_header_tot_len();
	uint8_t h[ICMP_HEADER];

	(void)pcb;
	(void)addr;
	if (s->raw)
		tell(s, p, 0, 0);
	else if (pbuf_copy_partial(p, h, sizeof(h), header) == sizeof(h) && h[0] == ICMP_ER &&
		 s->ident && (h[ECHO_ID] << 8 | h[ECHO_ID + 1]) == s->ident)
		tell(s, p, header, 0);
	return 0;
}

/* "Nobody listens there": the connected socket that had sent the datagram learns it. */
static u8_t on_any_icmp(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
	uint8_t h[ICMP_HEADER + IP_HLEN + 8];
	size_t header = ip_current_header_tot_len();

	(void)arg;
	(void)pcb;
	(void)addr;
	if (pbuf_copy_partial(p, h, sizeof(h), header) != sizeof(h) || h[0] != UNREACHABLE)
		return 0;
	if (h[1] != OF_PORT || h[ICMP_HEADER + 9] != IP_PROTO_UDP || h[ICMP_HEADER] != 0x45)
		goto taken;
	const uint8_t *ports = h + ICMP_HEADER + IP_HLEN;
	uint16_t from = ports[0] << 8 | ports[1], to = ports[2] << 8 | ports[3];

	for (struct sock *s = sock_next(NULL); s; s = sock_next(s)) {
		if (s->udp && s->udp->local_port == from && s->udp->flags & UDP_FLAGS_CONNECTED &&
		    s->udp->remote_port == to) {
			struct sock_tell t = {
				.id = s->id, .what = SOCK_T_ERROR, .error = -ECONNREFUSED};

			wh_sock_tell(&t);
		}
	}
taken:
	pbuf_free(p); /* lwIP would take it for junk */
	return 1;
}

/* ---- requests ---- */

void sock_dgram_set(struct sock *s)
{
	if (s->udp) {
		s->udp->ttl = s->opt.ttl;
		s->udp->tos = s->opt.tos;
		if (s->opt.reuseaddr)
			ip_set_option(s->udp, SOF_REUSEADDR);
		else
			ip_reset_option(s->udp, SOF_REUSEADDR);
	}
	if (s->icmp) {
		s->icmp->ttl = s->opt.ttl;
		s->icmp->tos = s->opt.tos;
		if (s->opt.hdrincl)
			raw_set_flags(s->icmp, RAW_FLAGS_HDRINCL);
		else
			raw_clear_flags(s->icmp, RAW_FLAGS_HDRINCL);
	}
}

int sock_dgram_open(struct sock *s)
{
	if (s->protocol == IP_PROTO_UDP) {
		s->udp = udp_new();
		if (s->udp)
			udp_recv(s->udp, on_udp, s);
	} else {
		s->icmp = raw_new(IP_PROTO_ICMP);
		if (s->icmp)
			raw_recv(s->icmp, on_icmp, s);
	}
	if (!s->udp && !s->icmp)
		return -ENOBUFS;
	sock_dgram_set(s);
	return 0;
}

static bool ident_is_free(uint16_t ident)
{
	for (struct sock *s = sock_next(NULL); s; s = sock_next(s)) {
		if (s->ident == ident)
			return false;
	}
	return ident != 0;
}

static int bind_echo(struct sock *s, uint16_t ident)
{
	if (ident && !ident_is_free(ident))
		return -EADDRINUSE;
	while (!ident_is_free(ident))
		ident = (uint16_t)port_rand();
	s->ident = ident;
	return 0;
}

int sock_dgram_bind(struct sock *s, struct sock_req *q)
{
	ip_addr_t ip;
	int err = 0;

	ip4_addr_set_u32(&ip, q->addr);
	if (!sock_is_local(q->addr) && q->addr != 0xffffffff)
		return -EADDRNOTAVAIL;
	if (s->udp)
		err = sock_errno(udp_bind(s->udp, &ip, q->port));
	else
		err = sock_errno(raw_bind(s->icmp, &ip));
	if (!err && s->icmp && !s->raw)
		err = bind_echo(s, q->port);
	q->laddr = q->addr;
	q->lport = s->udp ? s->udp->local_port : s->ident;
	return err;
}

/* The address that what goes there comes from. */
static uint32_t source_for(const ip_addr_t *bound, const ip_addr_t *to)
{
	struct netif *n = ip4_route_src(bound, to);

	if (!ip4_addr_isany(bound))
		return ip4_addr_get_u32(bound);
	return n ? ip4_addr_get_u32(netif_ip4_addr(n)) : 0;
}

int sock_dgram_connect(struct sock *s, struct sock_req *q)
{
	ip_addr_t ip;
	int err = q->addr ? sock_route(q->addr) : 0;

	ip4_addr_set_u32(&ip, q->addr);
	if (err)
		return err;
	if (s->udp && q->addr) {
		err = sock_errno(udp_connect(s->udp, &ip, q->port));
		q->laddr = source_for(&s->udp->local_ip, &ip);
		q->lport = s->udp->local_port;
	} else if (s->udp) {
		udp_disconnect(s->udp);
		q->laddr = ip4_addr_get_u32(&s->udp->local_ip);
		q->lport = s->udp->local_port;
	} else if (q->addr) {
		err = sock_errno(raw_connect(s->icmp, &ip));
		q->laddr = source_for(&s->icmp->local_ip, &ip);
	} else {
		raw_disconnect(s->icmp);
	}
	if (!err && s->icmp && !s->raw && !s->ident)
		err = bind_echo(s, 0);
	if (s->icmp)
		q->lport = s->ident;
	return err;
}

/* One packet, as fragments are not made. */
static int fits(struct sock *s, const ip_addr_t *to, uint32_t bytes)
{
	const struct netif *n = ip4_route_src(s->udp ? &s->udp->local_ip : &s->icmp->local_ip, to);
	uint32_t header = s->udp ? IP_HLEN + UDP_HLEN : s->opt.hdrincl ? 0 : IP_HLEN;

	if (!n)
		return -ENETUNREACH;
	return n->mtu && bytes + header > n->mtu && !sock_is_local(ip4_addr_get_u32(to)) ? -EMSGSIZE
											 : 0;
}

int sock_dgram_send(struct sock *s, struct sock_req *q, const struct wh_event *ev)
{
	ip_addr_t to;
	int err;

	ip4_addr_set_u32(&to, q->addr);
	if (q->addr == 0)
		ip_addr_copy(to, s->udp ? s->udp->remote_ip : s->icmp->remote_ip);
	err = sock_route(ip4_addr_get_u32(&to));
	if (!err)
		err = fits(s, &to, ev->bulk_len);
	if (err)
		return err;
	struct pbuf *p = pbuf_alloc(s->udp ? PBUF_TRANSPORT : PBUF_IP, ev->bulk_len, PBUF_RAM);

	if (!p)
		return -ENOBUFS;
	if (ev->bulk_len && wh_copyin(ev->id, 0, p->payload, ev->bulk_len) != (long)ev->bulk_len) {
		err = -EFAULT;
	} else if (s->udp) {
		err = sock_errno(
			udp_sendto(s->udp, p, &to, q->addr ? q->port : s->udp->remote_port));
		q->lport = s->udp->local_port;
	} else {
		if (!s->raw) {
			uint16_t sum = inet_chksum(p->payload, p->len);

			SMEMCPY((uint8_t *)p->payload + 2, &sum, sizeof(sum));
		}
		err = sock_errno(raw_sendto(s->icmp, p, &to));
	}
	pbuf_free(p);
	return err;
}

void sock_dgram_close(struct sock *s)
{
	if (s->udp)
		udp_remove(s->udp);
	if (s->icmp)
		raw_remove(s->icmp);
	s->udp = NULL;
	s->icmp = NULL;
}

void sock_dgram_start(void)
{
	struct raw_pcb *p = raw_new(IP_PROTO_ICMP);

	if (!p)
		serve_die("no memory for a raw socket");
	raw_recv(p, on_any_icmp, NULL);
}
