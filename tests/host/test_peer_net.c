/* SPDX-License-Identifier: MIT */
/*
 * Two nodes on the host (hostnode/wh_host.h): the shipped net server, client library and peer
 * channels, over a wire that loses, repeats and damages frames, that is fed garbage, and whose
 * other end dies and comes back. Usage: test_peer_net [SEED]
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"
#include "serve.h"
#include "stack.h"
#include "tcp.h"
#include "udp.h"

enum { ASK = 1, ANSWER = 2, FLOOD = 3, FLOOD_END = 4, OTHER = 2, SELF = 1 };
enum { WINDOW = 16, FLOOD_MSGS = 2000, FLOOD_BYTES = 65536 };

static uint64_t seed = 4711;
static int failures;

static void check(bool ok, const char *name, const char *why)
{
	if (ok)
		printf("ok peer_net %s\n", name);
	else
		printf("not ok peer_net %s: %s\n", name, why);
	fflush(stdout);
	failures += !ok;
}

/* ---- the other node: answers ASK with the same body backwards ---- */

static void other_message(unsigned node, uint32_t type, uint64_t id, const void *body, size_t len)
{
	static uint8_t back[PEER_BODY_MAX];
	static uint64_t flooded;

	if (type == FLOOD) {
		flooded += len;
	} else if (type == FLOOD_END) {
		peer_send(node, ANSWER, id, &flooded, sizeof(flooded), NULL, 0);
	} else {
		for (size_t i = 0; i < len; i++)
			back[i] = ((const uint8_t *)body)[len - 1 - i];
		peer_send(node, ANSWER, id, back, len / 3, back + len / 3, len - len / 3);
	}
}

static const struct peer_ops other_ops = {.on_message = other_message};

static struct wh_secret secret = {.has_key = 1, .key = "the key of this cluster of hosts"};

static void start_node(unsigned node, uint64_t incarnation, int wire, const struct host_faults *f)
{
	host_secret(&secret);
	host_node(node, 2, incarnation, wire, seed);
	host_faults(f);
	serve_init(WH_SVC_MIGRATE);
	stack_start();
	udp_service_start();
	tcp_service_start();
}

static pid_t spawn_other(uint64_t incarnation, int wire, int unused, const struct host_faults *f)
{
	pid_t pid = fork();

	if (pid == 0) {
		close(unused);
		start_node(OTHER, incarnation, wire, f);
		peer_start(WH_SVC_MIGRATE, &other_ops);
		serve_run();
	}
	return pid;
}

/* ---- this node: keeps WINDOW questions open, asks again after on_down ---- */

struct question {
	uint64_t id; /* 0: free */
	size_t len;
	uint8_t body[PEER_BODY_MAX];
};

static struct question questions[WINDOW];
static uint64_t asked, answered, goal, wrong, downs, ups, flood_left, flood_result;
static size_t largest;
static struct serve_timer limit_timer;
static const char *phase_failed;

static _Noreturn void leave(void)
{
	exit(phase_failed != NULL);
}

static void send_question(struct question *q)
{
	int err = peer_send(OTHER, ASK, q->id, q->body, q->len / 5, q->body + q->len / 5,
			    q->len - q->len / 5);

	if (err && err != -EAGAIN)
		phase_failed = "peer_send refused";
	if (err == -EAGAIN)
		q->id = 0; /* another time */
}

static void fill_window(void)
{
	for (unsigned i = 0; i < WINDOW && asked - answered < WINDOW && asked < goal; i++) {
		struct question *q = &questions[i];

		if (q->id)
			continue;
		q->id = ++asked;
		q->len = host_rand() % (host_rand() % 4 ? 512 : largest);
		for (size_t k = 0; k < q->len; k++)
			q->body[k] = (uint8_t)host_rand();
		send_question(q);
		if (!q->id)
			asked--;
	}
	if (answered == goal)
		leave();
}

