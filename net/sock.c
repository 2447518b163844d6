/* SPDX-License-Identifier: MIT */
/* Sockets of user programs: the table, the kernel's requests and its news. See sock.h. */
#include <errno.h>
#include <stdlib.h>

#include "lwip/netif.h"
#include "lwip/tcp.h"

#include "serve.h"
#include "sock.h"
#include "stack.h"

enum { NEWS = 64 };

static struct sock *socks[SOCK_SLOTS];
struct sock_service_stats sock_stats;

/* ---- the table ---- */

struct sock *sock_find(uint32_t id)
{
	struct sock *s = socks[id % SOCK_SLOTS];

	return s && s->id == id ? s : NULL;
}

struct sock *sock_new(uint32_t id, uint16_t protocol)
{
	struct sock *s = socks[id % SOCK_SLOTS] ? NULL : calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->id = id;
	s->protocol = protocol;
	socks[id % SOCK_SLOTS] = s;
	sock_stats.sockets++;
	return s;
}

/* The kernel has forgotten it: the number may come again. */
static void leave_table(struct sock *s)
{
	if (s->id) {
		socks[s->id % SOCK_SLOTS] = NULL;
		sock_stats.sockets--;
	}
	s->id = 0;
}

void sock_free(struct sock *s)
{
	leave_table(s);
	free(s);
}

struct sock *sock_next(const struct sock *s)
{
	for (unsigned i = s ? s->id % SOCK_SLOTS + 1 : 0; i < SOCK_SLOTS; i++) {
		if (socks[i])
			return socks[i];
	}
	return NULL;
}

/* ---- addresses ---- */

bool sock_is_local(uint32_t addr)
{
	struct netif *n;

	if (addr == 0 || (lwip_ntohl(addr) >> 24) == 127)
		return true;
	NETIF_FOREACH(n)
	{
		if (ip4_addr_get_u32(netif_ip4_addr(n)) == addr)
			return true;
	}
	return false;
}

/* Nothing on the wire answers for a node that is not there, so who asks for one learns it here. */
int sock_route(uint32_t addr)
{
	ip_addr_t ip;
	struct netif *n;

	ip4_addr_set_u32(&ip, addr);
	if (sock_is_local(addr) || addr == 0xffffffff || lwip_ntohl(addr) == 0x0a0000ff)
		return 0;
	if (lwip_ntohl(addr) >> 8 == 0x0a0000)
		return stack_reachable(stack_node(&ip)) ? 0 : -EHOSTUNREACH;
	NETIF_FOREACH(n)
	{
		if (netif_is_up(n) &&
		    (ip4_addr_netcmp(&ip, netif_ip4_addr(n), netif_ip4_netmask(n)) ||
		     !ip4_addr_isany(netif_ip4_gw(n))))
			if (ip4_addr_get_u32(netif_ip4_addr(n)) != lwip_htonl(0x7f000001))
				return 0;
	}
	return -ENETUNREACH;
}

int sock_errno(err_t err)
{
	switch (err) {
	case ERR_MEM:
	case ERR_BUF:
		return -ENOBUFS;
	case ERR_RTE:
		return -ENETUNREACH;
	case ERR_VAL:
	case ERR_ARG:
		return -EINVAL;
	case ERR_ISCONN:
		return -EISCONN;
	case ERR_CONN:
		return -ENOTCONN;
	default:
		return stack_errno(err);
	}
}

/* ---- requests ---- */

static int open_sock(const struct sock_req *q)
{
	struct sock *s = sock_new(q->id, q->protocol);

	if (!s)
		return -ENOBUFS;
	s->raw = q->raw;
	s->opt = q->opt;
	int err = q->protocol == IP_PROTO_TCP ? 0 : sock_dgram_open(s);

	if (err)
		sock_free(s);
	return err;
}

static int do_request(const struct wh_event *ev, struct sock_req *q)
{
	struct sock *s = sock_find(q->id);

	if (ev->msg.type == SOCK_OPEN)
		return s ? -EEXIST : open_sock(q);
	if (!s)
		return -EBADF;
	bool tcp = s->protocol == IP_PROTO_TCP;

	switch (ev->msg.type) {
	case SOCK_BIND:
		return tcp ? sock_tcp_bind(s, q) : sock_dgram_bind(s, q);
	case SOCK_LISTEN:
		return tcp ? sock_tcp_listen(s, q) : -EOPNOTSUPP;
	case SOCK_CONNECT:
		return tcp ? sock_tcp_connect(s, q) : sock_dgram_connect(s, q);
	case SOCK_SEND:
		return tcp ? -EOPNOTSUPP : sock_dgram_send(s, q, ev);
	default: /* SOCK_SET */
		s->opt = q->opt;
		if (tcp)
			sock_tcp_set(s);
		else
			sock_dgram_set(s);
		return 0;
	}
}

static void on_request(const struct wh_event *ev)
{
	struct wh_msg m = ev->msg;

	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	sock_take_news(); /* what was done before comes before */
	m.status = do_request(ev, WH_BODY(&m, struct sock_req));
	serve_answer(ev->id, &m);
}

/* ---- news ---- */

static void take(const struct sock_news *n)
{
	struct sock *s = sock_find(n->id);

	if (!s)
		return;
	if (s->protocol == IP_PROTO_TCP)
		sock_tcp_news(s, n);
	if (!(n->flags & SOCK_N_CLOSE))
		return;
	leave_table(s);
	if (s->protocol == IP_PROTO_TCP) {
		sock_tcp_close(s, n->flags & SOCK_N_RESET);
	} else {
		sock_dgram_close(s);
		sock_free(s);
	}
}

void sock_take_news(void)
{
	static struct sock_news news[NEWS];
	long n;

	do {
		n = wh_sock_news(news, NEWS);
		for (long i = 0; i < n; i++)
			take(&news[i]);
	} while (n == NEWS);
}

static void on_news(void *arg, uint64_t bits)
{
	(void)arg;
	(void)bits;
	sock_take_news();
}

/* ---- the loop ---- */

/* What goes to this node itself never sees a card: lwIP keeps it until it is asked to look. */
static bool carry_own(void)
{
	struct netif *n;
	bool any = false;

	NETIF_FOREACH(n)
	{
		any |= n->loop_first != NULL;
	}
	if (any) {
		stack_active();
		netif_poll_all();
	}
	return any;
}

/* Carry what is for this node itself, tell what has happened. */
static void sock_service_deliver(void)
{
	bool again = carry_own();

	sock_tcp_deliver();
	if (again)
		serve_again();
}

void sock_service_stats(struct sock_service_stats *s)
{
	*s = sock_stats;
}

void sock_service_start(void)
{
	for (uint32_t type = SOCK_OPEN; type <= SOCK_SET; type++)
		serve_on(type, on_request);
	stack_deliver(sock_service_deliver);
	serve_note(WH_NOTE_SOCK, on_news, NULL);
	sock_dgram_start();
}
