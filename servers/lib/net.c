/* SPDX-License-Identifier: MIT */
/*
 * Streams of net.h. Each stream asks the net server for at most one thing of a kind at a time:
 * connect, then one receive and one send. pump() is the whole control flow: it asks for whatever is
 * due and not yet asked for, and may be called at any time; what could not be asked now is retried
 * by a timer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "serve.h"
#include "wmem.h"

enum {
	RETRY_NS = 20 * SERVE_MS,
	RX_FIRST = 8 * 1024, /* receive buffer; doubled when filled, up to NET_IO_MAX */
	CHUNK_MIN = 16 * 1024,
	MAX_SENDS = 4, /* on their way, a stream */
};

enum state {
	WAITING,    /* for not_before */
	CONNECTING, /* not answered yet */
	UP,
	DEAD, /* on_down was called or the owner closed it; freed when nothing refers to it */
};

/*
 * A piece of the send queue. Only the last one is still filled; never moved, the net server reads it.
 * Bytes [0, taken) are the net server's already, [taken, asked) are in requests, [asked, len) wait.
 */
struct chunk {
	struct chunk *next;
	size_t cap, len, asked, taken;
	uint8_t data[];
};

struct net_stream {
	struct net_stream *next, **link; /* all streams */
	enum state state;
	uint32_t node;
	uint16_t port;
	uint64_t conn; /* the net server's name for it; 0: none */
	const struct net_stream_ops *ops;
	void *arg;
	struct serve_timer timer;   /* WAITING */
	unsigned refs;		    /* requests on their way and callbacks on the stack */
	bool connecting, receiving; /* such a request is on its way */
	unsigned sends;		    /* NET_SEND on their way; answered in order */
	bool paused, want_room;
	bool close_later; /* DEAD, but the net server could not be told yet; counts as a reference */
	bool orphan;	  /* the net server was gone when asked: goes down at the next retry */
	uint8_t *rx;
	size_t rx_cap;
	struct chunk *head, *tail;
	size_t queued; /* bytes not yet taken */
};

struct listener {
	uint16_t port;
	net_accept_fn fn;
	void *arg;
	bool listening, asking, complained;
};

static struct net_stream *streams;
static unsigned stream_count;
static struct listener listeners[NET_MAX_BINDS];
static unsigned listener_count;
static struct serve_timer retry_timer;

static void pump(struct net_stream *s);
static void listen_pump(struct listener *l);
static void hold(struct net_stream *s);
static void unhold(struct net_stream *s);
static void down(struct net_stream *s, int why);

static void retry(void *arg)
{
	struct net_stream *s = streams, *next;

	(void)arg;
	for (unsigned i = 0; i < listener_count; i++)
		listen_pump(&listeners[i]);
	if (s)
		hold(s);
	for (; s; s = next) {
		pump(s);
		if (s->orphan)
			down(s, -EIO);
		next = s->next; /* after the callback, and held before s may go */
		if (next)
			hold(next);
		unhold(s);
	}
}

static void retry_later(void)
{
	if (!serve_timer_armed(&retry_timer))
		serve_timer(&retry_timer, wh_now() + RETRY_NS, retry, NULL);
}

/* ---- life and death of a stream ---- */

static struct net_stream *new_stream(unsigned node, uint16_t port)
{
	if (stream_count == NET_MAX_STREAMS)
		return NULL;
	struct net_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->node = node;
	s->port = port;
	s->next = streams;
	s->link = &streams;
	if (streams)
		streams->link = &s->next;
	streams = s;
	stream_count++;
	return s;
}

static void drop_queue(struct net_stream *s)
{
	while (s->head) {
		struct chunk *c = s->head;

		s->head = c->next;
		free(c);
	}
	s->tail = NULL;
	s->queued = 0;
}

static void hold(struct net_stream *s)
{
	s->refs++;
}

static void unhold(struct net_stream *s)
{
	if (--s->refs > 0 || s->state != DEAD)
		return;
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	stream_count--;
	drop_queue(s);
	free(s->rx);
	free(s);
}

static void on_closed(void *arg, const struct wh_msg *reply)
{
	(void)reply;
	unhold(arg);
}

/* Let the net server forget the connection too. */
static void close_conn(struct net_stream *s, bool lost)
{
	struct wh_msg m = {.type = lost ? NET_ABORT : NET_CLOSE};

	if (!s->conn)
		return;
	WH_BODY(&m, struct net_conn)->conn = s->conn;
	int err = serve_send(WH_SVC_NET, &m, NULL, 0, WH_BULK_NONE, on_closed, s);

	if (err != -EAGAIN)
		s->conn = 0;
	if (err == 0)
		hold(s);
	if (err == -EAGAIN && !s->close_later) {
		s->close_later = true;
		hold(s);
		retry_later();
	}
}

/* No callback may follow. Needs a reference of the caller's. */
static void kill_stream(struct net_stream *s)
{
	bool lost = s->queued > 0;

	s->state = DEAD;
	serve_timer_stop(&s->timer);
	close_conn(s, lost);
}

static void down(struct net_stream *s, int why)
{
	if (s->state == DEAD)
		return;
	kill_stream(s);
	s->ops->on_down(s, why);
}

