/* SPDX-License-Identifier: MIT */
/* The channels between equal services of different nodes. See peer.h for the protocol and its
 * promise. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "net.h"
#include "peer.h"
#include "peer_frame.h"
#include "secret.h"
#include "serve.h"
#include "wmem.h"

enum {
	BACKOFF_FIRST_NS = 100 * SERVE_MS,
	BACKOFF_MAX_SHIFT = 4, /* 1.6 s */
	WAIT_MAX = NET_QUEUE_MAX -
		   4096, /* bytes of frames that wait for a key; CONFIRM goes before them */
	COMPLAIN_NS = 1 * SERVE_SEC,
};
#define HANDSHAKE_NS (20 * SERVE_SEC) /* a connection without a key by then ends */

/* A connection that a node opened to us. Freed in on_in_data or on_in_down, never while it is
 * decoded. */
struct incoming {
	struct net_stream *stream;
	unsigned node;
	bool welcomed; /* its HELLO was good: it may be somebody who repeats one */
	bool proved;   /* its CONFIRM was, too */
	bool decoding;
	bool closed;
	uint64_t incarnation;
	struct serve_timer limit; /* until proved */
	struct auth auth;
	struct peer_decoder decoder;
};

/* A frame that waits for the channel's key. */
struct waiting {
	struct waiting *next;
	size_t bytes;
	uint64_t frame[];
};

/* What we know of one node. */
struct peer {
	unsigned node;
	/* the connection we opened */
	struct net_stream *out;
	bool up;		       /* HELLO was answered */
	struct auth auth;	       /* until then */
	struct seal key;	       /* from then on */
	uint64_t numbers;	       /* frames sealed with it */
	struct waiting *first, **last; /* until then */
	size_t waiting;		       /* bytes in them */
	bool want_room;		       /* one was refused */
	struct serve_timer limit;      /* until up */
	uint64_t retry_at;	       /* node monotonic ns: not connected before */
	unsigned failures;	       /* in a row */
	uint64_t out_incarnation;
	struct peer_decoder decoder; /* of the answer to HELLO */
	/* the connections it opened: the one that speaks, and one that has not proved itself yet */
	struct incoming *in, *stranger;
	uint64_t incarnation; /* when it last proved itself, in either direction */
};

static const struct peer_ops *ops;
static uint16_t own_port;
static struct wh_identity self;
static struct peer peers[WH_MAX_NODES + 1];
static uint64_t message_incarnation;

/* Our half of an exchange. Handshakes that are under way at the same time share it, since making one is the dearest part
 * of them and anybody may begin one; the first that succeeds ends it. */
static struct auth_share share;
static bool share_made;

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

/* Whoever is on the wire can make connections end: a line a second about it, so that nobody can fill the log. */
static void complain(const char *what, unsigned node, const char *why)
{
	static uint64_t last, unsaid;
	uint64_t now = wh_now();

	if (last && now - last < COMPLAIN_NS) {
		unsaid++;
		return;
	}
	if (unsaid)
		serve_log("%llu more like the following", (unsigned long long)unsaid);
	serve_log("%s node %u: %s", what, node, why);
	last = now;
	unsaid = 0;
}

/* ---- handshakes ---- */

static struct auth_self auth_self(void)
{
	return (struct auth_self){.key = secret_key(),
				  .plain = secret_plain(),
				  .port = own_port,
				  .node = self.node,
				  .incarnation = self.incarnation};
}

static const struct auth_share *our_share(void)
{
	uint8_t random[AUTH_POINT];

	if (!share_made) {
		secret_random(random, sizeof(random));
		auth_share_make(&share, random);
		share_made = true;
	}
	return &share;
}

static int send_hello(struct net_stream *s, const struct auth *a)
{
	struct net_piece piece = {&a->sent, sizeof(a->sent)};

	return net_send(s, &piece, 1);
}

/* A frame as it was decoded, in its shape on the wire: header, body and tag lie together. */
static const struct auth_frame *as_hello(const struct peer_frame *f)
{
	return f->length == sizeof(struct auth_hello) ? (const void *)f : NULL;
}

/* NULL if the other end of a finished handshake may be believed to be of its node's present life. */
static const char *judge_age(struct peer *p, uint64_t incarnation)
{
	return incarnation < p->incarnation ? "an incarnation that is no more" : NULL;
}

