/* SPDX-License-Identifier: MIT */
/*
 * The process image: what goes in comes out, whatever the pieces; nothing that was altered or cut
 * gets through, and no bytes, however wrong, make the decoder misbehave (run under ASan and UBSan).
 */
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(const char *name, bool ok, const char *why)
{
	if (ok) {
		printf("ok %s\n", name);
	} else {
		printf("not ok %s: %s\n", name, why);
		failures++;
	}
}

static uint64_t rng = 12345;

static uint32_t pick(uint32_t n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((rng >> 33) % n);
}

/* ---- a process ---- */

#define PAGES_MAX 700

struct page {
	uint64_t at;
	uint8_t data[IMAGE_PAGE];
};

struct process {
	struct wh_pinfo info;
	struct wh_regs regs;
	uint8_t fpu[512];
	uint8_t ublock[100000], signals[300], threads[500];
	size_t ublock_len, signals_len, threads_len;
	struct wh_hold holds[3];
	size_t nholds;
	struct wh_region regions[4];
	size_t nregions;
	struct page *page;
	size_t pages;
};

static void fill(void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)p)[i] = (uint8_t)pick(256);
}

static bool is_zero(const struct page *p)
{
	static const uint8_t zero[IMAGE_PAGE];
	return memcmp(p->data, zero, IMAGE_PAGE) == 0;
}

/* Every k-th page is present, every z-th of them zero. */
static struct process *make(size_t pages, unsigned k, unsigned z, size_t ublock)
{
	struct process *p = calloc(1, sizeof(*p));
	p->page = calloc(PAGES_MAX, sizeof(*p->page));
	fill(&p->regs, sizeof(p->regs));
	fill(p->fpu, sizeof(p->fpu));
	fill(p->ublock, ublock);
	p->ublock_len = ublock;
	p->signals_len = 123;
	fill(p->signals, p->signals_len);
	p->threads_len = 345;
	fill(p->threads, p->threads_len);
	p->nholds = 2;
	fill(p->holds, p->nholds * sizeof(p->holds[0]));
	p->regions[0] = (struct wh_region){
		.start = 0x400000, .end = 0x500000, .flags = WH_RG_READ | WH_RG_FILE};
	p->regions[1] =
		(struct wh_region){.start = 0x500000, .end = 0x800000, .flags = WH_RG_WRITE};
	p->regions[2] = (struct wh_region){
		.start = 0x7f0000000000, .end = 0x7f0000400000, .flags = WH_RG_STACK};
	p->nregions = 3;
	uint64_t at = 0x400000;
	for (size_t i = 0; i < pages; i++, at += k * IMAGE_PAGE) {
		if (at >= 0x800000 && at < 0x7f0000000000)
			at = 0x7f0000000000;
		p->page[i].at = at;
		if (i % z)
			fill(p->page[i].data, 64);
		p->info.zero_pages += is_zero(&p->page[i]);
	}
	p->pages = pages;
	p->info.private_pages = (uint32_t)pages;
	p->info.uqpid =
		(struct wh_uqpid){.home = 1, .pid = 1 << 20 | 7, .incarnation = 3, .birth_ns = 99};
	p->info.epoch = 4;
	return p;
}

static void destroy(struct process *p)
{
	free(p->page);
	free(p);
}

static long give(void *buf, size_t len, const void *from, size_t bytes)
{
	if (bytes > len)
		return -ERANGE;
	memcpy(buf, from, bytes);
	return (long)bytes;
}

static long get_map(const struct process *p, uint64_t from, uint64_t *buf, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < p->pages && n < len / 8; i++)
		if (p->page[i].at >= from)
			buf[n++] = p->page[i].at | is_zero(&p->page[i]);
	return (long)n * 8;
}

static long get(void *ctx, unsigned what, uint64_t arg, void *buf, size_t len)
{
	const struct process *p = ctx;
	switch (what) {
	case WH_P_INFO:
		return give(buf, len, &p->info, sizeof(p->info));
	case WH_P_REGS:
		return give(buf, len, &p->regs, sizeof(p->regs));
	case WH_P_FPU:
		return give(buf, len, p->fpu, sizeof(p->fpu));
	case WH_P_UBLOCK:
		return give(buf, len, p->ublock, p->ublock_len);
	case WH_P_SIGNALS:
		return give(buf, len, p->signals, p->signals_len);
	case WH_P_THREADS:
		return give(buf, len, p->threads, p->threads_len);
	case WH_P_HOLDS:
		return give(buf, len, p->holds, p->nholds * sizeof(p->holds[0]));
	case WH_P_REGIONS:
		return give(buf, len, p->regions, p->nregions * sizeof(p->regions[0]));
	case WH_P_PAGEMAP:
		return get_map(p, arg, buf, len);
	case WH_P_PAGE:
		for (size_t i = 0; i < p->pages; i++)
			if (p->page[i].at == arg)
				return give(buf, len, p->page[i].data, IMAGE_PAGE);
		return -EINVAL;
	}
	return -EINVAL;
}

