/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) of messages that fit one block, and the iterated password hash made of it. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32, SHA256_ONE_BLOCK = 55, PASSWORD_MAX = SHA256_ONE_BLOCK - SHA256_LEN };

/* Digest of `len` <= SHA256_ONE_BLOCK bytes. */
void sha256_short(const void *msg, size_t len, uint8_t digest[SHA256_LEN]);

/*
 * h = H(salt ':' word), then `rounds` times h = H(h word). Slow on purpose. Both strings together,
 * and each alone, must be shorter than PASSWORD_MAX.
 */
void password_hash(const char *salt, const char *word, long rounds, uint8_t digest[SHA256_LEN]);

#endif