static const char *const damaged = "a wrong tag: damaged, or somebody else's bytes";
static const char *const the_one_to = "closing the connection to",
			 *const one_from = "closing a connection from";

/* ---- the connection we open ---- */

static void drop_waiting(struct peer *p)
{
	while (p->first) {
		struct waiting *w = p->first;

		p->first = w->next;
		free(w);
	}
	p->last = &p->first;
	p->waiting = 0;
	p->want_room = false;
}

static void close_out(struct peer *p)
{
	if (p->out)
		net_close(p->out);
	p->out = NULL;
	p->up = false;
	serve_timer_stop(&p->limit);
	drop_waiting(p);
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

static void out_of_time(void *arg)
{
	struct peer *p = arg;

	complain(the_one_to, p->node, "it does not answer");
	lost_out(p);
}

/* The channel has its key: what waited for that goes. 0 or -errno. */
static int send_waiting(struct peer *p)
{
	for (struct waiting *w = p->first; w; w = w->next) {
		int err;
		void *at = net_reserve(p->out, w->bytes, &err);

		if (!at)
			return err;
		wmem_copy(at, w->frame, w->bytes);
		peer_frame_seal(at, &p->key, p->numbers++);
		net_commit(p->out, w->bytes);
	}
	return 0;
}

static int on_out_frame(void *arg, const struct peer_frame *f, const void *body)
{
	struct peer *p = arg;
	struct auth_self me = auth_self();
	struct auth_confirm confirm;
	struct net_piece piece = {&confirm, sizeof(confirm)};
	const struct auth_frame *welcome = p->up ? NULL : as_hello(f);
	const char *wrong = "no handshake";

	(void)body;
	if (welcome)
		wrong = auth_confirm(&p->auth, &me, welcome, &confirm, &p->key);
	if (!wrong)
		wrong = judge_age(p, p->auth.incarnation);
	if (wrong) {
		complain(the_one_to, p->node, wrong);
		return -1;
	}
	share_made = false;
	p->numbers = 0;
	p->up = true;
	p->failures = 0;
	p->out_incarnation = p->incarnation = p->auth.incarnation;
	serve_timer_stop(&p->limit);
	return net_send(p->out, &piece, 1) || send_waiting(p);
}

static void on_out_data(struct net_stream *s, void *data, size_t len)
{
	struct peer *p = net_arg(s);
	bool was_up = p->up;
	int err = peer_decode(&p->decoder, data, len, on_out_frame, p);

	if (err) {
		if (err != -ECANCELED)
			complain(the_one_to, p->node, strerror(-err));
		lost_out(p);
		return;
	}
	if (!p->up || was_up)
		return;
	bool room = p->want_room;

	drop_waiting(p);
	if (ops->on_up)
		ops->on_up(p->node);
	if (room && ops->on_room)
		ops->on_room(p->node);
}

static void on_out_down(struct net_stream *s, int why)
{
	struct peer *p = net_arg(s);

	if (p->up || p->failures == 0)
		complain("connection to", p->node, why ? strerror(-why) : "closed by it");
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
	struct auth_self me = auth_self();
	uint8_t nonce[AUTH_NONCE];

	p->out = net_connect(p->node, own_port, p->retry_at, &out_ops, p);
	if (!p->out)
		return -ENOMEM;
	drop_waiting(p);
	secret_random(nonce, sizeof(nonce));
	auth_begin(&p->auth, &me, p->node, our_share(), nonce);
	int err = send_hello(p->out, &p->auth);

	if (err)
		close_out(p);
	else
		serve_timer(&p->limit, wh_now() + HANDSHAKE_NS, out_of_time, p);
	return err;
}

/* ---- the connections opened to us ---- */

/* Forget it; true if it had proved itself, so that messages may have been lost with it. */
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
	serve_timer_stop(&in->limit);
	if (!in->decoding) {
		peer_decoder_free(&in->decoder);
		free(in);
	}
	return spoke;
}

static void stranger_out_of_time(void *arg)
{
	struct incoming *in = arg;

	complain(one_from, in->node, "it does not say who it is");
	drop_incoming(in);
}

