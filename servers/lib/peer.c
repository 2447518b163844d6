/* SPDX-License-Identifier: MIT */
/* The channels between equal services of different nodes. See peer.h for the protocol and its
 * promise. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "peer.h"
#include "peer_frame.h"
#include "serve.h"

enum {
	BACKOFF_FIRST_NS = 100 * SERVE_MS,
	BACKOFF_MAX_SHIFT = 4, /* 1.6 s */
};

/* A connection that a node opened to us. Freed in on_in_data or on_in_down, never while it is
 * decoded. */
struct incoming {
	struct net_stream *stream;
	unsigned node;
	bool greeted; /* its HELLO was good */
	bool decoding;
	bool closed;
	uint64_t incarnation;
	struct peer_decoder decoder;
};

/* What we know of one node. */
struct peer {
	unsigned node;
	/* the connection we opened */
	struct net_stream *out;
	bool up;	   /* HELLO was answered */
	uint64_t numbers;  /* frames sent on it */
	uint64_t retry_at; /* node monotonic ns: not connected before */
	unsigned failures; /* in a row */
	uint64_t out_incarnation;
	struct peer_decoder decoder; /* of the answer to HELLO */
	/* the connections it opened: the one that speaks, and one that has not said HELLO yet */
	struct incoming *in, *stranger;
	uint64_t incarnation; /* last HELLO of either direction */
};

static const struct peer_ops *ops;
static uint16_t own_port;
static struct wh_identity self;
static struct peer peers[WH_MAX_NODES + 1];
static uint64_t message_incarnation;

static struct peer *peer_of(unsigned node)
{
	if (node == 0 || node > WH_MAX_NODES)
		return NULL;
	peers[node].node = node;
	return &peers[node];
}

static void report_down(unsigned node)
{
	if (ops->on_down)
		ops->on_down(node);
}

/* Init tells the node its incarnation after the first servers have started. */
static bool know_self(void)
{
	if (self.incarnation == 0)
		wh_identity(&self);
	return self.incarnation != 0;
}

static int send_hello(struct net_stream *s, uint64_t number)
{
	struct peer_hello h = {.version = PEER_VERSION,
			       .port = own_port,
			       .node = self.node,
			       .incarnation = self.incarnation};
	struct peer_frame f;
	struct net_piece piece[] = {{&f, sizeof(f)}, {&h, sizeof(h)}};

	peer_frame_make(&f, number, PEER_T_HELLO, 0, &h, sizeof(h), NULL, 0);
	return net_send(s, piece, 2);
}

/* NULL if the frame is a proper HELLO from that node, else what is wrong with it. */
static const char *judge_hello(const struct peer_frame *f, const struct peer_hello *h,
			       unsigned node)
{
	if (f->type != PEER_T_HELLO || f->length != sizeof(*h))
		return "no HELLO";
	if (h->version != PEER_VERSION)
		return "another version";
	if (h->port != own_port)
		return "another service";
	if (h->node != node || h->incarnation == 0)
		return "a false identity";
	return NULL;
}

/* ---- the connection we open ---- */

static void close_out(struct peer *p)
{
	if (p->out)
		net_close(p->out);
	p->out = NULL;
	p->up = false;
	peer_decoder_free(&p->decoder);
}

static void lost_out(struct peer *p)
{
	unsigned shift = p->failures < BACKOFF_MAX_SHIFT ? p->failures : BACKOFF_MAX_SHIFT;

	close_out(p);
	p->failures++;
	p->retry_at = wh_now() + ((uint64_t)BACKOFF_FIRST_NS << shift);
	report_down(p->node);
}

static int on_out_frame(void *arg, const struct peer_frame *f, const void *body)
{
	struct peer *p = arg;
	const struct peer_hello *h = body;
	const char *wrong = p->up ? "a second HELLO" : judge_hello(f, h, p->node);

	if (wrong) {
		serve_log("node %u answered with %s", p->node, wrong);
		return -1;
	}
	p->up = true;
	p->failures = 0;
	p->out_incarnation = p->incarnation = h->incarnation;
	return 0;
}

static void on_out_data(struct net_stream *s, const void *data, size_t len)
{
	struct peer *p = net_arg(s);
	bool was_up = p->up;
	int err = peer_decode(&p->decoder, data, len, on_out_frame, p);

	if (err) {
		serve_log("closing the connection to node %u: %s", p->node, strerror(-err));
		lost_out(p);
	} else if (p->up && !was_up && ops->on_up) {
		ops->on_up(p->node);
	}
}

static void on_out_down(struct net_stream *s, int why)
{
	struct peer *p = net_arg(s);

	if (p->up || p->failures == 0)
		serve_log("connection to node %u: %s", p->node,
			  why ? strerror(-why) : "closed by it");
	p->out = NULL;
	lost_out(p);
}

static void on_out_room(struct net_stream *s)
{
	struct peer *p = net_arg(s);

	if (ops->on_room)
		ops->on_room(p->node);
}

static const struct net_stream_ops out_ops = {
	.on_data = on_out_data,
	.on_room = on_out_room,
	.on_down = on_out_down,
};

static int open_out(struct peer *p)
{
	p->out = net_connect(p->node, own_port, p->retry_at, &out_ops, p);
	if (!p->out)
		return -ENOMEM;
	p->numbers = 1; /* HELLO is number 0 */
	int err = send_hello(p->out, 0);

	if (err)
		close_out(p);
	return err;
}

/* ---- the connections opened to us ---- */

