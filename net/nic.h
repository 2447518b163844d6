/* SPDX-License-Identifier: MIT */
/*
 * The network card as the stack sees it; virtio_net.c is the one there is. Single-threaded, nothing
 * blocks.
 *
 * Copies: a frame on its way out stays in the pbufs it was built in, which must lie in memory from
 * nic_memory(); a frame coming in is handed over in the card's own buffer, wrapped in a pbuf.
 */
#ifndef NET_NIC_H
#define NET_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/pbuf.h"

struct nic_stats {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_bad;     /* impossible lengths, dropped */
	uint64_t rx_no_room; /* dropped for want of memory */
	uint64_t rx_copied;  /* moved out of a card's buffer because few were left */
	uint64_t rx_held;    /* buffers with the stack now: 0 when all is read */
	uint64_t tx_full;    /* refused: no descriptors or no memory */
	uint64_t tx_copied;  /* payload was not in the card's reach */
};

/* Find and start the card. `wake` is called from the event loop when nic_poll() has work. Dies if
 * there is no card. */
void nic_start(void (*wake)(void));

/* Memory that frames may be sent from; of `bytes`, once, before nic_start(). */
void *nic_memory(size_t bytes);

/* Queue a frame, taking a reference to its pbufs until it is out. ERR_MEM: no room now. */
err_t nic_send(struct pbuf *p);

/* Hand over frames that have come (input owns the pbuf), at most `budget`; returns how many. */
unsigned nic_poll(unsigned budget, void (*input)(struct pbuf *p));

/* Show the card what was queued, and free what it has sent. */
void nic_flush(void);

/* Ask for a wake at the next frame. False: one is there already, poll again. */
bool nic_sleep(void);

const struct nic_stats *nic_stats(void);

#endif
