/* SPDX-License-Identifier: MIT */
/*
 * The agent's sessions on the host: servers/agent/session.c as it is, with UNIX sockets for ports. tests/test_agent.py runs the same
 * checks against this (under the sanitizers) and against the agent of a booted node.
 *   agent_on_host DIR      serves DIR/a1-1.sock .. a1-8.sock
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "port.h"
#include "session.h"

static struct {
	int listener, fd;
	uint8_t out[PORT_TX_BYTES];
	size_t len, sent;
} ports[AGENT_PORTS + 1];

size_t port_read(unsigned k, void *buf, size_t len)
{
	ssize_t n = ports[k].fd >= 0 ? recv(ports[k].fd, buf, len, MSG_DONTWAIT) : 0;

	if (n == 0 && len && ports[k].fd >= 0) {
		close(ports[k].fd);
		ports[k].fd = -1;
		ports[k].len = 0;
		session_reset(k);
	}
	return n > 0 ? (size_t)n : 0;
}

static void push(unsigned k)
{
	while (ports[k].fd >= 0 && ports[k].sent < ports[k].len) {
		ssize_t n = send(ports[k].fd, ports[k].out + ports[k].sent,
				 ports[k].len - ports[k].sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			return;
		ports[k].sent += (size_t)n;
	}
	ports[k].len = ports[k].sent = 0;
}

void *port_buffer(unsigned k)
{
	push(k);
	return ports[k].len ? NULL : ports[k].out;
}

void port_send(unsigned k, size_t len)
{
	ports[k].len = len;
	ports[k].sent = 0;
	push(k);
}

static void listen_at(const char *dir, unsigned k)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/a1-%u.sock", dir, k);
	ports[k].fd = -1;
	ports[k].listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(ports[k].listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(ports[k].listener, 4) < 0) {
		perror(a.sun_path);
		_exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned k = 1; k <= AGENT_PORTS; k++)
		listen_at(argv[1], k);
	for (;;) {
		struct timespec t;
		int status;

		for (int pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
			session_child(pid, status);
		for (unsigned k = 1; k <= AGENT_PORTS; k++) {
			if (ports[k].fd < 0) {
				ports[k].fd = accept4(ports[k].listener, NULL, NULL, SOCK_CLOEXEC);
				if (ports[k].fd >= 0)
					session_reset(k);
			}
			session_run(k);
		}
		clock_gettime(CLOCK_MONOTONIC, &t);
		session_condemn((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
		usleep(500);
	}
}
