/* SPDX-License-Identifier: MIT */
/* One node's end of the switch: its socket, and the frames that come out of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "link.h"
#include "switch.h"

enum {
	SOCKET_BYTES = 1 << 20,
	SKIP_MAX = 4 * FRAME_MAX /* bytes in which a frame must be found again */
};

static void join(struct lan *lan, struct port *p, int fd)
{
	int size = SOCKET_BYTES;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->fd = fd;
	lan->absent--;
	p->skipped = 0;
	lan_watch(lan, fd, WATCH_PORT, p->node, EPOLLIN, true);
	link_joined(lan, p);
}

void port_accept(struct lan *lan, struct port *p)
{
	int fd = accept4(p->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (p->fd >= 0) /* the node was restarted and we have not seen its old end close yet */
		port_hangup(lan, p);
	p->unsynced = false;
	join(lan, p, fd);
}

void port_dial(struct lan *lan, struct port *p)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/nic-%u.sock", lan->dir, p->node);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return;
	}
	p->unsynced = true;
	join(lan, p, fd);
}

void port_hangup(struct lan *lan, struct port *p)
{
	close(p->fd); /* takes it out of the epoll set, too */
	p->fd = -1;
	lan->absent++;
	p->in_at = p->in_end = p->out_len = p->out_head = 0;
	p->npieces = 0;
	p->piece_bytes = 0;
	p->blocked = p->acked = false;
	stations_forget(&lan->stations, p->node);
	link_update(lan);
}

static uint32_t length_at(const uint8_t *at)
{
	uint32_t len;

	memcpy(&len, at, HEADER);
	return ntohl(len);
}

/* 14 bytes of Ethernet as somebody on this wire would send them, behind a possible length? */
static bool plausible(const uint8_t *at)
{
	uint32_t len = length_at(at);
	unsigned type = at[HEADER + 12] << 8 | at[HEADER + 13];

	return len >= FRAME_MIN && len <= FRAME_MAX && !(at[HEADER + 6] & 1) &&
	       (type == 0x0800 || type == 0x0806 || type == 0x86dd || type == 0x8100 ||
		type == LINK_ETHERTYPE);
}

/*
 * QEMU 7.2 does not forget how much of a frame it has sent when its connection ends: the first
 * thing it says on the next one may be the rest of that frame. Find the first frame that bears the
 * node's own address. False: this is not a node.
 */
static bool synchronise(struct port *p)
{
	const uint8_t own[6] = {0x52, 0x54, 0, 0, 0, (uint8_t)p->node};
	size_t need = HEADER + FRAME_MIN;

	if (p->in_end - p->in_at >= need && p->skipped == 0 && plausible(p->in + p->in_at)) {
		p->unsynced = false;
		return true;
	}
	for (; p->in_end - p->in_at >= need; p->in_at++, p->skipped++)
		if (memcmp(p->in + p->in_at + HEADER + 6, own, 6) == 0 &&
		    plausible(p->in + p->in_at)) {
			p->unsynced = false;
			return true;
		}
	return p->skipped <= SKIP_MAX;
}

/* Take whole frames off the input buffer; false if the stream makes no sense. */
static bool take_frames(struct lan *lan, struct port *p)
{
	while (p->in_end - p->in_at >= HEADER) {
		const uint8_t *piece = p->in + p->in_at;
		uint32_t len = length_at(piece);

		if (len > FRAME_MAX)
			return false;
		if (p->in_end - p->in_at < HEADER + len)
			break;
		if (len >= FRAME_MIN)
			lan_frame(lan, p, piece, len);
		p->in_at += HEADER + len;
	}
	return true;
}

void port_readable(struct lan *lan, struct port *p)
{
	ssize_t n = read(p->fd, p->in + p->in_end, INPUT_BYTES - p->in_end);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		p->asked = false; /* whoever comes next has just started */
		port_hangup(lan, p);
		return;
	}
	p->in_end += (size_t)n;
	bool sense = (!p->unsynced || synchronise(p)) && (p->unsynced || take_frames(lan, p));

	/* The frames go before the buffer that they lie in is used again. */
	lan_flush(lan);
	if (!sense) {
		fprintf(stderr, "switch: node %u sent an impossible frame length; cutting it off\n",
			p->node);
		port_hangup(lan, p);
		return;
	}
	if (p->in_at == p->in_end)
		p->in_at = p->in_end = 0;
	if (INPUT_BYTES - p->in_end < HEADER + FRAME_MAX) {
		memmove(p->in, p->in + p->in_at, p->in_end - p->in_at);
		p->in_end -= p->in_at;
		p->in_at = 0;
	}
}
