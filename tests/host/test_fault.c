/* SPDX-License-Identifier: MIT */
/* The switch's pure parts: dice, rates, settings as text, and the table of stations. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "knobs.h"
#include "stations.h"

enum { FRAMES = 200000 };

static int failures;

static void check(bool good, const char *what)
{
	printf(good ? "ok %s\n" : "not ok %s: see the source\n", what);
	failures += !good;
}

static const struct fault perfect;

static void fate_of(struct fate *f, const struct fault *set, uint64_t key, uint64_t number)
{
	const struct fault *stage[FAULT_STAGES] = {&perfect, set, &perfect};

	fault_fate(f, stage, key, number);
}

static bool near(double got, double want)
{
	return got > want * 0.9 && got < want * 1.1;
}

static void test_perfect(void)
{
	struct fate f;
	bool good = fault_idle(&perfect);

	for (unsigned i = 0; i < 1000; i++) {
		fate_of(&f, &perfect, fault_key(1, 1, 2), i);
		good &= f.copies == 1 && !f.duplicated && !f.copy[0].delay_ns &&
			!f.copy[0].body_bits && !f.copy[0].header_bits && !f.copy[0].overtaken;
	}
	check(good, "a perfect wire does nothing");
}

static void test_rates(void)
{
	const struct fault set = {.loss = 50000,
				  .dup = 30000,
				  .reorder = 20000,
				  .corrupt = 10000,
				  .header = 5000,
				  .bits = 3,
				  .delay_ns = 1000,
				  .jitter_ns = 500};
	struct {
		double lost, dup, late, body, header, jitter, sent;
	} n = {0};
	bool within = true;

	for (uint64_t i = 0; i < FRAMES; i++) {
		struct fate f;

		fate_of(&f, &set, fault_key(1, 1, 2), i);
		n.lost += f.copies == 0;
		if (!f.copies)
			continue;
		n.dup += f.duplicated;
		within &= f.copies == 1 + f.duplicated;
		for (unsigned c = 0; c < f.copies; c++) {
			const struct copy *k = &f.copy[c];
			uint64_t most = 1500 + (k->overtaken ? FAULT_REORDER_NS : 0);

			n.sent++;
			n.late += k->overtaken;
			n.body += k->body_bits == 3;
			n.header += k->header_bits == 3;
			if (!k->overtaken)
				n.jitter += (double)k->delay_ns - 1000;
			within &= k->delay_ns >= 1000 && k->delay_ns <= most;
			within &= k->body_bits % 3 == 0 && k->header_bits % 3 == 0;
		}
	}
	check(near(n.lost, FRAMES * 0.05), "loss has its rate");
	check(near(n.dup, FRAMES * 0.95 * 0.03), "duplication has its rate");
	check(near(n.late, n.sent * 0.02), "reordering has its rate");
	check(near(n.body, n.sent * 0.01), "corruption has its rate");
	check(near(n.header, n.sent * 0.005), "corruption of headers has its rate");
	check(near(n.jitter / n.sent, 250 * 0.98), "jitter has its mean");
	check(within, "delays stay within delay, jitter and hold");
}

static bool same(const struct fate *a, const struct fate *b)
{
	if (a->copies != b->copies || a->duplicated != b->duplicated)
		return false;
	for (unsigned i = 0; i < a->copies; i++) {
		const struct copy *x = &a->copy[i], *y = &b->copy[i];

		if (x->delay_ns != y->delay_ns || x->overtaken != y->overtaken ||
		    x->body_bits != y->body_bits || x->header_bits != y->header_bits ||
		    x->damage != y->damage)
			return false;
	}
	return true;
}

/* Frames of `count` that meet the same fate under both keys and settings. */
static unsigned same_fates(const struct fault *s, uint64_t k, const struct fault *t, uint64_t l,
			   unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		struct fate a, b;

		fate_of(&a, s, k, i);
		fate_of(&b, t, l, i);
		n += same(&a, &b);
	}
	return n;
}

