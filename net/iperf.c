/* SPDX-License-Identifier: MIT */
/* lwIP's lwiperf as a part of the net server. See iperf.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/apps/lwiperf.h"

#include "iperf.h"

static void *session;
static unsigned port;
static char last[160] = "nothing measured yet";

static void report(void *arg, enum lwiperf_report_type type, const ip_addr_t *local_addr,
		   u16_t local_port, const ip_addr_t *remote_addr, u16_t remote_port, u32_t bytes,
		   u32_t ms, u32_t kbit)
{
	char from[IPADDR_STRLEN_MAX];

	(void)arg;
	(void)local_addr;
	(void)local_port;
	ipaddr_ntoa_r(remote_addr, from, sizeof(from));
	snprintf(last, sizeof(last), "from %s port %u: %lu bytes in %lu ms, %lu kbit/s, %s", from,
		 remote_port, (unsigned long)bytes, (unsigned long)ms, (unsigned long)kbit,
		 type == LWIPERF_TCP_DONE_SERVER || type == LWIPERF_TCP_DONE_CLIENT ? "done"
										    : "aborted");
	serve_log("iperf: %s", last);
}

static void stop(void)
{
	if (session)
		lwiperf_abort(session);
	session = NULL;
}

static int start(const char *number)
{
	char *end;
	unsigned long n = strtoul(number, &end, 10);

	if (*end || n == 0 || n > UINT16_MAX)
		return -EINVAL;
	stop();
	session = lwiperf_start_tcp_server(IP_ADDR_ANY, n, report, NULL);
	port = n;
	return session ? 0 : -EADDRINUSE;
}

void iperf_ctl(const struct serve_ctl *c, const char *text)
{
	int err = 0;

	if (*text && c->uid != 0)
		err = -EPERM;
	else if (strncmp(text, "start ", 6) == 0)
		err = start(text + 6);
	else if (strcmp(text, "stop") == 0)
		stop();
	else if (*text)
		err = -EINVAL;
	if (err)
		serve_ctl_printf(c, err, "iperfd: %s: %s\n", text, strerror(-err));
	else if (session)
		serve_ctl_printf(c, 0, "iperf 2 is served at port %u; %s\n", port, last);
	else
		serve_ctl_printf(c, 0, "iperf is not served; %s\n", last);
}
