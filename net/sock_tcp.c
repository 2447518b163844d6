/* SPDX-License-Identifier: MIT */
/*
 * TCP sockets of user programs. Received packets stay where they are until a program has taken their bytes; what programs write
 * lies in a ring that segments point into until the peer has it. Neither is copied here. A socket whose number the kernel has
 * forgotten (an orphan) stays until what was written is through, or for ORPHAN_NS.
 */
#include <errno.h>
#include <stdlib.h>

#include "lwip/ip.h"
#include "lwip/mem.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "serve.h"
#include "sock.h"
#include "stack.h"
#include "stream.h"

enum {
	CONNECTIONS_MAX = 200, /* of MEMP_NUM_TCP_PCB; the rest is the services' */
	PRIORITY = TCP_PRIO_NORMAL -
		   1, /* lwIP ends connections of users first when there are too many */
	RING_SMALL = 8 * 1024,
	RING_LARGE = 512 * 1024,
	RINGS_MAX = 2 * 1024 * 1024, /* bytes of all rings: enough for a small one for each */
	RINGS_GROWN = 1152 * 1024,   /* beyond, none grows */
	RING_STEP = 8,		     /* how much larger the next one is, when one is not enough */
	RX_MAX = 4 * 1024 * 1024,    /* received and not taken, of all sockets */
	PACKETS_MAX = 1024,	     /* of one: small ones cost more than their bytes */
	SEGS = 64,
};
#define ORPHAN_NS (30 * SERVE_SEC)
#define SWEEP_NS  (500 * SERVE_MS)

static struct sock *ready, *orphans;
static struct serve_timer sweep_timer;

static void end_orphan(struct sock *s);
static void sweep_soon(void);
static struct tcp_pcb *detach(struct sock *s);

static void mark_ready(struct sock *s)
{
	if (s->ready)
		return;
	s->ready = true;
	s->next_ready = ready;
	ready = s;
}

static void unmark(struct sock *s)
{
	for (struct sock **link = &ready; *link; link = &(*link)->next_ready) {
		if (*link == s) {
			*link = s->next_ready;
			break;
		}
	}
	s->ready = false;
}

/* ---- rings ---- */

static void ring_free(struct ring *r)
{
	if (r->mem) {
		stack_free(r->mem);
		sock_stats.ring_bytes -= r->size;
	}
	*r = (struct ring){0};
}

static bool ring_make(struct ring *r, uint32_t size, uint64_t start)
{
	if (sock_stats.ring_bytes + size > RINGS_MAX)
		return false;
	r->mem = mem_malloc(size);
	if (!r->mem)
		return false;
	r->size = size;
	r->start = start;
	sock_stats.ring_bytes += size;
	return true;
}

/* Change to a ring of another size, unless the last one before it is still in use. */
static void ring_change(struct sock *s, uint32_t size)
{
	struct ring r = {0};

	if (s->old.mem || s->ring.size == size || !ring_make(&r, size, 0))
		return;
	struct sock_tell t = {
		.id = s->id, .what = SOCK_T_RING, .ring = (uintptr_t)r.mem, .size = size};
	long start = wh_sock_tell(&t);

	if (start < 0) {
		ring_free(&r);
		return;
	}
	r.start = start;
	s->old = s->ring;
	s->ring = r;
}

static void ring_retire(struct sock *s)
{
	if (s->old.mem && s->acked >= s->ring.start)
		ring_free(&s->old);
}

/* ---- received packets ---- */

static void rx_free(struct sock *s, uint64_t upto)
{
	while (s->rx && s->rx_start + s->rx->len <= upto) {
		struct pbuf *p = s->rx;

		s->rx = p->next;
		s->rx_start += p->len;
		s->rx_count--;
		sock_stats.rx_bytes -= p->len;
		p->next = NULL;
		pbuf_free(p);
	}
}

static void rx_drop(struct sock *s)
{
	rx_free(s, UINT64_MAX);
	s->rx = s->rx_last = s->untold = NULL;
}

