/* SPDX-License-Identifier: MIT */
/*
 * Connections of the other servers. Each has at most one NET_RECV and one NET_SEND waiting.
 * Received pbufs are kept in a chain and copied from the card's buffer straight to the reader; what
 * is not yet read closes TCP's window, so a slow reader holds up nobody but its own peer.
 */
#include <errno.h>
#include <string.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"

#include "listen.h"
#include "msg_net.h"
#include "reply.h"
#include "serve.h"
#include "stack.h"
#include "stream.h"
#include "tcp.h"

enum {
	MAX_CONNS = MEMP_NUM_TCP_PCB,
	KEEP_IDLE_MS = 3000,
	KEEP_INTERVAL_MS = 1000,
	KEEP_COUNT = 7,
	/* A peer that owes an answer and is silent this long is taken for dead. Stalls of 5 s are
	   normal. */
	SILENCE_MS = 8000,
};

static struct conn conns[MAX_CONNS];
static uint32_t generation; /* in a connection's name: an old name does not find a new connection */
static struct conn *ready;  /* linked by next_ready: something has come */
static struct tcp_service_stats stats;

/* ---- the table ---- */

static struct conn *new_conn(unsigned svc, struct tcp_pcb *pcb)
{
	struct conn *c = conns;

	while (c < conns + MAX_CONNS && c->svc)
		c++;
	if (c == conns + MAX_CONNS)
		return NULL;
	*c = (struct conn){.svc = svc, .pcb = pcb};
	c->name = (uint64_t)++generation << 32 | (uint32_t)(c - conns);
	stats.connections++;
	return c;
}

static struct conn *find(const struct wh_event *ev)
{
	uint64_t name = WH_BODY(&ev->msg, const struct net_conn)->conn;
	uint32_t i = (uint32_t)name;

	if (i >= MAX_CONNS || conns[i].name != name || conns[i].svc != ev->from)
		return NULL;
	return &conns[i];
}

static void answer(uint64_t *request, int status)
{
	if (*request)
		serve_status(*request, status);
	*request = 0;
}

static struct send *first_send(struct conn *c)
{
	return c->sends > 0 ? &c->send[c->send_first % MAX_SENDS] : NULL;
}

static void drop_first_send(struct conn *c)
{
	c->send_first++;
	c->sends--;
}

/* All that wait fail. */
static void fail_sends(struct conn *c, int status)
{
	for (; c->sends > 0; drop_first_send(c))
		serve_status(first_send(c)->request, status);
}

/* Forget a connection whose pcb is gone or detached. */
static void free_conn(struct conn *c)
{
	for (struct conn **link = &ready; *link; link = &(*link)->next_ready) {
		if (*link == c) {
			*link = c->next_ready;
			break;
		}
	}
	rx_queue_drop(&c->rx);
	answer(&c->connecting, -ECANCELED);
	answer(&c->receiving, -ECANCELED);
	fail_sends(c, -ECANCELED);
	*c = (struct conn){0};
	stats.connections--;
}

static struct tcp_pcb *detach(struct conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	c->pcb = NULL;
	if (pcb) {
		tcp_arg(pcb, NULL);
		tcp_recv(pcb, NULL);
		tcp_sent(pcb, NULL);
		tcp_err(pcb, NULL);
	}
	return pcb;
}

void conn_abort(struct conn *c)
{
	struct tcp_pcb *pcb = detach(c);

	if (pcb)
		tcp_abort(pcb);
	free_conn(c);
}

static void mark_ready(struct conn *c)
{
	if (c->is_ready)
		return;
	c->is_ready = true;
	c->next_ready = ready;
	ready = c;
}

/* ---- sending ---- */

