/* SPDX-License-Identifier: MIT */
/*
 * The frames between peers: whatever the cuts, what comes out is what went in; whatever the damage,
 * nothing wrong comes out and nothing breaks. Twice: encrypted, and as --plain has them. Usage: test_peer_frame [SEED [ROUNDS]]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../servers/lib/peer_frame.h"

enum { MAX_FRAMES = 40, STREAM_MAX = 1 << 20 };

struct sent {
	uint32_t type;
	uint64_t id;
	size_t len;
	uint8_t *body;
};

/* One encoded stream and how far the decoder has confirmed it. */
struct stream {
	struct sent sent[MAX_FRAMES];
	unsigned frames, seen;
	bool wrong; /* something came out that did not go in */
	uint8_t *bytes;
	size_t len;
};

static struct seal key;
static uint64_t rng;
static int failures;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void check(bool ok, const char *name, const char *why)
{
	if (ok)
		printf("ok peer_frame %s%s\n", name, key.plain ? " (plain)" : "");
	else
		printf("not ok peer_frame %s%s: %s\n", name, key.plain ? " (plain)" : "", why);
	failures += !ok;
}

static void append(struct stream *s, uint32_t type, uint64_t id, size_t hlen, size_t plen)
{
	struct sent *m = &s->sent[s->frames++];

	*m = (struct sent){
		.type = type, .id = id, .len = hlen + plen, .body = malloc(hlen + plen + 1)};
	for (size_t i = 0; i < m->len; i++)
		m->body[i] = (uint8_t)rnd();
	peer_frame_make(s->bytes + s->len, key.plain, type, id, m->body, hlen, m->body + hlen,
			plen);
	peer_frame_seal(s->bytes + s->len, &key, s->frames - 1);
	s->len += peer_frame_bytes(m->len);
}

static struct stream *make_stream(void)
{
	struct stream *s = calloc(1, sizeof(*s));
	unsigned n = 1 + rnd() % 8;

	s->bytes = malloc(STREAM_MAX);
	for (unsigned i = 0; i < n; i++) {
		size_t hlen = rnd() % 64, plen = rnd() % 4 == 0 ? rnd() % 66000 : rnd() % 300;

		append(s, 1 + rnd() % PEER_TYPE_MAX, rnd(), hlen, rnd() % 3 ? plen : 0);
	}
	return s;
}

static void free_stream(struct stream *s)
{
	for (unsigned i = 0; i < s->frames; i++)
		free(s->sent[i].body);
	free(s->bytes);
	free(s);
}

static int on_frame(void *arg, const struct peer_frame *f, const void *body)
{
	struct stream *s = arg;
	const struct sent *m = &s->sent[s->seen];

	if (s->seen == s->frames || f->type != m->type || f->id != m->id || f->length != m->len ||
	    memcmp(body, m->body, m->len) != 0 || (uintptr_t)body % 8 != 0)
		s->wrong = true;
	else
		s->seen++;
	return 0;
}

/* Feed bytes in random cuts, each in a heap block of its exact size so that an overrun is seen. */
static int feed(struct peer_decoder *d, const uint8_t *bytes, size_t len, struct stream *s,
		size_t cut)
{
	int err = 0;

	for (size_t off = 0; off < len && !err;) {
		size_t n = 1 + rnd() % cut;

		if (n > len - off)
			n = len - off;
		uint8_t *chunk = malloc(n);

		memcpy(chunk, bytes + off, n);
		err = peer_decode(d, chunk, n, on_frame, s);
		free(chunk);
		off += n;
	}
	return err;
}

static void test_cuts(unsigned rounds)
{
	static const size_t cuts[] = {1, 7, 24, 100, 4096, 65536, STREAM_MAX};
	bool good = true;

	for (unsigned i = 0; i < rounds; i++) {
		struct stream *s = make_stream();
		struct peer_decoder d = {.keyed = true, .key = key};
		size_t cut = cuts[rnd() % (sizeof(cuts) / sizeof(*cuts))];
		int err = feed(&d, s->bytes, cut < 24 && s->len > 4096 ? 4096 : s->len, s, cut);

		if (cut >= 24 || s->len <= 4096)
			good = good && !err && s->seen == s->frames && !s->wrong && d.have == 0;
		else
			good = good && !err && !s->wrong;
		peer_decoder_free(&d);
		free_stream(s);
	}
	check(good, "any cuts give back every frame", "a frame was lost or changed");
}

