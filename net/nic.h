/* SPDX-License-Identifier: MIT */
/*
 * The network cards as the stack sees them; virtio_net.c drives the ones there are. Single-threaded,
 * nothing blocks.
 *
 * Copies: a frame on its way out stays in the pbufs it was built in, which must lie in memory from
 * nic_memory(); a large frame coming in is handed over in the card's own buffers, wrapped in pbufs.
 */
#ifndef NET_NIC_H
#define NET_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/pbuf.h"

enum {
	NIC_CARDS = 2,	   /* the cluster's wire, and the way to the host */
	NIC_HEADROOM = 12, /* bytes that a frame had better have before it, in its first pbuf */
	NIC_TRAILER = 8,   /* bytes that nic_send can add behind it */
};

struct nic_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_bad;     /* impossible lengths, dropped */
	uint64_t rx_no_room; /* dropped for want of memory */
	uint64_t rx_copied;  /* large ones moved out of the card's buffers because few were left */
	uint64_t copied_bytes; /* by all of these */
	uint64_t rx_small;     /* so small that they are always moved */
	uint64_t rx_held;      /* buffers with the stack now: 0 when all is read */
	uint64_t tx_full;      /* refused: no descriptors or no memory */
	uint64_t tx_copied;    /* payload was not in the card's reach */
	uint64_t tx_kicks;     /* times the card was told of new frames */
	uint64_t interrupts;
};

struct nic;

/* Bytes of received frames: those that every card takes, and those of the cluster's wire. */
enum nic_size { NIC_SMALL_FRAMES, NIC_LARGE_FRAMES };

/* Find and start card `index`; NULL: there are not so many. `wake` is called from the event loop
 * when nic_poll() has work. */
struct nic *nic_open(unsigned index, enum nic_size size, void (*wake)(void));
/* Its Ethernet address, 6 bytes. */
const uint8_t *nic_address(const struct nic *n);

/* Memory that frames may be sent from; of `bytes`, once, before nic_open(). */
void *nic_memory(size_t bytes);

/* Queue a frame and the `trailer` bytes at tail behind it (0, or NIC_TRAILER, copied), taking a
 * reference to its pbufs until it is out. ERR_MEM: no room now. */
err_t nic_send(struct nic *n, struct pbuf *p, const void *tail, unsigned trailer);

/* Hand over frames that have come (input owns the pbuf), at most `budget`; returns how many. */
unsigned nic_poll(struct nic *n, unsigned budget, void (*input)(void *arg, struct pbuf *p),
		  void *arg);

/* Show the card what was queued, and free what it has sent. */
void nic_flush(struct nic *n);

/* Frames that were ever queued; and how many of these, in their order, the card is known to be done
 * with. */
uint64_t nic_queued(const struct nic *n);
uint64_t nic_done(const struct nic *n);

/* Ask for a wake at the next frame. False: one is there already, poll again. */
bool nic_sleep(struct nic *n);

const struct nic_stats *nic_stats(struct nic *n);

#endif
