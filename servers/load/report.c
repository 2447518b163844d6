/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <string.h>

/* FNV-1a with `check` taken as zero. Guards against damage, not against malice. */
static uint32_t check_of(const struct load_report *r)
{
	struct load_report copy = *r;
	const unsigned char *p = (const unsigned char *)&copy;
	uint32_t h = 2166136261u;

	copy.check = 0;
	for (size_t i = 0; i < sizeof(copy); i++)
		h = (h ^ p[i]) * 16777619u;
	return h;
}

void report_seal(struct load_report *r)
{
	r->magic = REPORT_MAGIC;
	r->version = REPORT_VERSION;
	r->bytes = sizeof(*r);
	r->check = check_of(r);
}

/* Far above any real load, and far below what could overflow when loads are added up. */
enum { MOST_LOAD = 10000000 };

static bool is_node(uint32_t node)
{
	return node >= 1 && node <= WH_MAX_NODES;
}

bool report_open(struct load_report *r, const void *data, size_t len, uint32_t from)
{
	if (len != sizeof(*r))
		return false;
	memcpy(r, data, sizeof(*r));
	if (r->magic != REPORT_MAGIC || r->version != REPORT_VERSION || r->bytes != sizeof(*r) ||
	    r->check != check_of(r))
		return false;
	if (r->node != from || !is_node(from) || !r->incarnation || r->nmoves > REPORT_ROWS ||
	    r->nfences > REPORT_ROWS || r->load_milli > MOST_LOAD)
		return false;
	for (unsigned i = 0; i < r->nmoves; i++)
		if (!is_node(r->move[i].node) || r->move[i].milli > MOST_LOAD)
			return false;
	for (unsigned i = 0; i < r->nfences; i++)
		if (!is_node(r->fence[i].node))
			return false;
	return true;
}
