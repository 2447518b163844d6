/* SPDX-License-Identifier: MIT */
/* migrate: move a process to another node, and see what has moved. */
#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "msg_migrate.h"

static const char help[] =
	"usage: migrate PID NODE      move the process; it stays there until it is moved again\n"
	"       migrate --cancel PID  give up a move that is under way\n"
	"       migrate --log         what has left this node, one line each, separated by tabs\n"
	"       migrate --stats       what restless processes did on this node: moves, and why they stayed\n"
	"       migrate --status      what is leaving and arriving now\n"
	"Exit status: 0 moved; 1 it stays where it is, and why is said; 2 wrong arguments.\n";

static int two_numbers(const char *pid, const char *node)
{
	char request[64];
	if (strspn(pid, "0123456789") != strlen(pid) ||
	    strspn(node, "0123456789") != strlen(node) ||
	    snprintf(request, sizeof(request), "%s %s", pid, node) >= (int)sizeof(request)) {
		fputs(help, stderr);
		return 2;
	}
	return ask("migrate", WH_SVC_MIGRATE, MIGRATE_CTL_MOVE, request);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "--log"))
		return ask("migrate", WH_SVC_MIGRATE, MIGRATE_CTL_LOG, "");
	if (argc == 2 && !strcmp(argv[1], "--status"))
		return ask("migrate", WH_SVC_MIGRATE, MIGRATE_CTL_STATUS, "");
	if (argc == 2 && !strcmp(argv[1], "--stats"))
		return ask("migrate", WH_SVC_MIGRATE, MIGRATE_CTL_STATS, "");
	if (argc == 3 && !strcmp(argv[1], "--cancel") && strlen(argv[2]) < 32)
		return ask("migrate", WH_SVC_MIGRATE, MIGRATE_CTL_CANCEL, argv[2]);
	if (argc == 3)
		return two_numbers(argv[1], argv[2]);
	fputs(help, stderr);
	return 2;
}
