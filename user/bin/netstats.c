/* SPDX-License-Identifier: MIT */
/* netstats: the counters of this node's net server, one a line. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "msg_net.h"

int main(int argc, char **argv)
{
	if (argc == 1)
		return ask("netstats", WH_SVC_NET, NET_CTL_STATS, "");
	printf("usage: netstats   prints what card, protocols and clients of the network have counted\n");
	return strcmp(argv[1], "--help") != 0;
}
