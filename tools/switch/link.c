/* SPDX-License-Identifier: MIT */
/*
 * The switch's side of abi/link.h: which nodes know what the wire may do, and when damage may begin.
 * A station that never asked nor acknowledged is not one of ours; it is told, but not waited for.
 */
#include <string.h>

#include "link.h"
#include "switch.h"

#define REPEAT_NS      100000000u  /* while the node should still be awake */
#define REPEAT_SLOW_NS 1000000000u /* afterwards */
enum { REPEAT_SLOW_AFTER = 20 };

static const char *const mode_name[] = {"?", "clean", "checked", "open"};

static void tell(struct lan *lan, struct port *p)
{
	struct {
		uint8_t header[HEADER];
		uint8_t to[6], from[6], type[2];
		struct link_msg msg;
	} __attribute__((packed)) f = {
		.header = {0, 0, 0, sizeof(f) - HEADER},
		.from = {0x52, 0x54, 0, 0, 0, LINK_NODE},
		.type = {LINK_ETHERTYPE >> 8, LINK_ETHERTYPE & 0xff},
		.msg = {.magic = LINK_MAGIC,
			.type = LINK_TELL,
			.mode = (uint16_t)lan->mode,
			.epoch = lan->epoch},
	};

	memcpy(f.to, p->station, sizeof(f.to));
	if (queue_copy(lan, p, (const uint8_t *)&f, sizeof(f)))
		pcap_frame(f.to, sizeof(f) - HEADER);
	p->tell_ns = now_ns() + (p->told_times < REPEAT_SLOW_AFTER ? REPEAT_NS : REPEAT_SLOW_NS);
	p->told_times++;
	lan->repeats |= p->asked;
}

static bool waited_for(const struct port *p)
{
	return p->fd >= 0 && p->asked && !p->acked;
}

static bool all_know(struct lan *lan)
{
	for (unsigned k = 1; k <= lan->nports; k++)
		if (waited_for(&lan->port[k]))
			return false;
	return true;
}

void link_update(struct lan *lan)
{
	/* A damaged frame that is still under way must not meet a node that believes in a clean wire. */
	bool checked = lan->damages || wire_damaged_waiting();
	unsigned mode = lan->open ? LINK_OPEN : checked ? LINK_CHECKED : LINK_CLEAN;

	if (mode != lan->mode) {
		lan->mode = mode;
		lan->epoch++;
		for (unsigned k = 1; k <= lan->nports; k++)
			lan->port[k].acked = false;
		for (unsigned k = 1; k <= lan->nports; k++)
			if (lan->port[k].fd >= 0) {
				lan->port[k].told_times = 0;
				tell(lan, &lan->port[k]);
			}
		settings_save(lan);
	}
	lan->may_damage = lan->damages && all_know(lan);
}

void link_joined(struct lan *lan, struct port *p)
{
	memcpy(p->station, (uint8_t[]){0x52, 0x54, 0, 0, 0, (uint8_t)p->node}, sizeof(p->station));
	p->told_times = 0;
	tell(lan, p);
	link_update(lan);
}

static void is_ours(struct lan *lan, struct port *p, const uint8_t *address)
{
	memcpy(p->station, address, sizeof(p->station));
	if (p->asked)
		return;
	p->asked = true;
	settings_save(lan);
}

bool link_frame(struct lan *lan, struct port *p, const uint8_t *frame, size_t len)
{
	struct link_msg m;

	if (frame[12] != LINK_ETHERTYPE >> 8 || frame[13] != (LINK_ETHERTYPE & 0xff) ||
	    len < FRAME_MIN + sizeof(m))
		return false;
	memcpy(&m, frame + FRAME_MIN, sizeof(m));
	if (m.magic != LINK_MAGIC)
		return false;
	if (m.type == LINK_ACK && m.epoch == lan->epoch && m.mode == lan->mode) {
		is_ours(lan, p, frame + 6);
		p->acked = true;
	} else if (m.type == LINK_ASK || m.type == LINK_ACK) { /* it has just started, or is late */
		is_ours(lan, p, frame + 6);
		p->acked = false;
		p->told_times = 0;
		tell(lan, p);
	}
	link_update(lan);
	return true;
}

int link_run(struct lan *lan)
{
	if (!lan->repeats)
		return -1;
	uint64_t now = now_ns(), next = UINT64_MAX;

	for (unsigned k = 1; k <= lan->nports; k++) {
		struct port *p = &lan->port[k];

		if (!waited_for(p))
			continue;
		if (p->tell_ns <= now)
			tell(lan, p);
		if (p->tell_ns < next)
			next = p->tell_ns;
	}
	lan->repeats = next != UINT64_MAX;
	return !lan->repeats ? -1 : next <= now ? 0 : (int)((next - now) / 1000000 + 1);
}

bool link_print(struct lan *lan, FILE *out)
{
	fprintf(out, "mode %s, epoch %u, damage %s", mode_name[lan->mode], lan->epoch,
		lan->may_damage ? "on"
		: lan->damages	? "waits"
				: "off");
	if (all_know(lan)) {
		fprintf(out, "\n");
		return true;
	}
	fprintf(out, "; not acknowledged by node");
	for (unsigned k = 1; k <= lan->nports; k++)
		if (waited_for(&lan->port[k]))
			fprintf(out, " %u", k);
	fprintf(out, "\n");
	return false;
}
