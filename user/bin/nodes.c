/* SPDX-License-Identifier: MIT */
/* nodes: the nodes of the cluster as this node sees them. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "msg_load.h"

static const char help[] =
	"usage: nodes            state, incarnation, clock, load and free memory of every node\n"
	"       nodes dead K     declare the silent node K dead for good (superuser): what ran "
	"there\n"
	"                        is given up, and K is not listened to before it has been "
	"restarted\n"
	"clock-offset-s: the node's clock minus ours, in seconds; heard-ms: age of its last "
	"report\n";

int main(int argc, char **argv)
{
	if (argc == 1)
		return ask("nodes", WH_SVC_LOAD, LOAD_CTL_NODES, "");
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "dead") && strlen(argv[2]) < 8)
		return ask("nodes", WH_SVC_LOAD, LOAD_CTL_DEAD, argv[2]);
	fputs(help, stderr);
	return 2;
}
