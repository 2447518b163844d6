/* SPDX-License-Identifier: MIT */
/* lwIP on our card and in our event loop. See stack.h. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lwip/init.h"
#include "lwip/etharp.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"

#include "nic.h"
#include "serve.h"
#include "stack.h"
#include "tcp.h"

enum {
	FAST_NS = TCP_TMR_INTERVAL *
		  SERVE_MS,	 /* lwIP's fast timer; the slow one is every second of them */
	IDLE_NS = 1 * SERVE_SEC, /* while nothing but keep-alive is due */
	SLOW_NS = TCP_SLOW_INTERVAL * SERVE_MS,
	/* Bounds of a retransmission time-out, in slow ticks. lwIP has neither: on a fast wire it
	 * would go to nothing, and after a stall of the peer it would wait for as long again. */
	RTO_MIN = 3,
	RTO_MAX = 10,
	PERSIST_MAX = 3, /* step of lwIP's probes of a closed window: 1.2 s */
	RX_BUDGET = 128, /* frames between two looks at the clients */
	JUNK_NS = 1 * SERVE_SEC,
	FRAME_MIN = 42,
};

static struct netif netif;
static struct wh_identity self;
static struct serve_timer tick_timer;
static bool active;	     /* a frame came or went since the last tick */
static uint64_t slow_at;     /* when the last slow tick was due, node monotonic ns */
static uint64_t junk_at;     /* last log line about junk */
static uint32_t runts;	     /* frames too short for their headers */
static uint32_t junk_logged; /* junk frames already told of */

/* ---- addresses ---- */

ip_addr_t stack_addr(unsigned node)
{
	ip_addr_t a;

	IP4_ADDR(&a, 10, 0, 0, node);
	return a;
}

unsigned stack_node(const ip_addr_t *addr)
{
	uint32_t a = lwip_ntohl(ip4_addr_get_u32(addr)), node = a & 0xff;

	return a >> 8 == 0x0a0000 && node >= 1 && node <= WH_MAX_NODES ? node : 0;
}

unsigned stack_self(void)
{
	return self.node;
}

bool stack_reachable(unsigned node)
{
	return node >= 1 && node <= self.nodes && node != self.node;
}

int stack_errno(err_t err)
{
	switch (err) {
	case ERR_OK:
		return 0;
	case ERR_MEM:
	case ERR_BUF:
		return -ENOMEM;
	case ERR_TIMEOUT:
	case ERR_ABRT:
		return -ETIMEDOUT;
	case ERR_RTE:
		return -EHOSTUNREACH;
	case ERR_USE:
		return -EADDRINUSE;
	case ERR_RST:
		return -ECONNRESET;
	default:
		return -EIO;
	}
}

/* ---- the interface ---- */

static err_t link_output(struct netif *n, struct pbuf *p)
{
	(void)n;
	active = true;
	return nic_send(p);
}

/* The Ethernet address follows from the IP address: nothing to resolve. */
static err_t send_ip(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	struct eth_addr dst = {{0x52, 0x54, 0, 0, 0, ip4_addr4(to)}};

	return ethernet_output(n, p, (struct eth_addr *)n->hwaddr, &dst, ETHTYPE_IP);
}

static err_t init_netif(struct netif *n)
{
	n->name[0] = 'v';
	n->name[1] = 'n';
	n->mtu = NET_MTU;
	n->hwaddr_len = ETH_HWADDR_LEN;
	memcpy(n->hwaddr, (uint8_t[]){0x52, 0x54, 0, 0, 0, self.node}, ETH_HWADDR_LEN);
	n->flags =
		NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	n->linkoutput = link_output;
	n->output = send_ip;
	return ERR_OK;
}

/* lwIP looks at the headers before it looks at the length, so what cannot hold the smallest of them
 * (ARP; IP with an 8-byte payload) is dropped here. */
static void input(struct pbuf *p)
{
	active = true;
	if (p->len < FRAME_MIN) {
		runts++;
		pbuf_free(p);
		return;
	}
	if (netif.input(p, &netif) != ERR_OK)
		pbuf_free(p);
}

