/* SPDX-License-Identifier: MIT */
/* Bound UDP ports: a short queue of datagrams each, or a few requests that wait for the next. */
#include <errno.h>
#include <string.h>

#include "lwip/udp.h"

#include "msg_net.h"
#include "serve.h"
#include "stack.h"
#include "udp.h"

enum { MAX_PORTS = 16, QUEUE = 64, WAITING = 8 };

struct datagram {
	struct pbuf *p;
	uint32_t node;
	uint16_t port;
};

struct port {
	unsigned svc; /* owner; 0: free */
	uint16_t port;
	struct udp_pcb *pcb;
	struct {
		uint64_t id;   /* NET_UDP_RECV request */
		uint32_t room; /* bytes it takes */
	} waiting[WAITING];    /* the longest first */
	unsigned nwaiting;
	struct datagram queue[QUEUE];
	unsigned first, count;
};

static struct port ports[MAX_PORTS];
static uint64_t queue_full;

static struct port *find(uint16_t port)
{
	for (unsigned i = 0; i < MAX_PORTS; i++) {
		if (ports[i].svc && ports[i].port == port)
			return &ports[i];
	}
	return NULL;
}

/* Copy a datagram to the request that waits longest. A longer one than its buffer is cut. */
static void answer(struct port *s, const struct datagram *d)
{
	struct wh_msg m = {.type = NET_UDP_RECV};
	uint32_t done = 0, room = s->waiting[0].room;
	uint64_t id = s->waiting[0].id;

	for (const struct pbuf *q = d->p; q && done < room; q = q->next) {
		uint32_t n = q->len < room - done ? q->len : room - done;

		if (wh_copyout(id, done, q->payload, n) != (long)n)
			break;
		done += n;
	}
	m.status = done;
	*WH_BODY(&m, struct net_addr) =
		(struct net_addr){.node = d->node, .port = d->port, .lport = s->port};
	serve_answer(id, &m);
	memmove(s->waiting, s->waiting + 1, --s->nwaiting * sizeof(s->waiting[0]));
}

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *addr,
			u16_t port)
{
	struct port *s = arg;
	struct datagram d = {.p = p, .node = stack_node(addr), .port = port};

	(void)pcb;
	if (d.node == 0) {
		pbuf_free(p);
	} else if (s->nwaiting) {
		answer(s, &d);
		pbuf_free(p);
	} else if (s->count == QUEUE) {
		queue_full++;
		pbuf_free(p);
	} else {
		s->queue[(s->first + s->count++) % QUEUE] = d;
	}
}

static void release(struct port *s)
{
	udp_remove(s->pcb);
	for (unsigned i = 0; i < s->nwaiting; i++)
		serve_status(s->waiting[i].id, -ECANCELED);
	for (; s->count > 0; s->count--, s->first++)
		pbuf_free(s->queue[s->first % QUEUE].p);
	*s = (struct port){0};
}

static int bind_port(unsigned svc, uint16_t port)
{
	struct port *s = find(port);

	if (port == 0)
		return -EINVAL;
	if (s && s->svc != svc)
		return -EADDRINUSE;
	if (s) /* a new instance of the same service */
		release(s);
	for (s = ports; s < ports + MAX_PORTS && s->svc; s++)
		;
	if (s == ports + MAX_PORTS)
		return -ENOSPC;
	struct udp_pcb *pcb = udp_new();

	if (!pcb)
		return -ENOMEM;
	err_t err = udp_bind(pcb, IP_ANY_TYPE, port);

	if (err != ERR_OK) {
		udp_remove(pcb);
		return stack_errno(err);
	}
	*s = (struct port){.svc = svc, .port = port, .pcb = pcb};
	udp_recv(pcb, on_datagram, s);
	return 0;
}

static void on_bind(const struct wh_event *ev)
{
	serve_status(ev->id, bind_port(ev->from, WH_BODY(&ev->msg, const struct net_addr)->port));
}

static int send_datagram(const struct wh_event *ev)
{
	const struct net_addr *a = WH_BODY(&ev->msg, const struct net_addr);
	struct port *s = find(a->lport);

	if (!s || s->svc != ev->from)
		return -EBADF;
	if (!stack_reachable(a->node))
		return -EHOSTUNREACH;
	if (ev->bulk_len > NET_UDP_MAX)
		return -EMSGSIZE;
	struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, ev->bulk_len, PBUF_RAM);

	if (!p)
		return -ENOMEM;
	int status = -EFAULT;

	if (wh_copyin(ev->id, 0, p->payload, ev->bulk_len) == (long)ev->bulk_len) {
		ip_addr_t to = stack_addr(a->node);

		status = stack_errno(udp_sendto(s->pcb, p, &to, a->port));
	}
	pbuf_free(p);
	return status < 0 ? status : (int)ev->bulk_len;
}

static void on_send(const struct wh_event *ev)
{
	serve_status(ev->id, send_datagram(ev));
}

static void on_recv(const struct wh_event *ev)
{
	struct port *s = find(WH_BODY(&ev->msg, const struct net_addr)->lport);

	if (!s || s->svc != ev->from) {
		serve_status(ev->id, -EBADF);
		return;
	}
	if (s->nwaiting == WAITING) {
		serve_status(ev->id, -EBUSY);
		return;
	}
	s->waiting[s->nwaiting].id = ev->id;
	s->waiting[s->nwaiting++].room = ev->bulk_len;
	if (s->count > 0) {
		struct datagram *d = &s->queue[s->first];

		s->first = (s->first + 1) % QUEUE;
		s->count--;
		answer(s, d);
		pbuf_free(d->p);
	}
}

void udp_service_gone(unsigned svc)
{
	for (unsigned i = 0; i < MAX_PORTS; i++) {
		if (ports[i].svc == svc)
			release(&ports[i]);
	}
}

void udp_service_stats(struct udp_service_stats *st)
{
	*st = (struct udp_service_stats){.queue_full = queue_full};
	for (unsigned i = 0; i < MAX_PORTS; i++)
		st->bound += ports[i].svc != 0;
}

void udp_service_start(void)
{
	serve_on(NET_UDP_BIND, on_bind);
	serve_on(NET_UDP_SEND, on_send);
	serve_on(NET_UDP_RECV, on_recv);
}