/* HELLO: answer it. NULL or what is wrong. */
static const char *welcome(struct incoming *in, const struct auth_frame *hello)
{
	uint8_t nonce[AUTH_NONCE];

	if (!hello)
		return "no handshake";
	if (!know_self())
		return "we are too young to talk";
	struct auth_self me = auth_self();

	secret_random(nonce, sizeof(nonce));
	const char *wrong = auth_answer(&in->auth, &me, in->node, hello, our_share(), nonce);

	if (!wrong)
		wrong = judge_age(peer_of(in->node), in->auth.incarnation);
	if (!wrong && send_hello(in->stream, &in->auth))
		wrong = "no memory to answer";
	in->welcomed = !wrong;
	return wrong;
}

/* CONFIRM: this is the node, now. NULL or what is wrong. */
static const char *believe(struct incoming *in, const struct peer_frame *f)
{
	struct peer *p = peer_of(in->node);
	struct auth_self me = auth_self();
	const char *wrong = "no handshake";

	if (f->length == 0)
		wrong = auth_finish(&in->auth, &me, (const void *)f, &in->decoder.key);
	if (wrong)
		return wrong;
	bool lost = p->in && drop_incoming(p->in);

	share_made = false;
	in->decoder.keyed = true;
	in->proved = true;
	in->incarnation = p->incarnation = in->auth.incarnation;
	p->in = in;
	p->stranger = NULL;
	serve_timer_stop(&in->limit);
	if (p->up &&
	    p->out_incarnation != in->incarnation) { /* it leads to a node that is no more */
		close_out(p);
		lost = true;
	}
	if (lost)
		report_down(in->node);
	return NULL;
}

static int on_in_frame(void *arg, const struct peer_frame *f, const void *body)
{
	struct incoming *in = arg;
	const char *wrong = NULL;

	if (!in->welcomed)
		wrong = welcome(in, as_hello(f));
	else if (!in->proved)
		wrong = believe(in, f);
	else if (f->type == 0 || f->type > PEER_TYPE_MAX)
		wrong = "a message of no known type";
	else {
		message_incarnation = in->incarnation;
		ops->on_message(in->node, f->type, f->id, body, f->length);
	}
	if (wrong)
		complain(one_from, in->node, wrong);
	return wrong || in->closed;
}

static void on_in_data(struct net_stream *s, void *data, size_t len)
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

		if (err != -ECANCELED) /* else it has been said */
			complain(one_from, node, err == -EBADMSG ? damaged : strerror(-err));
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
	in->stream = s;
	in->node = p->node;
	p->stranger = in;
	serve_timer(&in->limit, wh_now() + HANDSHAKE_NS, stranger_out_of_time, in);
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
	if (secret_key())
		net_listen(own_port, on_accept, NULL);
}

/* A frame for a channel that has no key yet. */
static int wait_for_key(struct peer *p, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
			const void *payload, size_t plen)
{
	size_t bytes = peer_frame_bytes(hlen + plen);

	if (p->waiting + bytes > WAIT_MAX) {
		p->want_room = true;
		return -EAGAIN;
	}
	struct waiting *w = malloc(sizeof(*w) + bytes);

	if (!w)
		return -ENOMEM;
	w->next = NULL;
	w->bytes = bytes;
	peer_frame_make(w->frame, secret_plain(), type, id, hdr, hlen, payload, plen);
	*p->last = w;
	p->last = &w->next;
	p->waiting += bytes;
	return 0;
}

int peer_send(unsigned node, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
	      const void *payload, size_t plen)
{
	struct peer *p = peer_of(node);

	if (!p || type == 0 || type > PEER_TYPE_MAX)
		return -EINVAL;
	if (hlen > PEER_BODY_MAX || plen > PEER_BODY_MAX - hlen)
		return -EMSGSIZE;
	if (!secret_key())
		return -EACCES;
	if (!know_self())
		return -EAGAIN;
	if (node == self.node || node > self.nodes)
		return -EINVAL;
	int err = p->out ? 0 : open_out(p);

	if (err)
		return err;
	if (!p->up)
		return wait_for_key(p, type, id, hdr, hlen, payload, plen);
	void *at = net_reserve(p->out, peer_frame_bytes(hlen + plen), &err);

	if (!at)
		return err;
	peer_frame_make(at, p->key.plain, type, id, hdr, hlen, payload, plen);
	peer_frame_seal(at, &p->key, p->numbers++);
	net_commit(p->out, peer_frame_bytes(hlen + plen));
	return 0;
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

	return p && p->out ? p->waiting + net_queued(p->out) : 0;
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
