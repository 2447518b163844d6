/* SPDX-License-Identifier: MIT */
/*
 * t_known DIR [--rounds N] [--pause MS]: what a name means and what a file is, asked right after every kind of change, by this process
 * and by its child, through names and through open files. A kernel that answers from memory must not be late with any of it. Moved
 * meanwhile, it must not notice either.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t.h"

static const char *dir;
static long pause_ms;
static bool alone; /* a process that is moved has no children */

static const char *in_dir(const char *name)
{
	static char path[4][400];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static struct stat look(const char *name)
{
	struct stat s = {0};

	if (stat(in_dir(name), &s) < 0)
		t_check(false, "a file is found", "%s", name);
	return s;
}

static bool absent(const char *name)
{
	struct stat s;

	return lstat(in_dir(name), &s) < 0 && errno == ENOENT && access(in_dir(name), F_OK) < 0 &&
	       open(in_dir(name), O_RDONLY) < 0;
}

/* ---- changes, made here or by a child ---- */

struct change {
	int (*fn)(const char *a, const char *b, long n);
	const char *a, *b;
	long n;
};

static int do_create(const char *a, const char *b, long n)
{
	int fd = open(a, O_WRONLY | O_CREAT | O_EXCL, (mode_t)n);

	(void)b;
	return fd < 0 ? -1 : close(fd);
}

static int do_write(const char *a, const char *b, long n)
{
	int fd = open(a, O_WRONLY | O_APPEND);
	char bytes[5000];

	(void)b;
	memset(bytes, 'w', sizeof(bytes));
	return fd < 0 || write(fd, bytes, (size_t)n) != n ? -1 : close(fd);
}

static int do_truncate(const char *a, const char *b, long n)
{
	(void)b;
	return truncate(a, n);
}

static int do_chmod(const char *a, const char *b, long n)
{
	(void)b;
	return chmod(a, (mode_t)n);
}

static int do_mkdir(const char *a, const char *b, long n)
{
	(void)b;
	return mkdir(a, (mode_t)n);
}

static int do_rmdir(const char *a, const char *b, long n)
{
	(void)b, (void)n;
	return rmdir(a);
}

static int do_unlink(const char *a, const char *b, long n)
{
	(void)b, (void)n;
	return unlink(a);
}

static int do_rename(const char *a, const char *b, long n)
{
	(void)n;
	return rename(a, b);
}

static int do_link(const char *a, const char *b, long n)
{
	(void)n;
	return link(a, b);
}

static int do_symlink(const char *a, const char *b, long n)
{
	(void)n;
	return symlink(a, b);
}

static void in_child(void *arg)
{
	struct change *c = arg;

	_exit(c->fn(c->a, c->b, c->n) < 0 ? errno : 0);
}

static void change(int (*fn)(const char *, const char *, long), const char *a, const char *b,
		   long n)
{
	static int turn;
	struct change c = {fn, a, b, n};

	if (alone || turn++ % 2) {
		if (fn(a, b, n) < 0)
			t_check(false, "a change is made", "%s %s", a, b ? b : "");
	} else {
		int status = t_in_child(in_child, &c);

		errno = status >> 8;
		if (status)
			t_check(false, "a change is made by a child", "%s %s", a, b ? b : "");
	}
	if (pause_ms)
		t_sleep_ms(pause_ms);
}

/* ---- what must be seen ---- */

static void file_round(void)
{
	struct stat s, o;

	t_check(absent("n"), "a name that never was", " ");
	change(do_create, in_dir("n"), NULL, 0600);
	s = look("n");
	t_check(s.st_size == 0 && (s.st_mode & 07777) == 0600 && s.st_nlink == 1, "a new file",
		"size %ld mode %o", (long)s.st_size, s.st_mode);
	int fd = open(in_dir("n"), O_RDWR);

	t_check(fd >= 0 && fstat(fd, &o) == 0 && o.st_ino == s.st_ino, "opened, it is the same",
		" ");
	change(do_write, in_dir("n"), NULL, 4321);
	s = look("n");
	fstat(fd, &o);
	t_check(s.st_size == 4321 && o.st_size == 4321 && lseek(fd, 0, SEEK_END) == 4321,
		"written to", "%ld %ld", (long)s.st_size, (long)o.st_size);
	change(do_truncate, in_dir("n"), NULL, 10);
	t_check(look("n").st_size == 10 && lseek(fd, 0, SEEK_END) == 10, "cut", " ");
	if (ftruncate(fd, 7) < 0)
		t_check(false, "cut through an open file", " ");
	t_check(look("n").st_size == 7, "cut through an open file", " ");
	change(do_chmod, in_dir("n"), NULL, 0640);
	fstat(fd, &o);
	t_check((look("n").st_mode & 07777) == 0640 && (o.st_mode & 07777) == 0640, "chmod", " ");
	fchmod(fd, 0400);
	t_check((look("n").st_mode & 07777) == 0400, "fchmod", " ");
	change(do_link, in_dir("n"), in_dir("l"), 0);
	t_check(look("n").st_nlink == 2 && look("l").st_ino == o.st_ino, "a second name", " ");
	change(do_rename, in_dir("n"), in_dir("m"), 0);
	t_check(absent("n") && look("m").st_ino == o.st_ino, "renamed", " ");
	change(do_unlink, in_dir("l"), NULL, 0);
	t_check(absent("l") && look("m").st_nlink == 1, "a name less", " ");
	change(do_unlink, in_dir("m"), NULL, 0);
	t_check(absent("m") && fstat(fd, &o) == 0 && o.st_nlink == 0 && o.st_size == 7,
		"without a name, but open", "links %ld", (long)o.st_nlink);
	close(fd);
}

static void dir_round(void)
{
	char link_to[16];

	t_check(absent("d") && absent("d/x"), "a directory that never was", " ");
	change(do_mkdir, in_dir("d"), NULL, 0755);
	t_check(S_ISDIR(look("d").st_mode) && absent("d/x"), "made where nothing was", " ");
	change(do_create, in_dir("d/x"), NULL, 0644);
	ino_t x = look("d/x").st_ino;

	t_check(x && look("d/../d/./x").st_ino == x, "by a longer name", " ");
	change(do_symlink, "d/x", in_dir("s"), 0);
	struct stat s;

	t_check(look("s").st_ino == x && lstat(in_dir("s"), &s) == 0 && S_ISLNK(s.st_mode) &&
			readlink(in_dir("s"), link_to, sizeof(link_to)) == 3,
		"through a link", " ");
	change(do_rename, in_dir("d"), in_dir("e"), 0);
	t_check(absent("d") && absent("d/x") && look("e/x").st_ino == x &&
			stat(in_dir("s"), &s) < 0 && errno == ENOENT,
		"its directory renamed", " ");
	change(do_create, in_dir("n"), NULL, 0644);
	ino_t n = look("n").st_ino;

	change(do_rename, in_dir("n"), in_dir("e/x"), 0);
	t_check(look("e/x").st_ino == n && n != x && absent("n"), "another file in its place", " ");
	change(do_mkdir, in_dir("d"), NULL, 0755);
	t_check(absent("d/x") && stat(in_dir("s"), &s) < 0, "another directory in its place", " ");
	change(do_rmdir, in_dir("d"), NULL, 0);
	change(do_create, in_dir("d"), NULL, 0644);
	t_check(stat(in_dir("d/x"), &s) < 0 && errno == ENOTDIR && stat(in_dir("s"), &s) < 0 &&
			errno == ENOTDIR,
		"a file where a directory was", " ");
	change(do_unlink, in_dir("d"), NULL, 0);
	change(do_unlink, in_dir("e/x"), NULL, 0);
	change(do_rmdir, in_dir("e"), NULL, 0);
	change(do_unlink, in_dir("s"), NULL, 0);
	t_check(absent("e") && absent("s"), "all gone", " ");
}

/* A hold that is kept after its last close must not be seen. */
static void again_round(void)
{
	char c;
	int fd, other;

	change(do_create, in_dir("n"), NULL, 0644);
	change(do_write, in_dir("n"), NULL, 5);
	for (int i = 0; i < 3; i++) {
		fd = open(in_dir("n"), O_RDONLY);
		t_check(fd >= 0 && read(fd, &c, 1) == 1 && c == 'w', "opened again, from its start",
			" ");
		close(fd);
	}
	change(do_unlink, in_dir("n"), NULL, 0);
	t_check(absent("n"), "not by its old name", " ");
	change(do_create, in_dir("n"), NULL, 0644);
	fd = open(in_dir("n"), O_RDONLY);
	t_check(fd >= 0 && read(fd, &c, 1) == 0, "a new file of that name is empty", " ");
	close(fd);
	fd = open(in_dir("n"), O_RDWR);
	t_check(flock(fd, LOCK_EX | LOCK_NB) == 0, "locked", " ");
	other = open(in_dir("n"), O_RDWR);
	t_check(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK, "somebody else's lock",
		" ");
	close(fd);
	fd = open(in_dir("n"), O_RDWR);
	t_check(flock(other, LOCK_EX | LOCK_NB) == 0 && flock(fd, LOCK_SH | LOCK_NB) < 0,
		"a lock goes with its open file", " ");
	close(fd);
	close(other);
	fd = open(in_dir("n"), O_WRONLY);
	t_check(fd >= 0 && read(fd, &c, 1) < 0 && errno == EBADF, "opened in another way", " ");
	close(fd);
	change(do_unlink, in_dir("n"), NULL, 0);
}

int main(int argc, char **argv)
{
	long rounds = t_option(argc, argv, "--rounds", 3);

	if (argc < 2) {
		fprintf(stderr, "usage: t_known DIR [--rounds N] [--pause MS]\n");
		return 2;
	}
	pause_ms = t_option(argc, argv, "--pause", 0);
	alone = pause_ms > 0;
	dir = argv[1];
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		t_die("%s", dir);
	for (long i = 0; i < rounds; i++) {
		file_round();
		dir_round();
		again_round();
	}
	rmdir(dir);
	return t_end();
}
