/* SPDX-License-Identifier: MIT */
/* Datagrams with the load server's reports in them, and process images. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dgram.h"
#include "fuzz.h"
#include "image.h"
#include "report.h"

/* ---- datagrams ---- */

enum { A = 1, B = 2, PORT = 705, MATES = 4 };

static const uint8_t key[SEAL_KEY] = "a key of which nobody will tell.";

static struct dgram_self make_self(uint16_t node, uint64_t start)
{
	struct dgram_self s = {.key = key, .node = node, .incarnation = 3, .start = start};

	memset(s.salt, (int)(node * 16 + start), sizeof(s.salt));
	return s;
}

/* A new report, once, from whom it says. */
static void take(const struct dgram_self *b, struct dgram_mate *mate, const void *data, size_t size)
{
	struct load_report r;
	void *payload;
	size_t len;
	uint64_t highest = mate->highest, start = mate->start;
	void *exact = malloc(size + 1);

	memcpy(exact, data, size);
	if (dgram_open(b, mate, A, PORT, PORT, exact, size, &payload, &len) == DGRAM_GOOD)
		report_open(&r, payload, len, A);
	if (mate->start == start && mate->highest < highest)
		fuzz_wrong("the window went back");
	free(exact);
}

/* Input: datagrams of a flag byte, a short length and so many bytes: as they are, or as what a node with the key says. */
static unsigned run_dgram(const uint8_t *data, size_t len)
{
	struct fuzz_in in = {data, len};
	struct dgram_self a = make_self(A, 1), b = make_self(B, 2);
	struct dgram_mate of_a = {0}, of_b = {0};
	uint8_t wire[2048 + DGRAM_EXTRA], last[sizeof(wire)];
	size_t last_len = 0;
	unsigned n = 0;

	memcpy(of_a.salt, b.salt, DGRAM_SALT);
	while (in.len > 0) {
		uint8_t flags = fuzz_byte(&in);
		size_t got, want = fuzz_short(&in) % 2048;
		const uint8_t *p = fuzz_bytes(&in, want, &got);

		n++;
		if (flags & 1) { /* a stranger */
			take(&b, &of_b, p, got);
			continue;
		}
		if (flags & 2) /* A starts again */
			a = make_self(A, a.start + fuzz_byte(&in)), of_a = (struct dgram_mate){0};
		if (flags & 4)
			memcpy(of_a.salt, b.salt, DGRAM_SALT);
		if (flags & 8)
			of_a.counter += fuzz_short(&in);
		struct load_report r = {0};

		memcpy(&r, p, got < sizeof(r) ? got : sizeof(r));
		if (flags & 16)
			report_seal(&r);
		if (flags & 32)
			dgram_seal(&a, &of_a, B, PORT, PORT, flags & 64, p, got, wire);
		else
			dgram_seal(&a, &of_a, B, PORT, PORT, DGRAM_SAYS, &r, sizeof(r), wire);
		size_t size = (flags & 32 ? got : sizeof(r)) + DGRAM_EXTRA;

		if (flags & 64)
			wire[fuzz_short(&in) % size] ^= 1 + fuzz_byte(&in) / 2;
		take(&b, &of_b, wire, size);
		if (flags & 128 && last_len)
			take(&b, &of_b, last, last_len);
		memcpy(last, wire, size);
		last_len = size;
	}
	return n;
}

static size_t seed_dgram(unsigned n, uint8_t buf[FUZZ_INPUT_MAX])
{
	struct load_report r = {.node = A, .incarnation = 3, .seq = 1, .nmoves = 1, .nfences = 1};

	if (n > 2)
		return 0;
	r.move[0] = (struct report_move){.node = B, .milli = 10};
	r.fence[0] = (struct report_fence){.node = B, .incarnation = 1};
	size_t at = 0;

	for (unsigned i = 0; i < 3; i++) {
		buf[at++] = (uint8_t)(n == 2 ? 1 : 16 | n << 7);
		buf[at++] = sizeof(r);
		buf[at++] = 0;
		memcpy(buf + at, &r, sizeof(r));
		at += sizeof(r);
	}
	return at;
}