/* Forget it; true if it had been greeted, so that messages may have been lost with it. */
static bool drop_incoming(struct incoming *in)
{
	struct peer *p = peer_of(in->node);
	bool spoke = p->in == in;

	if (spoke)
		p->in = NULL;
	if (p->stranger == in)
		p->stranger = NULL;
	if (in->stream)
		net_close(in->stream);
	in->stream = NULL;
	in->closed = true;
	if (!in->decoding) {
		peer_decoder_free(&in->decoder);
		free(in);
	}
	return spoke;
}

static int greet(struct incoming *in, const struct peer_frame *f, const struct peer_hello *h)
{
	struct peer *p = peer_of(in->node);
	const char *wrong = judge_hello(f, h, in->node);

	if (wrong || !know_self()) {
		serve_log("node %u connected with %s", in->node, wrong ? wrong : "us too early");
		return -1;
	}
	if (send_hello(in->stream, 0))
		return -1;
	bool lost = p->in && drop_incoming(p->in);

	in->greeted = true;
	in->incarnation = p->incarnation = h->incarnation;
	p->in = in;
	p->stranger = NULL;
	if (p->up &&
	    p->out_incarnation != h->incarnation) { /* it leads to a node that is no more */
		close_out(p);
		lost = true;
	}
	if (lost)
		report_down(in->node);
	return in->closed;
}

static int on_in_frame(void *arg, const struct peer_frame *f, const void *body)
{
	struct incoming *in = arg;

	if (!in->greeted)
		return greet(in, f, body);
	if (f->type == 0 || f->type > PEER_TYPE_MAX) {
		serve_log("node %u sent a message of type %x", in->node, f->type);
		return -1;
	}
	message_incarnation = in->incarnation;
	ops->on_message(in->node, f->type, f->id, body, f->length);
	return in->closed;
}

static void on_in_data(struct net_stream *s, const void *data, size_t len)
{
	struct incoming *in = net_arg(s);

	in->decoding = true;
	int err = peer_decode(&in->decoder, data, len, on_in_frame, in);

	in->decoding = false;
	if (in->closed) {
		peer_decoder_free(&in->decoder);
		free(in);
	} else if (err) {
		unsigned node = in->node;

		serve_log("closing a connection from node %u: %s", node, strerror(-err));
		if (drop_incoming(in))
			report_down(node);
	}
}

static void on_in_down(struct net_stream *s, int why)
{
	struct incoming *in = net_arg(s);
	unsigned node = in->node;

	(void)why;
	in->stream = NULL;
	if (drop_incoming(in))
		report_down(node);
}

static const struct net_stream_ops in_ops = {
	.on_data = on_in_data,
	.on_down = on_in_down,
};

static const struct net_stream_ops *on_accept(void *arg, struct net_stream *s)
{
	struct peer *p = peer_of(net_node(s));
	struct incoming *in = p ? calloc(1, sizeof(*in)) : NULL;

	(void)arg;
	if (!in)
		return NULL;
	if (p->stranger) /* at most one of a node, so that silent connections cannot pile up */
		drop_incoming(p->stranger);
	*in = (struct incoming){.stream = s, .node = p->node};
	p->stranger = in;
	net_set_arg(s, in);
	return &in_ops;
}

/* ---- the service's calls ---- */

void peer_start(unsigned svc, const struct peer_ops *o)
{
	static const uint16_t ports[WH_SVC_MAX] = {
#define SERVICE(id, NAME, path, rank, port, flags) [id] = port,
#include "services.def"
#undef SERVICE
	};

	ops = o;
	own_port = svc < WH_SVC_MAX ? ports[svc] : 0;
	if (own_port == 0)
		serve_die("service %u has no port", svc);
	know_self();
	net_listen(own_port, on_accept, NULL);
}

int peer_send(unsigned node, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
	      const void *payload, size_t plen)
{
	static const uint8_t zeros[8];
	struct peer *p = peer_of(node);
	struct peer_frame f;

	if (!p || type == 0 || type > PEER_TYPE_MAX)
		return -EINVAL;
	if (hlen > PEER_BODY_MAX || plen > PEER_BODY_MAX - hlen)
		return -EMSGSIZE;
	if (!know_self())
		return -EAGAIN;
	if (node == self.node || node > self.nodes)
		return -EINVAL;
	int err = p->out ? 0 : open_out(p);

	if (err)
		return err;
	size_t pad = peer_frame_bytes(hlen + plen) - sizeof(f) - hlen - plen;
	struct net_piece piece[] = {{&f, sizeof(f)}, {hdr, hlen}, {payload, plen}, {zeros, pad}};

	peer_frame_make(&f, p->numbers, type, id, hdr, hlen, payload, plen);
	err = net_send(p->out, piece, 4);
	if (err == 0)
		p->numbers++;
	return err;
}

bool peer_is_up(unsigned node)
{
	struct peer *p = peer_of(node);

	return p && p->up;
}

uint64_t peer_incarnation(unsigned node)
{
	struct peer *p = peer_of(node);

	return p ? p->incarnation : 0;
}

uint64_t peer_message_incarnation(void)
{
	return message_incarnation;
}

size_t peer_queued(unsigned node)
{
	struct peer *p = peer_of(node);

	return p && p->out ? net_queued(p->out) : 0;
}

void peer_forget(unsigned node)
{
	struct peer *p = peer_of(node);

	if (!p)
		return;
	close_out(p);
	if (p->in)
		drop_incoming(p->in);
	if (p->stranger)
		drop_incoming(p->stranger);
}
