/* SPDX-License-Identifier: MIT */
/*
 * The virtual Ethernet switch: one port per node, joined by QEMU's `-netdev stream` (each frame
 * after its length, 4 bytes big-endian). Node K's address is known, others are learnt
 * (stations.h). Single-threaded; everything is non-blocking; a full queue drops frames as a real
 * switch does.
 *
 * Port K has two ways in: the switch calls DIR/nic-K.sock (QEMU with server=on) again and again
 * while nobody is there, so that either side may die and return; and it listens at DIR/sw-K.sock,
 * for whoever would rather call. The last to come has the port.
 *
 * The way of a frame: port.c reads many at once into the port's input buffer; forward.c finds where
 * they go; where the wire is good, pieces of that very buffer are written to the receivers at the
 * end of the batch; where it is not, wire.c lets fault.c decide and makes copies, which wait there
 * or in the receiver's ring.
 */
#ifndef TOOLS_SWITCH_H
#define TOOLS_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include "fault.h"
#include "stations.h"

enum {
	MAX_PORTS = 64,
	HEADER = 4, /* a frame's length, before it */
	FRAME_MIN = 14,
	FRAME_MAX = 69632,	 /* QEMU's NET_BUFSIZE */
	QUEUE_BYTES = 4 << 20,	 /* per port, towards the node */
	INPUT_BYTES = 512 << 10, /* per port, from the node */
	PIECES = 64		 /* of an input buffer, on their way to one port */
};

/* One direction between two ports: what was to go there, and what became of it. */
struct link_stats {
	uint64_t frames, bytes;
	uint64_t lost, duplicated, reordered, delayed, damaged; /* by fault injection */
	uint64_t limited;					/* dropped at a rate limit */
	uint64_t cut;						/* between partitions */
	uint64_t dropped;					/* queue full, or nobody there */
};

struct link {
	struct fault fault; /* set for this pair and direction */
	bool good;	    /* no stage of it has a fault */
	struct bucket bucket;
	uint64_t key;
	uint64_t number;  /* of the next frame, since the seed was set */
	uint64_t last_ns; /* when its last frame that keeps its place leaves the delay line */
	struct link_stats stats;
};

struct port {
	unsigned node; /* 1.. */
	int listen_fd;
	int fd;		/* -1: nobody is there */
	bool blocked;	/* waits for EPOLLOUT */
	bool unsynced;	/* joined a running QEMU, which may be in the middle of a frame */
	unsigned group; /* partition */
	uint64_t in_frames, in_bytes, out_frames, out_bytes;
	uint64_t foreign;   /* frames from here under the address of another node */
	struct fault fault; /* of its cable, both directions */
	struct bucket up, down;
	/* link.c: the station is one of ours; it goes by the mode told last; when to tell it again */
	bool asked, acked;
	uint8_t station[6];
	unsigned told_times;
	uint64_t tell_ns;
	/* Input: in[in_at..in_end) is not looked at yet. */
	uint8_t *in; /* INPUT_BYTES */
	size_t in_at, in_end, skipped;
	/* Output: the ring goes first, then the pieces of other ports' input buffers. */
	uint8_t *out; /* ring of QUEUE_BYTES; whole frames are admitted */
	size_t out_head, out_len;
	struct iovec piece[PIECES];
	unsigned npieces;
	size_t piece_bytes;
	bool dirty; /* is in lan.dirty: has output that was not tried yet */
};

struct lan {
	int epoll_fd, timer_fd;
	const char *dir;
	unsigned nports;
	uint64_t seed;
	struct port port[MAX_PORTS + 1];		/* by node number; [0] is unused */
	struct link link[MAX_PORTS + 1][MAX_PORTS + 1]; /* [from][to] */
	struct stations stations;
	struct port *dirty[MAX_PORTS];
	unsigned ndirty;
	unsigned absent; /* ports where nobody is */
	/* link.c */
	bool open;	 /* strangers are on this wire */
	bool damages;	 /* some stage is set to damage frames */
	bool may_damage; /* everybody knows */
	unsigned mode;	 /* told last: enum link_mode */
	uint32_t epoch;
	bool repeats; /* somebody may have to be told again */
	bool quit;
};

/* What an epoll event belongs to. */
enum watch { WATCH_LISTEN, WATCH_PORT, WATCH_CTL_LISTEN, WATCH_CTL, WATCH_TIMER };

/* switch.c */
void lan_watch(struct lan *lan, int fd, enum watch what, unsigned index, uint32_t events,
	       bool is_new);
uint64_t now_ns(void); /* host monotonic */

/* port.c: the sockets of one node */
void port_accept(struct lan *lan, struct port *p);
/* Call the node's QEMU if it is there. */
void port_dial(struct lan *lan, struct port *p);
void port_readable(struct lan *lan, struct port *p);
/* Give up its socket. */
void port_hangup(struct lan *lan, struct port *p);

/* queue.c: what goes towards a node. `piece` is a frame with its length before it. */
/* It stays where it is until the next lan_flush(). False: no room, or nobody there. */
bool queue_piece(struct lan *lan, struct port *p, const uint8_t *piece, size_t len);
/* It is copied. */
bool queue_copy(struct lan *lan, struct port *p, const uint8_t *piece, size_t len);
/* Write what the sockets take; no piece is referred to afterwards. */
void lan_flush(struct lan *lan);
/* Its socket takes bytes again. */
void port_writable(struct lan *lan, struct port *p);

/* forward.c: a whole frame arrived from a port; len is the frame's without the header */
void lan_frame(struct lan *lan, struct port *from, const uint8_t *piece, size_t len);

/* wire.c: settings and the delay line */
/* Send over all stages with whatever they do to it. */
void wire_carry(struct lan *lan, struct port *from, struct port *to, const uint8_t *piece,
		size_t len);
/* Deliver what is due, and set the timer for what is next. */
void wire_run(struct lan *lan);
/* Settings have changed. */
void wire_changed(struct lan *lan);
void wire_seed(struct lan *lan, uint64_t seed);
unsigned wire_damaged_waiting(void);

/* link.c: abi/link.h */
/* True: it was for the switch. */
bool link_frame(struct lan *lan, struct port *p, const uint8_t *frame, size_t len);
/* The settings, who is there, or what is in the delay line has changed. */
void link_update(struct lan *lan);
/* Repeat what was not acknowledged; ms until the next time, -1 for never. */
int link_run(struct lan *lan);
void link_joined(struct lan *lan, struct port *p);
/* A table of who has acknowledged what; false: somebody has not. */
bool link_print(struct lan *lan, FILE *out);

/* pcap.c: capture of every frame that arrives at the switch, before faults; nanosecond format */
bool pcap_open(const char *path); /* false: errno tells */
void pcap_close(void);
void pcap_frame(const uint8_t *frame, size_t len);
void pcap_flush(void);

/* show.c: tables, and the settings as commands that make them */
void show_settings(struct lan *lan, FILE *out);
void show_nodes(struct lan *lan, FILE *out);
/* all: links to which nothing was done, too. from, to: 0 for any. */
void show_links(struct lan *lan, FILE *out, bool all, unsigned from, unsigned to);
/* Keep the settings in DIR/switch.conf for our successor. */
void settings_save(struct lan *lan);

/* ctl.c: the control socket, one command per line, answered by text and a line `ok` or `error: why` */
void ctl_accept(struct lan *lan, int listen_fd);
void ctl_readable(struct lan *lan, int fd);
/* What our predecessor has left in DIR/switch.conf. */
void settings_load(struct lan *lan);

#endif
