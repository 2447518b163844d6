/* SPDX-License-Identifier: MIT */
#include "detector.h"

void detector_init(struct detector *d, uint32_t self, uint64_t incarnation, uint64_t ask_ns,
		   uint64_t suspect_ns)
{
	*d = (struct detector){.self = self, .ask_ns = ask_ns, .suspect_ns = suspect_ns};
	d->node[self].state = WH_NODE_ALIVE;
	d->node[self].incarnation = incarnation;
}

enum detector_news detector_report(struct detector *d, uint32_t node, uint64_t incarnation,
				   uint64_t now)
{
	struct detected *n = &d->node[node];
	enum detector_news news = DETECTOR_ALIVE;

	if (incarnation <= n->fenced || incarnation < n->incarnation)
		return DETECTOR_GHOST;
	if (n->incarnation && incarnation > n->incarnation) {
		n->fenced = incarnation - 1;
		news = DETECTOR_REBORN;
	} else if (n->state == WH_NODE_ALIVE) {
		news = DETECTOR_SAME;
	}
	n->incarnation = incarnation;
	n->state = WH_NODE_ALIVE;
	n->heard_ns = now;
	return news;
}

uint64_t detector_tick(struct detector *d, uint64_t now)
{
	uint64_t suspects = 0;

	for (uint32_t k = 1; k <= WH_MAX_NODES; k++) {
		struct detected *n = &d->node[k];

		if (k == d->self || n->state != WH_NODE_ALIVE || now - n->heard_ns < d->suspect_ns)
			continue;
		n->state = WH_NODE_SUSPECT;
		suspects |= 1ull << (k - 1);
	}
	return suspects;
}

uint64_t detector_overdue(const struct detector *d, uint64_t now)
{
	uint64_t overdue = 0;

	for (uint32_t k = 1; k <= WH_MAX_NODES; k++)
		if (k != d->self && d->node[k].state == WH_NODE_ALIVE &&
		    now - d->node[k].heard_ns >= d->ask_ns)
			overdue |= 1ull << (k - 1);
	return overdue;
}

uint64_t detector_overdue_at(const struct detector *d)
{
	uint64_t at = UINT64_MAX;

	for (uint32_t k = 1; k <= WH_MAX_NODES; k++)
		if (k != d->self && d->node[k].state == WH_NODE_ALIVE &&
		    d->node[k].heard_ns + d->ask_ns < at)
			at = d->node[k].heard_ns + d->ask_ns;
	return at;
}

void detector_away(struct detector *d, uint64_t ns, uint64_t now)
{
	for (uint32_t k = 1; k <= WH_MAX_NODES; k++) {
		struct detected *n = &d->node[k];

		if (n->heard_ns)
			n->heard_ns += now - n->heard_ns < ns ? now - n->heard_ns : ns;
	}
}

bool detector_fence(struct detector *d, uint32_t node, uint64_t incarnation)
{
	struct detected *n = &d->node[node];

	if (incarnation <= n->fenced)
		return false;
	n->fenced = incarnation;
	if (n->incarnation <= incarnation) {
		n->incarnation = incarnation;
		n->state = WH_NODE_DEAD;
	}
	return true;
}
