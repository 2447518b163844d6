/* SPDX-License-Identifier: MIT */
/* Record locks: conflicts, ranges cut and joined, release at any close, waiting, locks of open files; waiting in flock. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static int fd;
static char name[] = "/tmp/t_reclock.XXXXXX";

static int lock(int f, int cmd, int type, int whence, long start, long len)
{
	struct flock l = {
		.l_type = (short)type, .l_whence = (short)whence, .l_start = start, .l_len = len};

	return fcntl(f, cmd, &l);
}

static int set(int type, long start, long len)
{
	return lock(fd, F_SETLK, type, SEEK_SET, start, len);
}

/* What another process is told of a lock of `type` on [start, start + len): "free", or type, start, length and owner. */
struct told {
	int type;
	long start, len;
	pid_t pid;
};

static struct told ask_other(int type, long start, long len)
{
	struct told told;
	int answer[2];

	if (pipe(answer) < 0)
		t_die("pipe");
	if (fork() == 0) {
		struct flock l = {.l_type = (short)type, .l_start = start, .l_len = len};

		if (fcntl(fd, F_GETLK, &l) < 0)
			_exit(1);
		told = (struct told){l.l_type, l.l_start, l.l_len, l.l_pid};
		t_write_all(answer[1], &told, sizeof(told));
		_exit(0);
	}
	close(answer[1]);
	t_read_all(answer[0], &told, sizeof(told));
	close(answer[0]);
	wait(NULL);
	return told;
}

static bool is(struct told t, int type, long start, long len)
{
	errno = 0;
	return t.type == type && t.start == start && t.len == len && t.pid == getpid();
}

static bool free_for_others(long start, long len)
{
	errno = 0;
	return ask_other(F_WRLCK, start, len).type == F_UNLCK;
}

#define SAYS(name_, told_, ...)                                                                    \
	do {                                                                                       \
		struct told t_ = told_;                                                            \
		t_check(is(t_, __VA_ARGS__), name_, "type %d start %ld len %ld pid %d", t_.type,   \
			t_.start, t_.len, t_.pid);                                                 \
	} while (0)

static void ranges(void)
{
	set(F_WRLCK, 100, 100);
	SAYS("a conflict is told with its owner", ask_other(F_RDLCK, 150, 1), F_WRLCK, 100, 100);
	t_check(free_for_others(0, 100) && free_for_others(200, 0), "beside it is free",
		"it is not");
	set(F_UNLCK, 140, 20);
	SAYS("cut: the part before", ask_other(F_RDLCK, 0, 0), F_WRLCK, 100, 40);
	SAYS("cut: the part behind", ask_other(F_RDLCK, 150, 0), F_WRLCK, 160, 40);
	set(F_WRLCK, 140, 20);
	SAYS("joined", ask_other(F_RDLCK, 0, 0), F_WRLCK, 100, 100);
	set(F_RDLCK, 150, 10);
	t_check(ask_other(F_RDLCK, 150, 10).type == F_UNLCK, "a shared part is shared",
		"it is not");
	SAYS("a shared part is not for writers", ask_other(F_WRLCK, 150, 10), F_RDLCK, 150, 10);
	set(F_UNLCK, 0, 0);
	t_check(free_for_others(0, 0), "all free", "it is not");
	set(F_RDLCK, 50, 0);
	SAYS("to the end", ask_other(F_WRLCK, 1 << 30, 10), F_RDLCK, 50, 0);
	set(F_UNLCK, 0, 0);
	lseek(fd, 30, SEEK_SET);
	lock(fd, F_SETLK, F_WRLCK, SEEK_CUR, -10, 5);
	SAYS("SEEK_CUR", ask_other(F_RDLCK, 0, 0), F_WRLCK, 20, 5);
	set(F_UNLCK, 0, 0);
	lock(fd, F_SETLK, F_WRLCK, SEEK_END, 0, -10);
	SAYS("SEEK_END, backwards", ask_other(F_RDLCK, 0, 0), F_WRLCK, 990, 10);
	set(F_UNLCK, 0, 0);
	errno = 0;
	t_check(set(F_WRLCK, -1, 5) < 0 && errno == EINVAL, "before the beginning", "not EINVAL");
	t_check(set(7, 0, 5) < 0 && errno == EINVAL, "no such type", "not EINVAL");
}

