/* SPDX-License-Identifier: MIT */
/* load: what the load server of this node measures, has decided, and how it is set. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "msg_load.h"

static const char help[] =
	"usage: load                  loads and thresholds, settings, latest moves\n"
	"       load on|off           let this node take part in load balancing, or not\n"
	"       load set NAME VALUE   set a parameter of this node (superuser)\n";

int main(int argc, char **argv)
{
	char request[64];

	if (argc == 1)
		return ask("load", WH_SVC_LOAD, LOAD_CTL_TABLE, "");
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "on"))
		return ask("load", WH_SVC_LOAD, LOAD_CTL_SET, "balance 1");
	if (argc == 2 && !strcmp(argv[1], "off"))
		return ask("load", WH_SVC_LOAD, LOAD_CTL_SET, "balance 0");
	if (argc == 4 && !strcmp(argv[1], "set") &&
	    snprintf(request, sizeof(request), "%s %s", argv[2], argv[3]) < (int)sizeof(request))
		return ask("load", WH_SVC_LOAD, LOAD_CTL_SET, request);
	fputs(help, stderr);
	return 2;
}
