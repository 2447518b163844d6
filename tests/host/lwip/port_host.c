/* SPDX-License-Identifier: MIT */
/* What our port of lwIP needs, where there is no server around it: lwIP's own unit tests. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lwip/opt.h"

#include "port.h"
#include "serve.h"

static uint64_t heap[(MEM_SIZE + 4096) / sizeof(uint64_t)];

__attribute__((constructor)) static void give_heap(void)
{
	port_heap = heap;
}

void serve_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}
