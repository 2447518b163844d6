/* SPDX-License-Identifier: MIT */
/*
 * The handshake between two services: it ends with one key on both sides if all is right, and with no
 * key if a single bit is not, whoever says it and however often it was right before.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../servers/lib/auth.h"

enum { A = 1, B = 2, PORT = 704 };

static uint64_t rng = 0x9e3779b97f4a7c15ull;
static int failures;
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
		printf("ok auth %s\n", name);
	else
		printf("not ok auth %s: %s\n", name, why);
	failures += !ok;
}

/* One end of a handshake. */
struct end {
	struct auth_self self;
	struct auth auth;
	struct auth_share share;
	struct auth_confirm confirm;
	struct seal key;
	const char *wrong; /* why it refused, NULL: it did not */
};

static struct end make_end(uint32_t node)
{
	struct end e = {.self = {.key = cluster_key, .port = PORT, .node = node, .incarnation = 5}};
	uint8_t random[AUTH_POINT];

	draw(random, sizeof(random));
	auth_share_make(&e.share, random);
	return e;
}

static void hello(struct end *a)
{
	uint8_t nonce[AUTH_NONCE];

	draw(nonce, sizeof(nonce));
	auth_begin(&a->auth, &a->self, B, &a->share, nonce);
}

static bool welcome(struct end *b, const struct auth_frame *f)
{
	uint8_t nonce[AUTH_NONCE];

	draw(nonce, sizeof(nonce));
	b->wrong = auth_answer(&b->auth, &b->self, A, f, &b->share, nonce);
	return !b->wrong;
}

static bool confirm(struct end *a, const struct auth_frame *f)
{
	a->wrong = auth_confirm(&a->auth, &a->self, f, &a->confirm, &a->key);
	return !a->wrong;
}

static bool finish(struct end *b, const struct auth_confirm *f)
{
	b->wrong = auth_finish(&b->auth, &b->self, f, &b->key);
	return !b->wrong;
}

static bool shake(struct end *a, struct end *b)
{
	hello(a);
	return welcome(b, &a->auth.sent) && confirm(a, &b->auth.sent) && finish(b, &a->confirm);
}

static bool same_key(const struct end *a, const struct end *b)
{
	return memcmp(a->key.key, b->key.key, SEAL_KEY) == 0 && a->key.plain == b->key.plain;
}

static void test_right(void)
{
	struct end a = make_end(A), b = make_end(B), c = a, d = b;
	uint8_t zero[AUTH_POINT] = {0};

	check(shake(&a, &b) && same_key(&a, &b), "both ends get one key", "they do not");
	check(a.auth.incarnation == 5 && b.auth.incarnation == 5, "and each other's incarnation",
	      "they do not");
	check(shake(&c, &d) && !same_key(&a, &c), "another connection gets another key",
	      "with the same shares it does not");
	check(memcmp(a.auth.secret, zero, sizeof(zero)) == 0 &&
		      memcmp(b.auth.secret, zero, sizeof(zero)) == 0,
	      "the exchange's secrets are forgotten", "they are not");
}

/* Change one thing of one end, and the handshake must not succeed; say at which end it should be noticed. */
static void refused(const char *name, struct end a, struct end b, bool by_b, const char *word)
{
	bool done = shake(&a, &b);
	const char *wrong = by_b ? b.wrong : a.wrong;

	check(!done && wrong && strstr(wrong, word), name,
	      done ? "it is not" : "for another reason");
}

static void test_who(void)
{
	struct end a = make_end(A), b = make_end(B), x;

	x = a, x.self.key = other_key;
	refused("another cluster's key is refused", x, b, true, "wrong tag");
	x = a, x.self.node = 3;
	refused("a HELLO in another node's name is refused", x, b, true, "false identity");
	x = a, x.self.port = 702;
	refused("a HELLO of another service is refused", x, b, true, "another service");
	x = a, x.self.plain = true;
	refused("a plain HELLO to one who encrypts is refused", x, b, true, "--plain");
	x = b, x.self.plain = true;
	refused("a plain node refuses one that encrypts", a, x, true, "encryption");
	x = a, x.self.incarnation = 0;
	refused("a HELLO without incarnation is refused", x, b, true, "false identity");
	x = b, x.self.node = 3;
	refused("a HELLO that means another node is refused", a, x, true, "false identity");
}

