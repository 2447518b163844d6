/* SPDX-License-Identifier: MIT */
/*
 * The shipped peer.c and what lies below it, with the net server played here: a stranger's connection, and that of a node
 * that has the key, is compromised, and says anything. What comes through goes to the migration handler's machines.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "fuzz.h"
#include "machine.h"
#include "net.h"
#include "peer.h"
#include "serve.h"
#include "sodium/crypto_generichash_blake2b.h"

enum { SELF = 1, OTHER = 2, NODES = 3, PORT = WH_PORT_MIGRATE, SAID_MAX = 1 << 16 };

/* ---- the kernel, the event loop and the net server ---- */

static const uint8_t cluster_key[WH_KEY_BYTES] = "the key that the other one has..";
static uint64_t clock_ns = 1;

uint64_t wh_now(void)
{
	return clock_ns += 1000;
}

long wh_identity(struct wh_identity *id)
{
	*id = (struct wh_identity){.node = SELF, .nodes = NODES, .incarnation = 4};
	return 0;
}

long wh_secret(struct wh_secret *s)
{
	*s = (struct wh_secret){.has_key = 1, .serial = 1};
	memcpy(s->key, cluster_key, sizeof(s->key));
	return 0;
}

void serve_log(const char *fmt, ...)
{
	static char line[SERVE_LOG_LINE];
	va_list ap;

	va_start(ap, fmt); /* its arguments are read, as in earnest */
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
}

_Noreturn void serve_die(const char *fmt, ...)
{
	(void)fmt;
	fuzz_wrong("the server died");
}

void serve_timer(struct serve_timer *t, uint64_t deadline, void (*fn)(void *arg), void *arg)
{
	static struct serve_timer *armed;

	t->deadline = deadline;
	t->fn = fn;
	t->arg = arg;
	t->link = &armed;
}

void serve_timer_stop(struct serve_timer *t)
{
	t->link = NULL;
}

struct net_stream {
	unsigned node;
	bool closed;
	void *arg;
	const struct net_stream_ops *ops;
	uint8_t said[SAID_MAX]; /* what we told the other end, as far as there is room */
	size_t len;
};

static net_accept_fn accept_fn;
static struct net_stream coming, going;
static uint64_t reserved[(PEER_BODY_MAX + 64) / 8];

void net_listen(uint16_t port, net_accept_fn fn, void *arg)
{
	(void)port;
	(void)arg;
	accept_fn = fn;
}

struct net_stream *net_connect(unsigned node, uint16_t port, uint64_t not_before,
			       const struct net_stream_ops *ops, void *arg)
{
	(void)port;
	(void)not_before;
	going = (struct net_stream){.node = node, .ops = ops, .arg = arg};
	return &going;
}

int net_send(struct net_stream *s, const struct net_piece *piece, unsigned pieces)
{
	for (unsigned i = 0; i < pieces; i++) {
		if (piece[i].len > SAID_MAX - s->len)
			return -EAGAIN;
		memcpy(s->said + s->len, piece[i].data, piece[i].len);
		s->len += piece[i].len;
	}
	return 0;
}

void *net_reserve(struct net_stream *s, size_t len, int *err)
{
	(void)s;
	*err = len > sizeof(reserved) ? -EAGAIN : 0;
	return *err ? NULL : reserved;
}

void net_commit(struct net_stream *s, size_t len)
{
	(void)s;
	(void)len;
}

void net_close(struct net_stream *s)
{
	s->closed = true;
}

unsigned net_node(const struct net_stream *s)
{
	return s->node;
}

size_t net_queued(const struct net_stream *s)
{
	(void)s;
	return 0;
}

void *net_arg(const struct net_stream *s)
{
	return s->arg;
}

void net_set_arg(struct net_stream *s, void *arg)
{
	s->arg = arg;
}

/* ---- the service: the migration handler's machines ---- */

static struct mg_node node;
static unsigned messages;
static struct fuzz_in *choices; /* what the handler's own effects come to */
static bool expected;		/* a message may come */

