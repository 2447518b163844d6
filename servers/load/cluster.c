/* SPDX-License-Identifier: MIT */
#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "detector.h"
#include "moves.h"
#include "net.h"
#include "sending.h"
#include "serve.h"

#define NODE_BIT(node) (1ull << ((node)-1))

/* What is worth a report before the next beat: this much more or less load, or this part of the free
 * memory. */
enum { NEWS_MILLI = 50, NEWS_PART = 8 };

static uint32_t self_node, node_count;
static uint64_t own_incarnation;
static bool outcast;
static struct detector detector;
static struct load_report last[WH_MAX_NODES + 1];  /* magic 0: none yet */
static struct wh_node published[WH_MAX_NODES + 1]; /* as it lies in the kernel's table */
static uint32_t first_fence; /* reports have room for few: which node's comes first next time */

static struct cluster_self self; /* at the last tick */
static bool reporting;		 /* from the first tick at which we know who we are */
static uint64_t all_at;		 /* when the last report to all was sent; 0: send one now */
static void (*beat_due)(void);

static const char *const state_names[] = {
	[WH_NODE_UNKNOWN] = "unknown",
	[WH_NODE_ALIVE] = "alive",
	[WH_NODE_SUSPECT] = "suspect",
	[WH_NODE_DEAD] = "dead",
};

/* ---- the kernel's node table ---- */

/* The clock offsets are the clock server's; a row is written whole, so they are read first. */
static void read_offsets(void)
{
	static struct wh_node table[WH_MAX_NODES];
	long n = wh_node_get(table, WH_MAX_NODES);

	for (uint32_t k = 1; k <= node_count; k++)
		published[k].clock_offset_ns = INT64_MIN;
	for (long i = 0; i < n; i++)
		if (table[i].node >= 1 && table[i].node <= node_count)
			published[table[i].node].clock_offset_ns = table[i].clock_offset_ns;
}

static void publish(uint32_t node)
{
	const struct detected *d = &detector.node[node];
	struct wh_node *p = &published[node];

	p->node = node;
	p->state = d->state;
	p->incarnation = d->incarnation;
	p->load_milli = last[node].load_milli;
	p->free_bytes = last[node].free_bytes;
	p->heard_ns = d->heard_ns;
	if (node == self_node)
		p->clock_offset_ns = 0;
	if (wh_node_set(p) < 0)
		serve_log("the kernel does not take node %u", node);
}

/* All rows that have changed. */
static void publish_all(void)
{
	read_offsets();
	for (uint32_t k = 1; k <= node_count; k++)
		if (detector.node[k].state != WH_NODE_UNKNOWN &&
		    (published[k].heard_ns != detector.node[k].heard_ns ||
		     published[k].state != detector.node[k].state))
			publish(k);
}

/* ---- reports ---- */

static uint16_t fence_rows(struct report_fence *rows)
{
	uint16_t n = 0;

	for (uint32_t i = 0; i < node_count && n < REPORT_ROWS; i++) {
		uint32_t k = 1 + (first_fence + i) % node_count;

		if (detector.node[k].state != WH_NODE_DEAD)
			continue;
		rows[n++] =
			(struct report_fence){.node = k, .incarnation = detector.node[k].fenced};
		if (n == REPORT_ROWS)
			first_fence = k;
	}
	return n;
}

static void make_report(void)
{
	struct load_report *r = &last[self_node];

	*r = (struct load_report){
		.node = self_node,
		.incarnation = own_incarnation,
		.free_bytes = self.free_bytes,
		.load_milli = self.load_milli,
		.threshold_milli = self.threshold_milli,
		.balancing = (uint16_t)self.balancing,
	};
	r->nmoves = (uint16_t)moves_rows(r->move, self.settle_ms);
	r->nfences = fence_rows(r->fence);
}

static void report_to(uint64_t nodes, uint64_t ask)
{
	if (!reporting || outcast)
		return;
	make_report();
	send_report(&last[self_node], nodes, ask);
}

static void report_to_all(void)
{
	uint64_t all = (node_count < 64 ? 1ull << node_count : 0) - 1;

	all_at = wh_now();
	report_to(all & ~NODE_BIT(self_node), 0);
}

void cluster_report(const struct cluster_self *current)
{
	self = *current;
	report_to_all();
}

static uint32_t apart(uint32_t a, uint32_t b)
{
	return a > b ? a - b : b - a;
}

