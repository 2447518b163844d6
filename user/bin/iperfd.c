/* SPDX-License-Identifier: MIT */
/* iperfd: let this node's net server serve an iperf 2 by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "msg_net.h"

int main(int argc, char **argv)
{
	char request[32];

	if (argc == 1)
		return ask("iperfd", WH_SVC_NET, NET_CTL_IPERF, "");
	if (argc == 2 && strcmp(argv[1], "stop") == 0)
		return ask("iperfd", WH_SVC_NET, NET_CTL_IPERF, "stop");
	if (argc == 3 && strcmp(argv[1], "start") == 0) {
		snprintf(request, sizeof(request), "start %d", atoi(argv[2]));
		return ask("iperfd", WH_SVC_NET, NET_CTL_IPERF, request);
	}
	printf("usage: iperfd               is it served, and what was measured last\n"
	       "       iperfd start PORT    serve iperf 2 (lwIP's own lwiperf; root only)\n"
	       "       iperfd stop\n");
	return argc != 2 || strcmp(argv[1], "--help") != 0;
}
