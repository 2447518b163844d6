/* SPDX-License-Identifier: MIT */
/*
 * t_keeps DIR, restless: a child that is on other nodes keeps the flock of a file that is mapped as well, places a record lock
 * by an offset that its parent has moved, and has a timer that tells nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum { CALLS = 60, AT = 7 };

static int child(const char *dir, int shared, int tell, int hear)
{
	char c = 'x';
	struct sigevent quiet = {.sigev_notify = SIGEV_NONE};
	timer_t t;
	int own = open(dir, O_RDWR | O_CREAT, 0600);

	if (own < 0 || write(own, "mapped", 6) != 6 || flock(own, LOCK_EX) < 0 ||
	    mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, own, 0) == MAP_FAILED ||
	    timer_create(CLOCK_MONOTONIC, &quiet, &t) < 0)
		return 1;
	for (int i = 0; i < CALLS; i++)
		getppid();
	if (write(tell, &c, 1) != 1 || read(hear, &c, 1) != 1)
		return 2;
	struct flock record = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 0, .l_len = 1};

	if (fcntl(shared, F_SETLK, &record) < 0)
		return 3;
	for (int i = 0; i < CALLS; i++)
		getppid();
	if (write(tell, &c, 1) != 1 || read(hear, &c, 1) != 1)
		return 4;
	return timer_delete(t) ? 5 : 0;
}

int main(int argc, char **argv)
{
	char name[200], other[200], c = 'x';
	int to[2], from[2], status;

	if (argc != 2) {
		fprintf(stderr, "usage: t_keeps DIR\n");
		return 2;
	}
	snprintf(name, sizeof(name), "%s/shared", argv[1]);
	snprintf(other, sizeof(other), "%s/own", argv[1]);
	int shared = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (shared < 0 || pipe(to) < 0 || pipe(from) < 0)
		t_die("%s", name);
	pid_t pid = fork();

	if (pid == 0)
		_exit(child(other, shared, from[1], to[0]));
	close(from[1]);
	t_check(read(from[0], &c, 1) == 1, "the child is under way", "no word of it");
	int again = open(other, O_RDWR);

	errno = 0;
	t_check(flock(again, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK,
		"the lock of a mapped file", "%d", errno);
	lseek(shared, AT, SEEK_SET);
	t_check(write(to[1], &c, 1) == 1 && read(from[0], &c, 1) == 1, "it goes on", "no word");
	struct flock record = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};

	t_check(fcntl(shared, F_GETLK, &record) == 0 && record.l_type == F_WRLCK &&
			record.l_start == AT && record.l_pid == pid,
		"a record at the shared offset", "type %d at %ld of %d", record.l_type,
		(long)record.l_start, record.l_pid);
	errno = 0;
	t_check(flock(again, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "still locked", "%d",
		errno);
	t_check(write(to[1], &c, 1) == 1 && waitpid(pid, &status, 0) == pid && status == 0,
		"the child's end", "status %#x", status);
	t_check(flock(again, LOCK_EX | LOCK_NB) == 0, "free at its end", "%d", errno);
	return t_end();
}