/* ---- requests and their replies ---- */

static int ask(struct net_stream *s, uint32_t type, void *bulk, size_t len, unsigned flags,
	       serve_reply_fn fn)
{
	struct wh_msg m = {.type = type};

	if (type == NET_CONNECT)
		*WH_BODY(&m, struct net_addr) = (struct net_addr){.node = s->node, .port = s->port};
	else
		WH_BODY(&m, struct net_conn)->conn = s->conn;
	int err = serve_send(WH_SVC_NET, &m, bulk, len, flags, fn, s);

	if (err == 0)
		hold(s);
	else
		retry_later();
	s->orphan =
		err == -ESRCH && s->state == UP; /* one that connects waits for the net server */
	return err;
}

static void on_connected(void *arg, const struct wh_msg *reply)
{
	struct net_stream *s = arg;

	s->connecting = false;
	if (reply->status >= 0)
		s->conn = WH_BODY(reply, const struct net_conn)->conn;
	if (s->state == DEAD) { /* closed meanwhile */
		close_conn(s, true);
	} else if (reply->status < 0) {
		down(s, reply->status);
	} else {
		s->state = UP;
		if (s->ops->on_up)
			s->ops->on_up(s);
		pump(s);
	}
	unhold(s);
}

/* The buffer filled: a larger one saves requests. */
static void grow_buffer(struct net_stream *s)
{
	free(s->rx);
	s->rx = NULL; /* pump allocates it */
	s->rx_cap *= 2;
}

static void on_received(void *arg, const struct wh_msg *reply)
{
	struct net_stream *s = arg;
	int n = reply->status;

	if (s->state == UP && n > 0 && (size_t)n <= s->rx_cap) {
		if (s->ops->on_data) /* still `receiving`: nothing may be asked into this buffer yet */
			s->ops->on_data(s, s->rx, n);
		s->receiving = false;
		if ((size_t)n == s->rx_cap && n < NET_IO_MAX)
			grow_buffer(s);
		if (s->state != DEAD)
			pump(s);
	} else {
		s->receiving = false;
		if (s->state == UP)
			down(s, n > 0 ? -EIO : n);
	}
	unhold(s);
}

/* The net server has taken n bytes of the first chunk. */
static void consume(struct net_stream *s, size_t n)
{
	struct chunk *c = s->head;

	c->taken += n;
	s->queued -= n;
	if (c->taken < c->len)
		return;
	if (c != s->tail) {
		s->head = c->next;
		free(c);
	} else {
		c->len = c->asked = c->taken = 0; /* the last one is used again */
	}
}

static void on_sent(void *arg, const struct wh_msg *reply)
{
	struct net_stream *s = arg;
	int n = reply->status;

	s->sends--;
	if (s->state == UP && n > 0 && (size_t)n <= s->head->asked - s->head->taken) {
		consume(s, n);
		pump(s);
		if (s->want_room && s->queued <= NET_QUEUE_MAX / 2) {
			s->want_room = false;
			if (s->ops->on_room)
				s->ops->on_room(s);
		}
	} else if (s->state == UP) {
		down(s, n < 0 ? n : -EIO);
	}
	unhold(s);
}

static void pump_receive(struct net_stream *s)
{
	if (s->receiving || s->paused)
		return;
	if (!s->rx) {
		if (s->rx_cap == 0)
			s->rx_cap = RX_FIRST;
		s->rx = malloc(s->rx_cap);
		if (!s->rx) {
			retry_later();
			return;
		}
	}
	s->receiving = ask(s, NET_RECV, s->rx, s->rx_cap, WH_BULK_OUT, on_received) == 0;
}

static void pump_send(struct net_stream *s)
{
	/* An empty last chunk was passed over for a longer message. */
	if (s->head && s->head->len == 0 && s->head != s->tail) {
		struct chunk *empty = s->head;

		s->head = empty->next;
		free(empty);
	}
	for (struct chunk *c = s->head; c && s->sends < MAX_SENDS; c = c->next) {
		while (c->asked < c->len && s->sends < MAX_SENDS) {
			size_t n = c->len - c->asked;

			n = n < NET_IO_MAX ? n : NET_IO_MAX;
			if (ask(s, NET_SEND, c->data + c->asked, n, WH_BULK_IN, on_sent) < 0)
				return;
			c->asked += n;
			s->sends++;
		}
	}
}

static void pump(struct net_stream *s)
{
	switch (s->state) {
	case WAITING:
		break;
	case CONNECTING:
		if (!s->connecting)
			s->connecting =
				ask(s, NET_CONNECT, NULL, 0, WH_BULK_NONE, on_connected) == 0;
		break;
	case UP:
		pump_receive(s);
		pump_send(s);
		break;
	case DEAD:
		if (!s->close_later)
			break;
		close_conn(s, true);
		if (s->conn) { /* still not */
			retry_later();
			break;
		}
		s->close_later = false;
		s->refs--; /* not the last one: whoever pumps a dead stream holds one */
		break;
	}
}

/* ---- listening ---- */

