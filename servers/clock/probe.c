/* SPDX-License-Identifier: MIT */
/*
 * 1. Every HURRY_NS, and every REST_NS once all are measured, A chooses the next node that is alive, B, and sends it a probe with its time t1.
 * 2. B answers at once with t1, the time t2 of arrival, and the time t3 of the answer.
 * 3. A takes the time t4, and sends the next probe, until the burst is complete or one got lost.
 * 4. A filters the burst (offset.c) and publishes the result in the kernel's node table.
 */
#include "probe.h"
#include "offset.h"

#include <stdio.h>
#include <string.h>

#include "msg_clock.h"
#include "net.h"
#include "serve.h"

enum {
	PROBE_MAGIC = 0x57434c4b, /* "WCLK" */
	PROBE_ASK = 1,
	PROBE_ANSWER = 2,
	PROBE_LINE = 100, /* bytes of one line of the table */
};

/* From burst to burst. Each exchange wakes two nodes, which is most of what an idle node does. */
#define HURRY_NS (500 * SERVE_MS)
#define REST_NS                                                                                    \
	(2000 *                                                                                    \
	 SERVE_MS) /* longer with more than 4 nodes: each is measured every count * REST_NS */
#define ANSWER_NS (200 * SERVE_MS) /* a probe without an answer by then is lost */

/* On the wire, little endian, as it is in memory. Times are REALTIME in ns. */
struct probe {
	uint32_t magic, kind;
	uint32_t node; /* the sender */
	uint32_t seq;  /* of the probe; the answer repeats it */
	int64_t t1, t2, t3;
};

struct measured {
	struct offset_sample best;
	uint64_t when; /* node monotonic ns; 0: never */
};

static uint32_t self, count;
static int64_t (*clock_now)(void);
static struct measured peers[WH_MAX_NODES + 1];

/* The burst under way; target 0: none. */
static struct {
	uint32_t target, seq;
	unsigned sent, got;
	int64_t t1;
	struct offset_sample sample[OFFSET_BURST];
} burst;

static uint32_t last_target;
static struct serve_timer poll_timer, answer_timer;

static void lost(void *arg);

static void publish(uint32_t node)
{
	struct wh_node table[WH_MAX_NODES];
	long n = wh_node_get(table, WH_MAX_NODES);

	for (long i = 0; i < n; i++) {
		if (table[i].node != node)
			continue;
		table[i].clock_offset_ns = peers[node].when ? peers[node].best.offset : INT64_MIN;
		wh_node_set(&table[i]);
	}
}

static void end_burst(void)
{
	struct measured *m = &peers[burst.target];

	serve_timer_stop(&answer_timer);
	if (offset_filter(burst.sample, burst.got, &m->best)) {
		m->when = wh_now();
		publish(burst.target);
	}
	burst.target = 0;
}

static void ask(void)
{
	struct probe p = {.magic = PROBE_MAGIC, .kind = PROBE_ASK, .node = self};

	if (burst.sent == OFFSET_BURST) {
		end_burst();
		return;
	}
	burst.sent++;
	p.seq = ++burst.seq;
	p.t1 = burst.t1 = clock_now();
	net_udp_send(WH_PORT_CLOCK, burst.target, WH_PORT_CLOCK, &p, sizeof(p));
	serve_timer(&answer_timer, wh_now() + ANSWER_NS, lost, NULL);
}

static void lost(void *arg)
{
	(void)arg;
	ask();
}

/* The next node, in turn, that is alive; 0 if none is. `all`: each of them has been measured. */
static uint32_t next_target(bool *all)
{
	struct wh_node table[WH_MAX_NODES];
	long n = wh_node_get(table, WH_MAX_NODES);
	uint32_t best = 0, best_turn = UINT32_MAX;

	*all = true;
	for (long i = 0; i < n; i++) {
		uint32_t turn = table[i].node - last_target - 1;

		if (table[i].node == self || table[i].state != WH_NODE_ALIVE)
			continue;
		*all = *all && peers[table[i].node].when;
		if (turn >= best_turn)
			continue;
		best = table[i].node;
		best_turn = turn;
	}
	return best;
}

static void poll(void *arg)
{
	uint64_t rest = count > 4 ? REST_NS * count / 4 : REST_NS;
	bool all;
	uint32_t target = next_target(&all);

	(void)arg;
	serve_timer(&poll_timer, wh_now() + (all ? rest : HURRY_NS), poll, NULL);
	if (burst.target || !target || target > WH_MAX_NODES)
		return;
	last_target = burst.target = target;
	burst.sent = burst.got = 0;
	ask();
}

static void answered(unsigned node, const struct probe *p, int64_t t4)
{
	/* Late, repeated, or not ours: the sequence number says so. */
	if (node != burst.target || p->seq != burst.seq || p->t1 != burst.t1)
		return;
	if (offset_measure(p->t1, p->t2, p->t3, t4, &burst.sample[burst.got]))
		burst.got++;
	ask();
}

static void on_datagram(void *arg, unsigned node, uint16_t port, const void *data, size_t len)
{
	int64_t arrived = clock_now();
	struct probe p;

	(void)arg;
	if (len == sizeof(p))
		memcpy(&p, data, sizeof(p));
	if (len != sizeof(p) || p.magic != PROBE_MAGIC || p.node != node || node > count) {
		serve_log("rejected %zu bytes from node %u", len, node);
		return;
	}
	if (p.kind == PROBE_ANSWER) {
		answered(node, &p, arrived);
		return;
	}
	p.kind = PROBE_ANSWER;
	p.node = self;
	p.t2 = arrived;
	p.t3 = clock_now();
	net_udp_send(WH_PORT_CLOCK, node, port, &p, sizeof(p));
}

void probe_start(uint32_t node, uint32_t nodes, int64_t (*now)(void))
{
	self = last_target = node;
	count = nodes;
	clock_now = now;
	net_udp_bind(WH_PORT_CLOCK, on_datagram, NULL);
	serve_timer(&poll_timer, wh_now() + HURRY_NS, poll, NULL);
}

void probe_clock_was_set(void)
{
	serve_timer(&poll_timer, wh_now() + HURRY_NS, poll, NULL);
	serve_timer_stop(&answer_timer);
	burst.target = 0;
	for (uint32_t k = 1; k <= WH_MAX_NODES; k++) {
		if (!peers[k].when)
			continue;
		peers[k].when = 0;
		publish(k);
	}
}

void probe_table(const struct serve_ctl *c)
{
	char text[PROBE_LINE * WH_MAX_NODES];
	size_t len = 0;
	uint64_t now = wh_now();

	for (uint32_t k = 1; k <= WH_MAX_NODES; k++) {
		if (!peers[k].when)
			continue;
		len += (size_t)snprintf(text + len, PROBE_LINE, "%u %lld %lld %llu\n", k,
					(long long)peers[k].best.offset,
					(long long)peers[k].best.delay,
					(unsigned long long)((now - peers[k].when) / SERVE_MS));
	}
	serve_ctl_answer(c, 0, text, len);
}
