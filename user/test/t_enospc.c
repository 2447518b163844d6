/* SPDX-License-Identifier: MIT */
/*
 * t_enospc DIR: fill the disk until a write says ENOSPC, see that nothing already written is lost, make room again.
 * Refuses a file system with more than a gigabyte free: that one is somebody's, not a test's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "t.h"

enum { GUARD = 100000, CHUNK = 65536 };
enum { GUARD_SEED = 11, FILL_SEED };

static char path[PATH_MAX], buf[GUARD], back[GUARD];

static int open_in(const char *dir, const char *name, int flags)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags, 0644);
}

/* Ever smaller writes until not even one byte fits; returns the bytes written. */
static uint64_t fill(int fd)
{
	uint64_t at = 0;

	for (size_t size = CHUNK; size; size /= 16) {
		for (;;) {
			t_fill(buf, size, at, FILL_SEED);
			errno = 0;
			ssize_t n = write(fd, buf, size);

			if (n <= 0)
				break;
			at += (uint64_t)n;
		}
		if (errno != ENOSPC)
			break;
	}
	return at;
}

static bool same(int fd, uint64_t len, uint64_t seed)
{
	if (lseek(fd, 0, SEEK_SET) != 0)
		return false;
	for (uint64_t at = 0; at < len;) {
		ssize_t n = read(fd, back, sizeof(back));

		if (n <= 0 || t_compare(back, (size_t)n, at, seed) >= 0) {
			printf("at byte %llu: read gave %zd\n", (unsigned long long)at, n);
			return false;
		}
		at += (uint64_t)n;
	}
	return read(fd, back, 1) == 0;
}

int main(int argc, char **argv)
{
	struct statvfs fs;
	struct stat st;

	if (argc != 2) {
		fprintf(stderr, "usage: t_enospc DIR\n");
		return 2;
	}
	if (statvfs(argv[1], &fs) < 0)
		t_die("%s", argv[1]);
	if ((uint64_t)fs.f_bavail * fs.f_frsize > 1ull << 30) {
		fprintf(stderr, "t_enospc: %s has more than 1 GB free\n", argv[1]);
		return 2;
	}
	int guard = open_in(argv[1], "guard", O_RDWR | O_CREAT | O_TRUNC);

	t_fill(buf, GUARD, 0, GUARD_SEED);
	t_write_all(guard, buf, GUARD);
	int fd = open_in(argv[1], "fill", O_RDWR | O_CREAT | O_TRUNC);

	if (fd < 0)
		t_die("%s", path);
	uint64_t len = fill(fd);

	t_check(errno == ENOSPC, "a write to a full disk gives ENOSPC", "after %llu bytes",
		(unsigned long long)len);
	printf("filled with %llu bytes\n", (unsigned long long)len);
	if (fstat(fd, &st) < 0)
		t_die("fstat");
	errno = 0;
	t_check((uint64_t)st.st_size == len, "the file is as long as was written",
		"%llu bytes, not %llu", (unsigned long long)st.st_size, (unsigned long long)len);
	if (t_whimbrel()) { /* a directory of ext2 takes a block */
		snprintf(path, sizeof(path), "%s/directory", argv[1]);
		errno = 0;
		t_check(mkdir(path, 0755) == -1 && errno == ENOSPC,
			"no room for a directory either", "there was");
	}
	errno = 0;
	t_check(fsync(fd) == 0, "fsync of what was written", "it failed");
	t_check(same(fd, len, FILL_SEED), "what was written before is there", "it differs");
	t_check(same(guard, GUARD, GUARD_SEED), "so is the other file", "it differs");
	close(fd);
	snprintf(path, sizeof(path), "%s/fill", argv[1]);
	if (unlink(path) < 0)
		t_die("unlink %s", path);
	lseek(guard, 0, SEEK_END);
	t_fill(buf, GUARD, GUARD, GUARD_SEED);
	errno = 0;
	t_check(write(guard, buf, GUARD) == GUARD, "after an unlink there is room again",
		"there is not");
	t_check(same(guard, 2 * GUARD, GUARD_SEED), "and it holds what is written", "it does not");
	return t_end();
}
