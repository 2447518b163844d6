/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <errno.h>
#include <string.h>

#include "serve.h"
#include "sodium/crypto_generichash_blake2b.h"
#include "sodium/crypto_stream_chacha20.h"
#include "sodium/utils.h"

enum { BLOCK = 256 }; /* random bytes made at once */

static struct wh_secret secret;
static bool asked;
/* ChaCha20 with a key that each use replaces: what was drawn cannot be found out afterwards. */
static uint8_t state[crypto_stream_chacha20_KEYBYTES];

/* libsodium asks for these two. */
void sodium_misuse(void);
void randombytes_buf(void *const out, const size_t len);

static void learn(void)
{
	if (asked)
		return;
	asked = true;
	if (wh_secret(&secret) < 0 || !secret.has_key) {
		secret.has_key = 0;
		serve_log("no cluster key: nothing is said to other nodes, nor heard of them");
		return;
	}
	/* random is this boot's, serial this asker's. */
	crypto_generichash_blake2b(state, sizeof(state), (const uint8_t *)&secret.serial,
				   sizeof(secret.serial), secret.random, sizeof(secret.random));
	sodium_memzero(secret.random, sizeof(secret.random));
}

const uint8_t *secret_key(void)
{
	learn();
	return secret.has_key ? secret.key : NULL;
}

bool secret_plain(void)
{
	learn();
	return secret.plain;
}

void secret_random(void *out, size_t len)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t block[sizeof(state) + BLOCK], *p = out;

	if (!secret_key())
		serve_die("random numbers without a secret");
	while (len > 0) {
		size_t n = len < BLOCK ? len : BLOCK;

		crypto_stream_chacha20(block, sizeof(block), nonce, state);
		memcpy(state, block, sizeof(state));
		memcpy(p, block + sizeof(state), n);
		p += n;
		len -= n;
	}
	sodium_memzero(block, sizeof(block));
}

void randombytes_buf(void *const out, const size_t len)
{
	secret_random(out, len);
}

void sodium_misuse(void)
{
	serve_die("libsodium was misused");
}