static void listen_failed(struct listener *l, int status)
{
	l->listening = false;
	if (status != -EIO && status != -ESRCH && status != -EAGAIN && !l->complained) {
		serve_log("tcp port %u: %s", l->port, strerror(-status));
		l->complained = true;
	}
	retry_later();
}

static void accepted(struct listener *l, const struct net_conn *c)
{
	struct net_stream *s = new_stream(c->node, c->port);

	if (!s) {
		struct wh_msg m = {.type = NET_ABORT};

		*WH_BODY(&m, struct net_conn) = *c;
		serve_log("no room for a connection from node %u", c->node);
		wh_call(WH_SVC_NET, &m, NULL, 0, WH_BULK_NONE); /* NET never waits for this one */
		return;
	}
	hold(s);
	s->state = UP;
	s->conn = c->conn;
	s->ops = l->fn(l->arg, s);
	if (!s->ops)
		kill_stream(s);
	else
		pump(s);
	unhold(s);
}

static void on_accept(void *arg, const struct wh_msg *reply)
{
	struct listener *l = arg;

	l->asking = false;
	if (reply->status < 0)
		listen_failed(l, reply->status);
	else if (!l->listening)
		l->listening = true; /* the answer to NET_LISTEN */
	else
		accepted(l, WH_BODY(reply, const struct net_conn));
	if (reply->status >= 0)
		listen_pump(l);
}

static void listen_pump(struct listener *l)
{
	struct wh_msg m = {.type = l->listening ? NET_ACCEPT : NET_LISTEN};

	if (l->asking)
		return;
	WH_BODY(&m, struct net_addr)->lport = l->port;
	int err = serve_send(WH_SVC_NET, &m, NULL, 0, WH_BULK_NONE, on_accept, l);

	l->asking = err == 0;
	if (err == -ESRCH)
		l->listening = false;
	if (err < 0)
		retry_later();
}

void net_listen(uint16_t port, net_accept_fn fn, void *arg)
{
	if (listener_count == NET_MAX_BINDS)
		serve_die("more than %d tcp ports", NET_MAX_BINDS);
	struct listener *l = &listeners[listener_count++];

	*l = (struct listener){.port = port, .fn = fn, .arg = arg};
	listen_pump(l);
}

/* ---- the owner's calls ---- */

static void start_connect(void *arg)
{
	struct net_stream *s = arg;

	s->state = CONNECTING;
	pump(s);
}

struct net_stream *net_connect(unsigned node, uint16_t port, uint64_t not_before,
			       const struct net_stream_ops *ops, void *arg)
{
	struct net_stream *s = new_stream(node, port);

	if (!s)
		return NULL;
	s->ops = ops;
	s->arg = arg;
	if (not_before > wh_now())
		serve_timer(&s->timer, not_before, start_connect, s);
	else
		start_connect(s);
	return s;
}

static struct chunk *room_for(struct net_stream *s, size_t len)
{
	struct chunk *c = s->tail;

	if (c && c->cap - c->len >= len)
		return c;
	size_t cap = len > CHUNK_MIN ? len : CHUNK_MIN;

	c = malloc(sizeof(*c) + cap);
	if (!c)
		return NULL;
	*c = (struct chunk){.cap = cap};
	if (s->tail)
		s->tail->next = c;
	else
		s->head = c;
	s->tail = c;
	return c;
}

void *net_reserve(struct net_stream *s, size_t len, int *err)
{
	*err = s->state == DEAD ? -EPIPE : 0;
	if (!*err && s->queued > 0 && s->queued + len > NET_QUEUE_MAX) {
		s->want_room = true;
		*err = -EAGAIN;
	}
	struct chunk *c = *err ? NULL : room_for(s, len);

	if (!c && !*err)
		*err = -ENOMEM;
	return c ? c->data + c->len : NULL;
}

void net_commit(struct net_stream *s, size_t len)
{
	s->tail->len += len;
	s->queued += len;
	if (s->state == UP)
		pump(s);
}

int net_send(struct net_stream *s, const struct net_piece *piece, unsigned pieces)
{
	size_t len = 0;
	int err;

	for (unsigned i = 0; i < pieces; i++)
		len += piece[i].len;
	if (len == 0 || s->state == DEAD)
		return 0;
	uint8_t *at = net_reserve(s, len, &err);

	if (!at)
		return err;
	for (unsigned i = 0; i < pieces; i++) {
		if (piece[i].len > 0)
			wmem_copy(at, piece[i].data, piece[i].len);
		at += piece[i].len;
	}
	net_commit(s, len);
	return 0;
}

void net_pause(struct net_stream *s, int paused)
{
	s->paused = paused;
	if (s->state == UP)
		pump(s);
}

void net_close(struct net_stream *s)
{
	if (s->state == DEAD)
		return;
	hold(s);
	kill_stream(s);
	unhold(s);
}

unsigned net_node(const struct net_stream *s)
{
	return s->node;
}

size_t net_queued(const struct net_stream *s)
{
	return s->queued;
}

void *net_arg(const struct net_stream *s)
{
	return s->arg;
}

void net_set_arg(struct net_stream *s, void *arg)
{
	s->arg = arg;
}
