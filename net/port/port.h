/* SPDX-License-Identifier: MIT */
/* The functions behind lwIP's macros (cc.h, lwipopts.h). Included by every file of lwIP: keep it
 * small. */
#ifndef NET_PORT_PORT_H
#define NET_PORT_PORT_H

#include <stddef.h>
#include <stdint.h>

/* lwIP's heap: memory that the device can read. Set before lwip_init(). */
extern void *port_heap;

/* Seed of port numbers and initial sequence numbers: must differ between incarnations of a node. */
void port_seed(uint64_t seed);
uint32_t port_rand(void);

_Noreturn void port_assert_failed(const char *what, const char *file, int line);
/* Stands for what a client has in its own memory: a copy from here calls port_fetch with the offset
 * instead. Its content is never read. */
#define PORT_CLIENT_BYTES 61440
extern uint8_t port_client[PORT_CLIENT_BYTES];
extern void (*port_fetch)(void *dst, size_t off, size_t len);

void *port_copy(void *dst, const void *src, size_t len);
/* Ones' complement sum of the 16-bit words as they lie in memory, folded, not inverted. */
uint16_t port_chksum(const void *data, int len);

#endif