/* Give lwIP what it takes of the waiting NET_SENDs. ERR_ABRT: there is no pcb any more. */
static err_t push(struct conn *c)
{
	struct send *s;

	if (c->sends == 0 || !c->pcb)
		return ERR_OK;
	if (!c->pcb->unacked && !c->pcb->unsent)
		c->waiting_since = serve_now();
	while ((s = first_send(c))) {
		long n = stream_write(c->pcb, s->request, s->off, s->len - s->off);

		if (n < 0) { /* the client is gone, or wrote nonsense: its stream ends with it */
			struct tcp_pcb *pcb = detach(c);

			tcp_abort(pcb);
			c->error = -EFAULT;
			fail_sends(c, -EFAULT);
			mark_ready(c);
			return ERR_ABRT;
		}
		s->off += n;
		if (s->off < s->len) /* no room now: on_sent or the tick tries again */
			break;
		reply_sent(c->svc, s->request, s->len);
		drop_first_send(c);
	}
	tcp_output(c->pcb);
	return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct conn *c = arg;

	(void)pcb;
	(void)len;
	c->waiting_since = serve_now();
	return push(c);
}

/* ---- receiving ---- */

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct conn *c = arg;

	(void)err;
	if (!p) {
		c->finished = true;
	} else {
		rx_put(&c->rx, p);
		stream_received(pcb);
	}
	mark_ready(c);
	return ERR_OK;
}

static void deliver(struct conn *c)
{
	if (!c->receiving)
		return;
	if (!c->rx.first) {
		if (c->finished)
			answer(&c->receiving, 0);
		else if (c->error)
			answer(&c->receiving, c->error);
		return;
	}
	long n = rx_copyout(&c->rx, c->receiving, 0, c->recv_room);

	reply_held(c->svc); /* it wakes up now anyway */
	answer(&c->receiving, n);
	if (c->pcb && n > 0)
		stream_read(c->pcb, n);
}

static void tcp_service_deliver(void)
{
	while (ready) {
		struct conn *c = ready;

		ready = c->next_ready;
		c->is_ready = false;
		deliver(c);
	}
}

/* ---- life and death ---- */

/* lwIP has freed the pcb. */
static void on_error(void *arg, err_t err)
{
	struct conn *c = arg;

	c->pcb = NULL;
	c->error = stack_errno(err);
	if (err == ERR_ABRT)
		stats.timed_out++;
	if (c->connecting) {
		answer(&c->connecting, err == ERR_RST ? -ECONNREFUSED : c->error);
		free_conn(c);
		return;
	}
	fail_sends(c, c->error);
	mark_ready(c);
}

static void take_pcb(struct conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	tcp_arg(pcb, c);
	tcp_recv(pcb, on_received);
	tcp_sent(pcb, on_sent);
	tcp_err(pcb, on_error);
	tcp_nagle_disable(pcb); /* clients hand over whole messages */
	ip_set_option(pcb, SOF_KEEPALIVE);
	pcb->keep_idle = KEEP_IDLE_MS;
	pcb->keep_intvl = KEEP_INTERVAL_MS;
	pcb->keep_cnt = KEEP_COUNT;
}

struct conn *conn_accepted(unsigned svc, struct tcp_pcb *pcb)
{
	unsigned node = stack_node(&pcb->remote_ip);
	struct conn *c = node ? new_conn(svc, pcb) : NULL;

	if (!c)
		return NULL;
	c->node = node;
	take_pcb(c);
	stats.accepted++;
	return c;
}

void conn_describe(const struct conn *c, struct wh_msg *m)
{
	*WH_BODY(m, struct net_conn) = (struct net_conn){
		.conn = c->name,
		.node = c->node,
		.port = c->pcb ? c->pcb->remote_port : 0,
		.lport = c->pcb ? c->pcb->local_port : 0,
	};
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct conn *c = arg;
	struct wh_msg m = {.type = NET_CONNECT};

	(void)pcb;
	(void)err; /* always ERR_OK: failures go to on_error */
	conn_describe(c, &m);
	serve_answer(c->connecting, &m);
	c->connecting = 0;
	stats.opened++;
	return ERR_OK;
}

