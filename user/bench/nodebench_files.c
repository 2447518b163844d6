/* SPDX-License-Identifier: MIT */
/* Rows of nodebench: files, cached and not, and names. What is read is checked, at one word per chunk. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nodebench.h"

enum { TREE_DIRS = 40, TREE_FILES = 50 };

#define BIG  "big"  /* NB_FILE_BYTES long; each chunk begins with its number */
#define TREE "tree" /* TREE_DIRS directories of TREE_FILES files */

static char chunk[NB_CHUNK];

static int open_or_fail(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd < 0)
		nb_fail(path);
	return fd;
}

static void write_big(int fd)
{
	for (uint64_t at = 0; at < NB_FILE_BYTES; at += sizeof(chunk)) {
		memcpy(chunk, &at, sizeof(at));
		if (write(fd, chunk, sizeof(chunk)) != sizeof(chunk))
			nb_fail("write of a chunk");
	}
}

static void read_big(int fd)
{
	uint64_t mark;

	for (uint64_t at = 0; at < NB_FILE_BYTES; at += sizeof(chunk)) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		memcpy(&mark, chunk, sizeof(mark));
		if (n != sizeof(chunk) || mark != at) {
			errno = n < 0 ? errno : EIO;
			nb_fail("what was read is not what was written");
		}
	}
}

static void write_synced(const char *path)
{
	int fd = open_or_fail(path, O_WRONLY | O_CREAT | O_TRUNC);

	write_big(fd);
	if (fsync(fd) < 0)
		nb_fail("fsync");
	close(fd);
}

static bool there(const char *path, off_t bytes)
{
	struct stat st;

	return stat(path, &st) == 0 && (S_ISDIR(st.st_mode) || st.st_size == bytes);
}

static void need_big(void)
{
	if (!there(nb_path(BIG), NB_FILE_BYTES))
		write_synced(nb_path(BIG));
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		nb_fail(path);
}

static void need_tree(void)
{
	char name[32];

	snprintf(name, sizeof(name), TREE "/d%d/f%d", TREE_DIRS - 1, TREE_FILES - 1);
	if (there(nb_path(name), 0))
		return;
	make_dir(nb_path(TREE));
	for (int d = 0; d < TREE_DIRS; d++) {
		snprintf(name, sizeof(name), TREE "/d%d", d);
		make_dir(nb_path(name));
		for (int f = 0; f < TREE_FILES; f++) {
			snprintf(name, sizeof(name), TREE "/d%d/f%d", d, f);
			close(open_or_fail(nb_path(name), O_WRONLY | O_CREAT));
		}
	}
}

void nb_prepare(void)
{
	need_big();
	need_tree();
	sync();
}

uint64_t row_read4k_cached(long n)
{
	need_big();
	int fd = open_or_fail(nb_path(BIG), O_RDONLY);

	if (pread(fd, chunk, sizeof(chunk), 0) != sizeof(chunk))
		nb_fail("pread");
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		if (pread(fd, chunk, NB_PAGE, i * NB_PAGE % NB_CHUNK) != NB_PAGE)
			nb_fail("pread");
	uint64_t took = nb_now() - start;

	close(fd);
	return took;
}

/* From the first byte to the last, n times; opening is not counted. */
static uint64_t read_whole(long n)
{
	uint64_t took = 0;

	need_big();
	for (long i = 0; i < n; i++) {
		int fd = open_or_fail(nb_path(BIG), O_RDONLY);
		uint64_t start = nb_now();

		read_big(fd);
		took += nb_now() - start;
		close(fd);
	}
	return took;
}

/* The first try, which finds out how often to repeat, fills the cache. */
uint64_t row_seq64_cached(long n)
{
	return read_whole(n);
}

uint64_t row_seq64_cold(long n)
{
	if (!there(nb_path(BIG), NB_FILE_BYTES)) {
		errno = ENOENT;
		nb_fail("a cold file is one that was made before this boot (--prepare)");
	}
	return read_whole(n);
}

uint64_t row_write64_fsync(long n)
{
	uint64_t took = 0;

	for (long i = 0; i < n; i++) {
		const char *path = nb_path("written");

		unlink(path);
		uint64_t start = nb_now();

		write_synced(path);
		took += nb_now() - start;
		unlink(path);
	}
	return took;
}

uint64_t row_open_fstat_close(long n)
{
	struct stat st;
	const char *path = nb_path("known");

	close(open_or_fail(path, O_WRONLY | O_CREAT));
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		int fd = open_or_fail(path, O_RDONLY);

		if (fstat(fd, &st) < 0)
			nb_fail("fstat");
		close(fd);
	}
	return nb_now() - start;
}

uint64_t row_create_write_unlink(long n)
{
	const char *path = nb_path("new");

	unlink(path);
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		int fd = open_or_fail(path, O_WRONLY | O_CREAT | O_EXCL);

		if (write(fd, chunk, NB_PAGE) != NB_PAGE)
			nb_fail("write");
		close(fd);
		if (unlink(path) < 0)
			nb_fail("unlink");
	}
	return nb_now() - start;
}

/* Its output goes to /dev/null, formatted but not shown; fork and exec are part of it. */
static void find_once(const char *dir)
{
	static char *env[] = {NULL};
	char *argv[] = {"find", (char *)dir, "-type", "f", NULL};
	int status;
	pid_t pid = fork();

	if (pid < 0)
		nb_fail("fork");
	if (pid == 0) {
		int fd = open_or_fail("/dev/null", O_WRONLY);

		dup2(fd, STDOUT_FILENO);
		execve("/bin/busybox", argv, env);
		nb_fail("/bin/busybox");
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		errno = ECHILD;
		nb_fail("find failed");
	}
}

uint64_t row_find2000(long n)
{
	need_tree();
	const char *dir = nb_path(TREE);
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		find_once(dir);
	return nb_now() - start;
}
