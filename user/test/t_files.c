/* SPDX-License-Identifier: MIT */
/*
 * t_files DIR ROUNDS: a process with open files, to be moved between its rounds. In DIR it opens
 *   log    O_CREAT|O_TRUNC|O_APPEND, a line appended each round
 *   data   read on from the middle each round
 *   lock   flocked, and bytes 100 to 109 locked, from the first to the last round
 *   gone   O_CREAT|O_TRUNC; DIR's owner may unlink it at any time after the first round; read and written each round
 *   seek   O_CREAT|O_TRUNC, written on at an offset far beyond its end
 *   twice  one open file behind two descriptors (dup)
 * Before round K (from 1) it makes DIR/ready-K and waits for DIR/go-K. At the end it checks every byte.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

enum { DATA = 200000, STEP = 7001, LINE = 32, GONE = 5000, SEEK_AT = 100000, SEEK_STEP = 3000 };
enum { LOG = 1, DATA_SEED, GONE_SEED, SEEK_SEED }; /* of the patterns */

static const char *dir;
static struct flock record = {.l_type = F_WRLCK, .l_start = 100, .l_len = 10};
static int log_fd, data_fd, lock_fd, gone_fd, seek_fd, twice_fd, twin_fd;
static long data_at, log_at;
static char buf[DATA];

static int open_in_dir(const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, flags, 0644);

	if (fd < 0)
		t_die("%s", path);
	return fd;
}

static void append_line(int round)
{
	char line[LINE + 1];

	snprintf(line, sizeof(line), "round %-25d", round);
	line[LINE - 1] = '\n';
	t_write_all(log_fd, line, LINE);
	log_at += LINE;
}

static void begin(void)
{
	int fd = open_in_dir("data", O_WRONLY | O_CREAT | O_TRUNC);

	t_fill(buf, DATA, 0, DATA_SEED);
	t_write_all(fd, buf, DATA);
	close(fd);

	log_fd = open_in_dir("log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
	data_fd = open_in_dir("data", O_RDONLY);
	lock_fd = open_in_dir("lock", O_RDWR | O_CREAT);
	gone_fd = open_in_dir("gone", O_RDWR | O_CREAT | O_TRUNC);
	seek_fd = open_in_dir("seek", O_RDWR | O_CREAT | O_TRUNC);
	twice_fd = open_in_dir("data", O_RDONLY);
	twin_fd = dup(twice_fd);
	if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0 || fcntl(lock_fd, F_SETLK, &record) < 0)
		t_die("the lock is taken");
	t_fill(buf, GONE, 0, GONE_SEED);
	t_write_all(gone_fd, buf, GONE);
	append_line(0);
	lseek(data_fd, STEP, SEEK_SET);
	data_at = STEP;
	lseek(seek_fd, SEEK_AT, SEEK_SET);
}

/* data is read on at the old offset, by pread elsewhere too, and by two descriptors in turn. */
static void read_on(int round)
{
	t_read_all(data_fd, buf, STEP);
	errno = 0;
	t_check(t_compare(buf, STEP, (uint64_t)data_at, DATA_SEED) < 0,
		"data is read on where it was", "round %d, at %ld", round, data_at);
	data_at += STEP;
	long is_at = lseek(data_fd, 0, SEEK_CUR);

	t_check(is_at == data_at, "its offset", "round %d: %ld instead of %ld", round, is_at,
		data_at);
	t_check(pread(data_fd, buf, 1000, 150000) == 1000 &&
			t_compare(buf, 1000, 150000, DATA_SEED) < 0,
		"pread elsewhere", "round %d", round);
	t_read_all(twice_fd, buf, 10);
	t_read_all(twin_fd, buf + 10, 10);
	t_check(t_compare(buf, 20, (uint64_t)(round - 1) * 20, DATA_SEED) < 0,
		"two descriptors share one offset", "round %d", round);
}

static void use_gone(int round)
{
	static char had[GONE * 2];
	struct stat st;
	long size = GONE + (round - 1) * 100;

	if (fstat(gone_fd, &st) < 0)
		t_die("fstat of gone");
	t_check(st.st_size == size, "gone has its size", "round %d: %ld instead of %ld", round,
		(long)st.st_size, size);
	errno = 0;
	t_check(pread(gone_fd, had, (size_t)size, 0) == size &&
			t_compare(had, (size_t)size, 0, GONE_SEED) < 0,
		"gone has its bytes", "round %d", round);
	t_fill(had, 100, (uint64_t)size, GONE_SEED);
	t_check(pwrite(gone_fd, had, 100, size) == 100, "gone can be written", "round %d", round);
}

static void one_round(int round)
{
	struct stat st;

	read_on(round);
	use_gone(round);
	append_line(round);
	if (fstat(log_fd, &st) < 0)
		t_die("fstat of the log");
	t_check(st.st_size == log_at, "the log was not truncated", "round %d: %ld bytes, not %ld",
		round, (long)st.st_size, log_at);
	errno = 0;
	t_check(fcntl(lock_fd, F_SETLK, &record) == 0, "the record lock is still mine", "round %d",
		round);
	t_check(flock(lock_fd, LOCK_EX | LOCK_NB) == 0, "the lock is still mine", "round %d",
		round);
	t_fill(buf, SEEK_STEP, SEEK_AT + (uint64_t)(round - 1) * SEEK_STEP, SEEK_SEED);
	t_write_all(seek_fd, buf, SEEK_STEP);
	int flags = fcntl(log_fd, F_GETFL);

	t_check((flags & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND), "the flags of the log",
		"round %d: %#o", round, flags);
}

static void check_all(int rounds)
{
	char line[LINE + 1] = "";
	int fd = open_in_dir("log", O_RDONLY), good = 0;

	for (int k = 0; k <= rounds; k++) {
		char expected[LINE + 1];

		snprintf(expected, sizeof(expected), "round %-25d", k);
		expected[LINE - 1] = '\n';
		good += read(fd, line, LINE) == LINE && !memcmp(line, expected, LINE);
	}
	errno = 0;
	t_check(good == rounds + 1 && read(fd, line, 1) == 0, "every line of the log",
		"%d of %d are right", good, rounds + 1);
	close(fd);
	long len = SEEK_AT + rounds * SEEK_STEP;

	t_check(pread(seek_fd, buf, (size_t)len, 0) == len &&
			t_compare(buf + SEEK_AT, (size_t)(len - SEEK_AT), SEEK_AT, SEEK_SEED) < 0 &&
			buf[0] == 0 && !memcmp(buf, buf + 1, SEEK_AT - 1),
		"every byte written after the gap", "they differ");
}

int main(int argc, char **argv)
{
	int rounds = argc == 3 ? atoi(argv[2]) : 0;
	char sign[32];

	if (rounds < 1 || rounds > 25) {
		fprintf(stderr, "usage: t_files DIR ROUNDS   (1 to 25)\n");
		return 2;
	}
	dir = argv[1];
	begin();
	for (int k = 1; k <= rounds; k++) {
		snprintf(sign, sizeof(sign), "ready-%d", k);
		t_make_sign(dir, sign);
		snprintf(sign, sizeof(sign), "go-%d", k);
		t_wait_sign(dir, sign);
		one_round(k);
	}
	check_all(rounds);
	t_make_sign(dir, "done");
	t_wait_sign(dir, "end"); /* still holding the lock */
	return t_end();
}
