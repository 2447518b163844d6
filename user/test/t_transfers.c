/* SPDX-License-Identifier: MIT */
/*
 * Many TCP transfers at once, of random sizes, each checked byte by byte where it arrives.
 *   t_transfers serve PORT COUNT [--seconds S]
 *   t_transfers send ADDRESS PORT COUNT [--parallel N] [--most BYTES] [--seed S] [--seconds S]
 * A transfer is a connection of its own: a header, `length` bytes that follow from the seed, and the end of the
 * stream; then the server's receipt comes back, and its end. Both ends say what went wrong with which one; the server also
 * knows which transfers came twice, and after COUNT of them, or S seconds (600), which never came.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t.h"

enum { MAGIC = 0x57544652, MOST_PARALLEL = 64, CHUNK = 16384 };

struct header {
	uint32_t magic, index;
	uint64_t seed, length;
};

/* `right`: bytes that arrived as they were sent. */
struct receipt {
	uint32_t magic, index;
	uint64_t right;
};

/* A transfer under way, at either end. */
struct transfer {
	int fd; /* -1: free */
	struct header h;
	struct receipt r;
	size_t nhead, nreceipt; /* bytes of them done */
	uint64_t done;		/* bytes of the content */
	bool ended;		/* sender: shut down; server: the sender's end has come */
};

static struct transfer transfers[MOST_PARALLEL];
static struct pollfd polls[MOST_PARALLEL + 1];
static uint8_t chunk[CHUNK];
static uint32_t count, finished, failed;
static uint64_t bytes;
static uint8_t *seen; /* server: by index, how often */

static void fail(const struct transfer *t, const char *what)
{
	failed++;
	t_check(false, "transfer", "%u of %llu bytes, after %llu: %s", t->h.index,
		(unsigned long long)t->h.length, (unsigned long long)t->done, what);
}

static void finish(struct transfer *t)
{
	close(t->fd);
	t->fd = -1;
	finished++;
	bytes += t->done;
}

static struct transfer *new_transfer(int fd)
{
	for (int i = 0; i < MOST_PARALLEL; i++)
		if (transfers[i].fd < 0) {
			transfers[i] = (struct transfer){.fd = fd};
			fcntl(fd, F_SETFL, O_NONBLOCK);
			return &transfers[i];
		}
	return NULL;
}

/* Part of a fixed-size record, in either direction: 1 done, 0 not yet, -1 broken (*what). */
static int part(ssize_t n, size_t *done, size_t size, const char **what)
{
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		*what = n < 0 ? strerror(errno) : "the other end closed the connection too early";
		return -1;
	}
	*done += (size_t)n;
	return *done == size;
}

/* ---- server ---- */

/* The content, as it arrives; at its end the receipt is due. */
static int take_content(struct transfer *t, const char **what)
{
	ssize_t n = read(t->fd, chunk, CHUNK);

	if (n < 0)
		return part(n, NULL, 0, what);
	if (n == 0) {
		t->ended = true;
		t->r = (struct receipt){.magic = MAGIC, .index = t->h.index, .right = t->done};
		*what = "the end came before the last byte";
		return t->done == t->h.length ? 1 : -1;
	}
	*what = "a byte is wrong or too many";
	if (t->done + (uint64_t)n > t->h.length ||
	    t_compare(chunk, (size_t)n, t->done, t->h.seed) >= 0)
		return -1;
	t->done += (uint64_t)n;
	return 0;
}

static int take_header(struct transfer *t, const char **what)
{
	int state = part(read(t->fd, (char *)&t->h + t->nhead, sizeof(t->h) - t->nhead), &t->nhead,
			 sizeof(t->h), what);

	if (state == 1 && (t->h.magic != MAGIC || t->h.index >= count)) {
		*what = "this is no header of ours";
		return -1;
	}
	if (state == 1 && seen[t->h.index]++) {
		*what = "it came twice";
		return -1;
	}
	return state;
}

static void serve_one(struct transfer *t)
{
	const char *what = NULL;
	int state;

	if (t->nhead < sizeof(t->h)) {
		state = take_header(t, &what);
	} else if (!t->ended) {
		state = take_content(t, &what);
	} else {
		state = part(write(t->fd, (char *)&t->r + t->nreceipt, sizeof(t->r) - t->nreceipt),
			     &t->nreceipt, sizeof(t->r), &what);
		if (state == 1)
			finish(t);
	}
	if (state < 0) {
		fail(t, what);
		finish(t);
	}
}