static void on_answer(unsigned node, uint32_t type, uint64_t id, const void *body, size_t len)
{
	const uint8_t *b = body;

	if (flood_left == 0 && type == ANSWER && goal == 0) {
		memcpy(&flood_result, body, sizeof(flood_result));
		leave();
	}
	for (unsigned i = 0; i < WINDOW; i++) {
		struct question *q = &questions[i];

		if (q->id != id)
			continue;
		bool same = len == q->len && node == OTHER && type == ANSWER;

		for (size_t k = 0; same && k < len; k++)
			same = b[k] == q->body[len - 1 - k];
		wrong += !same;
		q->id = 0;
		answered++;
	}
	if (wrong)
		phase_failed = "a wrong answer";
	fill_window();
}

static void on_down(unsigned node)
{
	(void)node;
	downs++;
	for (unsigned i = 0; i < WINDOW; i++) {
		if (questions[i].id)
			send_question(&questions[i]);
	}
}

static void on_up(unsigned node)
{
	(void)node;
	ups++;
}

static const struct peer_ops self_ops = {
	.on_message = on_answer, .on_up = on_up, .on_down = on_down};

static void out_of_time(void *arg)
{
	(void)arg;
	printf("# asked %llu answered %llu ups %llu downs %llu\n", (unsigned long long)asked,
	       (unsigned long long)answered, (unsigned long long)ups, (unsigned long long)downs);
	phase_failed = "it took too long";
	leave();
}

static pid_t spawn_asker(int wire, int unused, const struct host_faults *f,
			 uint64_t questions_to_ask, size_t max, unsigned seconds)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (unused >= 0)
			close(unused);
		start_node(SELF, 1, wire, f);
		peer_start(WH_SVC_MIGRATE, &self_ops);
		goal = questions_to_ask;
		largest = max;
		serve_timer(&limit_timer, wh_now() + seconds * SERVE_SEC, out_of_time, NULL);
		fill_window();
		serve_run();
	}
	return pid;
}