static void test_limits(void)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct peer_decoder d = {.keyed = true, .key = key};

	s->bytes = malloc(STREAM_MAX);
	append(s, 1, 2, 0, 0);
	append(s, PEER_TYPE_MAX, ~0ull, 13, PEER_BODY_MAX - 13);
	int err = feed(&d, s->bytes, s->len, s, 60000);

	check(err == 0 && s->seen == 2 && !s->wrong, "empty and largest frame", "not delivered");
	struct peer_frame big = {.magic = key.plain ? PEER_MAGIC_OPEN : PEER_MAGIC_SEALED,
				 .length = PEER_BODY_MAX + 1};

	err = peer_decode(&d, &big, sizeof(big), on_frame, s);
	check(err == -EMSGSIZE, "a longer one is refused from its header", "accepted");
	uint64_t ok[8];

	peer_frame_make(ok, key.plain, 1, 1, NULL, 0, NULL, 0);
	peer_frame_seal(ok, &key, 2);
	err = peer_decode(&d, ok, peer_frame_bytes(0), on_frame, s);
	check(err == -EMSGSIZE && s->seen == 2, "a broken stream stays broken", "it came back");
	peer_decoder_free(&d);
	free_stream(s);
}

/* Every single flipped bit of a small frame is seen. */
static void test_bits(void)
{
	unsigned missed = 0;
	struct stream *s = calloc(1, sizeof(*s));

	s->bytes = malloc(STREAM_MAX);
	append(s, 77, 12345, 24, 50);
	for (size_t bit = 0; bit < s->len * 8; bit++) {
		struct peer_decoder d = {.keyed = true, .key = key};

		s->bytes[bit / 8] ^= 1u << bit % 8;
		s->seen = 0;
		s->wrong = false;
		feed(&d, s->bytes, s->len, s, STREAM_MAX);
		missed += s->seen != 0 || s->wrong;
		s->bytes[bit / 8] ^= 1u << bit % 8;
		peer_decoder_free(&d);
	}
	check(missed == 0, "every flipped bit is seen", "some were not");
	free_stream(s);
}

static void mutate(uint8_t *bytes, size_t *len)
{
	static const uint32_t nasty[] = {0,	     1,		 7,	     8,
					 0x7fffffff, 0x80000000, 0xffffffff, PEER_BODY_MAX};
	size_t at = rnd() % *len, n = 1 + rnd() % 64;

	switch (rnd() % 5) {
	case 0:
		bytes[at] ^= 1u << rnd() % 8;
		break;
	case 1: /* a number that lengths dislike, where a length may be */
		at &= ~(size_t)3;
		memcpy(bytes + at, &nasty[rnd() % 8], *len - at < 4 ? *len - at : 4);
		break;
	case 2: /* lose some bytes */
		n = n < *len - at ? n : *len - at;
		memmove(bytes + at, bytes + at + n, *len - at - n);
		*len -= n;
		break;
	case 3: /* repeat some */
		n = n < *len - at ? n : *len - at;
		memmove(bytes + at + n, bytes + at, *len - at);
		*len += n;
		break;
	default:
		for (size_t i = at; i < at + n && i < *len; i++)
			bytes[i] = (uint8_t)rnd();
	}
}

static void test_damage(unsigned rounds)
{
	unsigned wrong = 0, errors = 0;

	for (unsigned i = 0; i < rounds; i++) {
		struct stream *s = make_stream();
		struct peer_decoder d = {.keyed = true, .key = key};
		size_t len = s->len;

		for (unsigned k = 1 + rnd() % 3; k > 0 && len > 0; k--)
			mutate(s->bytes, &len);
		errors += feed(&d, s->bytes, len, s, 5000) != 0;
		wrong += s->wrong;
		peer_decoder_free(&d);
		free_stream(s);
	}
	check(wrong == 0, "damage never yields a wrong frame", "one came out");
	check(errors > rounds / 2, "damage is reported", "hardly ever");
}

