/* SPDX-License-Identifier: MIT */
/* nodes: the nodes of the cluster as this node sees them. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "msg_load.h"

static const char help[] =
	"usage: nodes            every node: state, incarnation, clock, load, free memory\n"
	"       nodes dead K     declare the silent node K dead for good (superuser):\n"
	"                        what ran there is lost; K is heard again when restarted\n"
	"heard-ms: age of its last report; clock-offset-s: its clock minus ours\n";

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
