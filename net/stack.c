/* SPDX-License-Identifier: MIT */
/* lwIP on our card and in our event loop. See stack.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/init.h"
#include "lwip/etharp.h"
#include "lwip/mem.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"

#include "cable.h"
#include "nic.h"
#include "serve.h"
#include "stack.h"
#include "tcp.h"

enum {
	FAST_NS = TCP_TMR_INTERVAL *
		  SERVE_MS,	 /* lwIP's fast timer; the slow one is every second of them */
	IDLE_NS = 1 * SERVE_SEC, /* while nothing but keep-alive is due */
	REST_NS = 4 * SERVE_SEC, /* without a connection: there only may be junk to tell of */
	SLOW_NS = TCP_SLOW_INTERVAL * SERVE_MS,
	/* Bounds of a retransmission time-out, in slow ticks. lwIP has neither: on a fast wire it
	 * would go to nothing, and after a stall of the peer it would wait for as long again. */
	RTO_MIN = 3,
	RTO_MAX = 10,
	PERSIST_MAX = 3, /* step of lwIP's probes of a closed window: 1.2 s */
	RX_BUDGET = 128, /* frames between two looks at the clients */
	MAX_DELIVER = 4,
	JUNK_NS = 1 * SERVE_SEC,
	FRAME_MIN = 42,
	IP_SOURCE = 26, /* offsets in a frame */
	IP_DEST = 30,
	HOST_MTU = 1500,
	MTU_MIN = 576 + LINK_TAIL_BYTES,
};

/* A card and lwIP's interface on it. */
struct interface {
	struct netif netif;
	struct nic *nic; /* NULL: there is none */
};

static struct interface wire, host;
static struct wh_identity self;
static struct serve_timer tick_timer;
static void (*deliver[MAX_DELIVER])(void);
static unsigned deliver_count;
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

const struct nic_stats *stack_card(unsigned index)
{
	struct nic *n = index == 0 ? wire.nic : host.nic;

	return n ? nic_stats(n) : NULL;
}

