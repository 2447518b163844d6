/* SPDX-License-Identifier: MIT */
/* switch DIR NODES [SEED]: sockets DIR/sw-K.sock for the nodes, DIR/sw-ctl.sock for commands. See
 * switch.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"

static void die(const char *what)
{
	fprintf(stderr, "switch: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The epoll cookie holds everything the loop needs: kind, port number or 0, descriptor. */
static uint64_t cookie(enum watch what, unsigned index, int fd)
{
	return (uint64_t)what << 48 | (uint64_t)index << 32 | (uint32_t)fd;
}

void lan_watch(struct lan *lan, int fd, enum watch what, unsigned index, uint32_t events,
	       bool is_new)
{
	struct epoll_event e = {.events = events, .data.u64 = cookie(what, index, fd)};

	if (epoll_ctl(lan->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e) < 0)
		die("epoll_ctl");
}

static int listen_at(const char *dir, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name) >=
	    sizeof(a.sun_path)) {
		fprintf(stderr,
			"switch: %s/%s: too long for a socket address; use a shorter directory\n",
			dir, name);
		exit(1);
	}
	unlink(a.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
		die(a.sun_path);
	return fd;
}

void lan_frame(struct lan *lan, struct port *from, const uint8_t *frame, size_t len)
{
	static const uint8_t prefix[5] = {0x52, 0x54, 0, 0, 0};
	unsigned first = 1, last = lan->nports;

	from->stats.in_frames++;
	from->stats.in_bytes += len;
	pcap_frame(frame, len);
	if (!(frame[0] & 1)) { /* not a group address */
		if (memcmp(frame, prefix, sizeof(prefix)) || frame[5] < 1 ||
		    frame[5] > lan->nports) {
			from->stats.dropped++;
			return;
		}
		first = last = frame[5];
	}
	for (unsigned k = first; k <= last; k++) {
		struct port *to = &lan->port[k];

		if (to == from)
			continue;
		if (to->group != from->group)
			from->stats.cut++;
		else
			fault_carry(from, to, frame, len);
	}
}

static void dispatch(struct lan *lan, const struct epoll_event *e)
{
	struct port *p = &lan->port[(e->data.u64 >> 32) & 0xffff];
	int fd = (int)(uint32_t)e->data.u64;

	switch ((enum watch)(e->data.u64 >> 48)) {
	case WATCH_LISTEN:
		port_accept(lan, p);
		break;
	case WATCH_PORT:
		if (fd != p->fd) /* replaced earlier in this batch of events */
			break;
		if (e->events & EPOLLOUT)
			port_flush(lan, p);
		if (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			port_readable(lan, p);
		break;
	case WATCH_CTL_LISTEN:
		ctl_accept(lan, fd);
		break;
	case WATCH_CTL:
		ctl_readable(lan, fd);
		break;
	}
}

static void run(struct lan *lan)
{
	while (!lan->quit) {
		struct epoll_event e[64];
		int n = epoll_wait(lan->epoll_fd, e, 64, fault_run(lan));

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++)
			dispatch(lan, &e[i]);
		fault_run(lan);
		for (unsigned k = 1; k <= lan->nports; k++)
			if (lan->port[k].dirty)
				port_flush(lan, &lan->port[k]);
		pcap_flush();
	}
}

int main(int argc, char **argv)
{
	static struct lan lan;
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;

	if (argc < 3 || argc > 4 || n < 1 || n > MAX_PORTS) {
		fprintf(stderr, "usage: switch DIR NODES [SEED]   (1 to %d nodes)\n", MAX_PORTS);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	lan.nports = n;
	lan.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (lan.epoll_fd < 0)
		die("epoll_create1");
	for (unsigned k = 1; k <= n; k++) {
		struct port *p = &lan.port[k];
		char name[32];

		snprintf(name, sizeof(name), "sw-%u.sock", k);
		p->node = k;
		p->fd = -1;
		p->in = malloc(INPUT_BYTES);
		p->out = malloc(QUEUE_BYTES);
		if (!p->in || !p->out)
			die("malloc");
		fault_init(&p->fault, argc > 3 ? strtoull(argv[3], NULL, 0) : 1, k);
		p->listen_fd = listen_at(argv[1], name);
		lan_watch(&lan, p->listen_fd, WATCH_LISTEN, k, EPOLLIN, true);
	}
	lan_watch(&lan, listen_at(argv[1], "sw-ctl.sock"), WATCH_CTL_LISTEN, 0, EPOLLIN, true);
	run(&lan);
	pcap_close();
	return 0;
}