static bool is_news(void)
{
	const struct load_report *r = &last[self_node];
	uint64_t more = self.free_bytes > r->free_bytes ? self.free_bytes - r->free_bytes
							: r->free_bytes - self.free_bytes;

	return !r->magic || r->nmoves || moves_under_way() || r->balancing != self.balancing ||
	       apart(r->load_milli, self.load_milli) >= NEWS_MILLI ||
	       more > r->free_bytes / NEWS_PART;
}

static void hear_of_fences(const struct load_report *r)
{
	for (unsigned i = 0; i < r->nfences; i++) {
		const struct report_fence *f = &r->fence[i];

		if (f->node == self_node) {
			if (f->incarnation < own_incarnation || outcast)
				continue;
			outcast = true;
			serve_log("node %u says that this node was declared dead: restart it",
				  r->node);
		} else if (f->node <= node_count &&
			   detector_fence(&detector, f->node, f->incarnation)) {
			serve_log("incarnation %llu of node %u is dead, says node %u",
				  (unsigned long long)f->incarnation, f->node, r->node);
			publish(f->node);
		}
	}
}

static void on_datagram(void *arg, unsigned node, uint16_t port, const void *data, size_t len)
{
	enum detector_news news;
	struct load_report r;

	(void)arg;
	(void)port;
	if (node > node_count || node == self_node || !report_open(&r, data, len, node)) {
		serve_log("rejected %zu bytes from node %u", len, node);
		return;
	}
	if (!own_incarnation)
		return;
	if (r.incarnation == last[node].incarnation && r.seq <= last[node].seq)
		return;
	news = detector_report(&detector, node, r.incarnation, wh_now());
	if (news == DETECTOR_GHOST)
		return;
	last[node] = r;
	/*
	 * Who is new, or asks, is answered. And if our own beat is due soon, it is sent now: so the beats of all
	 * nodes fall together, and a node wakes for all of them at once instead of for each.
	 */
	if (news != DETECTOR_SAME || r.asks)
		report_to(NODE_BIT(node), 0);
	else if (wh_now() - all_at >= self.beat_ms * SERVE_MS / 2) {
		all_at = 0;
		beat_due();
	}
	if (news != DETECTOR_SAME) {
		serve_log("node %u is alive%s, incarnation %llu", node,
			  news == DETECTOR_REBORN ? " again" : "",
			  (unsigned long long)r.incarnation);
		read_offsets();
		publish(node);
	}
	hear_of_fences(&r);
}

void cluster_start(uint32_t node, uint32_t nodes, void (*due)(void))
{
	beat_due = due;
	self_node = node;
	node_count = nodes < WH_MAX_NODES ? nodes : WH_MAX_NODES;
	net_udp_bind(WH_PORT_LOAD, on_datagram, NULL);
}

/* This node's incarnation is on its disk; init reads it and tells the kernel some time after we
 * have started. */
static bool know_myself(void)
{
	struct wh_identity id;

	if (own_incarnation)
		return true;
	if (wh_identity(&id) || !id.incarnation)
		return false;
	own_incarnation = id.incarnation;
	detector_init(&detector, self_node, own_incarnation, 0, 0);
	return true;
}

void cluster_away(uint64_t ns)
{
	if (own_incarnation)
		detector_away(&detector, ns, wh_now());
}

uint64_t cluster_tick(const struct cluster_self *current)
{
	uint64_t now = wh_now(), suspects, overdue;
	bool news;

	if (!know_myself())
		return 0;
	self = *current;
	reporting = true;
	detector.ask_ns = self.beat_ms * SERVE_MS * 5 / 4;
	detector.suspect_ns = self.suspect_ms * SERVE_MS;
	suspects = detector_tick(&detector, now);
	overdue = detector_overdue(&detector, now);
	detector.node[self_node].heard_ns = now;
	for (uint32_t k = 1; k <= node_count; k++)
		if (suspects & NODE_BIT(k))
			serve_log("node %u is silent: suspected", k);
	news = is_news();
	if (news || now - all_at >= self.beat_ms * SERVE_MS)
		report_to_all();
	else if (overdue)
		report_to(0, overdue);
	publish_all();
	return news || overdue ? 0 : detector_overdue_at(&detector);
}

/* ---- questions ---- */

