/* SPDX-License-Identifier: MIT */
/* The client's half of abi/agent.h: find a free port, greet, send the command, pump the streams. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../../abi/agent.h"
#include "unixsock.h"
#include "whctl.h"

struct link {
	int fd;
	uint8_t in[sizeof(struct agent_frame) + AGENT_PAYLOAD_MAX];
	size_t in_len;
	uint8_t out[sizeof(struct agent_frame) + AGENT_PAYLOAD_MAX];
	size_t out_len, out_sent;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int failed(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("whctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return WHCTL_FAILED;
}

/* Lock a port nobody uses and connect to it: its descriptor, -EAGAIN (all busy), or -errno. The
 * lock lasts as long as we do. */
static int take_port(struct request *r)
{
	int err = -EAGAIN;

	for (unsigned p = 1; p <= AGENT_PORTS; p++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/a%u-%u.lock", r->dir, r->node, p);
		int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

		if (lock < 0)
			return -errno;
		if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
			close(lock);
			continue;
		}
		snprintf(path, sizeof(path), "%s/a%u-%u.sock", r->dir, r->node, p);
		int fd = unix_connect(path);

		if (fd >= 0)
			return fd;
		err = -errno;
		close(lock);
	}
	return err;
}

static bool send_all(int fd, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Discard what an earlier session left until our own greeting comes back. */
static bool greet(struct link *l, double deadline)
{
	struct agent_greeting g = {.magic = AGENT_MAGIC};

	if (getrandom(&g.nonce, sizeof(g.nonce), 0) != sizeof(g.nonce) ||
	    !send_all(l->fd, &g, sizeof(g)))
		return false;
	for (;;) {
		struct pollfd p = {.fd = l->fd, .events = POLLIN};
		double left = deadline - now_s();

		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) < 0)
			return false;
		if (!p.revents)
			continue;
		ssize_t n = read(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len);

		if (n <= 0)
			return false;
		l->in_len += (size_t)n;
		uint8_t *at = memmem(l->in, l->in_len, &g, sizeof(g));
		size_t keep = sizeof(g) - 1 < l->in_len ? sizeof(g) - 1 : l->in_len;

		if (at) {
			keep = l->in_len - (size_t)(at - l->in) - sizeof(g);
			memmove(l->in, at + sizeof(g), keep);
			l->in_len = keep;
			return true;
		}
		memmove(l->in, l->in + l->in_len - keep, keep);
		l->in_len = keep;
	}
}

static void frame_begin(struct link *l, uint32_t type)
{
	struct agent_frame f = {.type = type};

	memcpy(l->out, &f, sizeof(f));
	l->out_len = sizeof(f);
	l->out_sent = 0;
}

static bool frame_add(struct link *l, const void *data, size_t len)
{
	if (l->out_len + len > sizeof(l->out))
		return false;
	memcpy(l->out + l->out_len, data, len);
	l->out_len += len;
	((struct agent_frame *)(void *)l->out)->len += (uint32_t)len;
	return true;
}

static bool send_exec(struct link *l, struct request *r)
{
	struct agent_exec e = {.uid = r->uid};
	bool fits = true;

	while (r->argv[e.argc])
		e.argc++;
	while (r->env[e.envc])
		e.envc++;
	frame_begin(l, AGENT_EXEC);
	frame_add(l, &e, sizeof(e));
	fits = frame_add(l, r->cwd, strlen(r->cwd) + 1);
	for (unsigned i = 0; i < e.argc; i++)
		fits = fits && frame_add(l, r->argv[i], strlen(r->argv[i]) + 1);
	for (unsigned i = 0; i < e.envc; i++)
		fits = fits && frame_add(l, r->env[i], strlen(r->env[i]) + 1);
	if (!fits)
		return false;
	return true;
}

/* Handle the whole frames in the input buffer; true when the session is over, with our exit status
 * in *status. */