static long set(void *ctx, unsigned what, uint64_t arg, const void *buf, size_t len)
{
	struct process *p = ctx;
	switch (what) {
	case WH_P_INFO:
		memcpy(&p->info, buf, len);
		return p->info.private_pages > PAGES_MAX ? -EINVAL : 0;
	case WH_P_REGS:
		memcpy(&p->regs, buf, len);
		return 0;
	case WH_P_FPU:
		memcpy(p->fpu, buf, len);
		return 0;
	case WH_P_UBLOCK:
		if (len > sizeof(p->ublock))
			return -EINVAL;
		memcpy(p->ublock, buf, p->ublock_len = len);
		return 0;
	case WH_P_SIGNALS:
		if (len > sizeof(p->signals))
			return -EINVAL;
		memcpy(p->signals, buf, p->signals_len = len);
		return 0;
	case WH_P_THREADS:
		if (len > sizeof(p->threads))
			return -EINVAL;
		memcpy(p->threads, buf, p->threads_len = len);
		return 0;
	case WH_P_HOLDS:
		if (len > sizeof(p->holds))
			return -EINVAL;
		memcpy(p->holds, buf, len);
		p->nholds = len / sizeof(p->holds[0]);
		return 0;
	case WH_P_REGIONS:
		if (len > sizeof(p->regions))
			return -EINVAL;
		memcpy(p->regions, buf, len);
		p->nregions = len / sizeof(p->regions[0]);
		return 0;
	case WH_P_PAGE:
		if (p->pages == PAGES_MAX)
			return -ENOMEM;
		p->page[p->pages].at = arg;
		if (buf)
			memcpy(p->page[p->pages].data, buf, len);
		else
			memset(p->page[p->pages].data, 0, len);
		p->pages++;
		return 0;
	}
	return -EINVAL;
}

/* ---- helpers ---- */

struct bytes {
	uint8_t *p;
	size_t len;
	uint64_t digest;
};

/* In pieces of at most `piece` bytes. */
static struct bytes encode(struct process *p, size_t piece)
{
	struct bytes b = {.p = malloc(4 << 20)};
	struct image_encoder e;
	if (image_encode_start(&e, get, p) == 0)
		while (!e.done || e.stash_at < e.stash_end) {
			long n = image_encode(&e, b.p + b.len, piece);
			if (n < 0) {
				b.len = 0;
				break;
			}
			b.len += (size_t)n;
		}
	b.digest = e.digest;
	image_encoder_free(&e);
	return b;
}

/* In pieces of at most `piece` bytes, each in an allocation of its own so that ASan sees its end. */
static int decode(const uint8_t *p, size_t len, size_t piece, struct process *into,
		  struct image_decoder *d)
{
	int r = 0;
	into->pages = 0;
	image_decode_start(d, set, into);
	while (len && r == 0) {
		size_t n = piece < len ? piece : len;
		uint8_t *copy = malloc(n);
		memcpy(copy, p, n);
		r = image_decode(d, copy, n);
		free(copy);
		p += n;
		len -= n;
	}
	image_decoder_free(d);
	return r;
}

static bool same(const struct process *a, const struct process *b)
{
	return memcmp(&a->info, &b->info, sizeof(a->info)) == 0 &&
	       memcmp(&a->regs, &b->regs, sizeof(a->regs)) == 0 &&
	       memcmp(a->fpu, b->fpu, 512) == 0 && a->ublock_len == b->ublock_len &&
	       memcmp(a->ublock, b->ublock, a->ublock_len) == 0 &&
	       a->signals_len == b->signals_len &&
	       memcmp(a->signals, b->signals, a->signals_len) == 0 && a->nholds == b->nholds &&
	       memcmp(a->holds, b->holds, sizeof(a->holds)) == 0 && a->nregions == b->nregions &&
	       memcmp(a->regions, b->regions, sizeof(a->regions)) == 0 && a->pages == b->pages &&
	       memcmp(a->page, b->page, a->pages * sizeof(*a->page)) == 0;
}

