/* SPDX-License-Identifier: MIT */
#include "seal.h"

#include <string.h>

#include "sodium/crypto_aead_chacha20poly1305.h"
#include "sodium/crypto_shorthash_siphash24.h"
#include "sodium/crypto_verify_16.h"

_Static_assert(SEAL_KEY == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "the cipher's key");
_Static_assert(SEAL_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES, "the cipher's tag");
_Static_assert(SEAL_TAG == crypto_shorthash_siphashx24_BYTES, "the hash's tag");

enum { NONCE = crypto_aead_chacha20poly1305_ietf_NPUBBYTES };

static void make_nonce(uint8_t nonce[NONCE], uint64_t number)
{
	memset(nonce, 0, NONCE);
	memcpy(nonce + NONCE - sizeof(number), &number, sizeof(number));
}

/* The tag of the len bytes at buf; where the tag will lie serves as room for the number meanwhile. */
static void plain_tag(const struct seal *s, uint64_t number, uint8_t *buf, size_t len,
		      uint8_t tag[SEAL_TAG])
{
	memcpy(buf + len, &number, sizeof(number));
	crypto_shorthash_siphashx24(tag, buf, len + sizeof(number), s->key);
}

void seal_close(const struct seal *s, uint64_t number, void *buf, size_t clear, size_t len)
{
	uint8_t *p = buf, nonce[NONCE], tag[SEAL_TAG];

	if (s->plain) {
		plain_tag(s, number, p, len, tag);
		memcpy(p + len, tag, SEAL_TAG);
		return;
	}
	make_nonce(nonce, number);
	crypto_aead_chacha20poly1305_ietf_encrypt_detached(
		p + clear, p + len, NULL, p + clear, len - clear, p, clear, NULL, nonce, s->key);
}

bool seal_open(const struct seal *s, uint64_t number, void *buf, size_t clear, size_t len)
{
	uint8_t *p = buf, nonce[NONCE], tag[SEAL_TAG], mine[SEAL_TAG];

	if (s->plain) {
		memcpy(tag, p + len, SEAL_TAG);
		plain_tag(s, number, p, len, mine);
		return crypto_verify_16(tag, mine) == 0;
	}
	make_nonce(nonce, number);
	return crypto_aead_chacha20poly1305_ietf_decrypt_detached(p + clear, NULL, p + clear,
								  len - clear, p + len, p, clear,
								  nonce, s->key) == 0;
}