static void rx_append(struct sock *s, struct pbuf *p)
{
	if (s->rx)
		s->rx_last->next = p;
	else
		s->rx = p;
	s->rx_last = p;
	if (!s->untold)
		s->untold = p;
	s->rx_count++;
	sock_stats.rx_bytes += p->len;
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct sock *s = arg;

	(void)err;
	if (!p) {
		s->eof = true;
		mark_ready(s);
		return ERR_OK;
	}
	if (s->id == 0) { /* nobody will take it: the peer must learn that */
		pbuf_free(p);
		tcp_abort(detach(s));
		end_orphan(s);
		return ERR_ABRT;
	}
	if (s->rx_count >= PACKETS_MAX || sock_stats.rx_bytes >= RX_MAX)
		return ERR_MEM; /* lwIP keeps it, and asks again */
	/* Of a repeated segment lwIP leaves packets without bytes in front: they would be taken for what has been read. */
	for (struct pbuf *next; p; p = next) {
		next = p->next;
		p->next = NULL;
		if (p->len > 0)
			rx_append(s, p);
		else
			pbuf_free(p);
	}
	mark_ready(s);
	stream_received(pcb);
	return ERR_OK;
}

static void tell_received(struct sock *s)
{
	struct sock_seg seg[SEGS];

	while (s->untold) {
		struct sock_tell t = {.id = s->id, .what = SOCK_T_BYTES, .segs = (uintptr_t)seg};
		struct pbuf *p = s->untold;

		for (; p && t.n < SEGS; p = p->next)
			seg[t.n++] = (struct sock_seg){(uintptr_t)p->payload, p->len};
		long taken = wh_sock_tell(&t);

		if (taken <= 0)
			return; /* it has enough: again after the next news */
		for (long i = 0; i < taken; i++)
			s->untold = s->untold->next;
		if (taken < t.n)
			return;
	}
}

static void took(struct sock *s, uint64_t read)
{
	uint64_t n = read - s->rx_read;

	rx_free(s, read);
	if (!s->rx)
		s->rx_last = NULL;
	s->rx_read = read;
	if (s->pcb && n > 0)
		stream_read(s->pcb, n);
	if (s->untold)
		mark_ready(s);
}

/* ---- sending ---- */

/* Where the next byte to send lies, and how many follow it without a gap. */
static uint8_t *unqueued(const struct sock *s, uint64_t *n)
{
	bool in_old = s->old.mem && s->queued < s->ring.start;
	const struct ring *r = in_old ? &s->old : &s->ring;
	uint64_t end = in_old ? s->ring.start : s->written;
	uint64_t off = (s->queued - r->start) % r->size;

	*n = LWIP_MIN(LWIP_MIN(s->written, end) - s->queued, r->size - off);
	return r->mem + off;
}

/* Has lwIP still to be given something? */
static bool unfinished(const struct sock *s)
{
	return s->pcb && !s->connecting && (s->queued < s->written || (s->shut && !s->fin));
}

static void push(struct sock *s)
{
	uint64_t before = s->queued;

	if (!s->pcb || s->connecting || s->listening || !s->ring.mem)
		return;
	while (s->queued < s->written) {
		uint64_t n;
		uint8_t *from = unqueued(s, &n);

		n = LWIP_MIN(LWIP_MIN(n, tcp_sndbuf(s->pcb)), UINT16_MAX);
		if (n == 0 ||
		    tcp_write(s->pcb, from, n,
			      s->queued + n < s->written ? TCP_WRITE_FLAG_MORE : 0) != ERR_OK)
			break; /* on_sent, or the sweep, goes on */
		s->queued += n;
	}
	stream_output(s->pcb, s->queued - before);
	if (s->shut && !s->fin && s->queued == s->written)
		s->fin = tcp_shutdown(s->pcb, 0, 1) == ERR_OK;
	if (unfinished(s))
		sweep_soon();
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct sock *s = arg;

	(void)pcb;
	s->acked += len;
	ring_retire(s);
	s->acked_news = true;
	mark_ready(s);
	push(s);
	return ERR_OK;
}