/* ---- tests ---- */

static void test_digest(void)
{
	static const struct {
		const char *text;
		uint64_t digest;
	} known[] = {{"", 0xEF46DB3751D8E999ull},
		     {"a", 0xD24EC4F1A98C6E5Bull},
		     {"abc", 0x44BC2CF5AD770999ull},
		     {"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1ull}};
	bool ok = true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct image_digest d;
		image_digest_start(&d);
		for (const char *c = known[i].text; *c; c++)
			image_digest_add(&d, c, 1);
		ok &= image_digest_end(&d) == known[i].digest;
		image_digest_start(&d);
		image_digest_add(&d, known[i].text, strlen(known[i].text));
		ok &= image_digest_end(&d) == known[i].digest;
	}
	check("digest is XXH64", ok, "published values differ");
}

static void test_round_trip(void)
{
	static const size_t sizes[][4] = {/* pages, every, zero every, bytes of U-block */
					  {0, 1, 1, 1},	       {1, 1, 2, 20},
					  {5, 1, 1, 16384},    {600, 1, 7, 16385},
					  {700, 2, 3, 100000}, {530, 1, 999, 0}};
	struct process *in = NULL, *out = make(0, 1, 1, 0);
	bool ok = true, chunks = true;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		in = make(sizes[i][0], (unsigned)sizes[i][1], (unsigned)sizes[i][2], sizes[i][3]);
		struct image_decoder d;
		struct bytes whole = encode(in, 4 << 20), odd = encode(in, 61440);
		ok &= whole.len > 0 && decode(whole.p, whole.len, whole.len, out, &d) == 0 &&
		      d.done && same(in, out) && d.digest == whole.digest &&
		      d.header.info.epoch == 4;
		chunks &= odd.len == whole.len && memcmp(odd.p, whole.p, odd.len) == 0;
		free(odd.p);
		odd = encode(in, 7);
		chunks &= odd.len == whole.len && memcmp(odd.p, whole.p, odd.len) == 0;
		for (size_t piece = 1; piece < 5000; piece = piece * 3 + 1) {
			chunks &= decode(whole.p, whole.len, piece, out, &d) == 0 && d.done &&
				  same(in, out);
		}
		free(odd.p);
		free(whole.p);
		destroy(in);
	}
	destroy(out);
	check("image comes out as it went in", ok, "process differs");
	check("pieces of any size make the same image", chunks, "bytes or process differ");
}

static void test_truncated(void)
{
	struct process *in = make(3, 1, 2, 40), *out = make(0, 1, 1, 0);
	struct bytes b = encode(in, 4 << 20);
	size_t bad = 0;
	for (size_t len = 0; len < b.len; len++) {
		struct image_decoder d;
		int r = decode(b.p, len, 999, out, &d);
		bad += d.done || r != 0;
	}
	check("an image cut at any byte is never complete", bad == 0,
	      "a cut one was taken or called wrong");
	struct image_decoder d;
	b.p = realloc(b.p, b.len + 1);
	b.p[b.len] = 0;
	check("a byte after the end is an error",
	      decode(b.p, b.len + 1, b.len + 1, out, &d) == -EPROTO, "taken");
	free(b.p);
	destroy(in);
	destroy(out);
}

static void test_flipped(void)
{
	struct process *in = make(3, 1, 2, 40), *out = make(0, 1, 1, 0);
	struct bytes b = encode(in, 4 << 20);
	size_t through = 0, silent = 0;
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		struct image_decoder d;
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = decode(b.p, b.len, 4096, out, &d);
		through += d.done;
		silent += r != 0 && d.why[0] == 0;
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	check("no single flipped bit gets through", through == 0, "an altered image was taken");
	check("every rejection has a reason", silent == 0, "no reason");
	free(b.p);
	destroy(in);
	destroy(out);
}

