/* SPDX-License-Identifier: MIT */
/*
 * test_fuzz [--messages N] [--seed S] [--target NAME] [FILE]
 * Inputs that reach new code are kept and changed further (gcc's trace-pc tells what they reach); ASan and UBSan judge. Ends
 * after N messages (40,000) in all targets together; an input that breaks something is left in crash-NAME, and FILE runs it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { MAP = 1 << 16, CORPUS = 4096, SEEDS = 64 };

void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*fn)(void));

struct input {
	size_t len;
	uint8_t *bytes;
};

static const struct fuzz_target *const targets[] = {&fuzz_stranger, &fuzz_peer, &fuzz_dgram,
						    &fuzz_image};
static const struct fuzz_target *target;
static uint8_t hits[MAP], seen[MAP]; /* of one input; buckets of all inputs so far, a bit each */
static uintptr_t last_pc;
static struct input corpus[CORPUS];
static unsigned corpus_size, edges;
static uint8_t now[FUZZ_INPUT_MAX];
static size_t now_len;
static uint64_t rng;

/* An edge is a pair of places, one after the other. */
void __sanitizer_cov_trace_pc(void)
{
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);

	pc = (pc ^ pc >> 15) * 0x9e3779b1u;
	uint8_t *h = &hits[(pc ^ last_pc >> 1) % MAP];

	if (*h < 255)
		++*h;
	last_pc = pc;
}

