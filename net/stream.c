/* SPDX-License-Identifier: MIT */
/*
 * Bytes between a request's buffer and a TCP connection. See stream.h.
 *
 * lwIP copies what it is given into its segments with MEMCPY, which is port_copy(). We give it
 * port_client, memory that nobody ever reads: where it would, port_copy() calls fetch(), and the
 * client's bytes go to their place at once. So lwIP alone decides when a segment may be freed.
 */
#include <errno.h>

#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"

#include "port.h"
#include "serve.h"
#include "stream.h"

enum {
	MEM_RESERVE =
		128 * 1024, /* of the heap, for what keeps connections going: acknowledgements */
	WAITING_MAX = 16,   /* connections that do; more do not wait */
	ACK_NS = 1 * SERVE_MS,
	CORK_NS = SERVE_MS / 4,
};

/* Connections with something to do soon, by their pcbs, which may be gone by then. */
struct waiting {
	struct tcp_pcb *pcb[WAITING_MAX];
	unsigned count;
	struct serve_timer timer;
};

static bool is_waiting(const struct waiting *w, const struct tcp_pcb *pcb)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->pcb[i] == pcb)
			return true;
	}
	return false;
}

static void end_waiting(struct waiting *w, const struct tcp_pcb *pcb)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (w->pcb[i] == pcb)
			w->pcb[i--] = w->pcb[--w->count];
	}
}

/* False: it cannot wait. */
static bool start_waiting(struct waiting *w, struct tcp_pcb *pcb, uint64_t ns,
			  void (*fn)(void *arg))
{
	if (is_waiting(w, pcb))
		return true;
	if (w->count == WAITING_MAX)
		return false;
	w->pcb[w->count++] = pcb;
	if (!serve_timer_armed(&w->timer))
		serve_timer(&w->timer, serve_now() + ns, fn, NULL);
	return true;
}
/* of the heap, for what keeps connections going: acknowledgements */

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

void rx_queue_drop(struct rx_queue *q)
{
	if (q->first) /* freed link by link */
		pbuf_free(q->first);
	*q = (struct rx_queue){0};
}

static struct waiting acks;

static void ack(struct tcp_pcb *pcb)
{
	end_waiting(&acks, pcb);
	tcp_ack_now(pcb);
	tcp_output(pcb);
}

static void ack_all(void *arg)
{
	(void)arg;
	for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
		next = p->next;
		if (is_waiting(&acks, p))
			ack(p);
	}
	acks.count = 0;
}

/* lwIP acknowledges every second segment at once, and the first of two by its fast timer. Gaps, and what closes the
 * connection, stay its affair. */
void stream_received(struct tcp_pcb *pcb)
{
	if (!(pcb->flags & TF_ACK_NOW) || pcb->state != ESTABLISHED || pcb->ooseq ||
	    !start_waiting(&acks, pcb, ACK_NS, ack_all))
		return;
	tcp_clear_flags(pcb, TF_ACK_NOW);
	tcp_set_flags(pcb, TF_ACK_DELAY);
}

void stream_read(struct tcp_pcb *pcb, size_t n)
{
	for (; n > UINT16_MAX; n -= UINT16_MAX)
		tcp_recved(pcb, UINT16_MAX);
	if (n > 0)
		tcp_recved(pcb, n);
	if (acks.count > 0 && is_waiting(&acks, pcb))
		ack(pcb);
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

static struct waiting corked;

static void uncork(struct tcp_pcb *pcb)
{
	end_waiting(&corked, pcb);
	tcp_nagle_disable(pcb);
	tcp_output(pcb);
}

static void uncork_all(void *arg)
{
	(void)arg;
	for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
		next = p->next;
		if (is_waiting(&corked, p))
			uncork(p);
	}
	corked.count = 0;
}

void stream_output(struct tcp_pcb *pcb, size_t written)
{
	/* Nagle's rule for this moment. Who has it always need not wait for us. */
	if (written >= pcb->mss && tcp_nagle_disabled(pcb) &&
	    start_waiting(&corked, pcb, CORK_NS, uncork_all))
		tcp_nagle_enable(pcb);
	else if (corked.count > 0 && written < pcb->mss && is_waiting(&corked, pcb))
		uncork(pcb);
	tcp_output(pcb);
}

void stream_set_nodelay(struct tcp_pcb *pcb, bool on)
{
	end_waiting(&corked, pcb);
	if (on)
		tcp_nagle_disable(pcb);
	else
		tcp_nagle_enable(pcb);
}
