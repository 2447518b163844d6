/* SPDX-License-Identifier: MIT */
#include "auth.h"

#include <string.h>

#include "sodium/crypto_generichash_blake2b.h"
#include "sodium/crypto_scalarmult_curve25519.h"
#include "sodium/crypto_verify_16.h"
#include "sodium/utils.h"

/* What a hash is for is part of it: none can be taken for another. 16 bytes each. */
static const uint8_t for_tag[16] = "whimbrel tag v2", for_key[16] = "whimbrel key v2";

struct piece {
	const void *data;
	size_t len;
};

static void hash(const uint8_t *key, const uint8_t purpose[16], const struct piece *p, unsigned n,
		 uint8_t *out, size_t len)
{
	crypto_generichash_blake2b_state state;

	crypto_generichash_blake2b_init_salt_personal(&state, key, SEAL_KEY, len, NULL, purpose);
	for (unsigned i = 0; i < n; i++)
		crypto_generichash_blake2b_update(&state, p[i].data, p[i].len);
	crypto_generichash_blake2b_final(&state, out, len);
	sodium_memzero(&state, sizeof(state));
}

static struct peer_frame head_of(uint32_t type)
{
	return (struct peer_frame){
		.magic = PEER_MAGIC_OPEN,
		.length = type == PEER_T_CONFIRM ? 0 : sizeof(struct auth_hello),
		.type = type,
	};
}

/* The tag of a HELLO; or of the WELCOME that answers it. */
static void tag_hello(const struct auth_self *self, const struct auth_frame *before,
		      const struct auth_frame *f, uint8_t tag[SEAL_TAG])
{
	struct piece p[] = {{f, offsetof(struct auth_frame, tag)}, {before, sizeof(*before)}};

	hash(self->key, for_tag, p, before ? 2 : 1, tag, SEAL_TAG);
}

static void tag_confirm(const struct auth_self *self, const struct auth_frame *hello,
			const struct auth_frame *welcome, const struct peer_frame *head,
			uint8_t tag[SEAL_TAG])
{
	struct piece p[] = {
		{head, sizeof(*head)}, {welcome, sizeof(*welcome)}, {hello, sizeof(*hello)}};

	hash(self->key, for_tag, p, 3, tag, SEAL_TAG);
}

static const char *derive(const struct auth *a, const struct auth_self *self,
			  const struct auth_frame *hello, const struct auth_frame *welcome,
			  struct seal *key)
{
	uint8_t shared[AUTH_POINT];
	struct piece p[] = {
		{shared, sizeof(shared)}, {hello, sizeof(*hello)}, {welcome, sizeof(*welcome)}};

	if (crypto_scalarmult_curve25519(shared, a->secret, a->got.hello.share))
		return "a share that is no point";
	hash(self->key, for_key, p, 3, key->key, SEAL_KEY);
	key->plain = self->plain;
	sodium_memzero(shared, sizeof(shared));
	return NULL;
}

void auth_share_make(struct auth_share *s, const uint8_t random[AUTH_POINT])
{
	memcpy(s->secret, random, AUTH_POINT);
	crypto_scalarmult_curve25519_base(s->point, s->secret);
}

static void make(struct auth *a, const struct auth_self *self, uint32_t type,
		 const struct auth_frame *before, const struct auth_share *share,
		 const uint8_t nonce[AUTH_NONCE])
{
	struct auth_hello *h = &a->sent.hello;

	a->sent.head = head_of(type);
	*h = (struct auth_hello){.version = PEER_VERSION,
				 .plain = self->plain,
				 .port = self->port,
				 .from = self->node,
				 .to = a->peer,
				 .incarnation = self->incarnation};
	memcpy(h->nonce, nonce, AUTH_NONCE);
	memcpy(h->share, share->point, AUTH_POINT);
	memcpy(a->secret, share->secret, AUTH_POINT);
	tag_hello(self, before, &a->sent, a->sent.tag);
}

/* The tag comes first: of the rest only what the cluster's key vouches for is worth a word in the log. */
static const char *judge(const struct auth *a, const struct auth_self *self, uint32_t type,
			 const struct auth_frame *before, const struct auth_frame *f)
{
	const struct peer_frame head = head_of(type);
	const struct auth_hello *h = &f->hello;
	uint8_t tag[SEAL_TAG];

	if (memcmp(&f->head, &head, sizeof(head)))
		return "no handshake";
	if (h->version != PEER_VERSION)
		return "another version";
	tag_hello(self, before, f, tag);
	if (crypto_verify_16(tag, f->tag))
		return "a wrong tag: another cluster's key, or none";
	if (h->from != a->peer || h->to != self->node || h->incarnation == 0)
		return "a false identity";
	if (h->port != self->port)
		return "another service";
	if (h->plain != self->plain)
		return self->plain ? "encryption, which is off here (--plain)"
				   : "--plain, while encryption is on here";
	return NULL;
}

void auth_begin(struct auth *a, const struct auth_self *self, uint32_t peer,
		const struct auth_share *share, const uint8_t nonce[AUTH_NONCE])
{
	*a = (struct auth){.peer = peer};
	make(a, self, PEER_T_HELLO, NULL, share, nonce);
}

const char *auth_answer(struct auth *a, const struct auth_self *self, uint32_t peer,
			const struct auth_frame *hello, const struct auth_share *share,
			const uint8_t nonce[AUTH_NONCE])
{
	*a = (struct auth){.peer = peer};
	const char *wrong = judge(a, self, PEER_T_HELLO, NULL, hello);

	if (wrong)
		return wrong;
	a->got = *hello;
	a->incarnation = hello->hello.incarnation;
	make(a, self, PEER_T_WELCOME, &a->got, share, nonce);
	return NULL;
}

const char *auth_confirm(struct auth *a, const struct auth_self *self,
			 const struct auth_frame *welcome, struct auth_confirm *confirm,
			 struct seal *key)
{
	const char *wrong = judge(a, self, PEER_T_WELCOME, &a->sent, welcome);

	if (wrong)
		return wrong;
	a->got = *welcome;
	a->incarnation = welcome->hello.incarnation;
	wrong = derive(a, self, &a->sent, &a->got, key);
	confirm->head = head_of(PEER_T_CONFIRM);
	tag_confirm(self, &a->sent, &a->got, &confirm->head, confirm->tag);
	sodium_memzero(a->secret, sizeof(a->secret));
	return wrong;
}

const char *auth_finish(struct auth *a, const struct auth_self *self,
			const struct auth_confirm *confirm, struct seal *key)
{
	const struct peer_frame head = head_of(PEER_T_CONFIRM);
	uint8_t tag[SEAL_TAG];

	if (memcmp(&confirm->head, &head, sizeof(head)))
		return "no handshake";
	tag_confirm(self, &a->got, &a->sent, &head, tag);
	if (crypto_verify_16(tag, confirm->tag))
		return "a wrong tag: somebody repeats an old connection";
	const char *wrong = derive(a, self, &a->got, &a->sent, key);

	sodium_memzero(a->secret, sizeof(a->secret));
	return wrong;
}