static void answer(const struct mg_effect *e)
{
	uint8_t c = fuzz_byte(choices);
	bool ok = c & 1;

	switch (e->kind) {
	case MG_FREEZE:
		mg_frozen(&node, e->serial, ok, "no");
		break;
	case MG_EXPORT:
		mg_exported(&node, e->serial, ok, c & 2, 7, "no");
		break;
	case MG_RESERVE:
		mg_reserved(&node, e->serial, ok, "no");
		break;
	case MG_IMPORT:
		mg_imported(&node, e->serial, ok, c & 2, 7, "no");
		break;
	case MG_ADOPT:
		mg_adopted(&node, e->serial, ok, "no");
		break;
	case MG_SEND:
		peer_send(e->msg.head.to, e->msg.head.type, 1, &e->msg, sizeof(e->msg), NULL, 0);
		break;
	case MG_TIMER:
		if (c & 4 && e->delay)
			mg_timer(&node, e->timer);
		break;
	default:
		break;
	}
}

static void on_message(unsigned from, uint32_t type, uint64_t id, const void *body, size_t len)
{
	struct wire_msg m;
	const struct mg_effect *e;

	(void)id;
	if (!expected)
		fuzz_wrong("a stranger's message came through");
	messages++;
	if (from != OTHER || (uintptr_t)body % 8)
		fuzz_wrong("a message of the wrong node, or askew");
	if (len < sizeof(m)) /* as servers/migrate/main.c does */
		return;
	memcpy(&m, body, sizeof(m));
	m.head.type = (uint16_t)type;
	m.head.from = from;
	m.head.from_inc = (uint32_t)peer_message_incarnation();
	m.head.to = SELF;
	m.head.to_inc = 4;
	m.u.refuse.reason[WIRE_TEXT - 1] =
		type == WIRE_REFUSE ? 0 : m.u.refuse.reason[WIRE_TEXT - 1];
	mg_message(&node, &m);
	for (unsigned i = 0; i < 64 && (e = mg_next(&node)); i++) {
		struct mg_effect copy = *e;

		answer(&copy);
	}
}

static const struct peer_ops ops = {.on_message = on_message};

static void begin(struct fuzz_in *in, bool may)
{
	static const uint32_t features[WIRE_FEATURES] = {1};
	static bool started;

	if (!started)
		peer_start(WH_SVC_MIGRATE, &ops);
	started = true;
	messages = 0;
	choices = in;
	expected = may;
	mg_init(&node, SELF, 4, NODES, &mg_default_params, features);
	coming = (struct net_stream){.node = OTHER};
	coming.ops = accept_fn(NULL, &coming);
}

static void end(void)
{
	peer_forget(OTHER);
	peer_forget(3);
	/* As it would be on a node that has just started: what was learnt is only the number of a life. */
}

/* Hand over bytes in a block of their exact size, so that an overrun is seen. */
static void hand_over(const uint8_t *p, size_t n)
{
	uint64_t *exact;

	if (n == 0 || coming.closed || posix_memalign((void **)&exact, 8, n))
		return;
	memcpy(exact, p, n);
	coming.ops->on_data(&coming, exact, n);
	free(exact);
}

/* ---- a stranger ---- */

/* The tag that only who has the key can make: what lies behind the first check is to be reached, too. */
static void repair_hello(struct auth_frame *f)
{
	crypto_generichash_blake2b_salt_personal(
		f->tag, SEAL_TAG, (const uint8_t *)f, offsetof(struct auth_frame, tag), cluster_key,
		SEAL_KEY, NULL, (const uint8_t *)"whimbrel tag v2");
}

/* Input: flags, then pieces of a short length and that many bytes. */
static unsigned run_stranger(const uint8_t *data, size_t len)
{
	struct fuzz_in in = {data, len};
	uint8_t bytes[FUZZ_INPUT_MAX];
	unsigned pieces = 0;

	begin(&in, false);
	uint8_t flags = fuzz_byte(&in);

	while (in.len > 0 && !coming.closed) {
		size_t got, n = fuzz_short(&in) % 4096;
		const uint8_t *p = fuzz_bytes(&in, n, &got);

		memcpy(bytes, p, got);
		if (flags & 1 && pieces == 0 && got == sizeof(struct auth_frame))
			repair_hello((struct auth_frame *)(void *)bytes);
		hand_over(bytes, got);
		pieces++;
	}
	end();
	return pieces;
}

static struct auth_self other_self(void)
{
	return (struct auth_self){
		.key = cluster_key, .port = PORT, .node = OTHER, .incarnation = 9};
}

static struct auth other_auth;

static void other_hello(void)
{
	static struct auth_share share;
	static const uint8_t random[AUTH_POINT] = {1, 2, 3};
	struct auth_self self = other_self();

	if (!share.point[0])
		auth_share_make(&share, random);
	auth_begin(&other_auth, &self, SELF, &share, random);
}

