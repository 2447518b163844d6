/* SPDX-License-Identifier: MIT */
/* What libsodium needs of whoever links it, for tests of pure code, where it never has to ask. */
#include <stddef.h>
#include <stdlib.h>

void sodium_misuse(void);
void randombytes_buf(void *const out, const size_t len);

void sodium_misuse(void)
{
	abort();
}

void randombytes_buf(void *const out, const size_t len)
{
	(void)out;
	(void)len;
	abort();
}
