/* SPDX-License-Identifier: MIT */
/* One session with a node's agent. */
#ifndef TOOLS_WHCTL_H
#define TOOLS_WHCTL_H

#include <fcntl.h>

enum { WHCTL_FAILED = 255 }; /* exit status when the command could not be run at all */

struct request {
	const char *dir; /* of the port sockets */
	unsigned node;
	double wait_s; /* for a free port and for the agent's greeting */
	unsigned uid;
	const char *cwd;
	const char **argv, **env; /* both end with NULL */
	int in, out, err;	  /* the command's standard streams here; in = -1: empty */
};

/* Run the request; returns the exit status for our own process. Says on stderr what went wrong, and
 * what to do. */
int session(struct request *r);

#endif