/* ---- telling ---- */

static void tell(struct sock *s)
{
	struct sock_tell t = {.id = s->id};

	if (s->id == 0) {
		if (!s->pcb || (s->acked == s->written && s->fin))
			end_orphan(s);
		return;
	}
	if (s->acked_news) {
		s->acked_news = false;
		t.what = SOCK_T_ACKED;
		t.pos = s->acked;
		wh_sock_tell(&t);
	}
	tell_received(s);
	if (s->error && !s->untold) {
		t.what = SOCK_T_ERROR;
		t.error = s->error;
		s->error = 0;
		wh_sock_tell(&t);
	}
	if (s->eof && !s->eof_told && !s->untold) {
		t.what = SOCK_T_EOF;
		s->eof_told = true;
		wh_sock_tell(&t);
	}
}

void sock_tcp_deliver(void)
{
	while (ready) {
		struct sock *s = ready;

		ready = s->next_ready;
		s->ready = false;
		tell(s);
	}
}

/* ---- the pcb ---- */

static void on_error(void *arg, err_t err)
{
	struct sock *s = arg;

	s->pcb = NULL; /* lwIP has freed it */
	sock_stats.connections--;
	s->error = err == ERR_RST && s->connecting ? -ECONNREFUSED
		   : err == ERR_CLSD		   ? 0
						   : sock_errno(err);
	s->connecting = false;
	mark_ready(s);
}

static struct tcp_pcb *detach(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb;

	s->pcb = NULL;
	if (!pcb)
		return NULL;
	sock_stats.connections--;
	tcp_arg(pcb, NULL);
	if (s->listening) {
		tcp_accept(pcb, NULL);
	} else {
		tcp_recv(pcb, NULL);
		tcp_sent(pcb, NULL);
		tcp_err(pcb, NULL);
	}
	return pcb;
}

void sock_tcp_set(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb;

	if (!pcb)
		return;
	pcb->ttl = s->opt.ttl;
	pcb->tos = s->opt.tos;
	if (s->opt.reuseaddr)
		ip_set_option(pcb, SOF_REUSEADDR);
	else
		ip_reset_option(pcb, SOF_REUSEADDR);
	if (s->opt.keepalive)
		ip_set_option(pcb, SOF_KEEPALIVE);
	else
		ip_reset_option(pcb, SOF_KEEPALIVE);
	if (s->listening)
		return;
	stream_set_nodelay(pcb, s->opt.nodelay);
	pcb->keep_idle = s->opt.keep_idle_s * 1000;
	pcb->keep_intvl = s->opt.keep_interval_s * 1000;
	pcb->keep_cnt = s->opt.keep_count;
}

static void adopt(struct sock *s, struct tcp_pcb *pcb)
{
	s->pcb = pcb;
	sock_stats.connections++;
	tcp_setprio(pcb, PRIORITY);
	tcp_arg(pcb, s);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	sock_tcp_set(s);
}

static int need_pcb(struct sock *s)
{
	if (s->pcb)
		return 0;
	while (sock_stats.connections >= CONNECTIONS_MAX && orphans)
		end_orphan(orphans);
	struct tcp_pcb *pcb = sock_stats.connections < CONNECTIONS_MAX ? tcp_new() : NULL;

	if (!pcb)
		return -ENOBUFS;
	adopt(s, pcb);
	return 0;
}

static void local_name(const struct sock *s, struct sock_req *q)
{
	q->laddr = ip4_addr_get_u32(&s->pcb->local_ip);
	q->lport = s->pcb->local_port;
}

int sock_tcp_bind(struct sock *s, struct sock_req *q)
{
	ip_addr_t ip;
	int err = sock_is_local(q->addr) ? need_pcb(s) : -EADDRNOTAVAIL;

	ip4_addr_set_u32(&ip, q->addr);
	if (!err)
		err = sock_errno(tcp_bind(s->pcb, &ip, q->port));
	if (!err)
		local_name(s, q);
	return err;
}

