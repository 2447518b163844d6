/* SPDX-License-Identifier: MIT */
/*
 * Bytes between a request's buffer and a TCP connection, one copy each way: in, from the client's
 * memory straight into the segment that the card sends; out, from the card's buffer straight into
 * the client's. Used by whoever has clients: tcp.c (services), sock*.c (user programs).
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lwip/tcp.h"

/* ---- what has come and is not read ---- */

/* A chain of packets; tot_len does not add up over it. Zeroed it is empty. */
struct rx_queue {
	struct pbuf *first, *last;
	size_t bytes;
};

/* Append a packet (of a tcp_recv callback): it belongs to the queue. */
void rx_put(struct rx_queue *q, struct pbuf *p);
/* Copy up to `room` bytes to a request's bulk at `off`, and drop them from the queue. Returns how
 * many, or -EFAULT: what can be written was lost with the rest. Tell TCP by stream_read(). */
long rx_copyout(struct rx_queue *q, uint64_t request, size_t off, size_t room);
/* The same without taking them (MSG_PEEK). */
long rx_peek(const struct rx_queue *q, uint64_t request, size_t off, size_t room);
void rx_queue_drop(struct rx_queue *q);

/*
 * Acknowledgements cost as much as a frame of 60 kB, so they wait for the reader, who takes many
 * frames at once; a millisecond if he is slow. For tcp_recv callbacks, when data has come.
 */
void stream_received(struct tcp_pcb *pcb);

/* The client has taken n bytes: opens TCP's window again, and acknowledges. */
void stream_read(struct tcp_pcb *pcb, size_t n);

/* ---- what is to be sent ---- */

/*
 * Give TCP as much of a request's bulk at `off` as it has room for. Returns how many bytes it took
 * (0: no room now, try again in tcp_sent and every tick), or -EFAULT: the client's memory cannot be
 * read or is gone. The connection must be aborted then, as junk is queued on it. Nothing goes out
 * before tcp_output().
 */
long stream_write(struct tcp_pcb *pcb, uint64_t request, size_t off, size_t len);

/*
 * tcp_output() after a piece of a long stream has been written. What does not fill a segment waits
 * a little for the next piece, unless all else is acknowledged.
 */
void stream_output(struct tcp_pcb *pcb, size_t written);

/* The client decides on Nagle's rule. */
void stream_set_nodelay(struct tcp_pcb *pcb, bool on);

#endif
