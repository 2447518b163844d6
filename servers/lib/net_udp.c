/* SPDX-License-Identifier: MIT */
/*
 * Datagrams of net.h: a few receive requests are always waiting at the net server for each bound port, so
 * that datagrams that come together wake us once.
 * What is said and believed is dgram.h's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "secret.h"
#include "serve.h"

enum {
	SEND_SLOTS = 32,
	RECEIVES = 6,		     /* of a port; the net server takes 8 */
	HEARD_NS = 20 * SERVE_MS,    /* at most so often a node is told our salt */
	AGAIN_NS = 1 * SERVE_SEC,    /* what is older is not said again */
	COMPLAIN_NS = 5 * SERVE_SEC, /* a log line about bad datagrams of a port at most so often */
	RETRY_NS = 50 * SERVE_MS, /* the net server is not there (yet): ask again after this long */
};

/* One node, as a port of ours sees it. */
struct mate {
	struct dgram_mate is;
	uint64_t heard_at; /* when it was told our salt, if it had to be */
	uint64_t said_at;  /* node monotonic ns; 0: there is nothing to say again */
	uint16_t said_port, said_len;
	uint8_t *said; /* what it was told last; NET_DATAGRAM_MAX bytes, or NULL */
};

struct receive {
	struct bind *bind;
	bool asking; /* the request is on its way */
	uint64_t data[(NET_UDP_MAX + 7) / 8];
};

struct bind {
	uint16_t port;
	net_datagram_fn fn;
	void *arg;
	bool bound;   /* the net server knows the port */
	bool binding; /* it is being told */
	bool complained;
	uint64_t rejected, rejected_at; /* since the last line about it; when that was */
	struct mate mates[WH_MAX_NODES + 1];
	struct receive receives[RECEIVES];
};

/* A datagram that the net server has not copied yet. */
struct send_slot {
	struct send_slot *next_free;
	uint8_t data[NET_UDP_MAX];
};

static struct bind binds[NET_MAX_BINDS];
static unsigned bind_count;
static struct send_slot slots[SEND_SLOTS];
static struct send_slot *free_slots;
static bool slots_ready;
static struct serve_timer retry_timer;
static struct dgram_self self; /* incarnation 0: not known yet */

static void ask(struct bind *b);

static void retry(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < bind_count; i++)
		ask(&binds[i]);
}

static void retry_later(void)
{
	if (!serve_timer_armed(&retry_timer))
		serve_timer(&retry_timer, wh_now() + RETRY_NS, retry, NULL);
}

static void failed(struct bind *b, int status)
{
	b->bound = false;
	if (status != -EIO && status != -ESRCH && status != -EAGAIN && !b->complained) {
		serve_log("udp port %u: %s", b->port, strerror(-status));
		b->complained = true;
	}
	retry_later();
}

static void on_bound(void *arg, const struct wh_msg *reply)
{
	struct bind *b = arg;

	b->binding = false;
	if (reply->status < 0) {
		failed(b, reply->status);
		return;
	}
	b->bound = true;
	ask(b);
}

/* Init tells the node its incarnation after the first servers have started. */
static bool know_self(void)
{
	struct wh_identity id;

	if (self.incarnation)
		return true;
	if (!secret_key() || wh_identity(&id) || !id.incarnation)
		return false;
	self = (struct dgram_self){.key = secret_key(),
				   .plain = secret_plain(),
				   .node = (uint16_t)id.node,
				   .incarnation = id.incarnation,
				   .start = wh_now()};
	secret_random(self.salt, sizeof(self.salt));
	return true;
}

static int send_sealed(struct bind *b, struct mate *m, unsigned node, uint16_t port,
		       enum dgram_kind kind, const void *data, size_t len);

static void say_again(struct bind *b, struct mate *m, unsigned node)
{
	if (m->said_at && wh_now() - m->said_at < AGAIN_NS)
		send_sealed(b, m, node, m->said_port, DGRAM_SAYS, m->said, m->said_len);
	m->said_at = 0;
}

static void tell_salt(struct bind *b, struct mate *m, unsigned node, uint16_t port)
{
	uint64_t now = wh_now();

	if (m->heard_at && now - m->heard_at < HEARD_NS)
		return;
	m->heard_at = now;
	send_sealed(b, m, node, port, DGRAM_HEARD, NULL, 0);
}

/* Anybody can send us what is not ours: few words about it. */
static void reject(struct bind *b, unsigned node, const char *why)
{
	uint64_t now = wh_now();

	b->rejected++;
	if (b->rejected_at && now - b->rejected_at < COMPLAIN_NS)
		return;
	serve_log("udp port %u: rejected a datagram from node %u: %s (%llu in all lately)", b->port,
		  node, why, (unsigned long long)b->rejected);
	b->rejected_at = now;
	b->rejected = 0;
}

