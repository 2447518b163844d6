/* SPDX-License-Identifier: MIT */
/* What the switch says of itself. Settings are printed as the commands that make them (ctl.c). */
#include <errno.h>
#include <string.h>

#include "knobs.h"
#include "switch.h"

static void print_fault(FILE *out, const struct fault *f, unsigned from, unsigned to)
{
	if (fault_idle(f))
		return;
	fprintf(out, to ? "set %u:%u" : "set %u", from, to);
	knobs_print(f, out);
	fprintf(out, "\n");
}

static void print_partition(struct lan *lan, FILE *out)
{
	unsigned groups = 0;

	for (unsigned k = 1; k <= lan->nports; k++)
		if (lan->port[k].group > groups)
			groups = lan->port[k].group;
	if (!groups)
		return;
	fprintf(out, "partition");
	for (unsigned g = 1; g <= groups; g++) {
		const char *before = " ";

		for (unsigned k = 1; k <= lan->nports; k++)
			if (lan->port[k].group == g) {
				fprintf(out, "%s%u", before, k);
				before = ",";
			}
	}
	fprintf(out, "\n");
}

void show_settings(struct lan *lan, FILE *out)
{
	fprintf(out, "seed %ju\n", (uintmax_t)lan->seed);
	if (lan->open)
		fprintf(out, "open on\n");
	print_partition(lan, out);
	for (unsigned k = 1; k <= lan->nports; k++)
		print_fault(out, &lan->port[k].fault, k, 0);
	for (unsigned i = 1; i <= lan->nports; i++)
		for (unsigned j = 1; j <= lan->nports; j++)
			print_fault(out, &lan->link[i][j].fault, i, j);
}

void show_nodes(struct lan *lan, FILE *out)
{
	fprintf(out,
		"node link    group   in-frames      in-bytes  out-frames     out-bytes foreign\n");
	for (unsigned k = 1; k <= lan->nports; k++) {
		struct port *p = &lan->port[k];

		fprintf(out, "%4u %-7s %5u %11ju %13ju %11ju %13ju %7ju\n", k,
			p->fd < 0   ? "-"
			: !p->asked ? "up"
			: p->acked  ? "up,told"
				    : "up,asks",
			p->group, (uintmax_t)p->in_frames, (uintmax_t)p->in_bytes,
			(uintmax_t)p->out_frames, (uintmax_t)p->out_bytes, (uintmax_t)p->foreign);
	}
}

void show_links(struct lan *lan, FILE *out, bool all, unsigned from, unsigned to)
{
	fprintf(out,
		"link       frames         bytes    lost     dup reorder delayed damaged limited "
		"    cut dropped\n");
	for (unsigned i = 1; i <= lan->nports; i++)
		for (unsigned j = 1; j <= lan->nports; j++) {
			const struct link_stats *s = &lan->link[i][j].stats;
			bool done = s->lost | s->duplicated | s->reordered | s->delayed |
				    s->damaged | s->limited | s->cut | s->dropped;

			if (!s->frames || !(all || done) || (from && from != i) || (to && to != j))
				continue;
			fprintf(out,
				"%2u:%-2u %11ju %13ju %7ju %7ju %7ju %7ju %7ju %7ju %7ju %7ju\n", i,
				j, (uintmax_t)s->frames, (uintmax_t)s->bytes, (uintmax_t)s->lost,
				(uintmax_t)s->duplicated, (uintmax_t)s->reordered,
				(uintmax_t)s->delayed, (uintmax_t)s->damaged, (uintmax_t)s->limited,
				(uintmax_t)s->cut, (uintmax_t)s->dropped);
		}
}

void settings_save(struct lan *lan)
{
	char name[256], old[256];

	snprintf(name, sizeof(name), "%s/switch.conf.new", lan->dir);
	snprintf(old, sizeof(old), "%s/switch.conf", lan->dir);
	FILE *out = fopen(name, "w");

	if (!out) {
		fprintf(stderr, "switch: %s: %s\n", name, strerror(errno));
		return;
	}
	fprintf(out, "epoch %u\n", lan->epoch);
	for (unsigned k = 1; k <= lan->nports; k++)
		if (lan->port[k].asked)
			fprintf(out, "ours %u\n", k);
	show_settings(lan, out);
	if (fclose(out) != 0 || rename(name, old) != 0)
		fprintf(stderr, "switch: %s: %s\n", old, strerror(errno));
}
