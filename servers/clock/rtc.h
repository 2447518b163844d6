/* SPDX-License-Identifier: MIT */
/*
 * The battery clock (MC146818): calendar time in whole seconds, at I/O ports 0x70 and 0x71, with an
 * interrupt (line 8) at the start of each second.
 */
#ifndef CLOCK_RTC_H
#define CLOCK_RTC_H

#include <stdbool.h>
#include <stdint.h>

enum { RTC_IRQ_LINE = 8 };

/* The registers as they are read: BCD or binary, 12 or 24 hours, as `status_b` says. */
struct rtc_regs {
	uint8_t second, minute, hour, day, month, year, century, status_b;
};

/* Seconds since the epoch, or -1 if the registers do not hold a time. Pure. */
int64_t rtc_seconds(const struct rtc_regs *r);

/* Seconds since the epoch, now; -1 if the chip does not answer with a time. */
int64_t rtc_read(void);

/* Ask for an interrupt at the start of each second, or no more. */
void rtc_tick_enable(bool on);

/* Acknowledge at the chip; true if it was the start of a second. */
bool rtc_tick_ack(void);

#endif
