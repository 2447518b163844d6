/* SPDX-License-Identifier: MIT */
/*
 * Datagrams between services of different nodes: what is new and genuine comes through, once, in spite
 * of restarts of either side; nothing else does. Both modes.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../servers/lib/dgram.h"

enum { A = 1, B = 2, PORT = 705, MAX = 256 };

static uint64_t rng = 0x9e3779b97f4a7c15ull;
static int failures;
static bool plain;
static uint8_t cluster_key[SEAL_KEY], other_key[SEAL_KEY];

static void draw(void *out, size_t len)
{
	for (uint8_t *p = out; len > 0; len--) {
		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		*p++ = (uint8_t)(rng >> 24);
	}
}

static void check(bool ok, const char *name, const char *why)
{
	if (ok)
		printf("ok dgram %s%s\n", name, plain ? " (plain)" : "");
	else
		printf("not ok dgram %s%s: %s\n", name, plain ? " (plain)" : "", why);
	failures += !ok;
}

/* One service's process on one of two nodes. */
struct end {
	struct dgram_self self;
	struct dgram_mate other;
};

struct packet {
	uint8_t bytes[MAX];
	size_t len;
};

static struct end start(uint16_t node, uint64_t incarnation, uint64_t time)
{
	struct end e = {.self = {.key = cluster_key,
				 .plain = plain,
				 .node = node,
				 .incarnation = incarnation,
				 .start = time}};

	draw(e.self.salt, sizeof(e.self.salt));
	return e;
}

static struct packet say(struct end *from, const char *text)
{
	struct packet p = {.len = strlen(text) + DGRAM_EXTRA};

	dgram_seal(&from->self, &from->other, 3 - from->self.node, PORT, PORT, DGRAM_SAYS, text,
		   strlen(text), p.bytes);
	return p;
}

static struct packet heard(struct end *from)
{
	struct packet p = {.len = DGRAM_EXTRA};

	dgram_seal(&from->self, &from->other, 3 - from->self.node, PORT, PORT, DGRAM_HEARD, NULL, 0,
		   p.bytes);
	return p;
}

/* p: by value, since it is opened in place and may come again. */
static enum dgram_verdict take(struct end *to, struct packet p, const char *text)
{
	void *payload;
	size_t len;
	enum dgram_verdict v = dgram_open(&to->self, &to->other, 3 - to->self.node, PORT, PORT,
					  p.bytes, p.len, &payload, &len);

	if (v == DGRAM_GOOD && (len != strlen(text) || memcmp(payload, text, len) != 0))
		check(false, "what comes out is what went in", "it is not");
	return v;
}

/* From strangers to talking: A says something, is told B's salt, says it again, and B answers. */
static bool meet(struct end *a, struct end *b)
{
	return take(b, say(a, "hello"), "") == DGRAM_STALE &&
	       take(a, heard(b), "") == DGRAM_LEARNED &&
	       take(b, say(a, "hello"), "hello") == DGRAM_GOOD &&
	       take(a, say(b, "you too"), "you too") == DGRAM_GOOD;
}

static void test_talk(void)
{
	struct end a = start(A, 1, 100), b = start(B, 1, 90);
	struct packet p;
	bool good = true;

	check(meet(&a, &b), "two that do not know each other yet", "do not come together");
	for (unsigned i = 0; i < 1000; i++)
		good = good && take(&b, say(&a, "again"), "again") == DGRAM_GOOD;
	check(good, "a thousand datagrams", "one was refused");
	p = say(&a, "a secret");
	check(!memmem(p.bytes, p.len, "secret", 6) == !plain, "who may read it can, others cannot",
	      "the other way round");
}

