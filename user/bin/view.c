/* SPDX-License-Identifier: MIT */
/* view: the U-block of a process: its call, names, objects, markers, duplicates, and the verdict
 * per node. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wh.h"

int main(int argc, char **argv)
{
	static char text[65536];
	char *end;
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		puts("usage: view PID   what the process has seen of its environment, and where it "
		     "may move");
		return 0;
	}
	long pid = argc == 2 ? strtol(argv[1], &end, 10) : 0;
	if (pid <= 0 || *end) {
		fputs("usage: view PID\n", stderr);
		return 2;
	}
	long len = wh_view((int)pid, text, sizeof(text));
	if (len < 0) {
		fprintf(stderr, "view: %ld: %s%s\n", pid, strerror((int)-len),
			len == -EACCES ? ": only its owner and root may look" : "");
		return 1;
	}
	fwrite(text, 1, (size_t)len, stdout);
	return 0;
}
