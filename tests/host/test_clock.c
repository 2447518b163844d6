/* SPDX-License-Identifier: MIT */
/* The clock server's pure parts: the battery clock's calendar, and the estimate of a peer's offset. */
#include "offset.h"
#include "rtc.h"

#include <stdio.h>

static int failures;

#define CHECK(name, cond)                                                                          \
	do {                                                                                       \
		if (cond) {                                                                        \
			printf("ok clock %s\n", name);                                             \
		} else {                                                                           \
			printf("not ok clock %s: %s\n", name, #cond);                              \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static void calendar(void)
{
	struct rtc_regs bcd = {0x59, 0x30, 0x23, 0x29, 0x02, 0x24, 0x20, 0x02};
	struct rtc_regs bin = {59, 30, 23, 29, 2, 24, 20, 0x06};
	struct rtc_regs pm = {0x00, 0x00, 0x81, 0x01, 0x01, 0x70, 0x19, 0x00};
	struct rtc_regs bad = {0x59, 0x30, 0x23, 0x29, 0x13, 0x24, 0x20, 0x02};

	CHECK("reads BCD", rtc_seconds(&bcd) == 1709249459);
	CHECK("reads binary", rtc_seconds(&bin) == 1709249459);
	bcd.century = 0;
	CHECK("guesses the century", rtc_seconds(&bcd) == 1709249459);
	CHECK("reads 1 pm", rtc_seconds(&pm) == 13 * 3600);
	pm.hour = 0x92;
	CHECK("noon is 12 pm", rtc_seconds(&pm) == 12 * 3600);
	pm.hour = 0x12;
	CHECK("midnight is 12 am", rtc_seconds(&pm) == 0);
	CHECK("refuses a thirteenth month", rtc_seconds(&bad) == -1);
	bad = (struct rtc_regs){0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
	CHECK("refuses a chip that is not there", rtc_seconds(&bad) == -1);
}

static void one_exchange(void)
{
	struct offset_sample s;

	CHECK("symmetric exchange is exact",
	      offset_measure(1000, 6100, 6150, 1250, &s) && s.offset == 5000 && s.delay == 200);
	CHECK("negative offset", offset_measure(900000, 100, 150, 900250, &s) &&
					 s.offset == -900000 && s.delay == 200);
	CHECK("error is at most half the delay",
	      offset_measure(1000, 6000, 6000, 1400, &s) && s.offset == 4800 && s.delay == 400);
	CHECK("an answer before the question", !offset_measure(1000, 6000, 6000, 999, &s));
	CHECK("an answer before the arrival", !offset_measure(1000, 6000, 5999, 1400, &s));
	CHECK("a stay longer than the exchange", !offset_measure(1000, 6000, 7000, 1400, &s));
	CHECK("stamps that overflow",
	      !offset_measure(1000, INT64_MIN, INT64_MAX, 1400, &s) &&
		      !offset_measure(-1000, INT64_MAX, INT64_MAX, 1400, &s));
}

static void burst(void)
{
	struct offset_sample s[OFFSET_BURST] = {
		{5010, 210}, {9000, 9000}, {4990, 200}, {5000, 220}, {-70000, 150000}};
	struct offset_sample e;

	CHECK("nothing gives nothing", !offset_filter(s, 0, &e));
	CHECK("one gives itself", offset_filter(s, 1, &e) && e.offset == 5010);
	CHECK("the median of the quick ones",
	      offset_filter(s, OFFSET_BURST, &e) && e.offset == 5000);
	for (int i = 0; i < OFFSET_BURST; i++)
		s[i].delay = 200;
	CHECK("equally quick: two liars do not win",
	      offset_filter(s, OFFSET_BURST, &e) && e.offset == 5000);
}

/* Random delays each way with rare long ones, as on a loaded host: the estimate stays near. */
static void many_bursts(void)
{
	uint64_t x = 42;
	int wrong = 0, far = 0;
	const int64_t truth = -25000000000;

	for (int round = 0; round < 2000; round++) {
		struct offset_sample s[OFFSET_BURST], e;
		size_t n = 0;

		for (int i = 0; i < OFFSET_BURST; i++) {
			int64_t t1 = 1000000000000, d[2];

			for (int k = 0; k < 2; k++) {
				x = x * 6364136223846793005u + 1442695040888963407u;
				d[k] = 100000 + (int64_t)(x >> 33) % 50000;
				if ((x >> 40) % 8 == 0)
					d[k] += (int64_t)(x >> 20) % 20000000;
			}
			n += offset_measure(t1, t1 + d[0] + truth, t1 + d[0] + truth + 30000,
					    t1 + d[0] + 30000 + d[1], &s[n]);
		}
		if (!offset_filter(s, n, &e)) {
			wrong++;
			continue;
		}
		e.offset -= truth;
		wrong += e.offset > e.delay / 2 || e.offset < -e.delay / 2;
		far += e.offset > 100000 || e.offset < -100000;
	}
	printf("# %d of 2000 bursts are off by more than 100 us\n", far);
	CHECK("no burst is wrong by more than half its delay", wrong == 0);
	CHECK("98 of 100 bursts over a bad wire are within 100 us", far <= 40);
}

int main(void)
{
	calendar();
	one_exchange();
	burst();
	many_bursts();
	return failures != 0;
}
