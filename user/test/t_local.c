/* SPDX-License-Identifier: MIT */
/*
 * t_local DIR: a process that for a while holds what cannot be kept on another node, a pipe. DIR/pipe asks it to open
 * one (it answers DIR/piped), DIR/unpipe to close it (DIR/unpiped), DIR/end to end.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "t.h"

int main(int argc, char **argv)
{
	int fd[2];
	char c = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: t_local DIR\n");
		return 2;
	}
	t_make_sign(argv[1], "free");
	t_wait_sign(argv[1], "pipe");
	if (pipe(fd) < 0)
		t_die("pipe");
	t_write_all(fd[1], "l", 1);
	t_make_sign(argv[1], "piped");
	t_wait_sign(argv[1], "unpipe");
	t_read_all(fd[0], &c, 1);
	close(fd[0]);
	close(fd[1]);
	errno = 0;
	t_check(c == 'l', "the pipe keeps what is in it", "it gave %d", c);
	t_make_sign(argv[1], "unpiped");
	t_wait_sign(argv[1], "end");
	return t_end();
}
