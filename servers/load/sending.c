/* SPDX-License-Identifier: MIT */
#include "sending.h"

#include <errno.h>

#include "net.h"
#include "serve.h"

#define SEND_PAUSE (5 * SERVE_MS)

static struct load_report report, asking; /* the same, but for the request to answer */
static uint64_t to_send, to_ask, seq;
static struct serve_timer timer;

/* False: the network takes no more datagrams at once. Another error is not looked into: a report that is lost
 * is followed by another one. */
static bool send_to_each(uint64_t *nodes, const struct load_report *r)
{
	for (; *nodes; *nodes &= *nodes - 1) {
		uint32_t node = (uint32_t)__builtin_ctzll(*nodes) + 1;

		if (net_udp_send(WH_PORT_LOAD, node, WH_PORT_LOAD, r, sizeof(*r)) == -EAGAIN)
			return false;
	}
	return true;
}

static void go_on(void *arg)
{
	(void)arg;
	if (!send_to_each(&to_ask, &asking) || !send_to_each(&to_send, &report))
		serve_timer(&timer, wh_now() + SEND_PAUSE, go_on, NULL);
}

void send_report(struct load_report *r, uint64_t to, uint64_t ask)
{
	r->seq = ++seq;
	r->asks = 1;
	report_seal(r);
	asking = *r;
	r->asks = 0;
	report_seal(r);
	report = *r;
	to_send = (to_send | to) & ~ask;
	to_ask = (to_ask & ~to) | ask;
	go_on(NULL);
}
