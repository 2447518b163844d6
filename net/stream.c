/* SPDX-License-Identifier: MIT */
/*
 * Bytes between a request's buffer and a TCP connection. See stream.h.
 *
 * lwIP copies what it is given into its segments with MEMCPY, which is port_copy(). We give it
 * port_client, memory that nobody ever reads: where it would, port_copy() calls fetch(), and the
 * client's bytes go to their place at once. So lwIP alone decides when a segment may be freed.
 */
#include <errno.h>

#include "lwip/stats.h"

#include "port.h"
#include "serve.h"
#include "stream.h"

enum {
	MEM_RESERVE = 128 * 1024
}; /* of the heap, for what keeps connections going: acknowledgements */

/* ---- receiving ---- */

void rx_put(struct rx_queue *q, struct pbuf *p)
{
	struct pbuf *last = p;

	q->bytes += p->tot_len;
	while (last->next)
		last = last->next;
	if (q->first)
		q->last->next = p;
	else
		q->first = p;
	q->last = last;
}

/* Drop n bytes of the first packet. */
static void consume(struct rx_queue *q, size_t n)
{
	struct pbuf *p = q->first;

	q->bytes -= n;
	if (n < p->len) {
		p->payload = (uint8_t *)p->payload + n;
		p->len -= n;
		return;
	}
	q->first = p->next;
	p->next = NULL;
	pbuf_free(p);
}

long rx_copyout(struct rx_queue *q, uint64_t request, size_t off, size_t room)
{
	size_t done = 0;

	while (q->first && done < room) {
		size_t n = LWIP_MIN(q->first->len, room - done);

		if (wh_copyout(request, off + done, q->first->payload, n) != (long)n)
			return -EFAULT;
		consume(q, n);
		done += n;
	}
	return done;
}

long rx_peek(const struct rx_queue *q, uint64_t request, size_t off, size_t room)
{
	size_t done = 0;

	for (const struct pbuf *p = q->first; p && done < room; p = p->next) {
		size_t n = LWIP_MIN(p->len, room - done);

		if (wh_copyout(request, off + done, p->payload, n) != (long)n)
			return -EFAULT;
		done += n;
	}
	return done;
}

void rx_drop(struct rx_queue *q)
{
	if (q->first) /* freed link by link */
		pbuf_free(q->first);
	*q = (struct rx_queue){0};
}

void stream_read(struct tcp_pcb *pcb, size_t n)
{
	for (; n > UINT16_MAX; n -= UINT16_MAX)
		tcp_recved(pcb, UINT16_MAX);
	if (n > 0)
		tcp_recved(pcb, n);
}

/* ---- sending ---- */

static struct {
	uint64_t request;
	size_t off;
	bool failed;
} source;

static void fetch(void *dst, size_t off, size_t len)
{
	if (wh_copyin(source.request, source.off + off, dst, len) != (long)len)
		source.failed = true;
}

/* Bytes that a connection may queue now: each may have as much as is left for all others. */
static size_t fair_share(const struct tcp_pcb *pcb)
{
	size_t used = lwip_stats.mem.used + MEM_RESERVE, own = TCP_SND_BUF - tcp_sndbuf(pcb);
	size_t left = used < MEM_SIZE ? MEM_SIZE - used : 0;

	return own < left ? LWIP_MIN(left - own, tcp_sndbuf(pcb)) : 0;
}

long stream_write(struct tcp_pcb *pcb, uint64_t request, size_t off, size_t len)
{
	size_t done = 0;

	port_fetch = fetch;
	source.request = request;
	source.failed = false;
	while (done < len) {
		size_t n =
			LWIP_MIN(LWIP_MIN(len - done, (size_t)PORT_CLIENT_BYTES), fair_share(pcb));

		source.off = off + done;
		if (n == 0 || tcp_write(pcb, port_client, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
			break;
		if (source.failed)
			return -EFAULT;
		done += n;
	}
	return done;
}
