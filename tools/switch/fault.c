/* SPDX-License-Identifier: MIT */
/* The dice of the wire. See fault.h. */
#include <string.h>

#include "fault.h"

#define GOLDEN 0x9e3779b97f4a7c15u

/* What a number is drawn for; each has its own, so that one fault does not shift another. */
enum purpose {
	DRAW_LOSS,
	DRAW_DUP,
	DRAW_REORDER,
	DRAW_HOLD,
	DRAW_JITTER,
	DRAW_CORRUPT,
	DRAW_HEADER
};

/* The end of splitmix64. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t fault_key(uint64_t seed, unsigned from, unsigned to)
{
	return mix(seed * GOLDEN + ((uint64_t)from << 32 | to));
}

static uint64_t draw(uint64_t frame, unsigned copy, unsigned stage, enum purpose what)
{
	return mix(frame + GOLDEN * (1 + what + 16 * (stage + FAULT_STAGES * copy)));
}

static bool happens(uint64_t number, uint32_t ppm)
{
	return ppm && number % FAULT_PPM < ppm;
}

bool fault_idle(const struct fault *f)
{
	return !(f->loss | f->dup | f->reorder | f->corrupt | f->header | f->delay_ns |
		 f->jitter_ns | f->rate);
}

/* What one stage does to one copy. */
static void pass(struct copy *c, const struct fault *f, uint64_t frame, unsigned copy,
		 unsigned stage)
{
	unsigned bits = f->bits ? f->bits : 1;

	c->delay_ns += f->delay_ns;
	if (f->jitter_ns)
		c->delay_ns += draw(frame, copy, stage, DRAW_JITTER) % (f->jitter_ns + 1);
	if (happens(draw(frame, copy, stage, DRAW_REORDER), f->reorder)) {
		c->delay_ns += 1 + draw(frame, copy, stage, DRAW_HOLD) % FAULT_REORDER_NS;
		c->overtaken = true;
	}
	if (happens(draw(frame, copy, stage, DRAW_CORRUPT), f->corrupt))
		c->body_bits += bits;
	if (happens(draw(frame, copy, stage, DRAW_HEADER), f->header))
		c->header_bits += bits;
}

void fault_fate(struct fate *fate, const struct fault *const stage[FAULT_STAGES], uint64_t key,
		uint64_t number)
{
	uint64_t frame = mix(key + GOLDEN * number);

	fate->copies = fate->duplicated = 0;
	for (unsigned s = 0; s < FAULT_STAGES; s++) {
		if (happens(draw(frame, 0, s, DRAW_LOSS), stage[s]->loss))
			return;
		fate->duplicated += happens(draw(frame, 0, s, DRAW_DUP), stage[s]->dup);
	}
	fate->copies = 1 + fate->duplicated;
	for (unsigned i = 0; i < fate->copies; i++) {
		struct copy *c = &fate->copy[i];

		*c = (struct copy){.damage = mix(frame ^ (i + 1) * GOLDEN)};
		for (unsigned s = 0; s < FAULT_STAGES; s++)
			pass(c, stage[s], frame, i, s);
	}
}

/* Flip `count` different bits of data. */
static void flip(uint8_t *data, size_t len, unsigned count, uint64_t random)
{
	size_t flipped[FAULT_BITS], bits = len * 8;
	unsigned done = 0;

	if (count > FAULT_BITS)
		count = FAULT_BITS;
	for (uint64_t n = 0; done < count && done < bits; n++) {
		size_t bit = mix(random + GOLDEN * n) % bits;
		unsigned i = 0;

		while (i < done && flipped[i] != bit)
			i++;
		if (i < done)
			continue;
		flipped[done++] = bit;
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

void fault_damage(uint8_t *frame, size_t len, const struct copy *c)
{
	size_t header = len < FAULT_ETHER ? len : FAULT_ETHER;

	flip(frame, header, c->header_bits, ~c->damage);
	flip(frame + header, len - header, c->body_bits, c->damage);
}

bool bucket_pass(struct bucket *b, uint64_t rate, uint64_t now_ns, size_t len, uint64_t *wait_ns)
{
	/* Full after a pause: the bucket never holds more than a burst. */
	uint64_t full = now_ns > FAULT_BURST_NS ? now_ns - FAULT_BURST_NS : 0;
	uint64_t clear = b->clear_ns > full ? b->clear_ns : full;

	*wait_ns = clear > now_ns ? clear - now_ns : 0;
	if ((unsigned __int128)*wait_ns * rate / 1000000000u > FAULT_QUEUE)
		return false;
	b->clear_ns = clear + (uint64_t)((unsigned __int128)len * 1000000000u / rate);
	return true;
}
