/* SPDX-License-Identifier: MIT */
/* Datagrams of net.h: one receive request is always waiting at the net server for each bound port. */
#include <errno.h>
#include <string.h>

#include "net.h"
#include "serve.h"

enum {
	SEND_SLOTS = 32,
	RETRY_NS = 50 * SERVE_MS, /* the net server is not there (yet): ask again after this long */
};

struct bind {
	uint16_t port;
	net_datagram_fn fn;
	void *arg;
	bool bound;  /* the net server knows the port */
	bool asking; /* a request is on its way */
	bool complained;
	uint64_t data[(NET_UDP_MAX + 7) / 8];
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

	b->asking = false;
	if (reply->status < 0) {
		failed(b, reply->status);
		return;
	}
	b->bound = true;
	ask(b);
}

static void on_received(void *arg, const struct wh_msg *reply)
{
	struct bind *b = arg;
	const struct net_addr *from = WH_BODY(reply, const struct net_addr);

	b->asking = false;
	if (reply->status < 0) {
		failed(b, reply->status);
		return;
	}
	b->fn(b->arg, from->node, from->port, b->data, reply->status);
	ask(b);
}

static void ask(struct bind *b)
{
	struct wh_msg m = {.type = b->bound ? NET_UDP_RECV : NET_UDP_BIND};
	struct net_addr *a = WH_BODY(&m, struct net_addr);
	int err;

	if (b->asking)
		return;
	a->port = a->lport = b->port;
	if (b->bound)
		err = serve_send(WH_SVC_NET, &m, b->data, NET_UDP_MAX, WH_BULK_OUT, on_received, b);
	else
		err = serve_send(WH_SVC_NET, &m, NULL, 0, WH_BULK_NONE, on_bound, b);
	b->asking = err == 0;
	if (err == -ESRCH)
		b->bound = false;
	if (err < 0)
		retry_later();
}

void net_udp_bind(uint16_t port, net_datagram_fn fn, void *arg)
{
	if (bind_count == NET_MAX_BINDS)
		serve_die("more than %d udp ports", NET_MAX_BINDS);
	struct bind *b = &binds[bind_count++];

	b->port = port;
	b->fn = fn;
	b->arg = arg;
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

int net_udp_send(uint16_t lport, unsigned node, uint16_t port, const void *data, size_t len)
{
	struct wh_msg m = {.type = NET_UDP_SEND};

	if (len > NET_UDP_MAX)
		return -EMSGSIZE;
	if (!slots_ready)
		make_slots();
	struct send_slot *s = free_slots;

	if (!s)
		return -EAGAIN;
	memcpy(s->data, data, len);
	*WH_BODY(&m, struct net_addr) =
		(struct net_addr){.node = node, .port = port, .lport = lport};
	int err = serve_send(WH_SVC_NET, &m, s->data, len, WH_BULK_IN, on_sent, s);

	if (err == 0)
		free_slots = s->next_free;
	return err;
}
