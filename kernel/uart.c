/* SPDX-License-Identifier: MIT */
/*
 * QEMU's UART passes a character on at once unless its other side is blocked, so a character is
 * written directly while the transmitter is free; only the rest goes through the ring and the
 * transmitter interrupt.
 */
#include "uart.h"
#include "cpu.h"
#include "lib.h"

#define COM1	 0x3f8
#define COM1_IRQ 4
enum {
	UART_DATA = COM1,
	UART_IER = COM1 + 1,
	UART_IIR = COM1 + 2, /* read */
	UART_FCR = COM1 + 2, /* write */
	UART_LCR = COM1 + 3,
	UART_MCR = COM1 + 4,
	UART_LSR = COM1 + 5,
	UART_MSR = COM1 + 6,
	UART_SCRATCH = COM1 + 7,
};
enum { IER_RX = 1, IER_TX = 2 };
enum { LSR_DATA = 0x01, LSR_TX_FREE = 0x20 };
#define IIR_NONE   0x01
#define FCR_ENABLE 0x07 /* FIFOs on and cleared, interrupt at the first character */
#define LCR_8N1	   0x03
#define LCR_DLAB   0x80
#define MCR_READY  0x0b	 /* DTR, RTS, OUT2: OUT2 gates the interrupt line */
#define RING	   8192u /* power of two: indices run freely */
#define LOW_WATER  (RING / 2)

static struct {
	bool present;
	u8 ring[RING];
	u32 head, tail;
	void (*receive)(u8 c);
	void (*room)(void);
} uart;

u32 uart_unsent(void)
{
	return uart.tail - uart.head;
}

u32 uart_room(void)
{
	return RING - uart_unsent();
}

static void send_what_goes(void)
{
	while (uart_unsent() && (inb(UART_LSR) & LSR_TX_FREE))
		outb(UART_DATA, uart.ring[uart.head++ % RING]);
	outb(UART_IER, uart_unsent() ? IER_RX | IER_TX : IER_RX);
}

void uart_put(u8 c)
{
	if (!uart.present || uart_room() == 0)
		return;
	if (uart_unsent() == 0 && (inb(UART_LSR) & LSR_TX_FREE)) {
		outb(UART_DATA, c);
		return;
	}
	uart.ring[uart.tail++ % RING] = c;
	if (uart_unsent() == 1)
		outb(UART_IER, IER_RX | IER_TX);
}

void uart_drop(void)
{
	uart.head = uart.tail;
}

/* The 8259 sees edges: stay until the UART has nothing more to report. */
static void uart_interrupt(void)
{
	bool was_full = uart_unsent() > LOW_WATER;
	while (!(inb(UART_IIR) & IIR_NONE)) {
		while (inb(UART_LSR) & LSR_DATA)
			uart.receive(inb(UART_DATA));
		inb(UART_MSR);
		send_what_goes();
	}
	if (was_full && uart_unsent() <= LOW_WATER)
		uart.room();
}

void uart_init(void (*receive)(u8 c), void (*room)(void))
{
	uart.receive = receive;
	uart.room = room;
	outb(UART_SCRATCH, 0x5a);
	uart.present = inb(UART_SCRATCH) == 0x5a;
	if (!uart.present) {
		klog("uart: there is no COM1");
		return;
	}
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_DLAB);
	outb(COM1, 1); /* 115200 */
	outb(COM1 + 1, 0);
	outb(UART_LCR, LCR_8N1);
	outb(UART_FCR, FCR_ENABLE);
	outb(UART_MCR, MCR_READY);
	irq_set_kernel_handler(COM1_IRQ, uart_interrupt);
	outb(UART_IER, IER_RX);
}