static void test_noise(unsigned rounds)
{
	struct stream *none = calloc(1, sizeof(*none));
	uint64_t noise[64];

	for (unsigned i = 0; i < rounds; i++) {
		struct peer_decoder d = {.keyed = true, .key = key};

		for (unsigned k = 0; k < 64; k++)
			noise[k] = rnd();
		if (rnd() % 2) /* let half of it pass the first test */
			((struct peer_frame *)(void *)noise)->magic =
				key.plain ? PEER_MAGIC_OPEN : PEER_MAGIC_SEALED;
		feed(&d, (uint8_t *)noise, sizeof(noise), none, 512);
		peer_decoder_free(&d);
	}
	check(!none->wrong && none->seen == 0, "noise is never a frame", "it was");
	free(none);
}

/* Frames lost, repeated, exchanged, of another key, of another mode. */
static void test_order(void)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct seal other = key, mode = key;
	unsigned wrong = 0;

	other.key[0] ^= 1;
	mode.plain = !key.plain;
	s->bytes = malloc(STREAM_MAX);
	for (unsigned i = 0; i < 3; i++)
		append(s, i + 1, i, 8, 24);
	size_t one = s->len / 3;
	static const uint8_t orders[][3] = {{1, 2, 0}, {0, 2, 1}, {0, 0, 1}, {2, 1, 0}, {1, 1, 1}};

	for (unsigned i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		struct peer_decoder d = {.keyed = true, .key = key};
		uint8_t *mixed = malloc(s->len);
		unsigned right = 0;

		while (right < 3 && orders[i][right] == right)
			right++;
		for (unsigned k = 0; k < 3; k++)
			memcpy(mixed + k * one, s->bytes + orders[i][k] * one, one);
		s->seen = 0;
		wrong += feed(&d, mixed, s->len, s, STREAM_MAX) != -EBADMSG || s->seen != right;
		free(mixed);
		peer_decoder_free(&d);
	}
	check(wrong == 0 && !s->wrong, "frames lost, repeated or exchanged do not open",
	      "they did");
	struct peer_decoder d = {.keyed = true, .key = other};

	s->seen = 0;
	check(feed(&d, s->bytes, s->len, s, STREAM_MAX) == -EBADMSG && s->seen == 0,
	      "nor with another key", "they did");
	peer_decoder_free(&d);
	s->seen = 0;
	d = (struct peer_decoder){.keyed = true, .key = mode};
	check(feed(&d, s->bytes, s->len, s, STREAM_MAX) == -EPROTO && s->seen == 0,
	      "nor in the other mode", "they did");
	peer_decoder_free(&d);
	free_stream(s);
}

/* Encrypted, nothing of a body is to be found in its frame; with --plain it is. */
static void test_secrecy(void)
{
	static const char secret[] = "the quick brown fox jumps over the lazy dog";
	uint8_t frame[256];
	size_t bytes = peer_frame_bytes(sizeof(secret));

	peer_frame_make(frame, key.plain, 7, 1, secret, sizeof(secret), NULL, 0);
	peer_frame_seal(frame, &key, 0);
	check(!memmem(frame, bytes, "brown", 5) == !key.plain, "who may read it can, others cannot",
	      "the other way round");
}

static void test_all(unsigned rounds)
{
	test_cuts(rounds);
	test_limits();
	test_bits();
	test_order();
	test_secrecy();
	test_damage(rounds);
	test_noise(rounds * 4);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20061;
	unsigned rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 2000;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	printf("# seed %llu, %u rounds\n", (unsigned long long)seed, rounds);
	for (unsigned i = 0; i < sizeof(key.key); i++)
		key.key[i] = (uint8_t)rnd();
	test_all(rounds);
	key.plain = true;
	test_all(rounds);
	return failures != 0;
}
