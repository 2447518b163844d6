/* SPDX-License-Identifier: MIT */
/* restless: run a program that keeps migrating, so that it is a test of migration (docs/restless.md). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wh.h"

#define DEFAULT_CALLS 300

static const char help[] =
	"usage: restless [-k CALLS | -t MS] COMMAND [ARGUMENT]...\n"
	"       restless [-k CALLS | -t MS | -o] -p PID\n"
	"Runs COMMAND so that it, and every process it starts, migrates to the next live node after every\n"
	"CALLS system calls (1 too), or every MS milliseconds; without either after every 300 calls.\n"
	"-p marks a running process of yours; -o makes it an ordinary one again.\n"
	"What must stay for a while goes on where it is: `migrate --stats` counts moves and reasons to stay.\n"
	"Exit status: COMMAND's; 1 it cannot be marked; 2 wrong arguments; 126, 127 COMMAND cannot run.\n";

static int usage(void)
{
	fputs(help, stderr);
	return 2;
}

/* A positive number; 0: it is none. */
static uint32_t number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	return text[strspn(text, "0123456789")] || !*text || v > 1000000000 ? 0 : (uint32_t)v;
}

static int mark(int pid, const struct wh_restless *r)
{
	long err = wh_restless(pid, r);
	if (err == 0)
		return 0;
	if (err == -EPERM)
		fprintf(stderr,
			"restless: process %d is another user's: become its owner or root\n", pid);
	else if (err == -ESRCH)
		fprintf(stderr,
			"restless: no process %d on this node, or a server: see ps; if it is away, "
			"ask on its node\n",
			pid);
	else
		fprintf(stderr, "restless: %s\n", strerror((int)-err));
	return 1;
}

int main(int argc, char **argv)
{
	struct wh_restless r = {.calls = DEFAULT_CALLS};
	int c;
	uint32_t pid = 0;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	while ((c = getopt(argc, argv, "+k:t:p:o")) != -1) {
		switch (c) {
		case 'k':
			r = (struct wh_restless){.calls = number(optarg)};
			if (!r.calls)
				return usage();
			break;
		case 't':
			r = (struct wh_restless){.ms = number(optarg)};
			if (!r.ms)
				return usage();
			break;
		case 'o':
			r = (struct wh_restless){0};
			break;
		case 'p':
			pid = number(optarg);
			if (!pid)
				return usage();
			break;
		default:
			return usage();
		}
	}
	if (pid)
		return optind == argc ? mark((int)pid, &r) : usage();
	if (optind == argc || (!r.calls && !r.ms))
		return usage();
	if (mark(0, &r))
		return 1;
	execvp(argv[optind], argv + optind);
	fprintf(stderr, "restless: cannot run %s: %s\n", argv[optind], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