static void test_repeats(void)
{
	struct end a = start(A, 1, 100), b = start(B, 1, 90);
	struct packet p[100];
	unsigned wrong = 0;

	meet(&a, &b);
	for (unsigned i = 0; i < 100; i++)
		p[i] = say(&a, "x");
	for (unsigned i = 0; i < 100; i += 2) /* exchanged by pairs */
		wrong += take(&b, p[i + 1], "x") != DGRAM_GOOD || take(&b, p[i], "x") != DGRAM_GOOD;
	check(wrong == 0, "the wire may exchange datagrams", "one was refused");
	for (unsigned i = 0; i < 100; i++)
		wrong += take(&b, p[i], "x") != DGRAM_REPEAT;
	check(wrong == 0, "none comes through twice", "one did");
	for (unsigned i = 0; i < 100; i++)
		p[i] = say(&a, "x");
	take(&b, p[99], "x");
	check(take(&b, p[99 - DGRAM_WINDOW], "x") == DGRAM_REPEAT &&
		      take(&b, p[100 - DGRAM_WINDOW], "x") == DGRAM_GOOD,
	      "the window is as long as it says", "it is not");
}

static void test_restarts(void)
{
	struct end a = start(A, 1, 100), b = start(B, 1, 90), a2, b2;
	struct packet first, old, told;

	first = say(&a, "first");
	meet(&a, &b);
	old = say(&a, "old");
	told = heard(&b);
	a2 = start(A, 2, 50); /* the node has booted again */
	check(meet(&a2, &b), "a node of a new incarnation is accepted at once", "it is not");
	check(take(&b, old, "old") == DGRAM_FORMER, "what its former one said is not", "it is");
	check(take(&b, say(&a, "late"), "late") == DGRAM_FORMER, "nor what it still says", "it is");
	check(take(&a2, told, "") != DGRAM_LEARNED, "nor what was told to it", "it is");
	a = start(A, 2, 60); /* the server alone has */
	check(meet(&a, &b), "a server that starts again is accepted at once", "it is not");
	old = say(&a, "recorded");
	b2 = start(B, 1, 5000);
	check(take(&b2, old, "recorded") == DGRAM_STALE && take(&b2, first, "first") == DGRAM_STALE,
	      "what was said to a former life of the receiver does not count", "it does");
	check(b2.other.incarnation == 0, "and teaches it nothing", "it does");
}

static void test_wrong(void)
{
	struct end a = start(A, 1, 100), b = start(B, 1, 90), x;
	struct packet p, q;
	unsigned wrong = 0;
	void *payload;
	size_t len;

	meet(&a, &b);
	p = say(&a, "every bit of this counts");
	for (size_t bit = 0; bit < p.len * 8; bit++) {
		q = p;
		q.bytes[bit / 8] ^= 1u << bit % 8;
		enum dgram_verdict v = take(&b, q, "");

		wrong += v != DGRAM_FORGED && v != DGRAM_FOREIGN && v != DGRAM_FORMER;
	}
	for (size_t n = 0; n < p.len; n++) {
		q = p;
		q.len = n;
		enum dgram_verdict v = take(&b, q, "");

		wrong += v != DGRAM_FORGED && v != DGRAM_FOREIGN;
	}
	check(wrong == 0, "every flipped bit and every shortening is seen", "some were not");
	check(take(&b, p, "every bit of this counts") == DGRAM_GOOD, "and spoils nothing",
	      "it does");
	x = start(A, 9, 100);
	x.self.key = other_key;
	check(take(&b, say(&x, "let me in"), "") == DGRAM_FORGED,
	      "another cluster's key is refused", "it is not");
	x = start(A, 9, 100);
	x.self.plain = !plain;
	check(take(&b, say(&x, "let me in"), "") == DGRAM_FOREIGN, "so is the other mode",
	      "it is not");
	p = say(&b, "echo");
	check(take(&b, p, "") == DGRAM_FOREIGN, "so is one's own that comes back", "it is not");
	p = say(&a, "for the load server");
	check(dgram_open(&b.self, &b.other, A, PORT, 703, p.bytes, p.len, &payload, &len) ==
		      DGRAM_FOREIGN,
	      "so is one for another port", "it is not");
}

int main(void)
{
	draw(cluster_key, sizeof(cluster_key));
	draw(other_key, sizeof(other_key));
	for (unsigned mode = 0; mode < 2; mode++) {
		plain = mode;
		test_talk();
		test_repeats();
		test_restarts();
		test_wrong();
	}
	return failures != 0;
}
