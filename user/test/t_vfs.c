/* SPDX-License-Identifier: MIT */
/*
 * t_vfs DIR: what calls on files, names and directories mean, one check each, in the empty directory DIR. Linux is the
 * oracle: every check passes there too (as root).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

static char buf[100000];

/* The call must fail with this errno. */
static void fails(long result, int with, const char *name)
{
	int err = errno;

	errno = 0;
	t_check(result == -1 && err == with, name, "gave %ld, %s", result, strerror(err));
}
#define FAILS(call, with) (errno = 0, fails((long)(call), with, #call))
#define GIVES(call, want)                                                                          \
	do {                                                                                       \
		errno = 0;                                                                         \
		long got_ = (long)(call);                                                          \
		t_check(got_ == (long)(want), #call, "gave %ld, not %ld", got_, (long)(want));     \
	} while (0)

static int make(const char *name, const char *content)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd < 0)
		t_die("%s", name);
	t_write_all(fd, content, strlen(content));
	return fd;
}

static bool holds(const char *name, const char *content)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	close(fd);
	errno = 0;
	return n == (ssize_t)strlen(content) && !memcmp(buf, content, (size_t)n);
}

static void opening(void)
{
	int fd = make("a", "hello");
	struct stat st;

	FAILS(open("a", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	FAILS(open("nosuch", O_RDONLY), ENOENT);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open("a/x", O_RDONLY), ENOTDIR);
	FAILS(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open(".", O_WRONLY), EISDIR);
	FAILS(open("/dev/nosuch", O_RDWR), ENOENT);
	memset(buf, 'x', PATH_MAX + 10);
	buf[PATH_MAX + 10] = 0;
	FAILS(open(buf, O_RDONLY), ENAMETOOLONG);
	buf[300] = 0;
	FAILS(open(buf, O_RDONLY | O_CREAT, 0600), ENAMETOOLONG);
	close(fd);
	umask(027);
	close(open("masked", O_CREAT | O_WRONLY, 0666));
	umask(022);
	stat("masked", &st);
	GIVES(st.st_mode & 07777, 0640);
	close(open("a", O_WRONLY | O_TRUNC));
	stat("a", &st);
	GIVES(st.st_size, 0);
	FAILS(close(200), EBADF);
	FAILS(read(200, buf, 1), EBADF);
}

static void offsets(void)
{
	int fd = make("o", "0123456789");
	int twin = dup(fd), ro = open("o", O_RDONLY), app = open("o", O_WRONLY | O_APPEND);

	GIVES(lseek(fd, 2, SEEK_SET), 2);
	GIVES(lseek(twin, 3, SEEK_CUR), 5);
	GIVES(lseek(fd, -1, SEEK_END), 9);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	FAILS(lseek(fd, 0, 99), EINVAL);
	GIVES(read(fd, buf, 10), 1);
	GIVES(read(fd, buf, 10), 0);
	GIVES(pread(ro, buf, 4, 8), 2);
	GIVES(lseek(ro, 0, SEEK_CUR), 0);
	FAILS(write(ro, "x", 1), EBADF);
	FAILS(read(app, buf, 1), EBADF);
	GIVES(write(app, "AB", 2), 2);
	GIVES(lseek(app, 0, SEEK_CUR), 12);
	GIVES(pwrite(fd, "z", 1, 0), 1);
	t_check(holds("o", "z123456789AB"), "the bytes of o", "differ");
	GIVES(ftruncate(fd, 3), 0);
	GIVES(ftruncate(fd, 6), 0);
	t_check(pread(fd, buf, 10, 0) == 6 && !memcmp(buf, "z12\0\0", 6),
		"zeros behind a truncation", "differ");
	FAILS(ftruncate(ro, 1), EINVAL);
	GIVES(truncate("o", 1), 0);
	GIVES(pread(ro, buf, 10, 0), 1);
	FAILS(ftruncate(fd, -1), EINVAL);
	struct iovec v[3] = {{"one", 3}, {"", 0}, {"two", 3}};
	lseek(fd, 0, SEEK_SET);
	GIVES(writev(fd, v, 3), 6);
	struct iovec r[2] = {{buf, 2}, {buf + 50, 10}};
	lseek(fd, 0, SEEK_SET);
	t_check(readv(fd, r, 2) == 6 && !memcmp(buf, "on", 2) && !memcmp(buf + 50, "etwo", 4),
		"readv scatters", "differs");
	FAILS(writev(fd, v, -1), EINVAL);
	GIVES(lseek(fd, 70000, SEEK_SET), 70000);
	GIVES(write(fd, "end", 3), 3);
	GIVES(pread(fd, buf, sizeof(buf), 0), 70003);
	t_check(buf[6] == 0 && buf[69999] == 0 && !memcmp(buf + 70000, "end", 3),
		"a hole reads as zeros", "differs");
	close(fd), close(twin), close(ro), close(app);
}

static void descriptors(void)
{
	int fd = make("d", "");

	GIVES(dup2(fd, 77), 77);
	GIVES(fcntl(77, F_GETFD), 0);
	GIVES(dup3(fd, 78, O_CLOEXEC), 78);
	GIVES(fcntl(78, F_GETFD), FD_CLOEXEC);
	FAILS(dup3(fd, fd, 0), EINVAL);
	GIVES(dup2(fd, fd), fd);
	GIVES(fcntl(fd, F_DUPFD, 90), 90);
	GIVES(fcntl(fd, F_DUPFD_CLOEXEC, 90), 91);
	GIVES(fcntl(90, F_SETFD, FD_CLOEXEC), 0);
	GIVES(fcntl(90, F_GETFD), FD_CLOEXEC);
	GIVES(fcntl(77, F_SETFL, O_APPEND), 0);
	GIVES(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
	for (int i = 77; i <= 91; i++)
		close(i);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){256, 256}); /* what a node has anyway */
	int n = 0;
	while (dup(fd) >= 0)
		n++;
	t_check(errno == EMFILE && n > 200 && n < 256, "descriptors run out", "after %d", n);
	close(100);
	GIVES(open("d", O_RDONLY), 100);
	for (int i = fd + 1; i < fd + n + 10; i++)
		close(i);
	close(fd);
}