const struct fuzz_target fuzz_dgram = {"dgram", run_dgram, seed_dgram};

/* ---- images ---- */

static unsigned taken;
static bool refuse;

static long take_part(void *ctx, unsigned what, uint64_t arg, const void *buf, size_t len)
{
	volatile uint8_t sum = 0;

	(void)ctx;
	(void)arg;
	for (size_t i = 0; buf && i < len; i++) /* all of it must be there */
		sum = (uint8_t)(sum + ((const uint8_t *)buf)[i]);
	taken++;
	return refuse && what == WH_P_PAGE ? -ENOMEM : 0;
}

/* Input: a flag byte, a byte for the cuts, and the stream. */
static unsigned run_image(const uint8_t *data, size_t len)
{
	struct fuzz_in in = {data, len};
	struct image_decoder d;
	int err = 0;

	refuse = fuzz_byte(&in) & 1;
	taken = 0;
	size_t cut = 1 + fuzz_byte(&in) * 32u, got;

	image_decode_start(&d, take_part, NULL);
	while (in.len > 0 && !err) {
		const uint8_t *p = fuzz_bytes(&in, cut, &got);
		uint8_t *exact = malloc(got);

		memcpy(exact, p, got);
		err = image_decode(&d, exact, got);
		free(exact);
	}
	if (err && !d.why[0])
		fuzz_wrong("an error without a reason");
	image_decoder_free(&d);
	return 1 + taken;
}

/* A small process: what image.def wants, of the least size. */
static long give_part(void *ctx, unsigned what, uint64_t arg, void *buf, size_t len)
{
	struct wh_pinfo info = {.regions = 1,
				.private_pages = 2,
				.state = WH_PS_FROZEN,
				.zero_pages = 1,
				.holds = 1};
	struct wh_region region = {
		.start = 0x400000, .end = 0x402000, .flags = WH_RG_READ | WH_RG_WRITE};
	struct wh_hold hold = {.tree = 1, .hold = 7};
	const uint64_t map[] = {0x400000, 0x401000 | 1};
	uint8_t small[64] = {1};
	const void *from = small;
	size_t n = sizeof(small);

	(void)ctx;
	switch (what) {
	case WH_P_INFO:
		from = &info, n = sizeof(info);
		break;
	case WH_P_REGS:
		memset(buf, 0, sizeof(struct wh_regs));
		return sizeof(struct wh_regs);
	case WH_P_FPU:
		memset(buf, 0, 512);
		return 512;
	case WH_P_REGIONS:
		from = &region, n = sizeof(region);
		break;
	case WH_P_HOLDS:
		from = &hold, n = sizeof(hold);
		break;
	case WH_P_PAGEMAP:
		if (arg > 0x401000)
			return 0;
		from = map + (arg > 0x400000), n = sizeof(map) - (arg > 0x400000 ? 8 : 0);
		break;
	case WH_P_PAGE:
		memset(buf, 0x55, IMAGE_PAGE);
		return IMAGE_PAGE;
	default:
		break;
	}
	if (n > len)
		return -ERANGE;
	memcpy(buf, from, n);
	return (long)n;
}

static size_t seed_image(unsigned n, uint8_t buf[FUZZ_INPUT_MAX])
{
	struct image_encoder e;

	if (n > 2)
		return 0;
	buf[0] = n == 2;
	buf[1] = n ? 255 : 3;
	if (image_encode_start(&e, give_part, NULL))
		fuzz_wrong("no image to begin with");
	long len = image_encode(&e, buf + 2, FUZZ_INPUT_MAX - 2);

	if (len <= 0)
		fuzz_wrong("no image to begin with");
	image_encoder_free(&e);
	return 2 + (size_t)len;
}

const struct fuzz_target fuzz_image = {"image", run_image, seed_image};
