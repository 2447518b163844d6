/* SPDX-License-Identifier: MIT */
/* What lwIP wants to know about compiler and platform. */
#ifndef NET_PORT_ARCH_CC_H
#define NET_PORT_ARCH_CC_H

#include <errno.h>
#include <stdint.h>

#include "port.h"

#define LWIP_ERRNO_STDINCLUDE 1

/* Diagnostics are compiled out; a broken invariant of lwIP's ends the net server, whose clients
 * then see -EIO. */
#define LWIP_PLATFORM_DIAG(x)                                                                      \
	do {                                                                                       \
	} while (0)
#define LWIP_PLATFORM_ASSERT(x) port_assert_failed((x), __FILE__, __LINE__)

#define LWIP_RAND() port_rand()

/* Copies and sums decide the speed under TCG. */
#define MEMCPY(dst, src, len) port_copy((dst), (src), (len))
#define LWIP_CHKSUM	      port_chksum

#endif