static void names(void)
{
	struct stat st, l;
	int fd = make("n1", "content"), dir;

	GIVES(link("n1", "n2"), 0);
	stat("n2", &st);
	GIVES(st.st_nlink, 2);
	GIVES(rename("n2", "n3"), 0);
	FAILS(link("n1", "n3"), EEXIST);
	GIVES(unlink("n1"), 0);
	GIVES(unlink("n3"), 0);
	fstat(fd, &st);
	GIVES(st.st_nlink, 0);
	GIVES(pread(fd, buf, 10, 0), 7);
	FAILS(unlink("n1"), ENOENT);
	GIVES(mkdir("dir", 0755), 0);
	FAILS(mkdir("dir", 0755), EEXIST);
	FAILS(unlink("dir"), EISDIR);
	FAILS(rmdir("masked"), ENOTDIR);
	close(make("dir/f", "x"));
	FAILS(rmdir("dir"), ENOTEMPTY);
	FAILS(rename("dir", "dir/sub"), EINVAL);
	GIVES(symlink("dir/f", "sym"), 0);
	GIVES(readlink("sym", buf, 3), 3);
	GIVES(lstat("sym", &l), 0);
	t_check(S_ISLNK(l.st_mode) && !stat("sym", &st) && S_ISREG(st.st_mode),
		"stat follows, lstat does not", "wrong");
	FAILS(readlink("dir", buf, 10), EINVAL);
	FAILS(open("sym", O_RDONLY | O_NOFOLLOW), ELOOP);
	symlink("loop", "loop");
	FAILS(open("loop", O_RDONLY), ELOOP);
	dir = open("dir", O_RDONLY | O_DIRECTORY);
	GIVES(faccessat(dir, "f", R_OK, 0), 0);
	GIVES(fstatat(dir, "f", &st, 0), 0);
	GIVES(syscall(SYS_newfstatat, dir, "", &l, AT_EMPTY_PATH), 0);
	t_check(S_ISDIR(l.st_mode), "AT_EMPTY_PATH is the descriptor's", "it is not");
	FAILS(fstatat(fd, "f", &st, 0), ENOTDIR);
	FAILS(fstatat(222, "f", &st, 0), EBADF);
	GIVES(openat(dir, "../masked", O_RDONLY) >= 0, 1);
	GIVES(renameat(dir, "f", AT_FDCWD, "moved"), 0);
	GIVES(mkdirat(dir, "sub", 0700), 0);
	GIVES(unlinkat(dir, "sub", AT_REMOVEDIR), 0);
	char was[PATH_MAX], now[PATH_MAX];
	getcwd(was, sizeof(was));
	GIVES(fchdir(dir), 0);
	getcwd(now, sizeof(now));
	strcat(was, "/dir");
	t_check(!strcmp(was, now), "fchdir and getcwd", "%s", now);
	GIVES(syscall(SYS_getcwd, now, strlen(was) + 1), strlen(was) + 1);
	FAILS(syscall(SYS_getcwd, now, strlen(was)), ERANGE);
	GIVES(chdir(".."), 0);
	FAILS(chdir("moved"), ENOTDIR);
	FAILS(fchdir(fd), ENOTDIR);
	close(dir), close(fd);
}