static int listen_at(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (fd < 0)
		t_die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		t_die("bind to port %u", port);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void serve(int fd, int64_t until)
{
	while (finished < count && t_mono_ns() < until) {
		struct transfer *of[MOST_PARALLEL];
		nfds_t n = 0;

		for (int i = 0; i < MOST_PARALLEL; i++) {
			struct transfer *t = &transfers[i];

			if (t->fd < 0)
				continue;
			of[n] = t;
			polls[n++] = (struct pollfd){t->fd, t->ended ? POLLOUT : POLLIN, 0};
		}
		polls[n] = (struct pollfd){fd, n < MOST_PARALLEL ? POLLIN : 0, 0};
		if (poll(polls, n + 1, 1000) < 0 && errno != EINTR)
			t_die("poll");
		for (nfds_t i = 0; i < n; i++)
			if (polls[i].revents)
				serve_one(of[i]);
		if (polls[n].revents) {
			int in = accept(fd, NULL, NULL);

			if (in >= 0 && !new_transfer(in))
				close(in);
		}
	}
	for (uint32_t i = 0; i < count; i++)
		if (!seen[i])
			t_check(false, "transfer", "%u never came", i);
	for (int i = 0; i < MOST_PARALLEL; i++)
		if (transfers[i].fd >= 0)
			fail(&transfers[i], "time is up");
}

/* ---- sender ---- */

static void begin(const struct sockaddr_in *to, uint32_t index, uint64_t seed, uint32_t most)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct transfer *t = fd < 0 ? NULL : new_transfer(fd);
	uint64_t dice = seed + index;

	if (!t)
		t_die("socket");
	/* As many small ones as large ones: every size of a segment and of a window is met. */
	uint32_t bits = 1 + t_below(&dice, 32 - (uint32_t)__builtin_clz(most));

	t->h = (struct header){.magic = MAGIC, .index = index, .seed = t_random(&dice)};
	t->h.length = 1 + t_below(&dice, bits < 32 && 1u << bits < most ? 1u << bits : most);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 && errno != EINPROGRESS) {
		fail(t, strerror(errno));
		finish(t);
	}
}

static void send_one(struct transfer *t)
{
	const char *what = NULL;
	int state;

	if (t->nhead < sizeof(t->h)) {
		state = part(write(t->fd, (char *)&t->h + t->nhead, sizeof(t->h) - t->nhead),
			     &t->nhead, sizeof(t->h), &what);
	} else if (t->done < t->h.length) {
		size_t n = t->h.length - t->done < CHUNK ? t->h.length - t->done : CHUNK, sent = 0;

		t_fill(chunk, n, t->done, t->h.seed);
		state = part(write(t->fd, chunk, n), &sent, n, &what);
		t->done += sent;
	} else {
		state = part(read(t->fd, (char *)&t->r + t->nreceipt, sizeof(t->r) - t->nreceipt),
			     &t->nreceipt, sizeof(t->r), &what);
		if (state == 1) {
			if (t->r.magic != MAGIC || t->r.index != t->h.index ||
			    t->r.right != t->h.length)
				fail(t, "the receipt is another one's");
			finish(t);
		}
	}
	if (state >= 0 && t->fd >= 0 && t->done == t->h.length && !t->ended) {
		shutdown(t->fd, SHUT_WR);
		t->ended = true;
	}
	if (state < 0) {
		fail(t, what);
		finish(t);
	}
}

static void send_all(const struct sockaddr_in *to, long parallel, uint32_t most, uint64_t seed,
		     int64_t until)
{
	uint32_t next = 0;

	while (finished < count && t_mono_ns() < until) {
		struct transfer *of[MOST_PARALLEL];
		nfds_t n = 0;

		while (next < count && next - finished < (uint32_t)parallel)
			begin(to, next++, seed, most);
		for (int i = 0; i < MOST_PARALLEL; i++) {
			struct transfer *t = &transfers[i];

			if (t->fd < 0)
				continue;
			of[n] = t;
			polls[n++] = (struct pollfd){t->fd, t->ended ? POLLIN : POLLOUT, 0};
		}
		if (poll(polls, n, 1000) < 0 && errno != EINTR)
			t_die("poll");
		for (nfds_t i = 0; i < n; i++)
			if (polls[i].revents)
				send_one(of[i]);
	}
	for (int i = 0; i < MOST_PARALLEL; i++)
		if (transfers[i].fd >= 0)
			fail(&transfers[i], "time is up");
}

int main(int argc, char **argv)
{
	bool serves = argc >= 4 && strcmp(argv[1], "serve") == 0;
	struct sockaddr_in to = {.sin_family = AF_INET};
	int64_t start = t_mono_ns();

	if (!serves && (argc < 5 || strcmp(argv[1], "send") != 0 ||
			inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)) {
		fprintf(stderr,
			"usage: t_transfers serve PORT COUNT | send ADDRESS PORT COUNT; see its source\n");
		return 2;
	}
	long port = atol(argv[serves ? 2 : 3]), parallel = t_option(argc, argv, "--parallel", 32);
	int64_t until = start + t_option(argc, argv, "--seconds", 600) * 1000000000;

	count = (uint32_t)atol(argv[serves ? 3 : 4]);
	if (port < 1 || port > 65535 || count < 1 || count > 1000000 || parallel < 1 ||
	    parallel > MOST_PARALLEL)
		t_die("a number is out of its range");
	for (int i = 0; i < MOST_PARALLEL; i++)
		transfers[i].fd = -1;
	if (serves) {
		seen = calloc(count, 1);
		if (!seen)
			t_die("memory");
		int fd = listen_at((uint16_t)port);

		printf("listening\n");
		fflush(stdout);
		serve(fd, until);
	} else {
		to.sin_port = htons((uint16_t)port);
		send_all(&to, parallel, (uint32_t)t_option(argc, argv, "--most", 1 << 18),
			 (uint64_t)t_option(argc, argv, "--seed", 1), until);
	}
	t_check(finished == count && !failed, "all transfers", "%u of %u ended, %u of them badly",
		finished, count, failed);
	printf("%u transfers, %llu bytes, %lld ms\n", finished, (unsigned long long)bytes,
	       (long long)(t_mono_ns() - start) / 1000000);
	return t_end();
}