/* ---- connecting ---- */

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct sock *s = arg;

	(void)err; /* always ERR_OK: failures go to on_error */
	s->connecting = false;
	if (!ring_make(&s->ring, RING_SMALL, 0)) {
		tcp_abort(detach(s));
		s->error = -ENOBUFS;
		mark_ready(s);
		return ERR_ABRT;
	}
	struct sock_tell t = {
		.id = s->id,
		.what = SOCK_T_CONNECTED,
		.laddr = ip4_addr_get_u32(&pcb->local_ip),
		.lport = pcb->local_port,
		.ring = (uintptr_t)s->ring.mem,
		.size = s->ring.size,
	};

	wh_sock_tell(&t);
	return ERR_OK;
}

/* Nothing is left of an earlier connection. */
static void begin_anew(struct sock *s)
{
	rx_drop(s);
	ring_free(&s->ring);
	ring_free(&s->old);
	s->rx_start = s->rx_read = s->written = s->queued = s->acked = 0;
	s->grow_at = 0;
	s->eof = s->eof_told = s->shut = s->fin = s->acked_news = false;
	s->error = 0;
}

int sock_tcp_connect(struct sock *s, struct sock_req *q)
{
	ip_addr_t ip;
	int err = sock_route(q->addr);

	if (!err)
		err = need_pcb(s);
	if (err)
		return err;
	begin_anew(s);
	ip4_addr_set_u32(&ip, q->addr);
	err = sock_errno(tcp_connect(s->pcb, &ip, q->port, on_connected));
	if (err)
		return err;
	s->connecting = true;
	local_name(s, q);
	return 0;
}

/* ---- listening ---- */

static err_t on_connection(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct sock *l = arg, *s;
	struct ring ring = {0};

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	while (sock_stats.connections >= CONNECTIONS_MAX && orphans)
		end_orphan(orphans);
	if (!l || sock_stats.connections >= CONNECTIONS_MAX || !ring_make(&ring, RING_SMALL, 0))
		goto refuse;
	struct sock_tell t = {
		.id = l->id,
		.what = SOCK_T_ACCEPTED,
		.laddr = ip4_addr_get_u32(&pcb->local_ip),
		.lport = pcb->local_port,
		.raddr = ip4_addr_get_u32(&pcb->remote_ip),
		.rport = pcb->remote_port,
		.ring = (uintptr_t)ring.mem,
		.size = ring.size,
	};
	long id = wh_sock_tell(&t);

	s = id > 0 ? sock_new(id, IP_PROTO_TCP) : NULL;
	if (!s)
		goto refuse;
	s->opt = l->opt;
	s->ring = ring;
	adopt(s, pcb);
	tcp_backlog_delayed(pcb); /* it counts until it is accepted */
	return ERR_OK;
refuse:
	ring_free(&ring);
	tcp_abort(pcb);
	return ERR_ABRT;
}

int sock_tcp_listen(struct sock *s, struct sock_req *q)
{
	err_t e = ERR_OK;
	int err = need_pcb(s);

	if (!err && s->pcb->local_port == 0)
		err = sock_errno(tcp_bind(s->pcb, IP_ANY_TYPE, 0));
	if (err)
		return err;
	struct tcp_pcb *l = tcp_listen_with_backlog_and_err(s->pcb, q->backlog, &e);

	if (!l)
		return sock_errno(e);
	s->pcb = l;
	s->listening = true;
	tcp_arg(l, s);
	tcp_accept(l, on_connection);
	local_name(s, q);
	return 0;
}

/* ---- news, and the end ---- */

