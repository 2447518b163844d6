/* SPDX-License-Identifier: MIT */
#include "rtc.h"

#include <string.h>

enum {
	PORT_INDEX = 0x70,
	PORT_DATA = 0x71,
	REG_SECOND = 0x00,
	REG_MINUTE = 0x02,
	REG_HOUR = 0x04,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_CENTURY = 0x32,
	A_UPDATING = 0x80,
	B_UPDATE_IRQ = 0x10,
	C_UPDATE_ENDED = 0x10,
	/* An update takes 2 ms, a port access 30 ns or more: a chip still busy then is not there. */
	BUSY_READS = 200000,
	READ_TRIES = 5,
};

static uint8_t get(uint8_t reg)
{
	uint8_t value;

	__asm__ volatile("outb %b0, %w1" : : "a"(reg), "Nd"(PORT_INDEX));
	__asm__ volatile("inb %w1, %b0" : "=a"(value) : "Nd"(PORT_DATA));
	return value;
}

static void put(uint8_t reg, uint8_t value)
{
	__asm__ volatile("outb %b0, %w1" : : "a"(reg), "Nd"(PORT_INDEX));
	__asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"(PORT_DATA));
}

static struct rtc_regs read_regs(void)
{
	for (long i = 0; i < BUSY_READS && (get(REG_A) & A_UPDATING); i++)
		continue;
	return (struct rtc_regs){
		.second = get(REG_SECOND),
		.minute = get(REG_MINUTE),
		.hour = get(REG_HOUR),
		.day = get(REG_DAY),
		.month = get(REG_MONTH),
		.year = get(REG_YEAR),
		.century = get(REG_CENTURY),
		.status_b = get(REG_B),
	};
}

int64_t rtc_read(void)
{
	struct rtc_regs last = read_regs();

	/* An update may fall between two registers: only two equal readings count. */
	for (int i = 0; i < READ_TRIES; i++) {
		struct rtc_regs r = read_regs();

		if (!memcmp(&r, &last, sizeof(r)))
			return rtc_seconds(&r);
		last = r;
	}
	return -1;
}

void rtc_tick_enable(bool on)
{
	uint8_t b = get(REG_B);

	put(REG_B, on ? b | B_UPDATE_IRQ : b & (uint8_t)~B_UPDATE_IRQ);
	get(REG_C);
}

bool rtc_tick_ack(void)
{
	return get(REG_C) & C_UPDATE_ENDED;
}
