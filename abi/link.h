/* SPDX-License-Identifier: MIT */
/*
 * What the wire may do to frames: told by whoever owns the wire (tools/switch) to whoever hangs on
 * it (net/), so that checks are paid for only where damage is possible. One small Ethernet frame of
 * its own type, never forwarded from port to port.
 *
 * A node asks when its card starts, and again every second until it is answered; the switch tells
 * every port whenever its answer changes and repeats that until the node has acknowledged. Only
 * when every node that is there has acknowledged LINK_CHECKED does the switch begin to damage
 * frames. A node that was never answered (a plain Ethernet) goes by LINK_OPEN.
 */
#ifndef ABI_LINK_H
#define ABI_LINK_H

#include <stdint.h>

#define LINK_ETHERTYPE	0x88b5	    /* IEEE: local experimental */
#define LINK_MAGIC	0x314b4c57u /* "WLK1" */
#define LINK_NODE	0	    /* the switch's own address is that of node 0 */
#define LINK_TAIL_MAGIC 0x5457u	    /* "WT" */

enum link_type {
	LINK_ASK = 1,  /* node -> switch */
	LINK_TELL = 2, /* switch -> node: mode, epoch */
	LINK_ACK = 3,  /* node -> switch: the mode and epoch it goes by now */
};

enum link_mode {
	/* Nothing damages frames here: no sums are made or looked at, no tail is sent. */
	LINK_CLEAN = 1,
	/* Frames may be damaged, and all stations are ours: every IP frame carries a tail, and one
	 * without a right tail is dropped. Protocols' own sums are neither made nor looked at. */
	LINK_CHECKED = 2,
	/* Anybody may be on this wire: protocols' own sums are made and looked at; a tail is sent
	 * too, and looked at if it is there. */
	LINK_OPEN = 3,
};

/* After the Ethernet header; little endian. */
struct link_msg {
	uint32_t magic;
	uint16_t type, mode;
	uint32_t epoch; /* counts the switch's changes of mind, from 1 */
	uint32_t zero;
};

/*
 * The tail of a frame: its last 8 bytes, after the IP packet (whose own length says where that
 * ends; strangers take it for padding). Little endian.
 */
struct link_tail {
	uint16_t magic; /* LINK_TAIL_MAGIC */
	uint16_t zero;
	uint32_t check; /* over everything before the tail (net/linksum.h) */
};

_Static_assert(sizeof(struct link_msg) == 16, "link_msg has no padding");
_Static_assert(sizeof(struct link_tail) == 8, "link_tail has no padding");

#endif
