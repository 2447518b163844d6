/* SPDX-License-Identifier: MIT */
/* Shared memory: anonymous between relatives, and of files, together with read and write. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { PAGE = 4096, PAGES = 40, SIZE = PAGES * PAGE };

static int fd;
static char name[] = "/tmp/t_shared.XXXXXX";
static char buf[SIZE];

static char *map_file(long off, size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);

	if (p == MAP_FAILED)
		t_die("mmap of %s", name);
	return p;
}

static void wait_ok(pid_t pid, const char *what)
{
	int status = -1;

	waitpid(pid, &status, 0);
	t_check(status == 0, what, "status %#x", status);
}

/* A tree of processes, each adding to its own place, and all to one that is guarded by turns. */
static void anonymous(void)
{
	volatile int *m =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		t_die("mmap");
	m[0] = 1;
	for (int k = 1; k <= 4; k++) {
		pid_t pid = fork();

		if (pid == 0) {
			m[k * 1024] = k; /* a page that the parent has not touched */
			if (fork() == 0) {
				m[k * 1024 + 1] = m[k * 1024] * 10;
				m[0]++;
				_exit(0);
			}
			wait(NULL);
			_exit(m[k * 1024 + 1] != k * 10);
		}
		wait_ok(pid, "a grandchild's write is seen by its parent");
		t_check(m[k * 1024] == k && m[k * 1024 + 1] == 10 * k && m[0] == 1 + k,
			"and by the root", "%d %d %d", m[k * 1024], m[k * 1024 + 1], m[0]);
	}
	munmap((void *)(m + 1024), PAGE);
	t_check(m[0] == 5 && m[2 * 1024] == 2, "a hole leaves the rest", "it does not");
	t_check(mprotect((void *)m, PAGE, PROT_READ) == 0 && m[0] == 5 &&
			mprotect((void *)m, PAGE, PROT_READ | PROT_WRITE) == 0,
		"protected and back", "it is not");
	m[0] = 6;
	if (fork() == 0) {
		m[0] = 7;
		_exit(0);
	}
	wait(NULL);
	t_check(m[0] == 7, "still shared", "%d", m[0]);
	munmap((void *)m, SIZE);
}

static bool file_is(long at, const char *text)
{
	char got[64] = {0};
	int other = open(name, O_RDONLY);

	pread(other, got, strlen(text), at);
	close(other);
	errno = 0;
	return memcmp(got, text, strlen(text)) == 0;
}

static void with_read_and_write(void)
{
	char *p = map_file(0, SIZE);

	strcpy(p + 5000, "by the map");
	t_check(file_is(5000, "by the map"), "read sees what was written through the map", "not");
	pwrite(fd, "by write", 8, 5003);
	t_check(memcmp(p + 5000, "by by write", 11) == 0, "the map sees write", "%.12s", p + 5000);
	char *q = map_file(PAGE, PAGE);

	q[904] = 'B';
	t_check(p[5000] == 'B', "two maps of it are one", "%c", p[5000]);
	munmap(q, PAGE);
	if (fork() == 0) {
		p[PAGE * 7] = 'c';
		_exit(0);
	}
	wait(NULL);
	t_check(p[PAGE * 7] == 'c', "a child's write", "%c", p[PAGE * 7]);
	t_check(msync(p, SIZE, MS_SYNC) == 0, "msync", "failed");
	memset(p, 'z', SIZE);
	t_check(munmap(p, SIZE) == 0, "munmap", "failed");
	pread(fd, buf, SIZE, 0);
	long bad = 0;

	for (int i = 0; i < SIZE; i++)
		bad += buf[i] != 'z';
	t_check(bad == 0, "all of it is in the file afterwards", "%ld bytes are not", bad);
}

static sigjmp_buf back;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

static bool gives_sigbus(volatile char *p)
{
	bool bus = true;

	if (sigsetjmp(back, 1) == 0) {
		(void)*p;
		bus = false;
	}
	errno = 0;
	return bus;
}