static void test_seeds(void)
{
	const struct fault s = {.loss = 300000, .dup = 300000, .jitter_ns = 1000000};
	uint64_t k = fault_key(7, 1, 2);

	check(same_fates(&s, k, &s, fault_key(7, 1, 2), 5000) == 5000,
	      "the same seed makes the same fates");
	check(same_fates(&s, k, &s, fault_key(8, 1, 2), 5000) < 1500, "another seed, others");
	check(same_fates(&s, k, &s, fault_key(7, 2, 1), 5000) < 1500,
	      "the way back has dice of its own");

	/* Setting one fault does not change what another does. */
	struct fault more = s;
	bool kept = true;

	more.corrupt = 500000;
	more.reorder = 500000;
	for (unsigned i = 0; i < 5000; i++) {
		struct fate a, b;

		fate_of(&a, &s, k, i);
		fate_of(&b, &more, k, i);
		kept &= a.copies == b.copies;
	}
	check(kept, "one fault does not shift another's dice");
}

static void test_reordering_loses_nothing(void)
{
	const struct fault all = {
		.reorder = FAULT_PPM, .dup = FAULT_PPM, .delay_ns = 1, .jitter_ns = 100};
	const struct fault *stage[FAULT_STAGES] = {&all, &all, &all};
	bool good = true;

	for (unsigned i = 0; i < 20000; i++) {
		struct fate f;

		fault_fate(&f, stage, fault_key(i, 3, 4), i);
		good &= f.copies == FAULT_COPIES;
	}
	check(good, "reordering and duplication never lose a frame");
}

static unsigned bits_differ(const uint8_t *a, const uint8_t *b, size_t from, size_t to)
{
	unsigned n = 0;

	for (size_t i = from; i < to; i++)
		n += (unsigned)__builtin_popcount(a[i] ^ b[i]);
	return n;
}

static void test_damage(void)
{
	bool exact = true, short_ok = true;
	unsigned hit = 0, seen[64] = {0};

	for (unsigned i = 0; i < 4000; i++) {
		uint8_t was[64], is[64];
		struct copy c = {
			.body_bits = 1 + i % 64, .header_bits = i % 5, .damage = i * 77777};

		memset(was, (int)i, sizeof(was));
		memcpy(is, was, sizeof(is));
		fault_damage(is, sizeof(is), &c);
		exact &= bits_differ(was, is, 0, FAULT_ETHER) == c.header_bits;
		exact &= bits_differ(was, is, FAULT_ETHER, sizeof(is)) == c.body_bits;
		for (unsigned b = 0; b < 64; b++)
			hit += was[b] != is[b] && !seen[b]++;
		/* Frames with few bytes, or none, behind the header. */
		size_t len = i % 18;

		memcpy(is, was, sizeof(is));
		fault_damage(is, len, &c);
		short_ok &= bits_differ(was, is, len, sizeof(is)) == 0;
	}
	check(exact, "damage flips exactly as many bits as it says, where it says");
	check(hit == 64, "damage reaches every byte");
	check(short_ok, "damage stays inside the frame");
}

/* Offer frames of `len` every `gap`; the bytes that left in `span`, and whether order was kept. */
static uint64_t shaped(uint64_t rate, size_t len, uint64_t gap, uint64_t span, unsigned *dropped,
		       bool *in_order)
{
	struct bucket b = {0};
	uint64_t out = 0, last = 0, start = 5000000000u;

	*dropped = 0;
	*in_order = true;
	for (uint64_t t = start; t < start + span; t += gap) {
		uint64_t wait;

		if (!bucket_pass(&b, rate, t, len, &wait)) {
			(*dropped)++;
			continue;
		}
		*in_order &= t + wait >= last;
		last = t + wait;
		if (last < start + span)
			out += len;
	}
	return out;
}

static void test_buckets(void)
{
	const uint64_t rates[] = {1000, 50000, 1000000, 20000000, 1000000000};
	const uint64_t span = 3000000000u;
	bool below = true, busy = true, order = true, free_below = true;

	for (unsigned i = 0; i < 5; i++)
		for (size_t len = 64; len <= 65536; len *= 4) {
			uint64_t fair = (uint64_t)((double)len * 1e9 / (double)rates[i]);
			uint64_t most = rates[i] * 3 + rates[i] / 100 + len;
			unsigned dropped;
			bool in_order;

			if (fair / 4 < 2000)
				continue;
			/* four times too much */
			uint64_t out = shaped(rates[i], len, fair / 4, span, &dropped, &in_order);

			below &= out <= most + 1;
			busy &= out + 2 * len + rates[i] / 50 >= rates[i] * 3 || fair > span;
			order &= in_order;
			/* half of what may pass */
			shaped(rates[i], len, fair * 2, span, &dropped, &in_order);
			free_below &= dropped == 0;
		}
	check(below, "a rate is never exceeded by more than a burst and a frame");
	check(busy, "a rate is used up while more is offered");
	check(order, "a rate keeps the order");
	check(free_below, "who stays below the rate loses nothing");
}