static void judge(struct bind *b, const struct net_addr *from, void *data, size_t size)
{
	struct mate *m;
	void *payload;
	size_t len;

	if (!know_self())
		return;
	if (from->node == 0 || from->node > WH_MAX_NODES || from->node == self.node) {
		reject(b, from->node, "no other node");
		return;
	}
	m = &b->mates[from->node];
	switch (dgram_open(&self, &m->is, (uint16_t)from->node, from->port, b->port, data, size,
			   &payload, &len)) {
	case DGRAM_GOOD:
		b->fn(b->arg, from->node, from->port, payload, len);
		break;
	case DGRAM_LEARNED:
		say_again(b, m, from->node);
		break;
	case DGRAM_STALE:
		tell_salt(b, m, from->node, from->port);
		break;
	case DGRAM_REPEAT: /* the wire may repeat and exchange datagrams */
	case DGRAM_FORMER:
		break;
	case DGRAM_FOREIGN:
		reject(b, from->node, "not ours, or not for us");
		break;
	case DGRAM_FORGED:
		reject(b, from->node, "a wrong tag: damaged, or another cluster's key, or none");
		break;
	}
}

static void on_received(void *arg, const struct wh_msg *reply)
{
	struct receive *r = arg;
	const struct net_addr *from = WH_BODY(reply, const struct net_addr);

	r->asking = false;
	if (reply->status < 0) {
		failed(r->bind, reply->status);
		return;
	}
	judge(r->bind, from, r->data, (size_t)reply->status);
	ask(r->bind);
}

static int receive(struct receive *r, const struct wh_msg *m)
{
	int err;

	if (r->asking)
		return 0;
	err = serve_send(WH_SVC_NET, m, r->data, NET_UDP_MAX, WH_BULK_OUT, on_received, r);
	r->asking = err == 0;
	return err;
}

static void ask(struct bind *b)
{
	struct wh_msg m = {.type = b->bound ? NET_UDP_RECV : NET_UDP_BIND};
	struct net_addr *a = WH_BODY(&m, struct net_addr);
	int err = 0;

	a->port = a->lport = b->port;
	for (unsigned i = 0; b->bound && i < RECEIVES && !err; i++)
		err = receive(&b->receives[i], &m);
	if (!b->bound && !b->binding) {
		err = serve_send(WH_SVC_NET, &m, NULL, 0, WH_BULK_NONE, on_bound, b);
		b->binding = err == 0;
	}
	if (err == -ESRCH)
		b->bound = false;
	if (err < 0)
		retry_later();
}

void net_udp_bind(uint16_t port, net_datagram_fn fn, void *arg)
{
	if (bind_count == NET_MAX_BINDS)
		serve_die("more than %d udp ports", NET_MAX_BINDS);
	if (!secret_key())
		return;
	struct bind *b = &binds[bind_count++];

	b->port = port;
	b->fn = fn;
	b->arg = arg;
	for (unsigned i = 0; i < RECEIVES; i++)
		b->receives[i].bind = b;
	ask(b);
}

static void on_sent(void *arg, const struct wh_msg *reply)
{
	struct send_slot *s = arg;

	(void)reply; /* a lost datagram is a lost datagram */
	s->next_free = free_slots;
	free_slots = s;
}

static void make_slots(void)
{
	for (unsigned i = 0; i < SEND_SLOTS; i++) {
		slots[i].next_free = free_slots;
		free_slots = &slots[i];
	}
	slots_ready = true;
}

static int send_sealed(struct bind *b, struct mate *m, unsigned node, uint16_t port,
		       enum dgram_kind kind, const void *data, size_t len)
{
	struct wh_msg msg = {.type = NET_UDP_SEND};

	if (!slots_ready)
		make_slots();
	struct send_slot *s = free_slots;

	if (!s)
		return -EAGAIN;
	dgram_seal(&self, &m->is, (uint16_t)node, b->port, port, kind, data, len, s->data);
	*WH_BODY(&msg, struct net_addr) =
		(struct net_addr){.node = node, .port = port, .lport = b->port};
	int err = serve_send(WH_SVC_NET, &msg, s->data, len + DGRAM_EXTRA, WH_BULK_IN, on_sent, s);

	if (err == 0)
		free_slots = s->next_free;
	return err;
}

/* In case it has started again, and does not know us yet. */
static void remember(struct mate *m, uint16_t port, const void *data, size_t len)
{
	if (!m->said)
		m->said = malloc(NET_DATAGRAM_MAX);
	if (!m->said)
		return;
	memcpy(m->said, data, len);
	m->said_len = (uint16_t)len;
	m->said_port = port;
	m->said_at = wh_now();
}

int net_udp_send(uint16_t lport, unsigned node, uint16_t port, const void *data, size_t len)
{
	struct bind *b = binds;

	if (!secret_key())
		return -EACCES;
	if (len > NET_DATAGRAM_MAX)
		return -EMSGSIZE;
	while (b < binds + bind_count && b->port != lport)
		b++;
	if (b == binds + bind_count || node == 0 || node > WH_MAX_NODES)
		return -EINVAL;
	if (!know_self())
		return -EAGAIN;
	struct mate *m = &b->mates[node];
	int err = send_sealed(b, m, node, port, DGRAM_SAYS, data, len);

	if (err == 0)
		remember(m, port, data, len);
	return err;
}