static void sizes(void)
{
	struct sigaction sa = {.sa_handler = on_bus};

	sigaction(SIGBUS, &sa, NULL);
	ftruncate(fd, PAGE + 100);
	char *p = map_file(0, 4 * PAGE);

	t_check(gives_sigbus(p + 2 * PAGE), "behind the end: SIGBUS", "it was there");
	t_check(p[PAGE + 200] == 0, "zeros to the end of the page", "%d", p[PAGE + 200]);
	p[PAGE + 200] = 'x';
	p[PAGE + 50] = 'y';
	msync(p, 4 * PAGE, MS_SYNC);
	ftruncate(fd, 3 * PAGE);
	pread(fd, buf, 3 * PAGE, 0);
	t_check(buf[PAGE + 50] == 'y', "up to the end it is the file", "%d", buf[PAGE + 50]);
	t_check(!gives_sigbus(p + 2 * PAGE), "the file has grown", "it has not");
	p[2 * PAGE + 1] = 'q';
	t_check(pread(fd, buf, 1, 2 * PAGE + 1) == 1 && buf[0] == 'q', "what grew is shared", "%c",
		buf[0]);
	ftruncate(fd, 10);
	ftruncate(fd, 3 * PAGE);
	t_check(p[PAGE + 50] == 0 && p[2 * PAGE + 1] == 0, "cut off and grown again: zeros",
		"%d %d", p[PAGE + 50], p[2 * PAGE + 1]);
	munmap(p, 4 * PAGE);
}

static void ends(void)
{
	ftruncate(fd, SIZE);
	pid_t pid = fork();

	if (pid == 0) {
		strcpy(map_file(0, SIZE) + 3 * PAGE + 1, "killed");
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	t_check(file_is(3 * PAGE + 1, "killed"), "written by one that was killed",
		"it is not there");
	pid = fork();
	if (pid == 0) {
		char *p = map_file(0, SIZE);

		strcpy(p + 4 * PAGE + 1, "execed");
		close(fd);
		execl("/proc/self/exe", "t_shared", "nothing", NULL);
		_exit(9);
	}
	wait_ok(pid, "exec with a map");
	t_check(file_is(4 * PAGE + 1, "execed"), "written by one that execed", "it is not there");
	char *p = map_file(0, SIZE);

	for (int i = 0; i < PAGES; i++)
		p[i * PAGE + 9] = 'A' + i;
	t_check(fsync(fd) == 0, "fsync", "failed");
	char *q = mmap(p, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	t_check(q == p && p[9] == 0, "mapped over", "%d", p[9]);
	pread(fd, buf, SIZE, 0);
	t_check(buf[9] == 'A' && buf[39 * PAGE + 9] == 'A' + 39, "and not lost", "%d %d", buf[9],
		buf[39 * PAGE + 9]);
	munmap(p, SIZE);
}

static void rights(void)
{
	int ro = open(name, O_RDONLY), wo = open(name, O_WRONLY);

	errno = 0;
	t_check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED &&
			errno == EACCES,
		"not writable through a reader", "no EACCES");
	t_check(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0) == MAP_FAILED && errno == EACCES,
		"not readable through a writer", "no EACCES");
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);

	t_check(p != MAP_FAILED && p[9] == 'A', "readable through a reader", "not");
	pwrite(fd, "b", 1, 9);
	t_check(p[9] == 'b', "which sees write", "%c", p[9]);
	munmap(p, PAGE);
	close(ro);
	close(wo);
}

/* A file that others have cached, and that is part of the base image all nodes share: changed, and changed back. */
static void existing(const char *path)
{
	char was, now = 0;

	fd = open(path, O_RDWR);
	if (fd < 0 || pread(fd, &was, 1, 0) != 1)
		t_die("%s", path);
	char *p = map_file(0, PAGE);

	t_check(p[0] == was, "what is there", "%d, not %d", p[0], was);
	p[0] = (char)~was;
	pread(fd, &now, 1, 0);
	t_check(now == (char)~was, "read sees the change", "%d", now);
	p[0] = was;
	munmap(p, PAGE);
	pread(fd, &now, 1, 0);
	t_check(now == was, "and back", "%d", now);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		if (!strcmp(argv[1], "nothing"))
			return 0;
		existing(argv[1]);
		return t_end();
	}
	anonymous();
	fd = mkstemp(name);
	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		t_die("%s", name);
	with_read_and_write();
	sizes();
	ends();
	rights();
	unlink(name);
	return t_end();
}