static int connect_to(const struct wh_event *ev)
{
	const struct net_addr *a = WH_BODY(&ev->msg, const struct net_addr);

	if (a->port == 0)
		return -EINVAL;
	if (!stack_reachable(a->node))
		return -EHOSTUNREACH;
	struct tcp_pcb *pcb = tcp_new();
	struct conn *c = pcb ? new_conn(ev->from, pcb) : NULL;

	if (!c) {
		if (pcb)
			tcp_abort(pcb);
		return -ENOMEM;
	}
	c->node = a->node;
	take_pcb(c);
	ip_addr_t to = stack_addr(a->node);
	err_t err = tcp_connect(pcb, &to, a->port, on_connected);

	if (err != ERR_OK) {
		conn_abort(c);
		return stack_errno(err);
	}
	c->connecting = ev->id; /* answered by on_connected or on_error */
	return 0;
}

/* ---- requests ---- */

static void on_connect(const struct wh_event *ev)
{
	int err = connect_to(ev);

	if (err)
		serve_status(ev->id, err);
}

static void on_send(const struct wh_event *ev)
{
	struct conn *c = find(ev);
	int err = 0;

	if (!c)
		err = -EBADF;
	else if (c->sends == MAX_SENDS || c->connecting)
		err = -EBUSY;
	else if (ev->bulk_len == 0 || ev->bulk_len > NET_IO_MAX)
		err = -EINVAL;
	else if (!c->pcb)
		err = c->error ? c->error : -EPIPE;
	if (err) {
		serve_status(ev->id, err);
		return;
	}
	c->send[(c->send_first + c->sends++) % MAX_SENDS] =
		(struct send){.request = ev->id, .len = ev->bulk_len};
	push(c);
}

static void on_recv(const struct wh_event *ev)
{
	struct conn *c = find(ev);

	if (!c || c->receiving || ev->bulk_len == 0) {
		serve_status(ev->id, !c ? -EBADF : c->receiving ? -EBUSY : -EINVAL);
		return;
	}
	c->receiving = ev->id;
	c->recv_room = LWIP_MIN(ev->bulk_len, (uint32_t)NET_IO_MAX);
	deliver(c);
}

static void on_close(const struct wh_event *ev)
{
	struct conn *c = find(ev);

	if (c) {
		struct tcp_pcb *pcb = detach(c);

		if (pcb && tcp_close(pcb) != ERR_OK)
			tcp_abort(pcb);
		free_conn(c);
	}
	serve_status(ev->id, c ? 0 : -EBADF);
}

static void on_abort(const struct wh_event *ev)
{
	struct conn *c = find(ev);

	if (c)
		conn_abort(c);
	serve_status(ev->id, c ? 0 : -EBADF);
}

/* ---- time, and the death of clients ---- */

static uint64_t silent_ms(const struct conn *c, uint64_t now)
{
	uint64_t heard = (uint64_t)(tcp_ticks - c->pcb->tmr) * TCP_SLOW_INTERVAL;
	uint64_t waited = (now - c->waiting_since) / SERVE_MS;

	return LWIP_MIN(heard, waited);
}

void tcp_service_tick(uint64_t now)
{
	for (struct conn *c = conns; c < conns + MAX_CONNS; c++) {
		if (!c->pcb || c->connecting)
			continue;
		if ((c->pcb->unacked || c->pcb->unsent) && silent_ms(c, now) > SILENCE_MS) {
			struct tcp_pcb *pcb = detach(c);

			tcp_abort(pcb);
			on_error(c, ERR_ABRT);
		} else if (c->sends > 0) {
			push(c);
		}
	}
}

void conn_abort_all(unsigned svc)
{
	for (struct conn *c = conns; c < conns + MAX_CONNS; c++) {
		if (c->svc == svc)
			conn_abort(c);
	}
}

void tcp_service_gone(unsigned svc)
{
	listen_gone(svc);
	conn_abort_all(svc);
}

void tcp_service_stats(struct tcp_service_stats *s)
{
	*s = stats;
	s->listeners = listen_count();
}

void tcp_service_start(void)
{
	stack_deliver(tcp_service_deliver);
	serve_on(NET_LISTEN, on_listen);
	serve_on(NET_ACCEPT, on_accept);
	serve_on(NET_CONNECT, on_connect);
	serve_on(NET_SEND, on_send);
	serve_on(NET_RECV, on_recv);
	serve_on(NET_CLOSE, on_close);
	serve_on(NET_ABORT, on_abort);
}
