/* SPDX-License-Identifier: MIT */
/* Where a frame goes: to the port behind which its receiver is, or to all. */
#include "switch.h"

static void learn(struct lan *lan, struct port *from, uint64_t mac)
{
	unsigned node = mac_node(mac, lan->nports);

	if (node == from->node)
		return;
	/* A node's address is never believed to have moved: who lies about it gains nothing. */
	if (node)
		from->foreign++;
	else if (!(mac >> 40 & 1))
		stations_learn(&lan->stations, mac, from->node, now_ns());
}

void lan_frame(struct lan *lan, struct port *from, const uint8_t *piece, size_t len)
{
	const uint8_t *frame = piece + HEADER;
	uint64_t to = mac_of(frame);
	unsigned known = mac_node(to, lan->nports);

	from->in_frames++;
	from->in_bytes += len;
	pcap_frame(frame, len);
	if (link_frame(lan, from, frame, len))
		return;
	learn(lan, from, mac_of(frame + 6));
	if (!known && !(frame[0] & 1)) /* not a group address */
		known = stations_find(&lan->stations, to, now_ns());
	if (known) {
		if (known != from->node)
			wire_carry(lan, from, &lan->port[known], piece, len);
		return;
	}
	for (unsigned k = 1; k <= lan->nports; k++)
		if (k != from->node && lan->port[k].fd >= 0)
			wire_carry(lan, from, &lan->port[k], piece, len);
}