/* Somebody who has recorded everything, and has no key. */
static void test_repeated(void)
{
	struct end a = make_end(A), b = make_end(B), again = make_end(B), a2 = a;

	shake(&a, &b);
	check(welcome(&again, &a.auth.sent), "a repeated HELLO is answered", "it is not");
	check(!finish(&again, &a.confirm) && strstr(again.wrong, "repeats"),
	      "but the CONFIRM of that time does not fit the answer", "it does");
	hello(&a2);
	check(!confirm(&a2, &b.auth.sent), "a repeated WELCOME is refused", "it is not");
}

/* Somebody who sends everybody's frames back to them, or to another one. */
static void test_reflected(void)
{
	struct end a = make_end(A), b = make_end(B), a2;

	hello(&a);
	a2 = a;
	check(!confirm(&a2, &a.auth.sent), "one's own HELLO is no WELCOME", "it is");
	a2 = make_end(A);
	uint8_t nonce[AUTH_NONCE] = {0};

	check(auth_answer(&a2.auth, &a2.self, B, &a.auth.sent, &a2.share, nonce) != NULL,
	      "nor somebody else's HELLO", "it is");
	welcome(&b, &a.auth.sent);
	check(auth_answer(&a2.auth, &a2.self, B, &b.auth.sent, &a2.share, nonce) != NULL,
	      "a WELCOME is no HELLO", "it is");
	struct end c = b;
	struct auth_confirm own = {.head = b.auth.sent.head};

	memcpy(own.tag, b.auth.sent.tag, SEAL_TAG);
	own.head.length = 0;
	own.head.type = PEER_T_CONFIRM;
	check(!finish(&c, &own), "nor is its tag one of a CONFIRM", "it is");
}

static unsigned flips_accepted(void *frame, size_t bytes, bool (*take)(struct end *, const void *),
			       const struct end *before)
{
	unsigned accepted = 0;
	uint8_t *p = frame;

	for (size_t bit = 0; bit < bytes * 8; bit++) {
		struct end e = *before;

		p[bit / 8] ^= 1u << bit % 8;
		accepted += take(&e, frame);
		p[bit / 8] ^= 1u << bit % 8;
	}
	struct end e = *before;

	return accepted + !take(&e, frame); /* as it was it is right */
}

static bool take_hello(struct end *e, const void *f)
{
	return welcome(e, f);
}
static bool take_welcome(struct end *e, const void *f)
{
	return confirm(e, f);
}
static bool take_confirm(struct end *e, const void *f)
{
	return finish(e, f);
}

static void test_bits(void)
{
	struct end a = make_end(A), b = make_end(B), before;

	hello(&a);
	before = b;
	check(flips_accepted(&a.auth.sent, sizeof(a.auth.sent), take_hello, &before) == 0,
	      "every flipped bit of HELLO is seen", "some were not");
	welcome(&b, &a.auth.sent);
	before = a;
	check(flips_accepted(&b.auth.sent, sizeof(b.auth.sent), take_welcome, &before) == 0,
	      "every flipped bit of WELCOME is seen", "some were not");
	confirm(&a, &b.auth.sent);
	before = b;
	check(flips_accepted(&a.confirm, sizeof(a.confirm), take_confirm, &before) == 0,
	      "every flipped bit of CONFIRM is seen", "some were not");
}

/* A node that has the cluster's key, and sits between two others with a share of its own that is no point. */
static void test_weak_share(void)
{
	struct end a = make_end(A), b = make_end(B);

	memset(a.share.point, 0, AUTH_POINT);
	hello(&a);
	welcome(&b, &a.auth.sent);
	confirm(&a, &b.auth.sent);
	check(!finish(&b, &a.confirm) && strstr(b.wrong, "no point"),
	      "a share that is no point is refused", "it is not");
}

int main(void)
{
	draw(cluster_key, sizeof(cluster_key));
	draw(other_key, sizeof(other_key));
	test_right();
	test_who();
	test_repeated();
	test_reflected();
	test_bits();
	test_weak_share();
	return failures != 0;
}
