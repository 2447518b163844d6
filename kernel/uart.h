/* SPDX-License-Identifier: MIT */
/* COM1: a 16550 at 0x3f8, IRQ 4. One user: env/tty.c. */
#ifndef KERNEL_UART_H
#define KERNEL_UART_H
#include "types.h"

/* receive: a character came; room: the ring has drained. Both are called with interrupts off and
 * must not block. Without a UART, output is dropped. */
void uart_init(void (*receive)(u8 c), void (*room)(void));
u32 uart_room(void);   /* characters that uart_put takes now */
void uart_put(u8 c);   /* never blocks; dropped without room */
void uart_drop(void);  /* forget what has not been sent */
u32 uart_unsent(void); /* characters still in the ring */
#endif
