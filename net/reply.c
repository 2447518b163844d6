/* SPDX-License-Identifier: MIT */
/* Held answers, in the order of their requests. See reply.h. */
#include "reply.h"
#include "serve.h"
#include "wh.h"

enum {
	MAX_HELD = 64,
	LONG = 16 * 1024, /* bytes: whoever sends this much at a time waits for room to send more */
	HOLD_NS = 2 * SERVE_MS,
};

struct held {
	unsigned svc;
	uint64_t request;
	int status;
};

static struct held held[MAX_HELD];
static unsigned held_count;
static struct serve_timer timer;

void reply_held(unsigned svc)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < held_count; i++) {
		if (held[i].svc == svc)
			serve_status(held[i].request, held[i].status);
		else
			held[kept++] = held[i];
	}
	held_count = kept;
	if (held_count == 0)
		serve_timer_stop(&timer);
}

static void reply_all(void *arg)
{
	(void)arg;
	while (held_count > 0)
		reply_held(held[0].svc);
}

void reply_sent(unsigned svc, uint64_t request, int status)
{
	if (held_count == MAX_HELD)
		reply_all(NULL);
	held[held_count++] = (struct held){.svc = svc, .request = request, .status = status};
	if (status < 0 || status >= LONG)
		reply_held(svc); /* all of them, to keep the order */
	else if (!serve_timer_armed(&timer))
		serve_timer(&timer, serve_now() + HOLD_NS, reply_all, NULL);
}