static void test_knobs(void)
{
	struct fault f = {0}, g = {0};
	char text[512] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");
	bool good = true;
	const char *const set[] = {"loss=5%",	   "dup=0.0001",    "reorder=100",
				   "corrupt=1.5%", "header=2%",	    "bits=64",
				   "delay=20ms",   "jitter=1500us", "rate=20M"};
	const char *const bad[] = {"",	      "loss",	  "loss=",     "loss=x",
				   "loss=-1", "loss=101", "loss=nan",  "loss=5ms",
				   "bits=0",  "bits=65",  "delay=61s", "delay=1h",
				   "rate=-5", "rate=2T",  "los=5",     "lossy=5"};

	for (unsigned i = 0; i < sizeof(set) / sizeof(*set); i++)
		good &= knob_set(&f, set[i]) == NULL;
	good &= f.loss == 50000 && f.dup == 1 && f.reorder == FAULT_PPM && f.corrupt == 15000 &&
		f.header == 20000 && f.bits == 64 && f.delay_ns == 20000000 &&
		f.jitter_ns == 1500000 && f.rate == 20000000;
	check(good, "settings mean what they say");
	knobs_print(&f, out);
	fclose(out);
	good = true;
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		good &= knob_set(&g, word) == NULL;
	check(good && memcmp(&f, &g, sizeof(f)) == 0, "settings as text make the same settings");
	good = true;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		good &= knob_set(&g, bad[i]) != NULL;
	check(good && memcmp(&f, &g, sizeof(f)) == 0,
	      "bad settings are refused and change nothing");
}

static void test_stations(void)
{
	static struct stations s;
	uint64_t now = 1000, age = STATION_AGE_NS;

	check(mac_node(0x525400000003, 5) == 3 && mac_node(0x525400000006, 5) == 0 &&
		      mac_node(0x525400000000, 5) == 0 && mac_node(0x525401000003, 5) == 0,
	      "nodes' addresses are those of the ports there are");
	stations_learn(&s, 0xaabbcc, 2, now);
	check(stations_find(&s, 0xaabbcc, now) == 2 && stations_find(&s, 0xaabbcd, now) == 0,
	      "a station is found where it was heard");
	stations_learn(&s, 0xaabbcc, 3, now);
	check(stations_find(&s, 0xaabbcc, now) == 3 && s.learnt[2] == 0 && s.learnt[3] == 1,
	      "a station may move");
	check(stations_find(&s, 0xaabbcc, now + age) == 3 &&
		      stations_find(&s, 0xaabbcc, now + age + 1) == 0,
	      "a station that is silent for long is forgotten");

	/* A flood behind one port. */
	stations_learn(&s, 0x1, 1, now);
	for (uint64_t i = 0; i < 100000; i++)
		stations_learn(&s, 0x020000000000 + i * 7919, 4, now + i);
	check(stations_find(&s, 0x1, now) == 1 && s.learnt[4] <= STATIONS_PER_PORT,
	      "a port that claims many addresses pushes out none of another's");
	stations_learn(&s, 0x020000000000 + 99999 * 7919, 5, now);
	stations_forget(&s, 4);
	unsigned left = 0;

	for (unsigned p = 0; p < 256; p++)
		left += s.learnt[p];
	check(s.learnt[4] == 0 && stations_find(&s, 0x1, now) == 1 && left <= 3,
	      "a port that is gone takes its stations along");
}

int main(void)
{
	test_perfect();
	test_rates();
	test_seeds();
	test_reordering_loses_nothing();
	test_damage();
	test_buckets();
	test_knobs();
	test_stations();
	return failures != 0;
}
