/* SPDX-License-Identifier: MIT */
/* The calls of wh.h within one process. See wh_host.h. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "wh_host.h"

enum {
	REQUESTS = 1024,
	QUEUE = 4096,
	HOST_MTU = 9000 /* a socket of the host holds a window of these */
};

/* An open request of the test's client half to the net server half. */
struct request {
	bool open;
	uint64_t cookie;
	uint8_t *bulk;
	size_t len;
	unsigned flags;
};

static struct request requests[REQUESTS];
static size_t open_requests;
static struct wh_event queue[QUEUE];
static unsigned first, count;
static struct wh_identity self;
static struct wh_secret secret;
static int wire = -1;
static uint64_t rng;
static struct host_faults faults;

void host_node(unsigned node, unsigned nodes, uint64_t incarnation, int fd, uint64_t seed)
{
	self = (struct wh_identity){.node = node,
				    .nodes = nodes,
				    .incarnation = incarnation,
				    .seed = seed,
				    .mtu = HOST_MTU};
	wire = fd;
	rng = seed * 0x9e3779b97f4a7c15ull + node;
}

void host_faults(const struct host_faults *f)
{
	faults = *f;
}

const struct host_faults *host_get_faults(void)
{
	return &faults;
}

int host_wire(void)
{
	return wire;
}

uint64_t host_rand(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

size_t host_open_requests(void)
{
	return open_requests;
}

uint64_t wh_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

long wh_identity(struct wh_identity *id)
{
	*id = self;
	return 0;
}

void host_secret(const struct wh_secret *s)
{
	secret = *s;
}

/* The nodes are processes: what they draw differs by their time. */
long wh_secret(struct wh_secret *s)
{
	*s = secret;
	s->serial = wh_now();
	return 0;
}

long wh_register(unsigned svc)
{
	(void)svc;
	return 0;
}

long wh_notify(unsigned svc, uint64_t bits)
{
	(void)svc;
	(void)bits;
	return 0;
}

static struct wh_event *push(void)
{
	return count == QUEUE ? NULL : &queue[(first + count++) % QUEUE];
}

long wh_wait(struct wh_event *ev, uint64_t deadline)
{
	if (count == 0) {
		uint64_t now = wh_now();
		int ms = deadline <= now	      ? 0
			 : deadline == WH_NO_DEADLINE ? -1
						      : (int)((deadline - now + 999999) / 1000000);
		struct pollfd p = {.fd = wire, .events = POLLIN};

		if (poll(&p, 1, ms) <= 0)
			return -ETIMEDOUT;
		if (deadline == 0) /* a look at the queue: the card is polled by the loop anyway */
			return -ETIMEDOUT;
		*ev = (struct wh_event){.kind = WH_EV_NOTIFY, .bits = 1};
		return 0;
	}
	*ev = queue[first];
	first = (first + 1) % QUEUE;
	count--;
	return 0;
}

long wh_send(unsigned svc, const struct wh_msg *m, uint64_t cookie, void *bulk, size_t len,
	     unsigned flags)
{
	static unsigned next;
	unsigned i;

	if (svc != WH_SVC_NET)
		return -ESRCH;
	for (i = 0; i < REQUESTS && requests[next % REQUESTS].open; i++)
		next++;
	struct wh_event *ev = i < REQUESTS ? push() : NULL;

	if (!ev)
		return -EAGAIN;
	requests[next % REQUESTS] = (struct request){
		.open = true, .cookie = cookie, .bulk = bulk, .len = len, .flags = flags};
	open_requests++;
	*ev = (struct wh_event){.kind = WH_EV_REQUEST,
				.from = WH_SVC_MIGRATE,
				.id = next + 1,
				.bulk_len = len,
				.bulk_flags = flags,
				.msg = *m};
	next++;
	return 0;
}

/* The library needs it only to refuse a connection when it has no room, which is not tested here. */
long wh_call(unsigned svc, struct wh_msg *m, void *bulk, size_t len, unsigned flags)
{
	(void)svc;
	(void)m;
	(void)bulk;
	(void)len;
	(void)flags;
	return -ENOSYS;
}

static struct request *find(uint64_t id)
{
	struct request *r = &requests[(id - 1) % REQUESTS];

	return id && r->open ? r : NULL;
}

long wh_reply(uint64_t id, const struct wh_msg *m)
{
	struct request *r = find(id);
	struct wh_event *ev = r ? push() : NULL;

	if (!ev)
		return -EINVAL;
	*ev = (struct wh_event){.kind = WH_EV_REPLY, .cookie = r->cookie, .msg = *m};
	r->open = false;
	open_requests--;
	return 0;
}

long wh_copyin(uint64_t id, size_t off, void *dst, size_t len)
{
	struct request *r = find(id);

	if (!r || !(r->flags & WH_BULK_IN) || off > r->len || len > r->len - off)
		return -EINVAL;
	memcpy(dst, r->bulk + off, len);
	return len;
}

long wh_copyout(uint64_t id, size_t off, const void *src, size_t len)
{
	struct request *r = find(id);

	if (!r || !(r->flags & WH_BULK_OUT) || off > r->len || len > r->len - off)
		return -EINVAL;
	memcpy(r->bulk + off, src, len);
	return len;
}
