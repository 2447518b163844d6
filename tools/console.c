/* SPDX-License-Identifier: MIT */
/* console SOCKET: join this terminal to a node's serial port. Ctrl-] leaves. Without a terminal it
 * copies both ways until EOF. */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <termios.h>

#include "unixsock.h"

enum { ESCAPE = 0x1d /* Ctrl-] */ };

static struct termios saved;
static bool raw;

static void restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

static void on_signal(int sig)
{
	restore();
	_exit(128 + sig);
}

static void go_raw(void)
{
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	struct termios t = saved;

	cfmakeraw(&t);
	raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
	atexit(restore);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

int main(int argc, char **argv)
{
	char buf[4096];

	if (argc != 2) {
		fprintf(stderr, "usage: console SOCKET\n");
		return 2;
	}
	int fd = unix_connect(argv[1]);

	if (fd < 0) {
		fprintf(stderr, "console: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	go_raw();
	if (raw)
		fprintf(stderr, "[console; Ctrl-] leaves]\r\n");
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[0].revents) {
			ssize_t n = read(fd, buf, sizeof(buf));

			if (n <= 0 || !write_all(STDOUT_FILENO, buf, (size_t)n))
				break;
		}
		if (p[1].revents) {
			ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
			char *esc = raw && n > 0 ? memchr(buf, ESCAPE, (size_t)n) : NULL;

			if (n <= 0)
				p[1].fd = -1; /* keep showing what the node says */
			else if (!write_all(fd, buf, esc ? (size_t)(esc - buf) : (size_t)n) || esc)
				break;
		}
	}
	restore();
	if (raw)
		fprintf(stderr, "\r\n[left the console]\n");
	return 0;
}
