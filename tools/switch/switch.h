/* SPDX-License-Identifier: MIT */
/*
 * The virtual Ethernet switch: one port per node, joined by QEMU's `-netdev stream` (each frame
 * after its length, 4 bytes big-endian). Addresses are fixed, so nothing is learnt:
 * 52:54:00:00:00:K is port K, group addresses go to all. Single-threaded; everything is
 * non-blocking; a full queue drops frames as a real switch does.
 *
 * The way of a frame: port.c reads it and calls switch_frame(); fault.c decides on copies and
 * delays; port.c queues each copy at its destination port and writes when the socket takes it.
 */
#ifndef TOOLS_SWITCH_H
#define TOOLS_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAX_PORTS = 64,
	FRAME_MIN = 14,
	FRAME_MAX = 69632,	/* QEMU's NET_BUFSIZE */
	QUEUE_BYTES = 4 << 20,	/* per port, towards the node */
	INPUT_BYTES = 512 << 10 /* per port, from the node; at least two frames */
};

/* What the cable of one node does to frames in either direction. Probabilities in parts per
 * million. */
struct fault {
	uint32_t loss, dup, reorder;
	uint32_t delay_ms;
	uint64_t random; /* state of this cable's own generator, so that a seed repeats per cable */
};

struct port_stats {
	uint64_t in_frames, in_bytes, out_frames, out_bytes;
	uint64_t lost, duplicated, reordered; /* by fault injection */
	uint64_t cut;			      /* between partitions */
	uint64_t dropped;		      /* queue full or node absent */
};

struct port {
	unsigned node; /* 1.. */
	int listen_fd;
	int fd;		/* -1: the node is not there */
	bool dirty;	/* has output that was not tried yet */
	bool blocked;	/* waits for EPOLLOUT */
	unsigned group; /* partition */
	struct fault fault;
	struct port_stats stats;
	uint8_t *in; /* INPUT_BYTES */
	size_t in_len;
	uint8_t *out; /* ring of QUEUE_BYTES; whole frames are admitted */
	size_t out_head, out_len;
};

struct lan {
	int epoll_fd;
	unsigned nports;
	struct port port[MAX_PORTS + 1]; /* by node number; [0] is unused */
	bool quit;
};

/* What an epoll event belongs to. */
enum watch { WATCH_LISTEN, WATCH_PORT, WATCH_CTL_LISTEN, WATCH_CTL };

/* switch.c */
void lan_watch(struct lan *lan, int fd, enum watch what, unsigned index, uint32_t events,
	       bool is_new);
/* A whole frame arrived from port `from`. */
void lan_frame(struct lan *lan, struct port *from, const uint8_t *frame, size_t len);
uint64_t now_ns(void); /* host monotonic */

/* port.c: the sockets of one node */
void port_accept(struct lan *lan, struct port *p);
void port_readable(struct lan *lan, struct port *p);
void port_hangup(struct lan *lan, struct port *p);
/* Queue one frame towards the node; drops it when there is no room or no node. */
void port_queue(struct port *p, const uint8_t *frame, size_t len);
void port_flush(struct lan *lan, struct port *p);

/* fault.c: loss, duplication, delay and reordering */
void fault_init(struct fault *f, uint64_t seed, unsigned node);
void fault_clear(struct fault *f);
/* Send a frame over both cables with whatever they do to it. */
void fault_carry(struct port *from, struct port *to, const uint8_t *frame, size_t len);
/* Deliver delayed frames that are due; returns ms until the next one, -1 if there is none. */
int fault_run(struct lan *lan);

/* pcap.c: capture of every frame that arrives at the switch, before faults; nanosecond format */
bool pcap_open(const char *path); /* false: errno tells */
void pcap_close(void);
void pcap_frame(const uint8_t *frame, size_t len);
void pcap_flush(void);

/* ctl.c: the control socket, one command per line, answered by text and a line `ok` or `error: why` */
void ctl_accept(struct lan *lan, int listen_fd);
void ctl_readable(struct lan *lan, int fd);

#endif