static size_t put(uint8_t *buf, size_t at, const void *p, size_t n)
{
	buf[at] = (uint8_t)n;
	buf[at + 1] = (uint8_t)(n >> 8);
	if (n > 0)
		memcpy(buf + at + 2, p, n);
	return at + 2 + n;
}

static size_t seed_stranger(unsigned n, uint8_t buf[FUZZ_INPUT_MAX])
{
	struct auth_confirm confirm = {.head = {.magic = PEER_MAGIC_OPEN, .type = PEER_T_CONFIRM}};
	uint64_t message[32] = {0};

	if (n > 3)
		return 0;
	other_hello();
	buf[0] = n & 1;
	size_t at = put(buf, 1, &other_auth.sent, sizeof(other_auth.sent));

	if (n & 2)
		at = put(buf, at, &confirm, sizeof(confirm));
	peer_frame_make(message, false, 1, 1, "hello", 6, NULL, 0);
	return put(buf, at, message, peer_frame_bytes(6));
}

const struct fuzz_target fuzz_stranger = {"stranger", run_stranger, seed_stranger};

/* ---- a compromised node ---- */

/* Input: messages of a type byte, a flag byte, a short length, that many bytes of body (of a wire message after its head's
 * first fields); then, if flagged, a short place and a byte to damage the sealed frame with. */
static unsigned run_peer(const uint8_t *data, size_t len)
{
	static uint64_t frame[(PEER_BODY_MAX + 64) / 8];
	struct fuzz_in in = {data, len};
	struct auth_self self = other_self();
	struct auth_confirm confirm;
	struct seal key;
	uint64_t number = 0;
	bool honest = true; /* so far: else the decoder may wait for what never comes */

	begin(&in, true);
	other_hello();
	hand_over((const uint8_t *)&other_auth.sent, sizeof(other_auth.sent));
	if (coming.len != sizeof(struct auth_frame) ||
	    auth_confirm(&other_auth, &self, (const struct auth_frame *)(void *)coming.said,
			 &confirm, &key))
		fuzz_wrong("a right HELLO is not welcome");
	hand_over((const uint8_t *)&confirm, sizeof(confirm));
	if (coming.closed)
		fuzz_wrong("a right CONFIRM is not believed");
	while (in.len > 0 && !coming.closed) {
		uint32_t type = fuzz_byte(&in);
		uint8_t flags = fuzz_byte(&in);
		size_t got, n = fuzz_short(&in) % 2048;
		const uint8_t *p = fuzz_bytes(&in, n, &got);
		unsigned before = messages;

		honest = honest && !(flags & 15);
		if (flags & 1)
			type |= 0x10000;
		peer_frame_make(frame, false, type, flags, p, got, NULL, 0);
		if (flags & 2) /* a lie about the length, sealed as it is */
			((struct peer_frame *)(void *)frame)->length =
				fuzz_short(&in) * (flags & 4 ? 8u : 1u);
		seal_close(&key, number++, frame, PEER_CLEAR, peer_frame_bytes(got) - SEAL_TAG);
		if (flags & 8) {
			((uint8_t *)frame)[fuzz_short(&in) % peer_frame_bytes(got)] ^=
				1 + flags / 16;
			expected = false;
		}
		size_t cut = flags & 128 ? fuzz_short(&in) % peer_frame_bytes(got) : 0;

		hand_over((const uint8_t *)frame, cut);
		hand_over((const uint8_t *)frame + cut, peer_frame_bytes(got) - cut);
		if (honest && type > 0 && !coming.closed && messages != before + 1)
			fuzz_wrong("a right message did not come");
	}
	unsigned n = messages;

	end();
	return n;
}

static size_t seed_peer(unsigned n, uint8_t buf[FUZZ_INPUT_MAX])
{
	struct wire_msg m = {.head = {.uq = {.birth = 5, .home = OTHER, .incarnation = 9},
				      .epoch = 1,
				      .serial = 3,
				      .to = SELF,
				      .to_inc = 4}};
	size_t at = 0;

	if (n + 1 >= WIRE_TYPES)
		return 0;
	m.head.version = WIRE_VERSION;
	m.u.hello.image_version = 0;
	for (unsigned k = n; k < n + 6 && k + 1 < WIRE_TYPES; k++) { /* steps in their order */
		buf[at++] = (uint8_t)(k + 1);
		buf[at++] = 0;
		at = put(buf, at, &m, sizeof(m));
	}
	return at;
}

const struct fuzz_target fuzz_peer = {"peer", run_peer, seed_peer};
