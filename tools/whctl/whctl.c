/* SPDX-License-Identifier: MIT */
/*
 * whctl: run a command on a node, or copy a file to or from it, through the node's agent.
 *   whctl DIR NODE [-t SECONDS] [-u UID] [-d CWD] [-e NAME=VALUE]... exec CMD [ARG]...
 *   whctl DIR NODE [-t SECONDS] put FILE PATH | get PATH FILE
 * DIR holds the sockets of the node's ports, aNODE-PORT.sock. -t: how long to wait for the agent
 * (default 10). Exit status: the command's; 128 + signal if a signal ended it; 255 if there was no
 * way to run it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "whctl.h"

static void usage(void)
{
	fprintf(stderr, "usage: whctl DIR NODE [-t SECONDS] [-u UID] [-d CWD] [-e NAME=VALUE]... "
			"exec CMD [ARG]...\n"
			"       whctl DIR NODE [-t SECONDS] put FILE PATH | get PATH FILE\n");
	exit(WHCTL_FAILED);
}

/* The file's mode travels as an argument; a directory on the node takes the file under its own
 * name. */
static int put(struct request *r, const char *file, const char *path)
{
	static char script[] =
		"[ -d \"$1\" ] && set -- \"$1/$3\" \"$2\"; cat >\"$1\" && chmod \"$2\" \"$1\"";
	const char *slash = strrchr(file, '/');
	struct stat st;
	char mode[16];
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "whctl: %s: %s\n", file, strerror(errno));
		return WHCTL_FAILED;
	}
	snprintf(mode, sizeof(mode), "%o", st.st_mode & 0777);
	const char *argv[] = {"sh", "-c", script, "put", path, mode, slash ? slash + 1 : file,
			      NULL};

	r->argv = argv;
	r->in = fd;
	return session(r);
}

static int get(struct request *r, const char *path, const char *file)
{
	const char *slash = strrchr(path, '/');
	char inside[4096];
	struct stat st;

	if (stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(inside, sizeof(inside), "%s/%s", file, slash ? slash + 1 : path);
		file = inside;
	}
	/* A device or a pipe can be the target, so no temporary name; a failed copy of a file is
	 * removed. */
	bool existed = stat(file, &st) == 0;
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0) {
		fprintf(stderr, "whctl: %s: %s\n", file, strerror(errno));
		return WHCTL_FAILED;
	}
	const char *argv[] = {"cat", path, NULL};

	r->argv = argv;
	r->in = -1;
	r->out = fd;
	int status = session(r);

	if (status != 0 && !existed)
		unlink(file);
	return status;
}

int main(int argc, char **argv)
{
	struct request r = {.wait_s = 10,
			    .cwd = "/root",
			    .in = STDIN_FILENO,
			    .out = STDOUT_FILENO,
			    .err = STDERR_FILENO};
	const char *env[64] = {"PATH=/bin:/sbin:/usr/bin", "HOME=/root", "USER=root",
			       "SHELL=/bin/sh", "TERM=dumb"};
	unsigned nenv = 5;

	if (argc < 4)
		usage();
	r.dir = argv[1];
	r.node = (unsigned)atoi(argv[2]);
	optind = 3;
	for (int c; (c = getopt(argc, argv, "+t:u:d:e:")) != -1;) {
		if (c == 't')
			r.wait_s = atof(optarg);
		else if (c == 'u')
			r.uid = (unsigned)atoi(optarg);
		else if (c == 'd')
			r.cwd = optarg;
		else if (c == 'e' && nenv < 63 && strchr(optarg, '='))
			env[nenv++] = optarg;
		else
			usage();
	}
	char **rest = argv + optind;
	int n = argc - optind;

	r.env = env;
	if (n >= 2 && strcmp(rest[0], "exec") == 0) {
		r.argv = (const char **)rest + 1;
		return session(&r);
	}
	if (n == 3 && strcmp(rest[0], "put") == 0)
		return put(&r, rest[1], rest[2]);
	if (n == 3 && strcmp(rest[0], "get") == 0)
		return get(&r, rest[1], rest[2]);
	usage();
}
