/* SPDX-License-Identifier: MIT */
/*
 * switch_load SWITCH [SECONDS]: what the switch alone can carry. Starts that program and plays two
 * nodes: a sender with a window like TCP's and a receiver that acknowledges through the switch too;
 * then one small frame there and back at a time. Prints a line per size of frame.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "unixsock.h"

enum {
	WINDOW = 1 << 20,     /* bytes under way */
	ACK_EVERY = 64 << 10, /* received bytes */
	SMALL = 60,
	BUFFER = 1 << 20,
	OURS = 0x0800 /* the type of our frames; the switch's own are others */
};

struct end {
	int fd;
	size_t have;
	uint8_t buf[BUFFER];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A frame from node `from` to node `to`, behind its length. */
static void make_frame(uint8_t *f, unsigned from, unsigned to, size_t len)
{
	const uint8_t head[14] = {
		0x52, 0x54, 0, 0, 0, (uint8_t)to, 0x52, 0x54, 0, 0, 0, (uint8_t)from, OURS >> 8, 0};
	uint32_t n = htonl((uint32_t)len);

	memset(f, 0, 4 + len);
	memcpy(f, &n, 4);
	memcpy(f + 4, head, sizeof(head));
}

static void send_all(struct end *e, const uint8_t *f, size_t len)
{
	while (len) {
		ssize_t n = write(e->fd, f, len);

		if (n < 0)
			die("write");
		f += n;
		len -= (size_t)n;
	}
}

/* Wait for frames of ours; their bytes in all. */
static size_t receive(struct end *e, unsigned *frames)
{
	size_t bytes = 0;

	while (!bytes) {
		ssize_t n = read(e->fd, e->buf + e->have, sizeof(e->buf) - e->have);
		size_t at = 0;

		if (n <= 0)
			die("read");
		e->have += (size_t)n;
		for (uint32_t len; e->have - at >= 4; at += 4 + len) {
			memcpy(&len, e->buf + at, 4);
			len = ntohl(len);
			if (e->have - at < 4 + len)
				break;
			if ((e->buf[at + 16] << 8 | e->buf[at + 17]) == OURS) {
				bytes += len;
				(*frames)++;
			}
		}
		memmove(e->buf, e->buf + at, e->have - at);
		e->have -= at;
	}
	return bytes;
}

static void join(struct end *e, const char *dir, unsigned node)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/sw-%u.sock", dir, node);
	e->have = 0;
	while ((e->fd = unix_connect(path)) < 0)
		usleep(1000);
}

/* Acknowledge all that comes, every `every` bytes. */
static void serve(const char *dir, size_t every)
{
	static struct end e;
	uint8_t ack[4 + SMALL];
	size_t due = 0;
	unsigned frames = 0;

	join(&e, dir, 2);
	make_frame(ack, 2, 1, SMALL);
	for (;;)
		for (due += receive(&e, &frames); due >= every; due -= every)
			send_all(&e, ack, sizeof(ack));
}

/* CPU seconds of a process so far. */
static double cpu_of(pid_t pid)
{
	char name[64];
	uint64_t ns = 0;

	snprintf(name, sizeof(name), "/proc/%d/schedstat", (int)pid);
	FILE *f = fopen(name, "r");

	if (!f || fscanf(f, "%ju", &ns) != 1)
		die(name);
	fclose(f);
	return (double)ns / 1e9;
}

static void measure(const char *dir, pid_t sw, size_t len, size_t every, double seconds)
{
	static uint8_t f[4 + 65536];
	static struct end e;
	pid_t server = fork();
	uint64_t sent = 0, acks = 0, frames = 0;

	if (server == 0)
		serve(dir, every);
	join(&e, dir, 1);
	usleep(50000);
	make_frame(f, 1, 2, len);
	double start = now(), cpu = cpu_of(sw), took = 0;

	while ((took = now() - start) < seconds) {
		unsigned n = 0;

		while (sent < acks * every + (every > len ? WINDOW : len)) {
			send_all(&e, f, 4 + len);
			sent += len;
			frames++;
		}
		receive(&e, &n);
		acks += n;
	}
	cpu = cpu_of(sw) - cpu;
	if (every > len)
		printf("%6zu bytes: %8.0f frames/s %7.1f MB/s, switch %5.2f us a frame\n", len,
		       (double)frames / took, (double)sent / took / 1e6,
		       cpu * 1e6 / (double)frames);
	else
		printf("there and back: %6.1f us, switch %5.2f us\n", took * 1e6 / (double)frames,
		       cpu * 1e6 / (double)frames);
	fflush(stdout);
	close(e.fd);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/wh-swb-XXXXXX";
	double seconds = argc > 2 ? atof(argv[2]) : 2;

	if (argc < 2 || !mkdtemp(dir)) {
		fprintf(stderr, "usage: switch_load SWITCH [SECONDS]\n");
		return 2;
	}
	pid_t sw = fork();

	if (sw == 0) {
		execl(argv[1], argv[1], dir, "2", NULL);
		die(argv[1]);
	}
	const size_t sizes[] = {SMALL, 1514, 9014, 65014};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		measure(dir, sw, sizes[i], ACK_EVERY, seconds);
	measure(dir, sw, SMALL, SMALL, seconds);
	kill(sw, SIGKILL);
	waitpid(sw, NULL, 0);
	execlp("rm", "rm", "-r", dir, NULL);
	return 1;
}
