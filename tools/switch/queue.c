/* SPDX-License-Identifier: MIT */
/*
 * What goes towards a node: first a ring of copies, which is empty while the node keeps up, then
 * pieces of the input buffers of those who sent. A write that does not take everything leaves the
 * rest in the ring.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "switch.h"

static bool admit(struct lan *lan, struct port *p, size_t len)
{
	if (p->fd < 0 || p->out_len + p->piece_bytes + len > QUEUE_BYTES)
		return false;
	p->out_frames++;
	p->out_bytes += len - HEADER;
	if (!p->dirty)
		lan->dirty[lan->ndirty++] = p;
	p->dirty = true;
	return true;
}

static void ring_put(struct port *p, const void *data, size_t len)
{
	size_t at = (p->out_head + p->out_len) % QUEUE_BYTES;
	size_t first = len < QUEUE_BYTES - at ? len : QUEUE_BYTES - at;

	memcpy(p->out + at, data, first);
	memcpy(p->out, (const uint8_t *)data + first, len - first);
	p->out_len += len;
}

/* The socket took n bytes. */
static void taken(struct port *p, size_t n)
{
	size_t of_ring = n < p->out_len ? n : p->out_len;

	p->out_head = (p->out_head + of_ring) % QUEUE_BYTES;
	p->out_len -= of_ring;
	if (!p->out_len)
		p->out_head = 0; /* one part again, and memory that is in the cache */
	n -= of_ring;
	p->piece_bytes -= n;
	for (unsigned i = 0; n; i++) {
		size_t of = n < p->piece[i].iov_len ? n : p->piece[i].iov_len;

		p->piece[i].iov_base = (uint8_t *)p->piece[i].iov_base + of;
		p->piece[i].iov_len -= of;
		n -= of;
	}
}

/* Write until nothing is left or the socket is full. */
static void write_out(struct port *p)
{
	while (p->out_len + p->piece_bytes) {
		struct iovec v[2 + PIECES];
		size_t first = QUEUE_BYTES - p->out_head;
		int n = 0;

		if (first > p->out_len)
			first = p->out_len;
		if (first)
			v[n++] = (struct iovec){p->out + p->out_head, first};
		if (p->out_len > first)
			v[n++] = (struct iovec){p->out, p->out_len - first};
		for (unsigned i = 0; i < p->npieces; i++)
			if (p->piece[i].iov_len)
				v[n++] = p->piece[i];
		ssize_t done = writev(p->fd, v, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return; /* full; or the node died: reading its socket will tell */
		taken(p, (size_t)done);
	}
}

static void port_flush(struct lan *lan, struct port *p)
{
	if (p->fd < 0)
		return;
	if (!p->blocked) /* a socket that is full is not asked again before it says so */
		write_out(p);
	for (unsigned i = 0; i < p->npieces; i++)
		ring_put(p, p->piece[i].iov_base, p->piece[i].iov_len);
	p->npieces = 0;
	p->piece_bytes = 0;
	if (p->out_len && !p->blocked) {
		p->blocked = true;
		lan_watch(lan, p->fd, WATCH_PORT, p->node, EPOLLIN | EPOLLOUT, false);
	}
}

void port_writable(struct lan *lan, struct port *p)
{
	write_out(p);
	if (!p->out_len) {
		p->blocked = false;
		lan_watch(lan, p->fd, WATCH_PORT, p->node, EPOLLIN, false);
	}
}

bool queue_piece(struct lan *lan, struct port *p, const uint8_t *piece, size_t len)
{
	struct iovec *last = p->npieces ? &p->piece[p->npieces - 1] : NULL;

	if (!admit(lan, p, len))
		return false;
	if (last && (uint8_t *)last->iov_base + last->iov_len == piece) {
		last->iov_len += len; /* the next in the same buffer: one write for all */
	} else {
		if (p->npieces == PIECES)
			port_flush(lan, p);
		p->piece[p->npieces++] = (struct iovec){(void *)(uintptr_t)piece, len};
	}
	p->piece_bytes += len;
	return true;
}

bool queue_copy(struct lan *lan, struct port *p, const uint8_t *piece, size_t len)
{
	if (!admit(lan, p, len))
		return false;
	if (p->npieces)
		port_flush(lan, p); /* they came first */
	ring_put(p, piece, len);
	return true;
}

void lan_flush(struct lan *lan)
{
	for (unsigned i = 0; i < lan->ndirty; i++) {
		lan->dirty[i]->dirty = false;
		port_flush(lan, lan->dirty[i]);
	}
	lan->ndirty = 0;
}