/* Interesting values into lengths and counts, cuts, repeats and noise. */
static void mutate(uint8_t *p, size_t *len)
{
	static const uint64_t odd[] = {0,	   1,	  7,	  8,	      4095,
				       4096,	   65536, 262144, 1ull << 32, 1ull << 47,
				       1ull << 63, ~0ull, ~7ull};
	for (unsigned n = 1 + pick(3); n; n--) {
		size_t at = pick((uint32_t)*len);
		switch (pick(5)) {
		case 0:
			p[at] = (uint8_t)pick(256);
			break;
		case 1:
			at &= ~(size_t)7;
			memcpy(p + at, &odd[pick(sizeof(odd) / sizeof(odd[0]))],
			       *len - at < 8 ? *len - at : 8);
			break;
		case 2:
			at &= ~(size_t)3;
			memcpy(p + at, &odd[pick(sizeof(odd) / sizeof(odd[0]))],
			       *len - at < 4 ? *len - at : 4);
			break;
		case 3: {
			size_t from = pick((uint32_t)*len), n8 = 8 * (1 + pick(40));
			if (from + n8 <= *len && at + n8 <= *len)
				memmove(p + at, p + from, n8);
			break;
		}
		default:
			if (*len > 100 && pick(4) == 0)
				*len -= pick(64);
		}
	}
}

/* With the digest put right, so that the mutant is judged by its structure and contents. */
static void repair(uint8_t *p, size_t len)
{
	struct image_digest d;
	if (len < 100)
		return;
	image_digest_start(&d);
	image_digest_add(&d, p, len - 8);
	uint64_t digest = image_digest_end(&d);
	memcpy(p + len - 8, &digest, 8);
}

static void test_fuzz(unsigned rounds)
{
	struct process *in[3] = {make(3, 1, 2, 40), make(2, 3, 9, 0), make(6, 1, 2, 700)};
	struct process *out = make(0, 1, 1, 0);
	struct bytes b[3];
	size_t most = 1, taken = 0, rejected = 0, wrong = 0;
	for (int i = 0; i < 3; i++) {
		b[i] = encode(in[i], 4 << 20);
		most = b[i].len > most ? b[i].len : most;
	}
	uint8_t *p = malloc(most);
	for (unsigned i = 0; i < rounds; i++) {
		struct bytes *s = &b[pick(3)];
		size_t len = s->len;
		memcpy(p, s->p, len);
		mutate(p, &len);
		bool repaired = pick(2);
		if (repaired)
			repair(p, len);
		struct image_decoder d;
		int r = decode(p, len, 1 + pick((uint32_t)len), out, &d);
		taken += d.done;
		rejected += r != 0;
		wrong += (d.done && r == 0 && !repaired &&
			  (len != s->len || memcmp(p, s->p, len))) ||
			 (r != 0 && !d.why[0]);
	}
	printf("# %u mutants: %zu taken, %zu rejected, %zu cut short\n", rounds, taken, rejected,
	       rounds - taken - rejected);
	check("mutated images do no harm", wrong == 0, "an altered image was taken");
	check("mutants reach every depth", taken > rounds / 100 && rejected > rounds / 4,
	      "too shallow");
	for (int i = 0; i < 3; i++) {
		free(b[i].p);
		destroy(in[i]);
	}
	free(p);
	destroy(out);
}

static void test_errors(void)
{
	struct process *in = make(4, 1, 2, 40);
	in->info.private_pages++;
	struct bytes b = encode(in, 4096);
	check("a process that changes while encoded is an error", b.len == 0, "encoded");
	free(b.p);
	in->info.private_pages--;
	b = encode(in, 4096);
	struct process *out = make(0, 1, 1, 0);
	struct image_decoder d;
	in->regions[2].start += IMAGE_PAGE / 2;
	struct bytes c = encode(in, 4096);
	check("a region that is not aligned is rejected",
	      decode(c.p, c.len, 4096, out, &d) == -EPROTO && strstr(d.why, "region 2"), d.why);
	free(c.p);
	in->regions[2].start -= IMAGE_PAGE / 2;
	in->page[3].at = 0x900000;
	c = encode(in, 4096);
	check("a page outside of all regions is rejected",
	      decode(c.p, c.len, 4096, out, &d) == -EPROTO && strstr(d.why, "outside"), d.why);
	free(c.p);
	in->signals_len = sizeof(in->signals);
	in->nholds = 3;
	b.p[8] ^= 1;
	check("another version is named",
	      decode(b.p, b.len, 4096, out, &d) == -EPROTO && strstr(d.why, "version 3"), d.why);
	free(b.p);
	destroy(in);
	destroy(out);
}

int main(int argc, char **argv)
{
	test_digest();
	test_round_trip();
	test_truncated();
	test_flipped();
	test_errors();
	test_fuzz(argc > 1 ? (unsigned)atoi(argv[1]) : 200000);
	return failures != 0;
}
