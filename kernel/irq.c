/* SPDX-License-Identifier: MIT */
/*
 * The two 8259s. A line delivered to servers is masked until every server bound to it has
 * acknowledged, since PCI lines are level triggered and shared.
 */
#include "cpu.h"
#include "ipc.h"
#include "lib.h"

#define LINES	 16
#define PER_LINE 4

static struct {
	void (*kernel)(void);
	struct {
		u32 service, bit;
		bool unacked;
	} server[PER_LINE];
} lines[LINES];

static void set_mask(u32 line, bool masked)
{
	u16 port = line < 8 ? 0x21 : 0xa1;
	u8 bit = (u8)(1u << (line & 7));
	outb(port, masked ? inb(port) | bit : inb(port) & (u8)~bit);
}

void irq_init(void)
{
	outb(0x20, 0x11);
	outb(0xa0, 0x11);
	outb(0x21, VEC_IRQ0);
	outb(0xa1, VEC_IRQ0 + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xfb); /* all masked but the cascade */
	outb(0xa1, 0xff);
}

void irq_set_kernel_handler(u32 line, void (*fn)(void))
{
	lines[line].kernel = fn;
	set_mask(line, false);
}

void irq_unmask(u32 line)
{
	set_mask(line, false);
}

static void end_of_interrupt(u32 line)
{
	if (line >= 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

void irq_dispatch(u32 line)
{
	if (line == 7 || line == 15) { /* spurious? the in-service bit tells */
		u16 port = line == 7 ? 0x20 : 0xa0;
		outb(port, 0x0b);
		if (!(inb(port) & 0x80)) {
			if (line == 15)
				outb(0x20, 0x20);
			return;
		}
	}
	if (lines[line].kernel) {
		end_of_interrupt(line);
		lines[line].kernel();
		return;
	}
	set_mask(line, true);
	end_of_interrupt(line);
	for (u32 i = 0; i < PER_LINE; i++)
		if (lines[line].server[i].service) {
			lines[line].server[i].unacked = true;
			ipc_note(lines[line].server[i].service, 1ull << lines[line].server[i].bit);
		}
}

i64 irq_bind_server(u32 line, u32 service, u32 bit)
{
	if (line >= LINES || bit >= 32 || lines[line].kernel)
		return -EINVAL;
	for (u32 i = 0; i < PER_LINE; i++)
		if (!lines[line].server[i].service || lines[line].server[i].service == service) {
			lines[line].server[i].service = service;
			lines[line].server[i].bit = bit;
			lines[line].server[i].unacked = false;
			set_mask(line, false);
			return 0;
		}
	return -EBUSY;
}

i64 irq_ack_server(u32 line, u32 service)
{
	bool waiting = false;
	if (line >= LINES)
		return -EINVAL;
	for (u32 i = 0; i < PER_LINE; i++) {
		if (lines[line].server[i].service == service)
			lines[line].server[i].unacked = false;
		waiting |= lines[line].server[i].unacked;
	}
	if (!waiting)
		set_mask(line, false);
	return 0;
}

void irq_server_gone(u32 service)
{
	for (u32 l = 0; l < LINES; l++)
		for (u32 i = 0; i < PER_LINE; i++)
			if (lines[l].server[i].service == service) {
				irq_ack_server(l, service);
				lines[l].server[i].service = 0;
			}
}
