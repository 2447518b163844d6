/* SPDX-License-Identifier: MIT */
/*
 * t_lock FILE DIR   try to lock FILE, by flock and a record in it, every few ms until DIR/unlock-tries-end exists; status 1 if
 *                   it ever succeeds
 * t_lock FILE       try once; status 0 if it succeeds
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "t.h"

enum { BETWEEN_MS = 5 };

/* By either means. */
static int lock(int fd)
{
	struct flock record = {.l_type = F_WRLCK, .l_start = 105, .l_len = 1};

	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? fcntl(fd, F_SETLK, &record) : -1;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: t_lock FILE [DIR]\n");
		return 2;
	}
	int fd = open(argv[1], O_RDWR), r = 0;
	long tries = 0;

	if (fd < 0)
		t_die("%s", argv[1]);
	if (argc == 2) {
		r = lock(fd);
		t_check(r == 0, "the lock can be had", "it cannot");
		return t_end();
	}
	for (bool end = false; !end; tries++) {
		end = t_sign_exists(argv[2], "unlock-tries-end");
		errno = 0;
		r = lock(fd);
		if (r == 0 || errno != EAGAIN)
			break;
		t_sleep_ms(BETWEEN_MS);
	}
	t_check(r == -1 && errno == EAGAIN, "nobody else gets the lock", "try %ld gave %d", tries,
		r);
	printf("tries %ld\n", tries);
	return t_end();
}