void stack_active(void)
{
	active = true;
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

static err_t wire_output(struct netif *n, struct pbuf *p)
{
	(void)n;
	active = true;
	return cable_send(p);
}

/* The Ethernet address follows from the IP address: nothing to resolve. */
static err_t wire_send_ip(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	struct eth_addr dst = {{0x52, 0x54, 0, 0, 0, ip4_addr4(to)}};

	return ethernet_output(n, p, (struct eth_addr *)n->hwaddr, &dst, ETHTYPE_IP);
}

static err_t host_output(struct netif *n, struct pbuf *p)
{
	(void)n;
	active = true;
	return nic_send(host.nic, p, NULL, 0);
}

static err_t init_netif(struct netif *n)
{
	n->name[0] = 'v';
	n->name[1] = 'n';
	n->hwaddr_len = ETH_HWADDR_LEN;
	n->flags =
		NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
	if (n == &host.netif) {
		n->mtu = HOST_MTU;
		memcpy(n->hwaddr, nic_address(host.nic), ETH_HWADDR_LEN);
		n->linkoutput = host_output;
		n->output = etharp_output;
	} else {
		n->mtu = self.mtu - LINK_TAIL_BYTES;
		memcpy(n->hwaddr, (uint8_t[]){0x52, 0x54, 0, 0, 0, self.node}, ETH_HWADDR_LEN);
		n->linkoutput = wire_output;
		n->output = wire_send_ip;
		cable_start(n, wire.nic);
	}
	return ERR_OK;
}

/* lwIP looks at the headers before it looks at the length, so what cannot hold the smallest of them
 * (ARP; IP with an 8-byte payload) is dropped here. */
static void input(struct interface *i, struct pbuf *p)
{
	if (i->netif.input(p, &i->netif) != ERR_OK)
		pbuf_free(p);
}

static bool long_enough(const struct pbuf *p)
{
	active = true;
	runts += p->len < FRAME_MIN;
	return p->len >= FRAME_MIN;
}

static void wire_input(void *arg, struct pbuf *p)
{
	(void)arg;
	if (!cable_told(p) && long_enough(p) && cable_accept(p))
		input(&wire, p);
	else
		pbuf_free(p);
}

static bool from_or_to_wire(const struct pbuf *p)
{
	static const uint8_t net[3] = {10, 0, 0};
	const uint8_t *frame = p->payload;

	return frame[12] == ETHTYPE_IP >> 8 && frame[13] == (ETHTYPE_IP & 0xff) &&
	       (memcmp(frame + IP_SOURCE, net, sizeof(net)) == 0 ||
		memcmp(frame + IP_DEST, net, sizeof(net)) == 0);
}

/* From the host nobody may speak as a node, or to what listens at the wire's address. */
static void host_input(void *arg, struct pbuf *p)
{
	(void)arg;
	if (long_enough(p) && !from_or_to_wire(p))
		input(&host, p);
	else
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

static uint64_t tick_pause(void)
{
	if (tcp_busy())
		return FAST_NS;
	return tcp_active_pcbs || !cable_stats()->told ? (uint64_t)IDLE_NS : (uint64_t)REST_NS;
}

static void bound_timeouts(void)
{
	for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next) {
		p->rto = LWIP_MIN(LWIP_MAX(p->rto, RTO_MIN), RTO_MAX);
		if (p->persist_backoff > PERSIST_MAX)
			p->persist_backoff = PERSIST_MAX;
		/* lwIP forgets who waits for the last ACK after 2 MSL, which are 2 s, without a word to anybody: on a wire that
		 * loses, the end of what was written would never arrive. TCP_MAXRTX says when to give up. */
		if (p->state == LAST_ACK && (p->unacked || p->unsent))
			p->tmr = tcp_ticks;
	}
}

/* Dropped frames, without those for a port where nobody listens: that is how a node looks while it boots, and
 * netstats shows them (bad_protocol). */
static uint32_t junk_count(void)
{
	const struct stats_ *s = &lwip_stats;

	return (uint32_t)nic_stats(wire.nic)->rx_bad + (uint32_t)cable_stats()->bad_tail +
	       (uint32_t)cable_stats()->no_tail + runts + s->link.drop + s->etharp.drop +
	       s->ip.drop + s->icmp.drop + (s->udp.drop - s->udp.proterr) +
	       (s->tcp.drop - s->tcp.proterr);
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
	cable_tick(now);
	log_junk(now);
	serve_timer(&tick_timer, now + tick_pause(), tick, NULL);
}

/* ---- memory that cards may still read ---- */

/* For each block: frames that were queued on each card when it was given back. */
struct limbo {
	struct limbo *next;
	void *mem;
	uint64_t wire_mark, host_mark;
};

static struct limbo *limbo; /* the newest first */

static bool sent(uint64_t wire_mark, uint64_t host_mark)
{
	return nic_done(wire.nic) >= wire_mark && (!host.nic || nic_done(host.nic) >= host_mark);
}

static void empty_limbo(void)
{
	for (struct limbo **link = &limbo; *link;) {
		struct limbo *l = *link;

		if (sent(l->wire_mark, l->host_mark)) {
			*link = l->next;
			mem_free(l->mem);
			free(l);
		} else {
			link = &l->next;
		}
	}
}

void stack_free(void *mem)
{
	struct limbo now = {.mem = mem,
			    .wire_mark = nic_queued(wire.nic),
			    .host_mark = host.nic ? nic_queued(host.nic) : 0};
	struct limbo *l = sent(now.wire_mark, now.host_mark) ? NULL : malloc(sizeof(*l));

	if (!l && !sent(now.wire_mark, now.host_mark)) {
		serve_log(
			"a block of the heap is lost: no memory to remember it"); /* better than sent */
	} else if (!l) {
		mem_free(mem);
	} else {
		now.next = limbo;
		*l = now;
		limbo = l;
	}
}

/* ---- the loop ---- */

/* Before sleeping: take what has come, let it go to the clients, send what they and lwIP made of
 * it. */
static void poll_cards(void)
{
	bool more = nic_poll(wire.nic, RX_BUDGET, wire_input, NULL) == RX_BUDGET;

	if (host.nic)
		more |= nic_poll(host.nic, RX_BUDGET, host_input, NULL) == RX_BUDGET;
	for (unsigned i = 0; i < deliver_count; i++)
		deliver[i]();
	nic_flush(wire.nic);
	if (host.nic)
		nic_flush(host.nic);
	empty_limbo();
	uint64_t soon = serve_now() + FAST_NS;

	/* Datagrams need no clock. */
	if (active && soon < tick_timer.deadline && tcp_busy())
		serve_timer(&tick_timer, soon, tick, NULL);
	more |= !nic_sleep(wire.nic);
	if (host.nic)
		more |= !nic_sleep(host.nic);
	if (more)
		serve_again();
}

/* The loop is awake, that is all: poll_cards does the rest. */
static void on_wake(void)
{
}

static void add(struct interface *i, const char *ip, const char *gateway)
{
	ip4_addr_t addr, mask, gw;

	IP4_ADDR(&mask, 255, 255, 255, 0);
	if (!ip4addr_aton(ip, &addr) || !ip4addr_aton(gateway, &gw) ||
	    !netif_add(&i->netif, &addr, &mask, &gw, NULL, init_netif, ethernet_input))
		serve_die("lwIP refuses the interface %s", ip);
	netif_set_up(&i->netif);
}

void stack_deliver(void (*fn)(void))
{
	if (deliver_count == MAX_DELIVER)
		serve_die("more than %d kinds of clients", MAX_DELIVER);
	deliver[deliver_count++] = fn;
}

static unsigned mtu_of_wire(void)
{
	unsigned mtu = self.mtu;

	return mtu == 0 || mtu > NET_MTU_DEFAULT ? NET_MTU_DEFAULT : mtu < MTU_MIN ? MTU_MIN : mtu;
}

void stack_start(void)
{
	char ip[16];

	wh_identity(&self);
	self.mtu = mtu_of_wire();
	port_seed(self.seed ^ (uint64_t)self.node << 56 ^ wh_now());
	port_heap = nic_memory(MEM_SIZE + 4096); /* lwIP's own bookkeeping lies in it too */
	lwip_init();
	wire.nic = nic_open(0, NIC_LARGE_FRAMES, on_wake);
	if (!wire.nic)
		serve_die("no virtio network card");
	host.nic = nic_open(1, NIC_SMALL_FRAMES, on_wake);
	snprintf(ip, sizeof(ip), "10.0.0.%u", self.node);
	add(&wire, ip, "0.0.0.0");
	netif_set_default(&wire.netif);
	if (host.nic) { /* QEMU's user-mode network */
		add(&host, "10.0.2.15", "10.0.2.2");
		netif_set_default(&host.netif);
	}
	slow_at = wh_now();
	serve_timer(&tick_timer, slow_at + IDLE_NS, tick, NULL);
	serve_idle(poll_cards);
	serve_log("node %u at %s, mtu %u%s", self.node, ip, self.mtu,
		  host.nic ? "; the host's loopback at 10.0.2.2" : "");
}
