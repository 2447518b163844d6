/* SPDX-License-Identifier: MIT */
/*
 * t_local DIR: a process that for a while holds what cannot be kept on another node, a snapshot in /proc, and for longer a
 * pipe, which stays where it is and is used from afar. DIR/open asks it to open both (it answers DIR/opened), DIR/close to close
 * the snapshot (DIR/closed), DIR/end to use the pipe and to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

/* Both ends are on another node than this process. */
static void use_pipe(const int *fd, const struct stat *before)
{
	struct pollfd p[2] = {{.fd = fd[0], .events = POLLIN}, {.fd = fd[1], .events = POLLOUT}};
	struct stat s = {0};
	char c = 0;
	int there = 0;

	bool same = fstat(fd[0], &s) == 0;
	t_check(same && s.st_ino == before->st_ino && S_ISFIFO(s.st_mode), "it is the same pipe",
		"inode %lu, was %lu", (unsigned long)s.st_ino, (unsigned long)before->st_ino);
	t_check(poll(p, 2, 0) == 2, "both ends are ready", "%x %x", p[0].revents, p[1].revents);
	t_check(ioctl(fd[0], FIONREAD, &there) == 0 && there == 1, "one byte is in it", "%d",
		there);
	t_read_all(fd[0], &c, 1);
	t_check(c == 'l', "the pipe keeps what is in it", "it gave %d", c);
	t_check(poll(p, 1, 20) == 0, "it is empty now", "%x", p[0].revents);
	t_check(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(fd[0], F_GETFL) == O_NONBLOCK &&
			read(fd[0], &c, 1) == -1 && errno == EAGAIN,
		"it can be made not to wait", "%s", strerror(errno));
	t_check(lseek(fd[0], 0, SEEK_CUR) == -1 && errno == ESPIPE, "it has no offset", "%s",
		strerror(errno));
	close(fd[1]);
	t_check(read(fd[0], &c, 1) == 0, "and ends when its writer has", "%s", strerror(errno));
}

int main(int argc, char **argv)
{
	int fd[2];
	struct stat s = {0};
	char line[64];

	if (argc != 2) {
		fprintf(stderr, "usage: t_local DIR\n");
		return 2;
	}
	t_make_sign(argv[1], "free");
	t_wait_sign(argv[1], "open");
	if (pipe(fd) < 0 || fstat(fd[0], &s) < 0)
		t_die("pipe");
	int snapshot = open("/proc/meminfo", O_RDONLY);

	if (snapshot < 0)
		t_die("/proc/meminfo");
	t_write_all(fd[1], "l", 1);
	t_read_all(snapshot, line, 5);
	t_make_sign(argv[1], "opened");
	t_wait_sign(argv[1], "close");
	close(snapshot);
	t_make_sign(argv[1], "closed");
	t_wait_sign(argv[1], "end");
	use_pipe(fd, &s);
	return t_end();
}