static void closes(void)
{
	set(F_WRLCK, 0, 10);
	int other = open(name, O_RDONLY);

	errno = 0;
	t_check(lock(other, F_SETLK, F_WRLCK, SEEK_SET, 0, 1) < 0 && errno == EBADF,
		"write lock needs a writer", "not EBADF");
	SAYS("kept while both are open", ask_other(F_RDLCK, 0, 0), F_WRLCK, 0, 10);
	close(other);
	t_check(free_for_others(0, 0), "any close releases", "it did not");
	set(F_WRLCK, 0, 10);
	close(dup(fd));
	t_check(free_for_others(0, 0), "the close of a duplicate releases", "it did not");
	set(F_WRLCK, 0, 10);
	int status, twin = fork();

	if (twin == 0)
		_exit(set(F_WRLCK, 5, 1) < 0 && errno == EAGAIN ? 0 : 1);
	waitpid(twin, &status, 0);
	t_check(status == 0, "a child does not inherit", "status %#x", status);
	SAYS("a child's end takes nothing away", ask_other(F_RDLCK, 0, 0), F_WRLCK, 0, 10);
	set(F_UNLCK, 0, 0);
}

/* A child that has the lock, for ms. */
static pid_t holder(int ms, bool whole)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		t_die("pipe");
	pid_t pid = fork();

	if (pid == 0) {
		int mine = open(name, O_RDWR);

		if ((whole ? flock(mine, LOCK_EX) : lock(mine, F_SETLK, F_WRLCK, SEEK_SET, 0, 0)) <
		    0)
			_exit(1);
		t_write_all(ready[1], "x", 1);
		t_sleep_ms(ms);
		_exit(0);
	}
	t_read_all(ready[0], &c, 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void waits(void)
{
	pid_t pid = holder(150, false);
	int64_t from = t_mono_ns();

	errno = 0;
	t_check(set(F_WRLCK, 5, 1) < 0 && errno == EAGAIN, "not without waiting", "no EAGAIN");
	errno = 0;
	int r = lock(fd, F_SETLKW, F_WRLCK, SEEK_SET, 5, 1);
	int64_t took = t_mono_ns() - from;

	t_check(r == 0 && took >= 100000000, "F_SETLKW waits", "%d after %ld us", r,
		(long)took / 1000);
	t_check(took < 900000000, "and is woken", "after %ld us", (long)took / 1000);
	waitpid(pid, NULL, 0);
	set(F_UNLCK, 0, 0);

	pid = holder(150, true);
	from = t_mono_ns();
	r = flock(fd, LOCK_EX);
	took = t_mono_ns() - from;
	t_check(r == 0 && took >= 100000000, "flock waits", "%d after %ld us", r,
		(long)took / 1000);
	t_check(took < 900000000, "flock is woken", "after %ld us", (long)took / 1000);
	flock(fd, LOCK_UN);
	waitpid(pid, NULL, 0);

	struct sigaction sa = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &sa, NULL);
	pid = holder(2000, false);
	ualarm(50000, 0);
	errno = 0;
	t_check(lock(fd, F_SETLKW, F_WRLCK, SEEK_SET, 0, 1) < 0 && errno == EINTR,
		"a signal ends it", "no EINTR");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	t_check(set(F_WRLCK, 0, 0) == 0, "a killed owner's lock is free", "it is not");
	set(F_UNLCK, 0, 0);
}

static void of_files(void)
{
	int a = open(name, O_RDWR), b = open(name, O_RDWR);

	t_check(lock(a, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 10) == 0, "a lock of an open file",
		"none");
	errno = 0;
	t_check(lock(b, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 10) < 0 && errno == EAGAIN,
		"is in the way of another open file", "it is not");
	struct told t = ask_other(F_RDLCK, 0, 0);

	t_check(t.type == F_WRLCK && t.pid == -1, "and belongs to nobody", "type %d pid %d", t.type,
		t.pid);
	close(open(name, O_RDWR));
	t_check(ask_other(F_RDLCK, 0, 0).type == F_WRLCK, "survives another's close", "it did not");
	close(a);
	t_check(free_for_others(0, 0), "and ends with its file", "it did not");
	close(b);
}

int main(void)
{
	fd = mkstemp(name);
	if (fd < 0 || ftruncate(fd, 1000) < 0)
		t_die("%s", name);
	ranges();
	closes();
	waits();
	of_files();
	unlink(name);
	return t_end();
}