static bool succeeded(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool still_runs(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void make_wire(int wire[2])
{
	int size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wire) < 0)
		exit(2); /* no sockets: not a result */
	for (unsigned i = 0; i < 2; i++)
		setsockopt(wire[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void close_wire(int wire[2])
{
	close(wire[0]);
	close(wire[1]);
}

static void test_questions(const char *name, struct host_faults f, uint64_t n, size_t max)
{
	int wire[2];

	make_wire(wire);
	pid_t other = spawn_other(1, wire[1], wire[0], &f);
	pid_t asker = spawn_asker(wire[0], wire[1], &f, n, max, 120);

	bool good = succeeded(asker);

	check(good && still_runs(other), name,
	      "not every question was answered rightly, once, in time");
	end(other);
	close_wire(wire);
}

/* The other node dies in the middle, and comes back with a new incarnation. */
static void test_death(void)
{
	struct host_faults none = {0};
	int wire[2];

	make_wire(wire);
	pid_t other = spawn_other(1, wire[1], -1, &none);
	pid_t asker = spawn_asker(wire[0], -1, &none, 60000, 4000, 60);

	usleep(300000);
	bool early = !still_runs(asker);

	end(other);
	usleep(1500000);
	other = spawn_other(2, wire[1], -1, &none);
	check(succeeded(asker) && !early, "a node dies and comes back: all is asked again",
	      "it was not");
	end(other);
	close_wire(wire);
}

/* ---- throughput of one direction ---- */

static void flood(unsigned node)
{
	static uint8_t block[FLOOD_BYTES];

	(void)node;
	while (flood_left > 0 && peer_send(OTHER, FLOOD, 0, NULL, 0, block, FLOOD_BYTES) == 0)
		flood_left--;
	if (flood_left == 0)
		peer_send(OTHER, FLOOD_END, 1, NULL, 0, NULL, 0);
}

static const struct peer_ops flood_ops = {.on_message = on_answer, .on_room = flood};

static void test_flood(void)
{
	struct host_faults none = {0};
	int wire[2];

	make_wire(wire);
	pid_t other = spawn_other(1, wire[1], wire[0], &none);
	uint64_t start = wh_now();
	pid_t asker = fork();

	if (asker == 0) {
		close(wire[1]);
		start_node(SELF, 1, wire[0], &none);
		peer_start(WH_SVC_MIGRATE, &flood_ops);
		serve_timer(&limit_timer, wh_now() + 100 * SERVE_SEC, out_of_time, NULL);
		flood_left = FLOOD_MSGS;
		flood(OTHER);
		serve_run();
	}
	bool good = succeeded(asker);
	double s = (wh_now() - start) / 1e9;

	check(good, "a flood arrives whole, with back-pressure", "it did not end");
	printf("# %.0f MB/s with the sanitisers\n", FLOOD_MSGS * (FLOOD_BYTES / 1e6) / s);
	fflush(stdout);
	end(other);
	close_wire(wire);
}

/* ---- garbage ---- */

/* A plausible frame to the node, then damaged; or noise. */
static size_t make_garbage(uint8_t *f)
{
	static const uint8_t start[] = {0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54,
					0,    0,    0, 1, 8, 0, 0x45, 0};
	size_t len = 14 + host_rand() % 1500;

	for (size_t i = 0; i < len; i++)
		f[i] = (uint8_t)host_rand();
	if (host_rand() % 8 == 0)
		return len;
	memcpy(f, start, len < sizeof(start) ? len : sizeof(start));
	if (len < 60)
		return len;
	f[16] = (len - 14) >> 8;
	f[17] = (len - 14) & 0xff;
	f[20] = f[21] = 0;		  /* no fragment */
	f[23] = host_rand() % 3 ? 6 : 17; /* TCP, UDP */
	memcpy(f + 26, (uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
	f[24] = f[25] = 0;
	uint32_t sum = 0;

	for (unsigned i = 14; i < 34; i += 2)
		sum += f[i] << 8 | f[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	f[24] = ~sum >> 8;
	f[25] = ~sum & 0xff;
	if (host_rand() % 2) { /* to a port where somebody listens */
		f[36] = 704 >> 8;
		f[37] = 704 & 0xff;
	}
	if (f[23] == 17) { /* no UDP checksum: the garbage gets all the way */
		f[38] = (len - 34) >> 8;
		f[39] = (len - 34) & 0xff;
		f[40] = f[41] = 0;
	} else { /* a right TCP checksum over the wrong things */
		f[50] = f[51] = 0;
		sum = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6 + (len - 34);
		for (size_t i = 34; i < len; i++)
			sum += i % 2 ? f[i] : f[i] << 8;
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		f[50] = ~sum >> 8;
		f[51] = ~sum & 0xff;
	}
	return len;
}

static void test_garbage(unsigned frames)
{
	struct host_faults none = {0};
	uint8_t f[2048];
	int wire[2];

	make_wire(wire);
	pid_t other = spawn_other(1, wire[1], wire[0], &none);

	host_node(SELF, 2, 1, wire[0], seed);
	for (unsigned i = 0; i < frames; i++) {
		size_t len = make_garbage(f);

		if (send(wire[0], f, len, MSG_NOSIGNAL) < 0)
			break;
		while (recv(wire[0], f, sizeof(f), MSG_DONTWAIT) > 0)
			;
	}
	check(still_runs(other), "garbage frames break nothing", "the node died");
	pid_t asker = spawn_asker(wire[0], wire[1], &none, 200, 1000, 30);

	check(succeeded(asker), "and it still answers", "it does not");
	end(other);
	close_wire(wire);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	printf("# seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	test_questions("perfect wire", (struct host_faults){0}, 3000, PEER_BODY_MAX);
	test_questions("loss 2%, repeats 2%", (struct host_faults){.loss = 20000, .dup = 20000},
		       600, 20000);
	test_questions("damage 2%", (struct host_faults){.corrupt = 20000}, 600, 20000);
	test_flood();
	test_death();
	test_garbage(100000);
	return failures != 0;
}
