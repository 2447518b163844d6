/* SPDX-License-Identifier: MIT */
/* trace: print the kernel's trace ring, oldest event first. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "wh.h"

#define MAX (512 * 1024)

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("usage: trace\n"
		       "Prints the node's last kernel events: seconds, pid, event (kernel/trace.def).\n");
		return strcmp(argv[1], "--help") != 0;
	}
	static char buf[MAX];
	long n = wh_trace(buf, sizeof buf);
	if (n < 0) {
		fprintf(stderr, "trace: %s%s\n", strerror((int)-n),
			n == -EPERM ? ": it shows what everybody does; ask root" : "");
		return 1;
	}
	fwrite(buf, 1, (size_t)n, stdout);
	return 0;
}
