/* SPDX-License-Identifier: MIT */
/* The cluster's wire: asking what it does, tails. See cable.h. */
#include <string.h>

#include "lwip/def.h"

#include "cable.h"
#include "linksum.h"
#include "serve.h"

enum {
	ETHER_BYTES = 14,
	ETHER_TYPE = 12, /* offsets in a frame */
	IP_LENGTH = ETHER_BYTES + 2,
	IP_MIN = 20,
	ETHERTYPE_IP4 = 0x0800,
	ASK_NS = 1 * SERVE_SEC,
};

static const uint8_t switch_address[6] = {0x52, 0x54, 0, 0, 0, LINK_NODE};

static struct netif *netif;
static struct nic *nic;
static struct cable_stats stats;
static uint64_t ask_at; /* next, node monotonic ns */

const struct cable_stats *cable_stats(void)
{
	return &stats;
}

static unsigned be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* ---- what the wire does ---- */

static void go_by(unsigned mode)
{
	stats.mode = mode;
	NETIF_SET_CHECKSUM_CTRL(netif, mode == LINK_OPEN ? NETIF_CHECKSUM_ENABLE_ALL
							 : NETIF_CHECKSUM_DISABLE_ALL);
}

static void say(enum link_type type)
{
	struct pbuf *p = pbuf_alloc(PBUF_LINK, ETHER_BYTES + sizeof(struct link_msg), PBUF_RAM);
	struct link_msg m = {.magic = LINK_MAGIC, .type = type};

	if (!p) /* asked, or told, again */
		return;
	if (type == LINK_ACK) {
		m.mode = stats.mode;
		m.epoch = stats.epoch;
	}
	uint8_t *frame = p->payload;

	memcpy(frame, switch_address, 6);
	memcpy(frame + 6, netif->hwaddr, 6);
	frame[ETHER_TYPE] = LINK_ETHERTYPE >> 8;
	frame[ETHER_TYPE + 1] = LINK_ETHERTYPE & 0xff;
	memcpy(frame + ETHER_BYTES, &m, sizeof(m));
	nic_send(nic, p, NULL, 0);
	pbuf_free(p);
}

/* Whoever is not the switch may claim to be: what it can win is that TCP's own weak sum is not
 * looked at. Services do not depend on it. */
bool cable_told(const struct pbuf *p)
{
	const uint8_t *frame = p->payload;
	struct link_msg m;

	if (p->len < ETHER_BYTES || be16(frame + ETHER_TYPE) != LINK_ETHERTYPE)
		return false;
	if (p->len < ETHER_BYTES + sizeof(m) || memcmp(frame + 6, switch_address, 6) != 0)
		return true;
	memcpy(&m, frame + ETHER_BYTES, sizeof(m));
	if (m.magic != LINK_MAGIC || m.type != LINK_TELL || m.mode < LINK_CLEAN ||
	    m.mode > LINK_OPEN)
		return true;
	stats.told++;
	stats.epoch = m.epoch;
	if (m.mode != stats.mode)
		go_by(m.mode);
	say(LINK_ACK);
	return true;
}

void cable_tick(uint64_t now)
{
	if (stats.told > 0 || now < ask_at)
		return;
	ask_at = now + ASK_NS;
	say(LINK_ASK);
}

void cable_start(struct netif *n, struct nic *card)
{
	netif = n;
	nic = card;
	go_by(LINK_OPEN);
	cable_tick(wh_now());
}

/* ---- frames ---- */

/* Over the first `len` bytes of a frame. */
static uint32_t check_of(const struct pbuf *p, size_t len)
{
	struct linksum s;

	linksum_start(&s);
	for (; p && len > 0; p = p->next) {
		size_t n = LWIP_MIN(p->len, len);

		linksum_add(&s, p->payload, n);
		len -= n;
	}
	return linksum_end(&s);
}

err_t cable_send(struct pbuf *p)
{
	const uint8_t *frame = p->payload;

	if (stats.mode == LINK_CLEAN || be16(frame + ETHER_TYPE) != ETHERTYPE_IP4)
		return nic_send(nic, p, NULL, 0);
	struct link_tail tail = {.magic = LINK_TAIL_MAGIC, .check = check_of(p, p->tot_len)};

	return nic_send(nic, p, &tail, sizeof(tail));
}

bool cable_accept(const struct pbuf *p)
{
	const uint8_t *frame = p->payload;

	if (stats.mode == LINK_CLEAN || be16(frame + ETHER_TYPE) != ETHERTYPE_IP4)
		return true;
	struct link_tail tail = {0};
	size_t end = ETHER_BYTES + be16(frame + IP_LENGTH);

	if (end >= ETHER_BYTES + IP_MIN && p->tot_len >= end + sizeof(tail))
		pbuf_copy_partial(p, &tail, sizeof(tail), end);
	if (tail.magic != LINK_TAIL_MAGIC || tail.zero != 0) {
		if (stats.mode == LINK_OPEN)
			return true; /* a stranger's; or so damaged that its own sums will tell */
		stats.no_tail++;
		return false;
	}
	if (tail.check == check_of(p, end))
		return true;
	stats.bad_tail++;
	return false;
}