static void attributes(void)
{
	struct stat st;
	struct statfs fs;
	int fd = make("t", "x");
	struct timespec ts[2] = {{1000, 5}, {0, UTIME_OMIT}};
	struct timeval tv[2] = {{77, 1}, {88, 2}};

	GIVES(chmod("t", 04711), 0);
	GIVES(fchmod(fd, 0600), 0);
	GIVES(chown("t", 12, 34), 0);
	GIVES(fchown(fd, -1, 35), 0);
	GIVES(utimes("t", tv), 0);
	GIVES(utimensat(AT_FDCWD, "t", ts, 0), 0);
	GIVES(fstat(fd, &st), 0);
	t_check((st.st_mode & 07777) == 0600 && st.st_uid == 12 && st.st_gid == 35 &&
			st.st_atime == 1000 && st.st_mtime == 88 && st.st_size == 1 &&
			st.st_nlink == 1,
		"attributes arrive", "mode %o uid %u gid %u atime %ld mtime %ld", st.st_mode,
		st.st_uid, st.st_gid, (long)st.st_atime, (long)st.st_mtime);
	GIVES(futimens(fd, NULL), 0);
	GIVES(statfs(".", &fs), 0);
	t_check(fs.f_bsize > 0 && fs.f_blocks >= fs.f_bfree && fs.f_bfree > 0, "statfs", "%ld",
		(long)fs.f_bfree);
	GIVES(fstatfs(fd, &fs), 0);
	GIVES(access("t", R_OK | W_OK), 0);
	FAILS(access("t", X_OK), EACCES);
	FAILS(access("t", 64), EINVAL);
	GIVES(fsync(fd), 0);
	GIVES(fdatasync(fd), 0);
	close(fd);
}

static void as_nobody(void *unused)
{
	(void)unused;
	if (setgid(999) < 0 || setuid(999) < 0)
		_exit(2);
	bool good = open("secret", O_RDONLY) == -1 && errno == EACCES &&
		    open("new", O_CREAT | O_WRONLY, 0600) == -1 && errno == EACCES &&
		    unlink("secret") == -1 && chmod("secret", 0777) == -1 && errno == EPERM &&
		    chown("secret", 999, 999) == -1 && errno == EPERM && chdir("locked") == -1 &&
		    errno == EACCES && open("locked/x", O_RDONLY) == -1 && errno == EACCES;
	_exit(!good);
}

static void permissions(void)
{
	close(make("secret", "s"));
	chmod("secret", 0600);
	mkdir("locked", 0700);
	close(make("locked/x", ""));
	GIVES(t_in_child(as_nobody, NULL), 0);
}

static void directories(void)
{
	enum { FILES = 300 };
	static char seen[FILES];
	char name[32];
	int n = 0, twice = 0;
	long where = 0;

	mkdir("many", 0755);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "many/file-%d", i);
		close(make(name, ""));
	}
	DIR *d = opendir("many");
	char after[256] = "";
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		int i = atoi(e->d_name + 5);
		twice += seen[i]++;
		if (n == 100)
			where = telldir(d);
		else if (n == 101)
			strcpy(after, e->d_name);
		n++;
	}
	t_check(n == FILES && !twice, "every entry once", "%d, %d twice", n, twice);
	seekdir(d, where);
	struct dirent *e = readdir(d);
	t_check(e && !strcmp(e->d_name, after), "seekdir goes back", "%s, not %s",
		e ? e->d_name : "end", after);
	rewinddir(d);
	t_check(readdir(d) != NULL, "rewinddir", "at the end");
	FAILS(syscall(SYS_getdents64, dirfd(d), buf, 5), EINVAL);
	FAILS(read(dirfd(d), buf, 5), EISDIR);
	closedir(d);
}