static bool take_frames(struct link *l, struct request *r, int *status)
{
	size_t at = 0;
	bool over = false;

	while (!over && l->in_len - at >= sizeof(struct agent_frame)) {
		struct agent_frame f;
		const uint8_t *data = l->in + at + sizeof(f);
		uint32_t value = 0;

		memcpy(&f, l->in + at, sizeof(f));
		if (f.len > AGENT_PAYLOAD_MAX) {
			*status = failed("node %u's agent sent nonsense", r->node);
			return true;
		}
		if (l->in_len - at < sizeof(f) + f.len)
			break;
		at += sizeof(f) + f.len;
		switch (f.type) {
		case AGENT_STDOUT:
		case AGENT_STDERR:
			/* Nobody reads us any more: hanging up ends the command, as a broken pipe
			 * would. */
			over = !send_all(f.type == AGENT_STDOUT ? r->out : r->err, data, f.len);
			*status = 128 + SIGPIPE;
			break;
		case AGENT_EXIT:
			memcpy(&value, data, f.len < sizeof(value) ? f.len : sizeof(value));
			*status = value & AGENT_SIGNALLED ? 128 + (int)(value & 0x7f)
							  : (int)(value & 0xff);
			over = true;
			break;
		default:
			*status = failed("node %u: %.*s", r->node, (int)f.len, (const char *)data);
			over = true;
		}
	}
	memmove(l->in, l->in + at, l->in_len - at);
	l->in_len -= at;
	return over;
}

/* Our standard input becomes the next frame. */
static void take_stdin(struct link *l, struct request *r)
{
	static uint8_t buf[AGENT_PAYLOAD_MAX];
	ssize_t n = r->in < 0 ? 0 : read(r->in, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	frame_begin(l, n > 0 ? AGENT_STDIN : AGENT_STDIN_END);
	if (n > 0)
		frame_add(l, buf, (size_t)n);
	else
		r->in = -2; /* said so */
}

static int pump(struct link *l, struct request *r)
{
	int status = 0;

	/* Non-blocking, so that a command that does not read its input cannot keep us from reading
	 * its output. */
	fcntl(l->fd, F_SETFL, O_NONBLOCK);
	while (!take_frames(l, r, &status)) {
		bool sending = l->out_sent < l->out_len;

		if (!sending && r->in == -1) {
			take_stdin(l, r);
			continue;
		}
		struct pollfd p[2] = {{.fd = l->fd, .events = sending ? POLLIN | POLLOUT : POLLIN},
				      {.fd = sending || r->in < 0 ? -1 : r->in, .events = POLLIN}};

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return failed("poll: %s", strerror(errno));
		if (p[1].revents)
			take_stdin(l, r);
		if (p[0].revents & POLLOUT) {
			ssize_t n = write(l->fd, l->out + l->out_sent, l->out_len - l->out_sent);

			if (n > 0)
				l->out_sent += (size_t)n;
		}
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			ssize_t n = read(l->fd, l->in + l->in_len, sizeof(l->in) - l->in_len);

			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
				return failed("node %u went away", r->node);
			if (n > 0)
				l->in_len += (size_t)n;
		}
	}
	return status;
}

int session(struct request *r)
{
	static struct link l;
	double deadline = now_s() + r->wait_s;

	signal(SIGPIPE, SIG_IGN);
	while ((l.fd = take_port(r)) == -EAGAIN) {
		if (now_s() > deadline)
			return failed("all %d ports of node %u are in use", AGENT_PORTS, r->node);
		usleep(20000);
	}
	if (l.fd < 0)
		return failed("node %u is not running (%s); see ./run-qemu.sh status", r->node,
			      strerror(-l.fd));
	if (!greet(&l, deadline))
		return failed("node %u does not answer; is it still booting, paused or stuck? See "
			      "./run-qemu.sh log %u",
			      r->node, r->node);
	if (!send_exec(&l, r))
		return failed("arguments and environment exceed %d bytes", AGENT_PAYLOAD_MAX);
	return pump(&l, r);
}
