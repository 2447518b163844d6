/* SPDX-License-Identifier: MIT */
/*
 * switch [--open] DIR NODES [SEED]: sockets DIR/nic-K.sock (called) and DIR/sw-K.sock (offered) for
 * the nodes, DIR/sw-ctl.sock for commands. See switch.h. What a former switch has left in
 * DIR/switch.conf holds again.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"

enum { DIAL_MS = 20 }; /* between two calls to a node that is not there */

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

/* The name appears when calls are accepted, not before. */
static int listen_at(const char *dir, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char final[sizeof(a.sun_path)];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if ((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s~", dir, name) >=
	    sizeof(a.sun_path)) {
		fprintf(stderr,
			"switch: %s/%s: too long for a socket address; use a shorter directory\n",
			dir, name);
		exit(1);
	}
	snprintf(final, sizeof(final), "%s/%s", dir, name);
	unlink(a.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0 ||
	    rename(a.sun_path, final) < 0)
		die(a.sun_path);
	return fd;
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
			port_writable(lan, p);
		if (e->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			port_readable(lan, p);
		break;
	case WATCH_CTL_LISTEN:
		ctl_accept(lan, fd);
		break;
	case WATCH_CTL:
		ctl_readable(lan, fd);
		break;
	case WATCH_TIMER:
		break; /* wire_run() sets it anew */
	}
}

/* Call nodes that are not there; ms until the next time, -1 if all are. */
static int dial(struct lan *lan)
{
	static uint64_t next_ns;

	if (!lan->absent)
		return -1;
	uint64_t now = now_ns();

	if (now < next_ns)
		return (int)((next_ns - now) / 1000000 + 1);
	for (unsigned k = 1; k <= lan->nports; k++)
		if (lan->port[k].fd < 0)
			port_dial(lan, &lan->port[k]);
	next_ns = now + DIAL_MS * 1000000u;
	return lan->absent ? DIAL_MS : -1;
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void run(struct lan *lan)
{
	while (!lan->quit) {
		struct epoll_event e[64];
		int timeout = sooner(dial(lan), link_run(lan));

		wire_run(lan);
		lan_flush(lan);
		pcap_flush();
		int n = epoll_wait(lan->epoll_fd, e, 64, timeout);

		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++)
			dispatch(lan, &e[i]);
	}
}

static void start_port(struct lan *lan, unsigned k)
{
	struct port *p = &lan->port[k];
	char name[32];

	snprintf(name, sizeof(name), "sw-%u.sock", k);
	p->node = k;
	p->fd = -1;
	p->in = malloc(INPUT_BYTES);
	p->out = malloc(QUEUE_BYTES);
	if (!p->in || !p->out)
		die("malloc");
	p->listen_fd = listen_at(lan->dir, name);
	lan_watch(lan, p->listen_fd, WATCH_LISTEN, k, EPOLLIN, true);
}

int main(int argc, char **argv)
{
	static struct lan lan;

	if (argc > 1 && strcmp(argv[1], "--open") == 0) {
		lan.open = true;
		argv++;
		argc--;
	}
	lan.nports = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	if (argc < 3 || argc > 4 || lan.nports < 1 || lan.nports > MAX_PORTS) {
		fprintf(stderr, "usage: switch [--open] DIR NODES [SEED]   (1 to %d nodes)\n",
			MAX_PORTS);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	lan.dir = argv[1];
	lan.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	lan.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (lan.epoll_fd < 0 || lan.timer_fd < 0)
		die("epoll or timerfd");
	lan_watch(&lan, lan.timer_fd, WATCH_TIMER, 0, EPOLLIN, true);
	lan.absent = lan.nports;
	for (unsigned k = 1; k <= lan.nports; k++)
		start_port(&lan, k);
	wire_seed(&lan, argc > 3 ? strtoull(argv[3], NULL, 0) : 1);
	settings_load(&lan);
	wire_changed(&lan);
	lan_watch(&lan, listen_at(lan.dir, "sw-ctl.sock"), WATCH_CTL_LISTEN, 0, EPOLLIN, true);
	run(&lan);
	pcap_close();
	return 0;
}
