/* SPDX-License-Identifier: MIT */
/* Fig. 5's rule, as corrected: whatever clocks a process is carried between, it never sees time run
 * backwards. */
#include <stdio.h>
#include <string.h>
#include "env/clockview.h"

static int failures;

static void check(bool ok, const char *name, const char *why)
{
	if (ok) {
		printf("ok %s\n", name);
	} else {
		printf("not ok %s: %s\n", name, why);
		failures++;
	}
}

static u64 seed = 1;
static u64 rnd(u64 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void test_figure_5(void)
{
	struct cview v = {.larger = 1};

	check(cview_observe(&v, CLOCK_HOLD, 100) == 100 && v.marker && v.dup_ns == 100,
	      "first observation", "not the node's clock, or not marked");
	cview_bind(&v, 40);
	check(!v.larger, "a slower clock at resumption clears larger", "larger stayed set");
	check(cview_observe(&v, CLOCK_HOLD, 41) == 100 && v.dup_ns == 100,
	      "hold shows the duplicate", "something else was shown");
	check(cview_observe(&v, CLOCK_HOLD, 100) == 100 && v.larger, "equal is not backwards",
	      "larger not set when the clock caught up");
	check(cview_observe(&v, CLOCK_HOLD, 101) == 101, "then the node's clock again",
	      "still held");
	cview_bind(&v, 500);
	check(v.larger && cview_observe(&v, CLOCK_HOLD, 501) == 501, "a faster clock needs no care",
	      "it was held");
}

static void test_unmarked(void)
{
	struct cview v = {0};

	cview_bind(&v, -70);
	check(v.larger && cview_observe(&v, CLOCK_HOLD, -60) == -60,
	      "an unmarked duplicate is not compared", "it was");
}

static void test_effect_free(void)
{
	struct cview v = {.larger = 1}, before;

	cview_observe(&v, CLOCK_HOLD, 1000);
	cview_bind(&v, 200);
	before = v;
	bool same = true;
	for (int p = CLOCK_HOLD; p <= CLOCK_SLEW; p++)
		for (i64 now = 150; now < 1500; now += 7) {
			struct cview copy = v;
			i64 seen = cview_peek(&v, (enum clock_policy)p, now);
			same &= memcmp(&v, &before, sizeof v) == 0;
			same &= seen == cview_observe(&copy, (enum clock_policy)p, now);
		}
	check(same, "a peek changes nothing and equals the observation", "it does not");
}

static void test_slew(void)
{
	struct cview v = {.larger = 1};

	cview_observe(&v, CLOCK_SLEW, 1000);
	cview_bind(&v, 0);
	/* Observed every nanosecond it must advance by half, not stand still. */
	i64 last = 1000;
	bool half = true;
	for (i64 now = 1; now <= 1500; now++) {
		i64 seen = cview_observe(&v, CLOCK_SLEW, now);
		half &= seen == 1000 + now / 2 && seen >= last;
		last = seen;
	}
	check(half, "slewing advances at half rate under frequent observation", "another rate");
	for (i64 now = 1501; now < 2100; now++)
		last = cview_observe(&v, CLOCK_SLEW, now);
	check(v.larger && last == 2099, "slewing ends when the node's clock passes", "it did not");
}

static void test_set(void)
{
	struct cview v = {.larger = 1};

	cview_observe(&v, CLOCK_HOLD, 1000);
	cview_set(&v, 300);
	check(cview_observe(&v, CLOCK_HOLD, 301) == 301,
	      "after its own setting a process may see less", "it was held at the old value");
	cview_bind(&v, 250);
	check(cview_observe(&v, CLOCK_HOLD, 251) == 301, "and what it has set is knowledge",
	      "it saw less than it set");
}

static void test_learn(void)
{
	struct cview a = {.larger = 1}, b = {.larger = 1}, fresh = {.larger = 1};

	cview_observe(&a, CLOCK_HOLD, 100);
	cview_observe(&b, CLOCK_HOLD, 900);
	cview_learn(&b, &a, 905);
	check(b.dup_ns == 900 && b.larger, "older knowledge changes nothing", "it did");
	cview_learn(&b, &fresh, 905);
	check(b.dup_ns == 900, "no knowledge changes nothing", "it did");
	cview_learn(&a, &b, 120);
	check(a.dup_ns == 900 && !a.larger && cview_observe(&a, CLOCK_HOLD, 130) == 900,
	      "later knowledge is taken over", "it was not");
}

/* Nodes whose clocks differ and run at different rates; a process that moves, observes and waits at
 * random. */
static void test_walk(enum clock_policy policy, const char *name)
{
	i64 off[4] = {0, 40000000000, -25000000000, 123}, rate[4] = {1000, 1005, 995, 1000};
	bool monotonic = true, ahead = true, waits = true, minimal = true;

	for (int run = 0; run < 300; run++) {
		struct cview v = {.larger = 1};
		i64 time = 0, last = INT64_MIN;
		int node = 0;
		for (int step = 0; step < 400; step++) {
			time += (i64)rnd(rnd(10) ? 100000 : 5000000000);
			i64 now = time / 1000 * rate[node] + off[node];
			if (rnd(12) == 0) {
				node = (int)rnd(4);
				now = time / 1000 * rate[node] + off[node];
				cview_bind(&v, now);
			}
			i64 target = now + (i64)rnd(60000000000) - 20000000000;
			i64 wait = cview_wait(&v, policy, now, target);
			waits &= wait >= 0 && cview_peek(&v, policy, now + wait) >= target;
			minimal &= wait == 0 || cview_peek(&v, policy, now + wait - 2) < target;
			if (rnd(2)) {
				i64 seen = cview_observe(&v, policy, now);
				monotonic &= seen >= last;
				ahead &= seen >= now && (v.larger == (seen == now));
				last = seen;
			}
		}
	}
	char what[96];
	snprintf(what, sizeof what, "%s: monotonic on any route", name);
	check(monotonic, what, "time ran backwards");
	snprintf(what, sizeof what, "%s: never behind the node's clock, larger iff equal", name);
	check(ahead, what, "it is");
	snprintf(what, sizeof what, "%s: a computed wait suffices and is not too long", name);
	check(waits && minimal, what, waits ? "too long" : "too short");
}

int main(void)
{
	test_figure_5();
	test_unmarked();
	test_effect_free();
	test_slew();
	test_set();
	test_learn();
	test_walk(CLOCK_HOLD, "hold");
	test_walk(CLOCK_BLOCK, "block");
	test_walk(CLOCK_SLEW, "slew");
	return failures != 0;
}
