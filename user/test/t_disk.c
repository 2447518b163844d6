/* SPDX-License-Identifier: MIT */
/*
 * Does what its standard input says: one operation on files a line, below the directory given. The
 * driver knows what the files must hold after each line; this program is only its hands.
 *
 *   create F         write F KEY OFF LEN      truncate F SIZE     rename A B      fsync PATH
 *   unlink F         append F KEY LEN         hold F (open; kept) link A B        fdatasync F
 *   mkdir D          rmdir D                  drop (all held)     symlink T NAME  sync
 *   map F KEY OFF LEN    as write, through a shared mapping                       osync F KEY OFF LEN
 *   read F OFF LEN       by pread                                                 msync F KEY OFF LEN
 *
 * osync writes through a descriptor with O_SYNC, msync through a mapping that it syncs.
 * The last column and `read` are answered with a line, "done" or the error's text, once the call
 * has returned. Any other line is answered only if it failed: "failed: LINE: why".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

enum { LINE = 600, WORDS = 5, RECORD = 16, MOST = 1 << 20, HELD = 64 };

static int held[HELD];
static unsigned nheld;
static char buf[MOST + 2 * RECORD];

/* What a write with this key puts at [off, off + len): records that name key and place. */
static char *pattern(unsigned key, long off, long len)
{
	long first = off / RECORD;

	for (long i = first; i * RECORD < off + len; i++)
		sprintf(buf + (i - first) * RECORD, "%07x%08lx\n", key, (unsigned long)i);
	return buf + off % RECORD;
}

static int map(int fd, unsigned key, long off, long len, bool sync)
{
	long from = off & ~4095l;
	char *m = mmap(NULL, (size_t)(off + len - from), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       from);
	int status = 0;

	if (m == MAP_FAILED)
		return -1;
	memcpy(m + (off - from), pattern(key, off, len), (size_t)len);
	if (sync)
		status = msync(m, (size_t)(off + len - from), MS_SYNC);
	int err = errno;

	munmap(m, (size_t)(off + len - from));
	errno = err;
	return status;
}

static int with_file(const char *path, int flags, char **arg, const char *what)
{
	int fd = open(path, flags, 0644), status = -1;

	if (fd < 0)
		return -1;
	if (!strcmp(what, "map") || !strcmp(what, "msync")) {
		status = map(fd, (unsigned)atol(arg[0]), atol(arg[1]), atol(arg[2]),
			     *what == 'm' && what[1] == 's');
	} else if (!strcmp(what, "write") || !strcmp(what, "append") || !strcmp(what, "osync")) {
		bool append = *what == 'a';
		long off = append ? lseek(fd, 0, SEEK_END) : atol(arg[1]);
		long len = atol(arg[append ? 1 : 2]);

		if (len > MOST)
			errno = EINVAL;
		else
			status = pwrite(fd, pattern((unsigned)atol(arg[0]), off, len), (size_t)len,
					off) == len;
		status = status > 0 ? 0 : -1;
	} else if (!strcmp(what, "read")) {
		status = pread(fd, buf, (size_t)atol(arg[1]), atol(arg[0])) < 0 ? -1 : 0;
	} else if (!strcmp(what, "fsync")) {
		status = fsync(fd);
	} else if (!strcmp(what, "fdatasync")) {
		status = fdatasync(fd);
	} else { /* create, hold */
		status = 0;
	}
	int err = errno;

	if (!strcmp(what, "hold") && nheld < HELD)
		held[nheld++] = fd;
	else
		close(fd);
	errno = err;
	return status;
}

static int drop(void)
{
	while (nheld > 0)
		close(held[--nheld]);
	return 0;
}

static int operation(char **w)
{
	const char *op = w[0];

	if (!strcmp(op, "create"))
		return with_file(w[1], O_WRONLY | O_CREAT | O_EXCL, w + 2, op);
	if (!strcmp(op, "write") || !strcmp(op, "append"))
		return with_file(w[1], O_WRONLY, w + 2, op);
	if (!strcmp(op, "osync"))
		return with_file(w[1], O_WRONLY | O_SYNC, w + 2, op);
	if (!strcmp(op, "map") || !strcmp(op, "msync"))
		return with_file(w[1], O_RDWR, w + 2, op);
	if (!strcmp(op, "read") || !strcmp(op, "hold") || !strcmp(op, "fsync") ||
	    !strcmp(op, "fdatasync"))
		return with_file(w[1], O_RDONLY, w + 2, op);
	if (!strcmp(op, "truncate"))
		return truncate(w[1], atol(w[2]));
	if (!strcmp(op, "rename"))
		return rename(w[1], w[2]);
	if (!strcmp(op, "link"))
		return link(w[1], w[2]);
	if (!strcmp(op, "symlink"))
		return symlink(w[1], w[2]);
	if (!strcmp(op, "unlink"))
		return unlink(w[1]);
	if (!strcmp(op, "mkdir"))
		return mkdir(w[1], 0755);
	if (!strcmp(op, "rmdir"))
		return rmdir(w[1]);
	if (!strcmp(op, "drop"))
		return drop();
	if (!strcmp(op, "sync")) {
		sync();
		return 0;
	}
	t_die("what is %s?", op);
}

int main(int argc, char **argv)
{
	char line[LINE], copy[LINE];

	if (argc != 2 || chdir(argv[1]) < 0)
		t_die("usage: t_disk DIRECTORY");
	while (fgets(line, sizeof(line), stdin)) {
		char *w[WORDS] = {"", "", "", "", ""};
		unsigned n = 0;

		line[strcspn(line, "\n")] = 0;
		strcpy(copy, line);
		for (char *p = strtok(copy, " "); p && n < WORDS; p = strtok(NULL, " "))
			w[n++] = p;
		bool answer = strstr(w[0], "sync") || !strcmp(w[0], "read");
		int status = operation(w);

		if (answer)
			printf("%s\n", status < 0 ? strerror(errno) : "done");
		else if (status < 0)
			printf("failed: %s: %s\n", line, strerror(errno));
		fflush(stdout);
	}
	return 0;
}
