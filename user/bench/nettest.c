/* SPDX-License-Identifier: MIT */
/*
 * What TCP does between two machines, measured through ordinary sockets: one static program for Whimbrel and Linux alike
 * (./run-qemu.sh bench net).
 *
 *   nettest serve PORT                  answer for ever, one connection after the other
 *   nettest send HOST PORT MB [CHUNK]   MB * 2^20 bytes, CHUNK (default 65536) a write, until the peer has counted them
 *   nettest trip HOST PORT COUNT        one byte there and back, COUNT times
 *
 * A connection begins with a request of 16 bytes, least significant first. Results are one line: `NAME VALUE...`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_MAX = 256 * 1024, TRIPS_MAX = 100000, TRIES = 100, WARM_UP = 20 };
enum what { COUNT_BYTES = 1, ECHO = 2 };

struct request {
	uint64_t what, bytes;
};

static uint8_t buf[CHUNK_MAX];
static uint64_t took[TRIPS_MAX];

static void die(const char *what)
{
	fprintf(stderr, "nettest: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int read_all(int s, void *to, size_t n)
{
	for (uint8_t *p = to; n > 0;) {
		ssize_t got = read(s, p, n);

		if (got <= 0)
			return -1;
		p += got;
		n -= got;
	}
	return 0;
}

static int write_all(int s, const void *from, size_t n)
{
	for (const uint8_t *p = from; n > 0;) {
		ssize_t put = write(s, p, n);

		if (put <= 0)
			return -1;
		p += put;
		n -= put;
	}
	return 0;
}

static void no_delay(int s)
{
	int on = 1;

	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* ---- the side that answers ---- */

static void answer(int s)
{
	struct request r;

	if (read_all(s, &r, sizeof(r)) < 0)
		return;
	if (r.what == COUNT_BYTES) {
		uint64_t got = 0;

		while (got < r.bytes) {
			ssize_t n = read(s, buf, sizeof(buf));

			if (n <= 0)
				return;
			/* Not each byte, for the time it takes: the place of each piece. */
			for (ssize_t i = 0; i < n; i += 4096)
				if (buf[i] != (uint8_t)((got + i) % 251))
					return;
			got += n;
		}
		write_all(s, &got, sizeof(got));
	} else if (r.what == ECHO) {
		uint8_t byte;

		while (read(s, &byte, 1) == 1 && write(s, &byte, 1) == 1)
			;
	}
}

static void serve(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (l < 0)
		die("socket");
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 8) < 0)
		die("bind");
	for (;;) {
		int s = accept(l, NULL, NULL);

		if (s < 0)
			continue;
		no_delay(s);
		answer(s);
		close(s);
	}
}

/* ---- the side that asks ---- */

/* The peer may still be booting. */
static int connect_to(const char *host, uint16_t port, const struct request *r)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (!inet_aton(host, &a.sin_addr)) {
		fprintf(stderr, "nettest: %s is no address\n", host);
		exit(2);
	}
	for (int i = 0; i < TRIES; i++) {
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (s < 0)
			die("socket");
		if (connect(s, (struct sockaddr *)&a, sizeof(a)) == 0) {
			no_delay(s);
			if (write_all(s, r, sizeof(*r)) < 0)
				die("write");
			return s;
		}
		close(s);
		usleep(100000);
	}
	die("connect");
	return -1;
}

static void send_bytes(const char *host, uint16_t port, uint64_t bytes, size_t chunk)
{
	static uint8_t pattern[CHUNK_MAX + 251];
	struct request r = {COUNT_BYTES, bytes};
	int s = connect_to(host, port, &r);
	uint64_t done = 0, counted = 0;

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 251;
	uint64_t start = now_ns();

	while (done < bytes) {
		size_t n = bytes - done < chunk ? bytes - done : chunk;

		if (write_all(s, pattern + done % 251, n) < 0)
			die("write");
		done += n;
	}
	if (read_all(s, &counted, sizeof(counted)) < 0 || counted != bytes) {
		fprintf(stderr, "nettest: of %llu bytes the peer got %llu, or wrong ones\n",
			(unsigned long long)bytes, (unsigned long long)counted);
		exit(1);
	}
	uint64_t ns = now_ns() - start;

	printf("send %llu bytes %.3f ms %.2f MB/s\n", (unsigned long long)bytes, ns / 1e6,
	       bytes / 1e6 / (ns / 1e9));
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void trip(const char *host, uint16_t port, unsigned count)
{
	struct request r = {ECHO, 0};
	int s = connect_to(host, port, &r);
	uint8_t byte = 'x';

	for (unsigned i = 0; i < count + WARM_UP; i++) {
		uint64_t start = now_ns();

		if (write_all(s, &byte, 1) < 0 || read_all(s, &byte, 1) < 0)
			die("round trip");
		if (i >= WARM_UP)
			took[i - WARM_UP] = now_ns() - start;
	}
	qsort(took, count, sizeof(took[0]), by_value);
	printf("trip median %.1f us min %.1f p10 %.1f p90 %.1f max %.1f n %u\n",
	       took[count / 2] / 1e3, took[0] / 1e3, took[count / 10] / 1e3,
	       took[count * 9 / 10] / 1e3, took[count - 1] / 1e3, count);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(atoi(argv[2]));
	if (argc >= 5 && strcmp(argv[1], "send") == 0) {
		size_t chunk = argc > 5 ? strtoul(argv[5], NULL, 0) : 65536;

		if (chunk < 1 || chunk > CHUNK_MAX)
			chunk = CHUNK_MAX;
		send_bytes(argv[2], atoi(argv[3]), strtoull(argv[4], NULL, 0) << 20, chunk);
		return 0;
	}
	if (argc == 5 && strcmp(argv[1], "trip") == 0) {
		unsigned count = strtoul(argv[4], NULL, 0);

		trip(argv[2], atoi(argv[3]), count < 1 ? 1 : count > TRIPS_MAX ? TRIPS_MAX : count);
		return 0;
	}
	fprintf(stderr,
		"usage: nettest serve PORT | send HOST PORT MB [CHUNK] | trip HOST PORT COUNT\n");
	return 2;
}
