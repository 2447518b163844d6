/* SPDX-License-Identifier: MIT */
/* A command that asks a service in text and prints the answer. */
#ifndef BIN_ASK_H
#define BIN_ASK_H

#include <stdio.h>
#include <string.h>

#include "wh.h"

enum { ASK_MAX = 16384 }; /* bytes of request and of answer */

/*
 * Print the service's answer: to standard output, or to standard error if it is a refusal. Returns
 * the exit status of the command: 0, or 1 for a refusal. `request` is shorter than ASK_MAX.
 */
static inline int ask(const char *command, unsigned svc, unsigned op, const char *request)
{
	static char buf[ASK_MAX];
	uint32_t len = 0;
	size_t in = strlen(request);
	long status;

	memcpy(buf, request, in);
	status = wh_ctl(svc, op, buf, in, sizeof(buf), &len);
	if (len)
		fwrite(buf, 1, len, status < 0 ? stderr : stdout);
	else if (status < 0)
		fprintf(stderr, "%s: %s\n", command, strerror((int)-status));
	return status < 0;
}

#endif
