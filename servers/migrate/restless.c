/* SPDX-License-Identifier: MIT */
/*
 * Restless processes (docs/restless.md). The kernel parks one that is due and says so; it goes to the next live node round
 * the ring, to the one after that if the next has refused it, or on where it is.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "handler.h"

#define REASONS	   24
#define REASON_MAX 160

static struct {
	uint64_t count;
	char text[REASON_MAX]; /* numbers are N: the same reason for another process is the same */
} reasons[REASONS];
static uint64_t moved, lost, stayed, other;

/* ---- why they stayed ---- */

static void generalise(char *out, size_t size, const char *why)
{
	size_t n = 0;
	const char *cure = strstr(why, "; cure");
	const char *end = cure ? cure : why + strlen(why);
	while (why < end && n + 1 < size) {
		size_t digits = strspn(why, "0123456789");
		out[n++] = digits ? 'N' : *why;
		why += digits ? digits : 1;
	}
	out[n] = '\0';
}

static void count(const char *why)
{
	char text[REASON_MAX];
	generalise(text, sizeof(text), why);
	for (unsigned i = 0; i < REASONS; i++) {
		if (reasons[i].count && strcmp(reasons[i].text, text) != 0)
			continue;
		memcpy(reasons[i].text, text, sizeof(text));
		reasons[i].count++;
		return;
	}
	other++;
}

/* A process that could not be frozen or moved goes on at once; it may have been thawed already. */
void restless_ended(uint32_t pid, enum mg_result result, const char *why)
{
	if (result == MG_MOVED) {
		moved++;
	} else if (result == MG_LOST) {
		lost++;
	} else {
		stayed++;
		count(why);
		wh_proc_unpark((int)pid);
	}
}

void restless_stats(const struct serve_ctl *c)
{
	char text[REASONS * (REASON_MAX + 24) + 128];
	int n = snprintf(text, sizeof(text), "moved %llu\nlost %llu\nstayed %llu\n",
			 (unsigned long long)moved, (unsigned long long)lost,
			 (unsigned long long)stayed);
	for (unsigned i = 0; i < REASONS && reasons[i].count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%8llu %s\n",
			      (unsigned long long)reasons[i].count, reasons[i].text);
	if (other)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%8llu for other reasons\n",
			      (unsigned long long)other);
	serve_ctl_answer(c, 0, text, (size_t)n);
}

/* ---- where to ---- */

/* The live node that comes `skip` live nodes after the next one; 0: there is no other. */
static uint32_t next_node(uint32_t skip)
{
	static struct wh_node rows[WH_MAX_NODES];
	bool alive[MG_NODES] = {false};
	uint32_t others = 0;
	long n = wh_node_get(rows, WH_MAX_NODES);
	for (long i = 0; i < n; i++)
		if (rows[i].state == WH_NODE_ALIVE && rows[i].node != node.self &&
		    rows[i].node <= node.nodes) {
			alive[rows[i].node] = true;
			others++;
		}
	if (!others)
		return 0;
	skip %= others;
	for (uint32_t k = node.self % node.nodes + 1;; k = k % node.nodes + 1)
		if (alive[k] && skip-- == 0)
			return k;
}

static void on_restless(const struct wh_event *ev)
{
	struct wh_k_restless k = *WH_BODY(&ev->msg, const struct wh_k_restless);
	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	serve_status(ev->id, 0);
	uint32_t dest = next_node(k.stays);
	if (dest)
		moves_restless(k.uqpid.pid, dest);
	else
		restless_ended((uint32_t)k.uqpid.pid, MG_REFUSED, "no other node is alive");
	effects_run();
}

void restless_init(void)
{
	serve_on(WH_MSG_K_RESTLESS, on_restless);
}
