/* SPDX-License-Identifier: MIT */
/* One node's end of the switch: its socket, the frames that come out of it and the queue towards
 * it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "switch.h"

enum { HEADER = 4 };

void port_accept(struct lan *lan, struct port *p)
{
	int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (p->fd >= 0) /* the node was restarted and we have not seen its old end close yet */
		port_hangup(lan, p);
	int size = 1 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->fd = fd;
	lan_watch(lan, fd, WATCH_PORT, p->node, EPOLLIN, true);
}

void port_hangup(struct lan *lan, struct port *p)
{
	(void)lan;
	close(p->fd); /* takes it out of the epoll set, too */
	p->fd = -1;
	p->in_len = p->out_len = p->out_head = 0;
	p->dirty = p->blocked = false;
}

/* Take whole frames off the input buffer; false if the stream makes no sense. */
static bool take_frames(struct lan *lan, struct port *p)
{
	size_t at = 0;

	while (p->in_len - at >= HEADER) {
		uint32_t len;

		memcpy(&len, p->in + at, HEADER);
		len = ntohl(len);
		if (len > FRAME_MAX)
			return false;
		if (p->in_len - at < HEADER + len)
			break;
		if (len >= FRAME_MIN)
			lan_frame(lan, p, p->in + at + HEADER, len);
		at += HEADER + len;
	}
	memmove(p->in, p->in + at, p->in_len - at);
	p->in_len -= at;
	return true;
}

void port_readable(struct lan *lan, struct port *p)
{
	ssize_t n = read(p->fd, p->in + p->in_len, INPUT_BYTES - p->in_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		port_hangup(lan, p);
		return;
	}
	p->in_len += (size_t)n;
	if (!take_frames(lan, p)) {
		fprintf(stderr, "switch: node %u sent an impossible frame length; cutting it off\n",
			p->node);
		port_hangup(lan, p);
	}
}

static void ring_put(struct port *p, const void *data, size_t len)
{
	size_t at = (p->out_head + p->out_len) % QUEUE_BYTES;
	size_t first = len < QUEUE_BYTES - at ? len : QUEUE_BYTES - at;

	memcpy(p->out + at, data, first);
	memcpy(p->out, (const uint8_t *)data + first, len - first);
	p->out_len += len;
}

void port_queue(struct port *p, const uint8_t *frame, size_t len)
{
	uint32_t header = htonl((uint32_t)len);

	if (p->fd < 0 || p->out_len + HEADER + len > QUEUE_BYTES) {
		p->stats.dropped++;
		return;
	}
	ring_put(p, &header, HEADER);
	ring_put(p, frame, len);
	p->stats.out_frames++;
	p->stats.out_bytes += len;
	p->dirty = true;
}

void port_flush(struct lan *lan, struct port *p)
{
	p->dirty = false;
	while (p->out_len) {
		size_t first = QUEUE_BYTES - p->out_head;

		if (first > p->out_len)
			first = p->out_len;
		struct iovec v[2] = {{p->out + p->out_head, first}, {p->out, p->out_len - first}};
		ssize_t n = writev(p->fd, v, 2);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				break;
			return; /* the node died; reading its socket will tell */
		}
		p->out_head = (p->out_head + (size_t)n) % QUEUE_BYTES;
		p->out_len -= (size_t)n;
	}
	bool blocked = p->out_len > 0;

	if (blocked != p->blocked)
		lan_watch(lan, p->fd, WATCH_PORT, p->node, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN,
			  false);
	p->blocked = blocked;
}
