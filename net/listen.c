/* SPDX-License-Identifier: MIT */
/* Listening ports: connections wait in a queue until the service fetches them. */
#include <errno.h>

#include "lwip/tcp.h"

#include "listen.h"
#include "msg_net.h"
#include "serve.h"
#include "stack.h"

enum { MAX_LISTENERS = MEMP_NUM_TCP_PCB_LISTEN, BACKLOG = 64 };

struct listener {
	unsigned svc; /* owner; 0: free */
	uint16_t port;
	struct tcp_pcb *pcb;
	uint64_t waiting; /* NET_ACCEPT request, 0: none */
	struct conn *first, **last;
	unsigned queued;
};

static struct listener listeners[MAX_LISTENERS];

static struct listener *find(uint16_t port)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		if (listeners[i].svc && listeners[i].port == port)
			return &listeners[i];
	}
	return NULL;
}

static void hand_over(struct listener *l)
{
	struct wh_msg m = {.type = NET_ACCEPT};

	if (!l->waiting || !l->first)
		return;
	struct conn *c = l->first;

	l->first = c->next_queued;
	if (!l->first)
		l->last = &l->first;
	l->queued--;
	conn_describe(c, &m);
	serve_answer(l->waiting, &m);
	l->waiting = 0;
}

static err_t on_connection(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct listener *l = arg;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	struct conn *c = l->queued < BACKLOG ? conn_accepted(l->svc, pcb) : NULL;

	if (!c) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	*l->last = c;
	l->last = &c->next_queued;
	l->queued++;
	hand_over(l);
	return ERR_OK;
}

static void release(struct listener *l)
{
	tcp_close(l->pcb);
	if (l->waiting)
		serve_status(l->waiting, -ECANCELED);
	while (l->first) {
		struct conn *c = l->first;

		l->first = c->next_queued;
		conn_abort(c);
	}
	*l = (struct listener){0};
}

static int listen_on(unsigned svc, uint16_t port)
{
	struct listener *l = find(port);

	if (port == 0)
		return -EINVAL;
	if (l && l->svc != svc)
		return -EADDRINUSE;
	if (l) { /* a new instance of the same service: the old one's peers must not wait for it */
		release(l);
		conn_abort_all(svc);
	}
	for (l = listeners; l < listeners + MAX_LISTENERS && l->svc; l++)
		;
	if (l == listeners + MAX_LISTENERS)
		return -ENOSPC;
	struct tcp_pcb *pcb = tcp_new();

	if (!pcb)
		return -ENOMEM;
	err_t err = tcp_bind(pcb, IP_ANY_TYPE, port);
	struct tcp_pcb *listening =
		err == ERR_OK ? tcp_listen_with_backlog_and_err(pcb, BACKLOG, &err) : NULL;

	if (!listening) {
		tcp_abort(pcb);
		return stack_errno(err);
	}
	*l = (struct listener){.svc = svc, .port = port, .pcb = listening};
	l->last = &l->first;
	tcp_arg(listening, l);
	tcp_accept(listening, on_connection);
	return 0;
}

void on_listen(const struct wh_event *ev)
{
	serve_status(ev->id, listen_on(ev->from, WH_BODY(&ev->msg, const struct net_addr)->lport));
}

void on_accept(const struct wh_event *ev)
{
	struct listener *l = find(WH_BODY(&ev->msg, const struct net_addr)->lport);

	if (!l || l->svc != ev->from) {
		serve_status(ev->id, -EBADF);
		return;
	}
	if (l->waiting) {
		serve_status(ev->id, -EBUSY);
		return;
	}
	l->waiting = ev->id;
	hand_over(l);
}

void listen_gone(unsigned svc)
{
	for (unsigned i = 0; i < MAX_LISTENERS; i++) {
		if (listeners[i].svc == svc)
			release(&listeners[i]);
	}
}

unsigned listen_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_LISTENERS; i++)
		n += listeners[i].svc != 0;
	return n;
}