/* ---- the TCP clock ---- */

/* For lwIP's statistics; it measures nothing by it. */
u32_t sys_now(void)
{
	return wh_now() / SERVE_MS;
}

/* Does any connection need the fast clock, or is all at rest but for keep-alive? */
static bool tcp_busy(void)
{
	if (tcp_tw_pcbs)
		return true;
	for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
		if (p->state != ESTABLISHED || p->unacked || p->unsent || p->ooseq ||
		    p->refused_data || (p->flags & (TF_ACK_DELAY | TF_ACK_NOW)))
			return true;
	}
	return false;
}

static void bound_timeouts(void)
{
	for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
		p->rto = LWIP_MIN(LWIP_MAX(p->rto, RTO_MIN), RTO_MAX);
		if (p->persist_backoff > PERSIST_MAX)
			p->persist_backoff = PERSIST_MAX;
	}
}

/* Dropped frames, without those for a port where nobody listens: that is how a node looks while it boots, and
 * netstats shows them (bad_protocol). */
static uint32_t junk_count(void)
{
	const struct stats_ *s = &lwip_stats;

	return (uint32_t)nic_stats()->rx_bad + runts + s->link.drop + s->etharp.drop + s->ip.drop +
	       s->icmp.drop + (s->udp.drop - s->udp.proterr) + (s->tcp.drop - s->tcp.proterr);
}

/* At most one line a second, whatever comes. */
static void log_junk(uint64_t now)
{
	uint32_t n = junk_count();

	if (n == junk_logged || now < junk_at + JUNK_NS)
		return;
	serve_log("dropped %u damaged or malformed frames", n - junk_logged);
	junk_logged = n;
	junk_at = now;
}

static void tick(void *arg)
{
	uint64_t now = wh_now();

	(void)arg;
	active = false;
	tcp_fasttmr();
	if (now >= slow_at + SLOW_NS) {
		/* Ticks slept through while idle still age the connections, but no more than one
		 * sleep's worth: a node that was stopped must not take its own absence for its
		 * peers'. */
		uint64_t missed = LWIP_MIN(now - slow_at, (uint64_t)IDLE_NS) / SLOW_NS - 1;

		tcp_ticks += missed;
		bound_timeouts();
		tcp_slowtmr();
		slow_at = now;
		tcp_service_tick(now);
	}
	log_junk(now);
	serve_timer(&tick_timer, now + (tcp_busy() ? (uint64_t)FAST_NS : (uint64_t)IDLE_NS), tick,
		    NULL);
}

/* ---- the loop ---- */

/* Before sleeping: take what has come, let it go to the clients, send what they and lwIP made of
 * it. */
static void poll_card(void)
{
	bool more = nic_poll(RX_BUDGET, input) == RX_BUDGET;

	tcp_service_deliver();
	nic_flush();
	uint64_t soon = serve_now() + FAST_NS;

	/* Datagrams need no clock. */
	if (active && soon < tick_timer.deadline && tcp_busy())
		serve_timer(&tick_timer, soon, tick, NULL);
	if (more || !nic_sleep())
		serve_again();
}

/* The loop is awake, that is all: poll_card does the rest. */
static void on_wake(void)
{
}

void stack_start(void)
{
	ip4_addr_t addr, mask, none;

	wh_identity(&self);
	port_seed(self.seed ^ (uint64_t)self.node << 56 ^ wh_now());
	port_heap = nic_memory(MEM_SIZE + 4096); /* lwIP's own bookkeeping lies in it too */
	lwip_init();
	addr = stack_addr(self.node);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	IP4_ADDR(&none, 0, 0, 0, 0);
	nic_start(on_wake);
	if (!netif_add(&netif, &addr, &mask, &none, NULL, init_netif, ethernet_input))
		serve_die("lwIP refuses the interface");
	netif_set_default(&netif);
	netif_set_up(&netif);
	slow_at = wh_now();
	serve_timer(&tick_timer, slow_at + IDLE_NS, tick, NULL);
	serve_idle(poll_card);
	serve_log("node %u at 10.0.0.%u, mtu %u", self.node, self.node, NET_MTU);
}
