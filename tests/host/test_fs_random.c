/* SPDX-License-Identifier: MIT */
/*
 * Random operations, done both on the file server's core and on a directory of the host: Linux is
 * the model. Results, errors, contents and, at the end of each round, the whole trees must agree,
 * and e2fsck must be content.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_fs_util.h"

enum { ROUNDS = 6, STEPS = 12000, OPEN = 6, CACHE = 160 * 1024, MAX_SIZE = 300000 };

static struct test_disk disk;
static struct tree tree;
static struct client me;
static struct rng r;
static int base; /* the host's directory */
static struct {
	bool used;
	int fd;
	uint64_t hold;
} files[OPEN];
static uint8_t data[FS_IO_MAX], ours[FS_IO_MAX], theirs[FS_IO_MAX];
static char what[700]; /* the current step, for messages */

static void agree(long got, long host, const char *op)
{
	if (got != host)
		test_fail(what, "%s gives %ld, Linux %ld (%s)", op, got, host,
			  host < 0 ? strerror((int)-host) : "");
}

static long sys(long ret)
{
	return ret < 0 ? -errno : ret;
}

/* A path of up to three short names; sometimes with noise in it. */
static const char *some_path(char *buf)
{
	static const char *const names[] = {"a", "b", "c", "dd",
					    "a-rather-longer-name-than-the-others-have"};
	unsigned depth = rnd(&r, 3) + 1;
	char *p = buf;

	for (unsigned i = 0; i < depth; i++) {
		p += sprintf(p, "/%s", names[rnd(&r, 5)]);
		if (rnd(&r, 20) == 0)
			p += sprintf(p, "/.");
	}
	if (rnd(&r, 30) == 0)
		strcpy(p, "/");
	return buf;
}

/* The host's name for it, relative to `base`. */
static const char *rel(const char *path)
{
	return path + 1;
}

static void do_open(void)
{
	char path[300];
	unsigned i = rnd(&r, OPEN);
	struct fs_opened o;
	int flags = O_RDWR | (rnd(&r, 2) ? O_CREAT : 0) | (rnd(&r, 6) == 0 ? O_EXCL : 0) |
		    (rnd(&r, 5) == 0 ? O_TRUNC : 0) | (rnd(&r, 8) == 0 ? O_NOFOLLOW : 0);

	if (files[i].used) {
		close(files[i].fd);
		agree(c_close(&me, files[i].hold), 0, "close");
		files[i].used = false;
	}
	if (!(flags & O_CREAT))
		flags &= ~O_EXCL;
	some_path(path);
	snprintf(what, sizeof(what), "open %s %#o", path, (unsigned)flags);
	long host = sys(openat(base, rel(path), flags, 0644));
	long got = c_open(&me, path, flags, 0644, &o);

	agree(got, host < 0 ? host : 0, "open");
	if (got == 0) {
		files[i].used = true;
		files[i].fd = (int)host;
		files[i].hold = o.hold;
	}
}

static void do_file(void)
{
	unsigned i = rnd(&r, OPEN);
	uint64_t off = rnd(&r, 4) ? rnd(&r, 20000) : rnd(&r, MAX_SIZE), at;
	size_t len = rnd(&r, 4) ? rnd(&r, 5000) : rnd(&r, FS_IO_MAX);

	if (!files[i].used)
		return;
	int fd = files[i].fd;
	uint64_t hold = files[i].hold;

	snprintf(what, sizeof(what), "file %u off %lu len %zu", i, off, len);
	for (size_t k = 0; k < 64 && k < len; k++)
		data[rnd(&r, (uint32_t)len)] = (uint8_t)rnd(&r, 256);
	switch (rnd(&r, 5)) {
	case 0:
		agree(c_write(&me, hold, off, data, len), sys(pwrite(fd, data, len, (off_t)off)),
		      "write");
		break;
	case 1: {
		off_t end = lseek(fd, 0, SEEK_END);

		agree(c_append(&me, hold, data, len, &at), sys(pwrite(fd, data, len, end)),
		      "append");
		agree((long)at, len ? end : (long)at, "end of file");
		break;
	}
	case 2:
		agree(c_hold(&me, FS_FTRUNCATE, hold, &(struct fs_hold_set){.size = off}),
		      sys(ftruncate(fd, (off_t)off)), "ftruncate");
		break;
	default: {
		long host = sys(pread(fd, theirs, len, (off_t)off));

		agree(c_read(&me, hold, off, ours, len), host, "read");
		if (host > 0 && memcmp(ours, theirs, (size_t)host) != 0)
			test_fail(what, "the contents differ");
	}
	}
}

static void do_stat(const char *path)
{
	struct stat st;
	struct fs_attr a;
	bool follow = rnd(&r, 2);
	long host = sys(fstatat(base, rel(path), &st, follow ? 0 : AT_SYMLINK_NOFOLLOW));

	agree(c_stat(&me, path, follow, &a), host, "stat");
	if (host < 0)
		return;
	agree(a.mode & S_IFMT, st.st_mode & S_IFMT, "type");
	if (!S_ISDIR(st.st_mode)) {
		agree((long)a.size, (long)st.st_size, "size");
		agree(a.nlink, (long)st.st_nlink, "nlink");
	}
}