static uint32_t pick(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

static void leave_input(void)
{
	char name[64];

	snprintf(name, sizeof(name), "crash-%s", target->name);
	FILE *f = fopen(name, "w");

	if (!f)
		return;
	fwrite(now, 1, now_len, f);
	fclose(f);
	fprintf(stderr, "not ok fuzz %s: the input is in %s\n", target->name, name);
}

_Noreturn void fuzz_wrong(const char *what)
{
	fprintf(stderr, "%s: %s\n", target->name, what);
	leave_input();
	exit(1);
}

uint8_t fuzz_byte(struct fuzz_in *in)
{
	if (in->len == 0)
		return 0;
	in->len--;
	return *in->p++;
}

uint16_t fuzz_short(struct fuzz_in *in)
{
	uint8_t low = fuzz_byte(in);

	return (uint16_t)(low | fuzz_byte(in) << 8);
}

const uint8_t *fuzz_bytes(struct fuzz_in *in, size_t n, size_t *got)
{
	const uint8_t *p = in->p;

	*got = n < in->len ? n : in->len;
	in->p += *got;
	in->len -= *got;
	return p;
}

/* How often a place was passed, in classes: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, more. */
static uint8_t bucket(uint8_t n)
{
	static const uint8_t from[] = {1, 2, 3, 4, 8, 16, 32, 128};
	uint8_t b = 0;

	for (unsigned i = 0; i < sizeof(from); i++)
		if (n >= from[i])
			b = (uint8_t)(1u << i);
	return b;
}

/* Run `now`; keep it if it did something new. The number of messages in it. */
static unsigned run_now(void)
{
	bool news = false;

	memset(hits, 0, sizeof(hits));
	last_pc = 0;
	unsigned n = target->run(now, now_len);

	for (unsigned i = 0; i < MAP; i++) {
		uint8_t b = hits[i] ? bucket(hits[i]) : 0;

		if (b & ~seen[i]) {
			edges += !seen[i];
			seen[i] |= b;
			news = true;
		}
	}
	if (news && corpus_size < CORPUS) {
		struct input *c = &corpus[corpus_size++];

		c->len = now_len;
		c->bytes = malloc(now_len + 1);
		memcpy(c->bytes, now, now_len);
	}
	return n;
}

static void insert(size_t at, const uint8_t *from, size_t n)
{
	if (n > FUZZ_INPUT_MAX - now_len)
		n = FUZZ_INPUT_MAX - now_len;
	memmove(now + at + n, now + at, now_len - at);
	if (from)
		memcpy(now + at, from, n);
	for (size_t i = 0; !from && i < n; i++)
		now[at + i] = (uint8_t)pick(256);
	now_len += n;
}

static void mutate(void)
{
	static const uint64_t nasty[] = {0,
					 1,
					 7,
					 8,
					 0x7f,
					 0x80,
					 0xff,
					 0xffff,
					 0x10000,
					 0x20000,
					 0x7fffffff,
					 0x80000000,
					 0xffffffff,
					 0x7fffffffffffffff,
					 0x8000000000000000,
					 0xffffffffffffffff};
	size_t at = now_len ? pick((uint32_t)now_len) : 0, n = 1 + pick(pick(8) ? 8 : 256);
	const struct input *other = &corpus[pick(corpus_size)];

	if (now_len == 0 || pick(8) == 0) {
		insert(at, NULL, n);
		return;
	}
	n = n < now_len - at ? n : now_len - at;
	switch (pick(7)) {
	case 0:
		now[at] ^= (uint8_t)(1u << pick(8));
		break;
	case 1:
		now[at] = (uint8_t)pick(256);
		break;
	case 2: { /* a number that lengths dislike */
		size_t width = (size_t)1 << pick(4);

		memcpy(now + at, &nasty[pick(sizeof(nasty) / sizeof(*nasty))],
		       width < now_len - at ? width : now_len - at);
		break;
	}
	case 3:
		memmove(now + at, now + at + n, now_len - at - n);
		now_len -= n;
		break;
	case 4: { /* repeat a part */
		uint8_t part[256];

		memcpy(part, now + at, n);
		insert(pick((uint32_t)now_len), part, n);
		break;
	}
	case 5: /* a part of another one */
		if (other->len > 0) {
			size_t from = pick((uint32_t)other->len);

			insert(at, other->bytes + from,
			       n < other->len - from ? n : other->len - from);
		}
		break;
	default:
		now[at] = (uint8_t)(now[at] + (pick(2) ? 1 : -1));
	}
}

static void forget_all(void)
{
	for (unsigned i = 0; i < corpus_size; i++)
		free(corpus[i].bytes);
	corpus_size = edges = 0;
	memset(seen, 0, sizeof(seen));
}

static void fuzz(uint64_t messages)
{
	uint64_t done = 0, inputs = 0;

	for (unsigned i = 0; i < SEEDS && (now_len = target->seed(i, now)) > 0; i++)
		done += run_now();
	unsigned begun = edges;

	if (corpus_size == 0)
		fuzz_wrong("no input to begin with does anything");
	while (done < messages) {
		const struct input *c = &corpus[pick(corpus_size)];

		memcpy(now, c->bytes, c->len);
		now_len = c->len;
		for (unsigned k = 1 + pick(6); k > 0; k--)
			mutate();
		done += run_now() + 1; /* none at all counts, too: it must end */
		inputs++;
	}
	printf("ok fuzz %s\n# %llu messages in %llu inputs, %u kept, %u edges (%u by the first ones)\n",
	       target->name, (unsigned long long)done, (unsigned long long)inputs, corpus_size,
	       edges, begun);
	forget_all();
}

int main(int argc, char **argv)
{
	uint64_t messages = 40000, seed = 20061;
	const char *only = NULL, *file = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--messages") && i + 1 < argc)
			messages = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--target") && i + 1 < argc)
			only = argv[++i];
		else
			file = argv[i];
	}
	unsigned n = sizeof(targets) / sizeof(*targets);

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	printf("# seed %llu\n", (unsigned long long)seed);
	__sanitizer_set_death_callback(leave_input);
	for (unsigned i = 0; i < n; i++) {
		target = targets[i];
		if (only && strcmp(only, target->name))
			continue;
		if (file) {
			FILE *f = fopen(file, "r");

			if (!f)
				return 2;
			now_len = fread(now, 1, sizeof(now), f);
			fclose(f);
			run_now();
		} else {
			fuzz(messages / (only ? 1 : n));
		}
	}
	return 0;
}