/* When a ring has been filled once and most of it is not acknowledged, a larger one is worth its memory. */
static void grow(struct sock *s)
{
	uint32_t size = LWIP_MIN(s->ring.size * RING_STEP, RING_LARGE);

	if (!s->pcb || s->listening || s->ring.size == RING_LARGE || s->written < s->grow_at ||
	    s->written - s->ring.start < s->ring.size ||
	    s->written - s->acked <= s->ring.size / 2 || sock_stats.ring_bytes + size > RINGS_GROWN)
		return;
	ring_change(s, size);
	s->grow_at = s->written + size; /* if there was no memory, not at once again */
	sweep_soon();
}

void sock_tcp_news(struct sock *s, const struct sock_news *n)
{
	if (n->flags & SOCK_N_ACCEPTED && s->pcb)
		tcp_backlog_accepted(s->pcb);
	if (n->read < s->rx_read || n->written < s->written)
		return; /* of a connection to come: see sock_tcp_connect */
	took(s, n->read);
	s->written = n->written;
	s->shut |= n->flags & SOCK_N_SHUT;
	push(s);
	if (!(n->flags & SOCK_N_CLOSE))
		grow(s);
}

static void forget(struct sock *s)
{
	unmark(s);
	rx_drop(s);
	ring_free(&s->ring);
	ring_free(&s->old);
	sock_free(s);
}

static void unlink_orphan(struct sock *s)
{
	for (struct sock **link = &orphans; *link; link = &(*link)->next_orphan) {
		if (*link == s) {
			*link = s->next_orphan;
			sock_stats.orphans--;
			return;
		}
	}
}

/* What was written is through, or must end anyway. */
static void end_orphan(struct sock *s)
{
	struct tcp_pcb *pcb = detach(s);

	unlink_orphan(s);
	if (pcb && !(s->fin && s->acked == s->written && tcp_close(pcb) == ERR_OK))
		tcp_abort(pcb);
	forget(s);
}

/* A connection that has been silent from one sweep to the next does with a small ring. True: it has a large one. */
static bool shrink(struct sock *s)
{
	if (s->ring.size <= RING_SMALL)
		return false;
	if (s->swept == s->written && s->acked == s->written) {
		ring_change(s, RING_SMALL);
		ring_retire(s);
	}
	s->swept = s->written;
	return s->ring.size > RING_SMALL;
}

/* Unacked orphans that nobody hears of again, what lwIP had no memory for, and memory that is not needed. */
static void sweep(void *arg)
{
	uint64_t now = serve_now();
	bool more = false;

	(void)arg;
	for (struct sock *s = orphans, *next; s; s = next) {
		next = s->next_orphan;
		if (now - s->orphan_since > ORPHAN_NS)
			end_orphan(s);
		else
			push(s);
	}
	for (struct sock *s = sock_next(NULL); s; s = sock_next(s)) {
		if (unfinished(s))
			push(s);
		more |= shrink(s) || unfinished(s);
	}
	if (orphans || more)
		serve_timer(&sweep_timer, now + SWEEP_NS, sweep, NULL);
}

static void sweep_soon(void)
{
	if (!serve_timer_armed(&sweep_timer))
		serve_timer(&sweep_timer, serve_now() + SWEEP_NS, sweep, NULL);
}

void sock_tcp_close(struct sock *s, bool reset)
{
	bool unread = s->rx || (s->pcb && !s->listening && s->pcb->refused_data);

	if (s->listening || !s->pcb || s->connecting || s->pcb->state == CLOSED) {
		struct tcp_pcb *pcb = detach(s);

		if (pcb)
			tcp_close(pcb);
		forget(s);
		return;
	}
	s->shut = true;
	if (!reset && !unread)
		push(s);
	if (reset || unread || (s->fin && s->acked == s->written)) {
		struct tcp_pcb *pcb = detach(s);

		if (reset || unread)
			tcp_abort(pcb);
		else
			tcp_close(pcb);
		forget(s);
		return;
	}
	s->orphan_since = serve_now();
	s->next_orphan = orphans;
	orphans = s;
	sock_stats.orphans++;
	sweep_soon();
}