static uint32_t coming_to(uint32_t node)
{
	uint32_t sum = 0;

	for (uint32_t k = 1; k <= node_count; k++) {
		if (k == self_node || detector.node[k].state != WH_NODE_ALIVE)
			continue;
		for (unsigned i = 0; i < last[k].nmoves; i++)
			if (last[k].move[i].node == node)
				sum += last[k].move[i].milli;
	}
	return sum;
}

size_t cluster_peers(struct load_peer *peers)
{
	size_t n = 0;

	for (uint32_t k = 1; k <= node_count; k++) {
		if (k == self_node)
			continue;
		peers[n++] = (struct load_peer){
			.node = k,
			.usable = detector.node[k].state == WH_NODE_ALIVE && last[k].balancing,
			.load_milli = last[k].load_milli,
			.coming_milli = coming_to(k),
			.free_bytes = last[k].free_bytes,
		};
	}
	return n;
}

bool cluster_outcast(void)
{
	return outcast;
}

int cluster_fence(uint32_t node, char *why, size_t size)
{
	const struct detected *d = &detector.node[node <= WH_MAX_NODES ? node : 0];

	if (node < 1 || node > node_count || node == self_node) {
		snprintf(why, size, "there is no other node %u\n", node);
		return -EINVAL;
	}
	if (d->state == WH_NODE_UNKNOWN) {
		snprintf(why, size, "node %u was never heard of\n", node);
		return -ESRCH;
	}
	if (d->state == WH_NODE_ALIVE) {
		snprintf(why, size, "node %u is alive, heard %llu ms ago: stop it first\n", node,
			 (unsigned long long)((wh_now() - d->heard_ns) / SERVE_MS));
		return -EBUSY;
	}
	if (detector_fence(&detector, node, d->incarnation)) {
		all_at = 0;
		serve_log("incarnation %llu of node %u is dead, says the operator",
			  (unsigned long long)d->incarnation, node);
		read_offsets();
		publish(node);
	}
	snprintf(why, size, "incarnation %llu of node %u is dead for good\n",
		 (unsigned long long)d->incarnation, node);
	return 0;
}

/* ---- tables ---- */

static void offset_text(const struct wh_node *n, char *text, size_t size)
{
	if (n->clock_offset_ns == INT64_MIN)
		snprintf(text, size, "-");
	else
		snprintf(text, size, "%+.6f", (double)n->clock_offset_ns / 1e9);
}

size_t cluster_nodes_text(char *text, size_t size)
{
	uint64_t now = wh_now();
	size_t len =
		(size_t)snprintf(text, size, "%4s %-8s %11s %9s %15s %7s %9s\n", "node", "state",
				 "incarnation", "heard-ms", "clock-offset-s", "load", "free-KiB");

	read_offsets();
	for (uint32_t k = 1; k <= node_count && len < size; k++) {
		const struct detected *d = &detector.node[k];
		char offset[32], heard[24];

		if (k == self_node)
			published[k].clock_offset_ns = 0;
		offset_text(&published[k], offset, sizeof(offset));
		if (d->heard_ns)
			snprintf(heard, sizeof(heard), "%llu",
				 (unsigned long long)((now - d->heard_ns) / SERVE_MS));
		else
			snprintf(heard, sizeof(heard), "-");
		len += (size_t)snprintf(text + len, size - len,
					"%4u %-8s %11llu %9s %15s %7.2f %9llu%s\n", k,
					state_names[d->state], (unsigned long long)d->incarnation,
					heard, offset, last[k].load_milli / 1000.0,
					(unsigned long long)(last[k].free_bytes / 1024),
					k == self_node ? " (this node)" : "");
	}
	return len < size ? len : size - 1;
}

size_t cluster_load_text(char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "%4s %-8s %7s %7s %10s %s\n", "node", "state",
				      "load", "coming", "threshold", "balancing");

	for (uint32_t k = 1; k <= node_count && len < size; k++) {
		uint32_t coming = coming_to(k);

		len += (size_t)snprintf(
			text + len, size - len, "%4u %-8s %7.2f %7.2f %10.2f %s%s\n", k,
			state_names[detector.node[k].state], last[k].load_milli / 1000.0,
			coming / 1000.0, last[k].threshold_milli / 1000.0,
			last[k].balancing ? "on" : "off", k == self_node ? " (this node)" : "");
	}
	return len < size ? len : size - 1;
}
