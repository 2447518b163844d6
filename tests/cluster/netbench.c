/* SPDX-License-Identifier: MIT */
/*
 * A boot module that measures the network between two nodes without any disk: started beside the
 * net server by tests/cluster/netbench.sh. Node 1 asks, node 2 answers; results go to the kernel
 * log. Before and after the flood the cipher alone is measured, on as much data at a time as the flood sends.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg_net.h"
#include "peer.h"
#include "seal.h"
#include "secret.h"
#include "serve.h"

enum { PING = 1, PONG = 2, FLOOD = 3, OTHER = 2 };
#define CIPHER_NS 700000000ull
enum { ROUNDS = 2000, FLOOD_MSGS = 4000, FLOOD_BYTES = 61440 };

static uint64_t started;
static unsigned rounds, sent;
static uint64_t flooded;
static uint8_t block[FLOOD_BYTES + SEAL_TAG];
static double cipher_before;
static size_t ping_bytes;

static void ping(void)
{
	peer_send(OTHER, PING, rounds, NULL, 0, block, ping_bytes);
}

static void flood(unsigned node)
{
	while (sent < FLOOD_MSGS && peer_send(node, FLOOD, sent, NULL, 0, block, FLOOD_BYTES) == 0)
		sent++;
}

/* Events of the whole node since the last call: what a megabyte or a round trip costs beside time. */
static void report_events(void)
{
	static struct wh_counters before;
	struct wh_counters c;

	wh_counters(&c);
	serve_log("%llu switches, %llu messages, %llu calls",
		  (unsigned long long)(c.switches - before.switches),
		  (unsigned long long)(c.ipcs - before.ipcs),
		  (unsigned long long)(c.syscalls - before.syscalls));
	before = c;
}

static void report(const char *what, double amount, const char *unit)
{
	serve_log("%s %.1f %s", what, amount, unit);
	report_events();
}

/* MB/s of the seal that the channels use now, one thread, one buffer. What is opened again on the way costs the same once more. */
static double measure_cipher(void)
{
	struct seal key = {.plain = secret_plain()};
	uint64_t number = 0, sealing = 0, opening = 0;

	secret_random(key.key, sizeof(key.key));
	while (sealing < CIPHER_NS) {
		uint64_t start = wh_now();

		seal_close(&key, number, block, 8, FLOOD_BYTES);
		uint64_t half = wh_now();

		if (!seal_open(&key, number++, block, 8, FLOOD_BYTES))
			serve_die("what was sealed does not open");
		sealing += half - start;
		opening += wh_now() - half;
	}
	double sealed = number * (FLOOD_BYTES / 1e6) / (sealing / 1e9);

	serve_log("cipher alone: %.1f MB/s to seal, %.1f to open", sealed,
		  number * (FLOOD_BYTES / 1e6) / (opening / 1e9));
	return sealed;
}

/* What the net server counted. */
static void show_counters(void)
{
	static char text[4096];
	struct wh_msg m = {.type = WH_MSG_CTL};
	char *save = NULL;

	WH_BODY(&m, struct wh_ctl_msg)->op = NET_CTL_STATS;
	if (wh_call(WH_SVC_NET, &m, text, sizeof(text) - 1, WH_BULK_IN | WH_BULK_OUT) < 0)
		return;
	text[WH_BODY(&m, struct wh_ctl_msg)->out_len] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		serve_log("%s", line);
}

static void on_message(unsigned node, uint32_t type, uint64_t id, const void *body, size_t len)
{
	if (type == PING) {
		peer_send(node, PONG, id, NULL, 0, body, len);
	} else if (type == FLOOD) {
		flooded += len;
		if (id == FLOOD_MSGS - 1)
			peer_send(node, PONG, ~0ull, &flooded, sizeof(flooded), NULL, 0);
	} else if (id == ~0ull) {
		double flood = FLOOD_MSGS * (FLOOD_BYTES / 1e6) / ((wh_now() - started) / 1e9);

		report("flood", flood, "MB/s");
		double cipher = (cipher_before + measure_cipher()) / 2;

		serve_log("%s: flood is %.0f %% of the cipher alone",
			  secret_plain() ? "plain" : "sealed", 100 * flood / cipher);
		show_counters();
	} else if (++rounds < ROUNDS) {
		ping();
	} else {
		report(ping_bytes > 64 ? "round trip of 4 kB" : "round trip of 64 bytes",
		       (wh_now() - started) / 1e3 / ROUNDS, "us");
		rounds = 0;
		if (ping_bytes == 64) {
			started = wh_now();
			ping_bytes = 4096;
			ping();
		} else {
			cipher_before = measure_cipher();
			started = wh_now();
			flood(node);
		}
	}
}

static void on_up(unsigned node)
{
	serve_log("up with node %u", node);
	started = wh_now();
}

/* The other node may still be booting. */
static void on_down(unsigned node)
{
	struct wh_identity self;

	(void)node;
	wh_identity(&self);
	if (self.node == 1)
		ping();
}

static const struct peer_ops ops = {
	.on_message = on_message,
	.on_up = on_up,
	.on_down = on_down,
	.on_room = flood,
};

/* In the place of init, which has no disk to come from. */
static void give_identity(void)
{
	pid_t child = fork();

	if (child == 0) {
		wh_register(WH_SVC_INIT);
		_exit(wh_set_identity(1, 100, 1000) < 0);
	}
	waitpid(child, NULL, 0);
}

int main(void)
{
	struct wh_identity self;

	give_identity();
	serve_init(WH_SVC_MIGRATE);
	peer_start(WH_SVC_MIGRATE, &ops);
	wh_identity(&self);
	ping_bytes = 64;
	if (self.node == 1)
		ping();
	serve_run();
}