static void mapped(void)
{
	for (int i = 0; i < 20000; i++)
		buf[i] = (char)(i * 7);
	int fd = make("m", "");
	t_write_all(fd, buf, 20000);
	char *m = mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *shared = mmap(NULL, 20000, PROT_READ, MAP_SHARED, fd, 0);
	char *second = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 8192);

	t_check(m != MAP_FAILED && !memcmp(m, buf, 20000), "a mapping shows the file", "differs");
	t_check(second != MAP_FAILED && !memcmp(second, buf + 8192, 4096),
		"a mapping with an offset", "differs");
	t_check(m[20000] == 0 && m[20479] == 0, "zeros behind the end", "not zero");
	m[5] = 'P';
	pwrite(fd, "XY", 2, 100);
	t_check(shared != MAP_FAILED && !memcmp(shared + 100, "XY", 2) && shared[5] != 'P',
		"a shared mapping shows a write", "it does not");
	pread(fd, buf + 50000, 10, 0);
	t_check(buf[50005] == buf[5], "a private write stays private", "it does not");
	close(fd);
	t_check(m[19999] == buf[19999], "a mapping outlives its descriptor", "differs");
	FAILS(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 222, 0) == MAP_FAILED ? -1 : 0, EBADF);
}

static void nothing(int sig)
{
	(void)sig;
}

static void hold_lock(void *unused)
{
	int fd = open("lock", O_RDWR);
	int quick = flock(fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	int64_t t0 = t_mono_ns();
	struct itimerval soon = {{0, 0}, {0, 50000}};

	(void)unused;
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	int intr = flock(fd, LOCK_EX) == -1 && errno == EINTR;
	int later = flock(fd, LOCK_EX) == 0 && t_mono_ns() - t0 > 150000000;
	_exit(quick << 2 | intr << 1 | later);
}

static void locks(void)
{
	int fd = make("lock", ""), status, other = open("lock", O_RDONLY);

	GIVES(flock(fd, LOCK_EX), 0);
	FAILS(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	GIVES(flock(fd, LOCK_SH), 0);
	GIVES(flock(other, LOCK_SH | LOCK_NB), 0);
	GIVES(flock(other, LOCK_UN), 0);
	GIVES(flock(fd, LOCK_EX), 0);
	FAILS(flock(fd, 77), EINVAL);
	pid_t pid = fork();
	if (pid == 0) {
		close(fd); /* the description is the parent's too: this unlocks nothing */
		hold_lock(NULL);
	}
	t_sleep_ms(300);
	GIVES(flock(fd, LOCK_UN), 0);
	waitpid(pid, &status, 0);
	t_check(WEXITSTATUS(status) == 7, "a lock is waited for, interruptibly", "%d",
		WEXITSTATUS(status));
	GIVES(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd), close(other);
}

static void devices(void)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR),
	    full = open("/dev/full", O_RDWR);
	struct stat st;

	GIVES(write(null, buf, 1000), 1000);
	GIVES(read(null, buf, 1000), 0);
	memset(buf, 1, 10000);
	GIVES(read(zero, buf, 10000), 10000);
	t_check(!buf[0] && !buf[9999], "/dev/zero gives zeros", "it does not");
	FAILS(write(full, buf, 1), ENOSPC);
	fstat(null, &st);
	t_check(S_ISCHR(st.st_mode) && st.st_rdev == 0x103, "/dev/null is device 1:3", "%lx",
		(unsigned long)st.st_rdev);
	FAILS(ioctl(null, 0x5413, buf), ENOTTY);
	int u = open("/dev/urandom", O_RDONLY);
	t_check(read(u, buf, 64) == 64 && read(u, buf + 64, 64) == 64 && memcmp(buf, buf + 64, 64),
		"/dev/urandom differs", "it does not");
	close(null), close(zero), close(full), close(u);
	char link[64], name[64];
	int fd = make("fd", "by number");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(name, link, sizeof(link) - 1);
	t_check(n > 3 && !memcmp(link + n - 3, "/fd", 3), "/proc/self/fd names the file", "%zd", n);
	unlink("fd");
	int again = open(name, O_RDONLY);
	t_check(read(again, buf, 20) == 9, "a file without a name is opened by number", "not");
	close(again), close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: t_vfs DIR\n");
		return 2;
	}
	umask(022);
	opening();
	offsets();
	descriptors();
	names();
	attributes();
	permissions();
	directories();
	mapped();
	locks();
	devices();
	return t_end();
}
