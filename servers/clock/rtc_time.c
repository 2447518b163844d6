/* SPDX-License-Identifier: MIT */
/* From the registers of the battery clock to seconds: the part that needs no hardware. */
#define _GNU_SOURCE
#include "rtc.h"

#include <time.h>

enum { STATUS_B_24H = 0x02, STATUS_B_BINARY = 0x04, HOUR_PM = 0x80 };

static int from_bcd(uint8_t v)
{
	return (v >> 4) * 10 + (v & 15);
}

/* Hour 0..23. The 12-hour format counts 12, 1, 2, ... 11 and has a bit for the afternoon. */
static int hour_of(const struct rtc_regs *r, bool binary)
{
	uint8_t raw = r->hour & (uint8_t)~HOUR_PM;
	int hour = binary ? raw : from_bcd(raw);

	if (r->status_b & STATUS_B_24H)
		return hour;
	return hour % 12 + (r->hour & HOUR_PM ? 12 : 0);
}

int64_t rtc_seconds(const struct rtc_regs *r)
{
	bool binary = r->status_b & STATUS_B_BINARY;
	struct tm tm = {
		.tm_sec = binary ? r->second : from_bcd(r->second),
		.tm_min = binary ? r->minute : from_bcd(r->minute),
		.tm_hour = hour_of(r, binary),
		.tm_mday = binary ? r->day : from_bcd(r->day),
		.tm_mon = (binary ? r->month : from_bcd(r->month)) - 1,
		.tm_year = binary ? r->year : from_bcd(r->year),
	};
	int century = binary ? r->century : from_bcd(r->century);

	/* Chips without a century register read as zero there; no such chip lived before 2000. */
	tm.tm_year += (century >= 19 && century <= 21 ? century : 20) * 100 - 1900;
	if (tm.tm_sec > 59 || tm.tm_min > 59 || tm.tm_hour > 23 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_mon < 0 || tm.tm_mon > 11)
		return -1;
	return timegm(&tm);
}