static void do_name(void)
{
	static const struct fs_path none;
	char a[300], b[300];

	some_path(a);
	some_path(b);
	snprintf(what, sizeof(what), "name %s %s", a, b);
	switch (rnd(&r, 10)) {
	case 0:
		agree(c_path(&me, FS_UNLINK, a, &none), sys(unlinkat(base, rel(a), 0)), "unlink");
		break;
	case 1:
		agree(c_path(&me, FS_RMDIR, a, &none), sys(unlinkat(base, rel(a), AT_REMOVEDIR)),
		      "rmdir");
		break;
	case 2:
	case 3:
		agree(c_mkdir(&me, a, 0755), sys(mkdirat(base, rel(a), 0755)), "mkdir");
		break;
	case 4:
		agree(c_two(&me, FS_SYMLINK, rel(b), a), sys(symlinkat(rel(b), base, rel(a))),
		      "symlink");
		break;
	case 5:
		agree(c_two(&me, FS_LINK, a, b), sys(linkat(base, rel(a), base, rel(b), 0)),
		      "link");
		break;
	case 6:
	case 7:
		agree(c_two(&me, FS_RENAME, a, b), sys(renameat(base, rel(a), base, rel(b))),
		      "rename");
		break;
	case 8: {
		char target[FS_PATH_MAX], host_target[FS_PATH_MAX];
		long host = sys(readlinkat(base, rel(a), host_target, sizeof(host_target)));

		agree(c_readlink(&me, a, target, sizeof(target)), host, "readlink");
		if (host > 0 && memcmp(target, host_target, (size_t)host) != 0)
			test_fail(what, "the targets differ");
		break;
	}
	default:
		do_stat(a);
	}
}

/* ---- the whole trees ---- */

static void compare_file(const char *path)
{
	struct fs_opened o;
	int fd = openat(base, rel(path), O_RDONLY);

	snprintf(what, sizeof(what), "comparing %s", path);
	agree(c_open(&me, path, O_RDONLY, 0, &o), 0, "open");
	for (uint64_t off = 0;;) {
		long host = sys(pread(fd, theirs, sizeof(theirs), (off_t)off));

		agree(c_read(&me, o.hold, off, ours, sizeof(ours)), host, "read");
		if (host <= 0)
			break;
		if (memcmp(ours, theirs, (size_t)host) != 0)
			test_fail(what, "the contents differ");
		off += (uint64_t)host;
	}
	close(fd);
	c_close(&me, o.hold);
}

static unsigned entries_of(const char *path)
{
	struct fs_opened o;
	uint64_t cookie = 0;
	unsigned n = 0;
	long got;

	agree(c_open(&me, path, O_RDONLY | O_DIRECTORY, 0, &o), 0, "open directory");
	while ((got = c_readdir(&me, o.hold, &cookie, ours, 600)) > 0)
		for (long off = 0; off < got; off += *(uint16_t *)(void *)(ours + off + 16))
			n++;
	agree(got, 0, "readdir");
	c_close(&me, o.hold);
	return n;
}

/* Every entry of the host is here (by stat), and the number of entries is the same. */
static void compare_dir(const char *path)
{
	char sub[600];
	int fd = openat(base, path[1] ? rel(path) : ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(fd);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;

		n++;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path[1] ? path : "", e->d_name);
		snprintf(what, sizeof(what), "comparing %s", sub);
		do_stat(sub);
		if (fstatat(base, rel(sub), &st, AT_SYMLINK_NOFOLLOW) < 0)
			test_fail(what, "it vanished");
		if (S_ISDIR(st.st_mode))
			compare_dir(sub);
		else if (S_ISREG(st.st_mode))
			compare_file(sub);
	}
	snprintf(what, sizeof(what), "entries of %s", path);
	agree(entries_of(path), n, "count");
	closedir(dir);
}

static void one_round(unsigned round)
{
	static const char *const args[] = {"-b 1024 -O has_journal -J size=1", "-b 4096",
					   "-b 2048"};
	const char *image = test_path("random.img");
	char name[40];

	snprintf(name, sizeof(name), "round%u", round);
	const char *host = test_path(name);

	if (mkdir(host, 0755) < 0 || (base = open(host, O_RDONLY | O_DIRECTORY)) < 0)
		test_fail(name, "cannot use %s", host);
	if (mkdirat(base, "lost+found", 0700) < 0) /* mke2fs makes it, and e2fsck misses it */
		test_fail(name, "cannot make lost+found");
	r.s = 1000 + round;
	image_make(image, "16M", args[round % 3]);
	disk_open(&disk, image);
	tree_mount(&tree, &disk, 1, CACHE << (round % 3));
	me = (struct client){.t = &tree, .node = 1};
	for (unsigned i = 0; i < STEPS; i++) {
		switch (rnd(&r, 8)) {
		case 0:
			do_open();
			break;
		case 1:
		case 2:
		case 3:
			do_file();
			break;
		default:
			do_name();
		}
		if (rnd(&r, 300) == 0)
			agree(c_sync(&me), 0, "sync");
	}
	compare_dir("/");
	for (unsigned i = 0; i < OPEN; i++) {
		if (files[i].used)
			close(files[i].fd);
		files[i].used = false;
	}
	tree_unmount(&tree);
	disk_close(&disk);
	CHECK(name, image_clean(image));
	disk_open(&disk, image);
	tree_mount(&tree, &disk, 1, CACHE);
	compare_dir("/");
	tree_unmount(&tree);
	disk_close(&disk);
	close(base);
	test_ok(name);
}

int main(void)
{
	me.cred.uid = geteuid();
	for (unsigned round = 0; round < ROUNDS; round++)
		one_round(round);
	return 0;
}
