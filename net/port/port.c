/* SPDX-License-Identifier: MIT */
/* The functions behind lwIP's macros. See port.h. */
#include <string.h>

#include "port.h"
#include "serve.h"
#include "wmem.h"

void *port_heap;
uint8_t port_client[PORT_CLIENT_BYTES];
void (*port_fetch)(void *dst, size_t off, size_t len);
static uint64_t state = 1;

void port_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64: any seed will do, and a little more of it gives an unrelated sequence. */
uint32_t port_rand(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(z >> 32);
}

void port_assert_failed(const char *what, const char *file, int line)
{
	const char *name = strrchr(file, '/');

	serve_die("lwIP %s:%d: %s", name ? name + 1 : file, line, what);
}

void *port_copy(void *dst, const void *src, size_t len)
{
	uintptr_t off = (uintptr_t)src - (uintptr_t)port_client;

	if (off < PORT_CLIENT_BYTES)
		port_fetch(dst, off, len);
	else
		wmem_copy(dst, src, len);
	return dst;
}

typedef uint64_t word64 __attribute__((may_alias, aligned(1)));
typedef uint16_t word16 __attribute__((may_alias, aligned(1)));

/* Both halves of a 64-bit load are added to 64-bit sums, so no carry is lost and none is handled. */
uint16_t port_chksum(const void *data, int len)
{
	const word64 *p = data;
	uint64_t low = 0, high = 0;

	for (; len >= 32; len -= 32, p += 4) {
		uint64_t a = p[0], b = p[1], c = p[2], d = p[3];

		low += (a & 0xffffffff) + (b & 0xffffffff) + (c & 0xffffffff) + (d & 0xffffffff);
		high += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	const word16 *h = (const word16 *)p;

	for (; len >= 2; len -= 2)
		low += *h++;
	if (len > 0)
		low += *(const uint8_t *)h;
	low = (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
	low = (low & 0xffff) + (low >> 16 & 0xffff) + (low >> 32);
	low = (low & 0xffff) + (low >> 16);
	low = (low & 0xffff) + (low >> 16);
	return (uint16_t)low;
}
