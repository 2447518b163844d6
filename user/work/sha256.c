/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2};

static uint32_t rotate(uint32_t x, int by)
{
	return x >> by | x << (32 - by);
}

static void schedule(const uint8_t block[64], uint32_t w[64])
{
	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
}

static void compress(uint32_t h[8], const uint8_t block[64])
{
	uint32_t w[64], s[8];

	schedule(block, w);
	memcpy(s, h, sizeof(s));
	/* The eight words change places instead of moving: after round i, "a" is at s[-i - 1 mod
	 * 8]. */
	for (unsigned i = 0; i < 64; i++) {
		uint32_t a = s[-i % 8], b = s[(1 - i) % 8], c = s[(2 - i) % 8];
		uint32_t e = s[(4 - i) % 8], f = s[(5 - i) % 8], g = s[(6 - i) % 8];
		uint32_t t = s[(7 - i) % 8] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			     ((e & f) ^ (~e & g)) + k[i] + w[i];

		s[(3 - i) % 8] += t;
		s[(7 - i) % 8] = t + (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
				 ((a & b) ^ (a & c) ^ (b & c));
	}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

void sha256_short(const void *msg, size_t len, uint8_t digest[SHA256_LEN])
{
	uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	uint8_t block[64] = {0};

	memcpy(block, msg, len);
	block[len] = 0x80;
	block[62] = (uint8_t)(len >> 5);
	block[63] = (uint8_t)(len << 3);
	compress(h, block);
	for (int i = 0; i < 8; i++)
		for (int b = 0; b < 4; b++)
			digest[4 * i + b] = (uint8_t)(h[i] >> (24 - 8 * b));
}

void password_hash(const char *salt, const char *word, long rounds, uint8_t digest[SHA256_LEN])
{
	size_t len = strlen(word);
	char first[2 * PASSWORD_MAX + 2];
	uint8_t msg[SHA256_ONE_BLOCK];
	int n = snprintf(first, sizeof(first), "%s:%s", salt, word);

	sha256_short(first, (size_t)n, digest);
	for (long i = 0; i < rounds; i++) {
		memcpy(msg, digest, SHA256_LEN);
		memcpy(msg + SHA256_LEN, word, len);
		sha256_short(msg, SHA256_LEN + len, digest);
	}
}
