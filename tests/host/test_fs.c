/* SPDX-License-Identifier: MIT */
/*
 * Every operation of abi/msg_file.h on real ext2 images. After each test the image is unmounted and
 * e2fsck has to agree with it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_fs_util.h"

enum { CACHE = 256 * 1024, SELF = 2 };

static struct test_disk disk;
static struct tree tree;
static struct client root, user;
static const char *image_args = "-b 1024 -O has_journal -J size=1";

static void start(const char *size)
{
	const char *path = test_path("fs.img");

	image_make(path, size, image_args);
	disk_open(&disk, path);
	tree_mount(&tree, &disk, SELF, CACHE);
	root = (struct client){.t = &tree, .node = SELF};
	user = (struct client){.t = &tree, .node = SELF, .cred = {.uid = 1000, .gid = 100}};
}

static void finish(const char *name)
{
	tree_unmount(&tree);
	disk_close(&disk);
	CHECK(name, image_clean(test_path("fs.img")));
	test_ok(name);
}

static void remount(void)
{
	tree_unmount(&tree);
	disk_close(&disk);
	disk_open(&disk, test_path("fs.img"));
	tree_mount(&tree, &disk, SELF, CACHE);
}

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 131 ^ i >> 8 ^ i >> 16);
}

static uint8_t *pattern_of(size_t len)
{
	uint8_t *p = malloc(len);

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(i);
	return p;
}

static long new_file(struct client *c, const char *path, struct fs_opened *o)
{
	return c_open(c, path, O_RDWR | O_CREAT | O_EXCL, 0644, o);
}

static void contents(void)
{
	const char *name = "contents";
	enum { LEN = 400000 }; /* into the double indirect blocks */
	uint8_t *data = pattern_of(LEN), *buf = malloc(LEN);
	struct fs_opened o;
	struct fs_attr a;

	start("8M");
	c_put(&root, "/big", data, LEN);
	remount();
	EXPECT(name, c_open(&root, "/big", O_RDONLY, 0, &o), 0);
	EXPECT(name, o.attr.size, LEN);
	CHECK(name, o.cacheable == 1 && o.hold != 0);
	for (size_t off = 0; off < LEN; off += 4096 * 3 + 7) {
		long want = LEN - off < FS_IO_MAX ? (long)(LEN - off) : FS_IO_MAX;

		EXPECT(name, c_read(&root, o.hold, off, buf, FS_IO_MAX), want);
		CHECK(name, memcmp(buf, data + off, (size_t)want) == 0);
	}
	EXPECT(name, c_read(&root, o.hold, LEN, buf, 10), 0);
	EXPECT(name, c_read(&root, o.hold, LEN - 3, buf, 10), 3);
	EXPECT(name, c_read(&root, o.hold, 0, buf, FS_IO_MAX + 1), -EINVAL);
	EXPECT(name, c_close(&root, o.hold), 0);
	EXPECT(name, c_read(&root, o.hold, 0, buf, 10), -ESTALE);

	/* Sparse: far out, nothing in between. */
	EXPECT(name, new_file(&root, "/sparse", &o), 0);
	EXPECT(name, c_write(&root, o.hold, 70000000, "end", 3), 3);
	EXPECT(name, c_read(&root, o.hold, 69999000, buf, 2000), 1003);
	CHECK(name, buf[0] == 0 && buf[999] == 0 && memcmp(buf + 1000, "end", 3) == 0);
	EXPECT(name, c_fstat(&root, o.hold, &a), 0);
	CHECK(name, a.size == 70000003 && a.blocks < 40);
	/* Shrinking and growing again must not show old bytes. */
	EXPECT(name, c_write(&root, o.hold, 0, data, 3000), 3000);
	EXPECT(name, c_hold(&root, FS_FTRUNCATE, o.hold, &(struct fs_hold_set){.size = 1500}), 0);
	EXPECT(name, c_hold(&root, FS_FTRUNCATE, o.hold, &(struct fs_hold_set){.size = 2500}), 0);
	EXPECT(name, c_read(&root, o.hold, 0, buf, 5000), 2500);
	CHECK(name, memcmp(buf, data, 1500) == 0 && buf[1500] == 0 && buf[2499] == 0);
	uint64_t at;

	EXPECT(name, c_append(&root, o.hold, "xyz", 3, &at), 3);
	EXPECT(name, at, 2500);
	EXPECT(name, c_write(&root, o.hold, UINT64_MAX - 5, "abc", 3), -EFBIG);
	free(data);
	free(buf);
	finish(name);
}

static void opening(void)
{
	const char *name = "opening";
	struct fs_opened o;
	struct fs_attr a;

	start("8M");
	EXPECT(name, c_open(&root, "/none", O_RDONLY, 0, &o), -ENOENT);
	EXPECT(name, c_open(&root, "", O_RDONLY, 0, &o), -ENOENT);
	EXPECT(name, new_file(&root, "/f", &o), 0);
	EXPECT(name, c_write(&root, o.hold, 0, "hello", 5), 5);
	EXPECT(name, new_file(&root, "/f", &o), -EEXIST);
	EXPECT(name, c_open(&root, "/f", O_RDONLY | O_DIRECTORY, 0, &o), -ENOTDIR);
	EXPECT(name, c_open(&root, "/f/", O_RDONLY, 0, &o), -ENOTDIR);
	EXPECT(name, c_open(&root, "/f/x", O_RDONLY, 0, &o), -ENOTDIR);
	EXPECT(name, c_open(&root, "/new/", O_RDWR | O_CREAT, 0644, &o), -EISDIR);
	EXPECT(name, c_mkdir(&root, "/d", 0755), 0);
	EXPECT(name, c_open(&root, "/d", O_RDWR, 0, &o), -EISDIR);
	EXPECT(name, c_open(&root, "/d", O_RDONLY | O_CREAT, 0, &o), -EISDIR);
	EXPECT(name, c_open(&root, "/d", O_RDONLY | O_DIRECTORY, 0, &o), 0);
	EXPECT(name, c_read(&root, o.hold, 0, (char[8]){0}, 8), -EISDIR);
	EXPECT(name, c_two(&root, FS_SYMLINK, "f", "/link"), 0);
	EXPECT(name, c_open(&root, "/link", O_RDONLY | O_NOFOLLOW, 0, &o), -ELOOP);
	EXPECT(name, c_open(&root, "/link", O_RDONLY | O_CREAT | O_EXCL, 0644, &o), -EEXIST);
	EXPECT(name, c_open(&root, "/link", O_RDONLY, 0, &o), 0);
	EXPECT(name, o.attr.size, 5);
	/* O_CREAT goes through a dangling link. */
	EXPECT(name, c_two(&root, FS_SYMLINK, "d/made", "/dangling"), 0);
	EXPECT(name, c_open(&root, "/dangling", O_RDWR | O_CREAT, 0600, &o), 0);
	EXPECT(name, c_stat(&root, "/d/made", false, &a), 0);
	EXPECT(name, a.mode, S_IFREG | 0600);
	/* O_TRUNC. */
	EXPECT(name, c_open(&root, "/f", O_WRONLY | O_TRUNC, 0, &o), 0);
	EXPECT(name, o.attr.size, 0);
	/* A name may be long, but not too long. */
	char longest[FS_NAME_MAX + 3] = "/";

	memset(longest + 1, 'n', FS_NAME_MAX);
	EXPECT(name, new_file(&root, longest, &o), 0);
	longest[FS_NAME_MAX + 1] = 'n';
	EXPECT(name, new_file(&root, longest, &o), -ENAMETOOLONG);
	char path[FS_PATH_MAX + 10];

	memset(path, '/', sizeof(path));
	path[FS_PATH_MAX - 1] = '\0';
	EXPECT(name, c_stat(&root, path, true, &a), 0);
	path[FS_PATH_MAX - 1] = '/';
	path[FS_PATH_MAX + 1] = '\0';
	EXPECT(name, c_stat(&root, path, true, &a), -ENAMETOOLONG);
	finish(name);
}

static void paths(void)
{
	const char *name = "paths";
	char canon[FS_PATH_MAX];
	struct fs_attr a, b;

	start("8M");
	EXPECT(name, c_mkdir(&root, "/a", 0755), 0);
	EXPECT(name, c_mkdir(&root, "/a/b", 0755), 0);
	c_put(&root, "/a/b/file", "x", 1);
	EXPECT(name, c_two(&root, FS_SYMLINK, "/a/b", "/abs"), 0);
	EXPECT(name, c_two(&root, FS_SYMLINK, "../a/./b//", "/a/rel"), 0);
	EXPECT(name, c_two(&root, FS_SYMLINK, "loop2", "/loop1"), 0);
	EXPECT(name, c_two(&root, FS_SYMLINK, "loop1", "/loop2"), 0);
	static const struct {
		const char *path, *canon;
	} same[] = {
		{"/a/b/file", "/a/b/file"},
		{"//a///b/./file", "/a/b/file"},
		{"/../../a/b/file", "/a/b/file"},
		{"/a/../a/b/../b/file", "/a/b/file"},
		{"/abs/file", "/a/b/file"},
		{"/a/rel/file", "/a/b/file"},
		{"/abs/../rel/../b/file", "/a/b/file"},
	};

	EXPECT(name, c_stat(&root, "/a/b/file", true, &a), 0);
	for (unsigned i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		EXPECT(same[i].path, c_stat(&root, same[i].path, true, &b), 0);
		EXPECT(same[i].path, b.ino, a.ino);
		EXPECT(same[i].path, c_open_canon(&root, same[i].path, O_RDONLY, canon), 0);
		if (strcmp(canon, same[i].canon) != 0)
			test_fail(same[i].path, "canonical path is %s", canon);
	}
	EXPECT(name, c_resolve(&root, "/abs/..", canon), 0);
	CHECK(name, strcmp(canon, "/a") == 0);
	EXPECT(name, c_resolve(&root, "/", canon), 0);
	CHECK(name, strcmp(canon, "/") == 0);
	EXPECT(name, c_resolve(&root, "/abs/file", canon), -ENOTDIR);
	EXPECT(name, c_stat(&root, "/loop1", true, &a), -ELOOP);
	EXPECT(name, c_stat(&root, "/loop1", false, &a), 0);
	EXPECT(name, c_stat(&root, "/loop1/x", false, &a), -ELOOP);
	EXPECT(name, c_stat(&root, "/abs/", false, &a), 0);
	CHECK(name, S_ISDIR(a.mode));
	EXPECT(name, c_readlink(&root, "/a/rel", canon, sizeof(canon)), 10);
	CHECK(name, memcmp(canon, "../a/./b//", 10) == 0);
	EXPECT(name, c_readlink(&root, "/a/b", canon, sizeof(canon)), -EINVAL);
	/* A long target needs a block of its own. */
	char target[301];

	memset(target, 't', 300);
	target[300] = '\0';
	EXPECT(name, c_two(&root, FS_SYMLINK, target, "/longlink"), 0);
	EXPECT(name, c_readlink(&root, "/longlink", canon, sizeof(canon)), 300);
	CHECK(name, memcmp(canon, target, 300) == 0);
	EXPECT(name, c_path(&root, FS_UNLINK, "/longlink", &(struct fs_path){0}), 0);
	EXPECT(name, c_two(&root, FS_SYMLINK, "x", "/abs"), -EEXIST);
	EXPECT(name, c_two(&root, FS_SYMLINK, "", "/empty"), -ENOENT);
	finish(name);
}

static void permissions(void)
{
	const char *name = "permissions";
	struct fs_opened o;
	struct fs_attr a;
	struct client other = {.t = &tree, .node = SELF, .cred = {.uid = 1001, .gid = 100}};
	const struct fs_path none = {0};

	start("8M");
	EXPECT(name, new_file(&user, "/f", &o), -EACCES);
	EXPECT(name, c_mkdir(&root, "/tmp", 0777), 0);
	EXPECT(name, c_path(&root, FS_CHMOD, "/tmp", &(struct fs_path){.mode = 01777}), 0);
	EXPECT(name, c_open(&user, "/tmp/f", O_RDWR | O_CREAT, 0640, &o), 0);
	EXPECT(name, c_fstat(&user, o.hold, &a), 0);
	CHECK(name, a.uid == 1000 && a.gid == 100 && a.mode == (S_IFREG | 0640));
	EXPECT(name, c_open(&other, "/tmp/f", O_RDONLY, 0, &o), 0);
	EXPECT(name, c_open(&other, "/tmp/f", O_WRONLY, 0, &o), -EACCES);
	EXPECT(name, c_open(&other, "/tmp/f", O_RDONLY | O_TRUNC, 0, &o), -EACCES);
	EXPECT(name, c_path(&other, FS_TRUNCATE, "/tmp/f", &none), -EACCES);
	EXPECT(name, c_path(&other, FS_ACCESS, "/tmp/f", &(struct fs_path){.mode = R_OK}), 0);
	EXPECT(name, c_path(&other, FS_ACCESS, "/tmp/f", &(struct fs_path){.mode = W_OK}), -EACCES);
	EXPECT(name, c_path(&root, FS_ACCESS, "/tmp/f", &(struct fs_path){.mode = R_OK | W_OK}), 0);
	EXPECT(name, c_path(&root, FS_ACCESS, "/tmp/f", &(struct fs_path){.mode = X_OK}), -EACCES);
	/* Sticky: others may not remove or rename. */
	EXPECT(name, c_path(&other, FS_UNLINK, "/tmp/f", &none), -EPERM);
	EXPECT(name, c_two(&other, FS_RENAME, "/tmp/f", "/tmp/g"), -EPERM);
	EXPECT(name, c_path(&other, FS_CHMOD, "/tmp/f", &(struct fs_path){.mode = 0777}), -EPERM);
	EXPECT(name,
	       c_path(&user, FS_CHOWN, "/tmp/f", &(struct fs_path){.uid2 = 1001, .gid2 = ~0u}),
	       -EPERM);
	EXPECT(name,
	       c_path(&root, FS_CHOWN, "/tmp/f", &(struct fs_path){.uid2 = 70000, .gid2 = 80000}),
	       0);
	EXPECT(name, c_stat(&root, "/tmp/f", true, &a), 0);
	CHECK(name, a.uid == 70000 && a.gid == 80000);
	/* No search permission on the way. */
	EXPECT(name, c_mkdir(&root, "/closed", 0700), 0);
	c_put(&root, "/closed/f", "x", 1);
	EXPECT(name, c_stat(&user, "/closed/f", true, &a), -EACCES);
	EXPECT(name, c_stat(&user, "/closed", true, &a), 0);
	/* Times. */
	struct fs_path t = {.atime = 1234567890123456789, .mtime = -1000000001};

	EXPECT(name, c_path(&root, FS_UTIMES, "/tmp/f", &t), 0);
	EXPECT(name, c_stat(&root, "/tmp/f", true, &a), 0);
	CHECK(name, a.atime == t.atime && a.mtime == t.mtime);
	t.atime = FS_TIME_OMIT;
	t.mtime = 5000000000ll * 1000000000; /* beyond 2038 */
	EXPECT(name, c_path(&root, FS_UTIMES, "/tmp/f", &t), 0);
	remount();
	EXPECT(name, c_stat(&root, "/tmp/f", true, &a), 0);
	CHECK(name, a.atime == 1234567890123456789 && a.mtime == t.mtime);
	EXPECT(name, c_path(&user, FS_UTIMES, "/tmp/f", &t), -EPERM);
	EXPECT(name, c_path(&root, FS_MKNOD, "/fifo", &(struct fs_path){.mode = S_IFIFO | 0600}),
	       0);
	EXPECT(name, c_path(&root, FS_MKNOD, "/dev", &(struct fs_path){.mode = S_IFCHR | 0600}),
	       -EPERM);
	/* A directory with the set-group-id bit hands its group down. */
	EXPECT(name, c_mkdir(&root, "/team", 0777), 0);
	EXPECT(name, c_path(&root, FS_CHOWN, "/team", &(struct fs_path){.uid2 = ~0u, .gid2 = 555}),
	       0);
	EXPECT(name, c_path(&root, FS_CHMOD, "/team", &(struct fs_path){.mode = 02777}), 0);
	EXPECT(name, c_mkdir(&user, "/team/sub", 0755), 0);
	EXPECT(name, c_stat(&root, "/team/sub", true, &a), 0);
	CHECK(name, a.gid == 555 && (a.mode & S_ISGID));
	finish(name);
}

/* Names of a directory, read in small pieces. */
static unsigned list(struct client *c, const char *path, char names[][32], unsigned max,
		     size_t piece)
{
	struct fs_opened o;
	uint8_t buf[4096];
	uint64_t cookie = 0;
	unsigned n = 0;
	long got;

	EXPECT(path, c_open(c, path, O_RDONLY | O_DIRECTORY, 0, &o), 0);
	while ((got = c_readdir(c, o.hold, &cookie, buf, piece)) > 0) {
		for (long off = 0; off < got;) {
			uint16_t len;
			const char *entry = (char *)buf + off + 19;

			memcpy(&len, buf + off + 16, 2);
			CHECK(path, len >= 24 && len % 8 == 0 && off + len <= got);
			if (strcmp(entry, ".") != 0 && strcmp(entry, "..") != 0 && n < max)
				snprintf(names[n++], 32, "%s", entry);
			off += len;
		}
	}
	EXPECT(path, got, 0);
	EXPECT(path, c_close(c, o.hold), 0);
	return n;
}

static void directories(void)
{
	const char *name = "directories";
	static char names[1000][32];
	static bool seen[1000];
	const struct fs_path none = {0};
	struct fs_attr a;
	char path[64];

	start("8M");
	EXPECT(name, c_mkdir(&root, "/d", 0755), 0);
	for (unsigned i = 0; i < 500; i++) {
		snprintf(path, sizeof(path), "/d/entry-%u", i);
		c_put(&root, path, "", 0);
	}
	EXPECT(name, list(&root, "/d", names, 1000, 64), 500);
	for (unsigned i = 0; i < 500; i++)
		seen[atoi(names[i] + 6)] = true;
	for (unsigned i = 0; i < 500; i++)
		CHECK(name, seen[i]);
	/* Removing while reading neither loses nor repeats what stays. */
	struct fs_opened o;
	uint8_t buf[512];
	uint64_t cookie = 0;
	unsigned count = 0;
	long got;

	EXPECT(name, c_open(&root, "/d", O_RDONLY, 0, &o), 0);
	while ((got = c_readdir(&root, o.hold, &cookie, buf, sizeof(buf))) > 0) {
		for (long off = 0; off < got; off += *(uint16_t *)(void *)(buf + off + 16)) {
			const char *entry = (char *)buf + off + 19;

			if (entry[0] == '.')
				continue;
			snprintf(path, sizeof(path), "/d/%s", entry);
			EXPECT(path, c_path(&root, FS_UNLINK, path, &none), 0);
			count++;
		}
	}
	EXPECT(name, count, 500);
	EXPECT(name, c_readdir(&root, o.hold, &cookie, buf, 0), 0);
	cookie = 0;
	EXPECT(name, c_readdir(&root, o.hold, &cookie, buf, 8), -EINVAL);
	EXPECT(name, list(&root, "/d", names, 1000, 512), 0);
	EXPECT(name, c_path(&root, FS_RMDIR, "/d", &none), 0);
	EXPECT(name, c_readdir(&root, o.hold, &cookie, buf, sizeof(buf)), 48);
	EXPECT(name, c_close(&root, o.hold), 0);

	EXPECT(name, c_mkdir(&root, "/p", 0755), 0);
	EXPECT(name, c_mkdir(&root, "/p", 0755), -EEXIST);
	EXPECT(name, c_mkdir(&root, "/p/q/", 0755), 0);
	EXPECT(name, c_mkdir(&root, "/none/q", 0755), -ENOENT);
	EXPECT(name, c_stat(&root, "/p", true, &a), 0);
	EXPECT(name, a.nlink, 3);
	EXPECT(name, c_path(&root, FS_RMDIR, "/p", &none), -ENOTEMPTY);
	EXPECT(name, c_path(&root, FS_RMDIR, "/p/q/.", &none), -EINVAL);
	EXPECT(name, c_path(&root, FS_RMDIR, "/p/q/..", &none), -ENOTEMPTY);
	EXPECT(name, c_path(&root, FS_RMDIR, "/", &none), -EBUSY);
	EXPECT(name, c_path(&root, FS_UNLINK, "/p/q", &none), -EISDIR);
	c_put(&root, "/f", "", 0);
	EXPECT(name, c_path(&root, FS_RMDIR, "/f", &none), -ENOTDIR);
	EXPECT(name, c_two(&root, FS_SYMLINK, "p/q", "/toq"), 0);
	EXPECT(name, c_path(&root, FS_RMDIR, "/toq/", &none), -ENOTDIR);
	EXPECT(name, c_path(&root, FS_RMDIR, "/p/q", &none), 0);
	EXPECT(name, c_path(&root, FS_RMDIR, "/p", &none), 0);
	EXPECT(name, c_stat(&root, "/p", true, &a), -ENOENT);
	finish(name);
}

static void renames(void)
{
	const char *name = "renames";
	struct fs_attr a, b;
	struct fs_opened o;
	char buf[8];

	start("8M");
	c_put(&root, "/a", "A", 1);
	c_put(&root, "/b", "BB", 2);
	EXPECT(name, c_open(&root, "/b", O_RDONLY, 0, &o), 0);
	EXPECT(name, c_two(&root, FS_RENAME, "/a", "/b"), 0);
	EXPECT(name, c_stat(&root, "/a", true, &a), -ENOENT);
	EXPECT(name, c_stat(&root, "/b", true, &a), 0);
	EXPECT(name, a.size, 1);
	EXPECT(name, c_read(&root, o.hold, 0, buf, 8), 2); /* the replaced one is still held */
	EXPECT(name, c_fstat(&root, o.hold, &a), 0);
	EXPECT(name, a.nlink, 0);
	EXPECT(name, c_close(&root, o.hold), 0);
	EXPECT(name, c_two(&root, FS_LINK, "/b", "/c"), 0);
	EXPECT(name, c_two(&root, FS_RENAME, "/b", "/c"), 0); /* same file: nothing happens */
	EXPECT(name, c_stat(&root, "/b", true, &a), 0);
	EXPECT(name, a.nlink, 2);
	EXPECT(name, c_two(&root, FS_LINK, "/b", "/c"), -EEXIST);
	EXPECT(name, c_two(&root, FS_RENAME, "/none", "/c"), -ENOENT);

	EXPECT(name, c_mkdir(&root, "/d1", 0755), 0);
	EXPECT(name, c_mkdir(&root, "/d1/sub", 0755), 0);
	EXPECT(name, c_mkdir(&root, "/d2", 0755), 0);
	EXPECT(name, c_two(&root, FS_LINK, "/d1", "/dl"), -EPERM);
	EXPECT(name, c_two(&root, FS_RENAME, "/d1", "/d1/sub/x"), -EINVAL);
	EXPECT(name, c_two(&root, FS_RENAME, "/d2", "/d1"), -ENOTEMPTY);
	EXPECT(name, c_two(&root, FS_RENAME, "/b", "/d2"), -EISDIR);
	EXPECT(name, c_two(&root, FS_RENAME, "/d2", "/b"), -ENOTDIR);
	EXPECT(name, c_two(&root, FS_RENAME, "/b", "/new/"), -ENOTDIR);
	EXPECT(name, c_two(&root, FS_RENAME, "/d1/.", "/x"), -EBUSY);
	EXPECT(name, c_two(&root, FS_RENAME, "/d1/sub", "/d2/moved"), 0);
	EXPECT(name, c_stat(&root, "/d2/moved/..", true, &a), 0);
	EXPECT(name, c_stat(&root, "/d2", true, &b), 0);
	CHECK(name, a.ino == b.ino && b.nlink == 3);
	EXPECT(name, c_stat(&root, "/d1", true, &a), 0);
	EXPECT(name, a.nlink, 2);
	EXPECT(name, c_two(&root, FS_RENAME, "/d2/moved", "/d1"), 0); /* onto an empty directory */
	EXPECT(name, c_stat(&root, "/d1/..", true, &a), 0);
	EXPECT(name, a.ino, 2);
	EXPECT(name, c_two(&root, FS_RENAME, "/d1", "/d2/"), 0);
	finish(name);
}

static struct fs_lock told;

static long try_lock(struct client *c, uint64_t hold, uint32_t type, uint64_t who, uint64_t start,
		     uint64_t end, uint32_t test)
{
	told = (struct fs_lock){.type = type, .start = start, .end = end, .test = test};
	return c_lock(c, hold, who, &told);
}

/* Record locks: by owner, whatever the hold; they move with it and end with it. */
static void records(void)
{
	const char *name = "record locks";
	struct fs_opened o, p;
	struct client third = {.t = &tree, .node = 3};

	start("8M");
	c_put(&root, "/l", "x", 1);
	EXPECT(name, c_open(&root, "/l", O_RDWR, 0, &o), 0);
	EXPECT(name, c_open(&third, "/l", O_RDWR, 0, &p), 0);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_WRITE, 10, 100, 199, 0), 0);
	EXPECT(name, try_lock(&third, p.hold, FS_LOCK_READ, 11, 150, 150, 0), -EAGAIN);
	EXPECT(name, try_lock(&third, p.hold, FS_LOCK_READ, 11, 150, 150, 1), 0);
	CHECK(name,
	      told.type == FS_LOCK_WRITE && told.start == 100 && told.end == 199 && told.pid == 10);
	CHECK(name, !holds_lock_freed(&tree.holds));
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_NONE, 10, 140, 159, 0), 0);
	CHECK(name, holds_lock_freed(&tree.holds));
	CHECK(name, !holds_lock_freed(&tree.holds));
	EXPECT(name, tree.holds.records, 2);
	EXPECT(name, try_lock(&third, p.hold, FS_LOCK_READ, 11, 140, 159, 0), 0);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_READ, 10, 140, 159, 0), 0);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_WRITE, 10, 140, 159, 0), -EAGAIN);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_READ, 10, 0, 300, 0),
	       0); /* swallows all of its own */
	EXPECT(name, tree.holds.records, 2);
	EXPECT(name, try_lock(&root, o.hold, 3, 10, 0, 300, 0), -EINVAL);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_READ, 10, 2, 1, 0), -EINVAL);
	EXPECT(name, try_lock(&third, o.hold, FS_LOCK_READ, 11, 0, 1, 0), -ESTALE);
	/* The owner of 11 migrates here; then this node closes, and only that ends the lock. */
	EXPECT(name, c_adopt(&root, p.hold, SELF, 7), 0);
	EXPECT(name, c_close(&third, p.hold), 0);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_WRITE, 10, 140, 140, 0), -EAGAIN);
	EXPECT(name, c_close(&root, p.hold), 0);
	EXPECT(name, try_lock(&root, o.hold, FS_LOCK_WRITE, 10, 140, 140, 0), 0);
	EXPECT(name, c_close(&root, o.hold), 0);
	EXPECT(name, tree.holds.records, 0);
	finish(name);
}

static void holding(void)
{
	const char *name = "holds";
	struct fs_opened o, p;
	struct fs_statfs before, after;
	struct fs_attr a;
	const struct fs_path none = {0};
	uint8_t *data = pattern_of(FS_IO_MAX), buf[16];
	struct client third = {.t = &tree, .node = 3};

	start("8M");
	EXPECT(name, c_statfs(&root, &before), 0);
	EXPECT(name, new_file(&root, "/f", &o), 0);
	EXPECT(name, c_write(&root, o.hold, 0, data, FS_IO_MAX), FS_IO_MAX);
	EXPECT(name, c_path(&root, FS_UNLINK, "/f", &none), 0);
	EXPECT(name, c_stat(&root, "/f", true, &a), -ENOENT);
	EXPECT(name, c_read(&root, o.hold, 60000, buf, 16), 16);
	CHECK(name, memcmp(buf, data + 60000, 16) == 0);
	/* It migrates to node 3: both own it for a while, then only node 3. */
	EXPECT(name, c_bind(&third, o.hold, &p), -ESTALE);
	EXPECT(name, c_adopt(&third, o.hold, 3, 7), 0);
	EXPECT(name, c_bind(&third, o.hold, &p), 0);
	EXPECT(name, p.attr.size, FS_IO_MAX);
	EXPECT(name, c_close(&root, o.hold), 0);
	EXPECT(name, c_read(&root, o.hold, 0, buf, 16), -ESTALE);
	EXPECT(name, c_read(&third, o.hold, 0, buf, 16), 16);
	EXPECT(name, c_adopt(&third, o.hold, 3, 6), -ESTALE); /* an earlier life of node 3 */
	EXPECT(name, tree.holds.count, 1);
	holds_node_seen(&tree.holds, 3, 8); /* node 3 has rebooted: the file goes */
	EXPECT(name, tree.holds.count, 0);
	EXPECT(name, c_statfs(&root, &after), 0);
	CHECK(name, before.bfree == after.bfree && before.ffree == after.ffree);

	/* flock: by hold, shared and exclusive. */
	c_put(&root, "/l", "x", 1);
	EXPECT(name, c_open(&root, "/l", O_RDONLY, 0, &o), 0);
	EXPECT(name, c_open(&third, "/l", O_RDONLY, 0, &p), 0);
	struct fs_hold_set sh = {.op = LOCK_SH | LOCK_NB}, ex = {.op = LOCK_EX},
			   un = {.op = LOCK_UN};

	EXPECT(name, c_hold(&root, FS_FLOCK, o.hold, &sh), 0);
	EXPECT(name, c_hold(&third, FS_FLOCK, p.hold, &sh), 0);
	EXPECT(name, c_hold(&third, FS_FLOCK, p.hold, &ex), -EWOULDBLOCK);
	EXPECT(name, c_hold(&root, FS_FLOCK, o.hold, &un), 0);
	EXPECT(name, c_hold(&third, FS_FLOCK, p.hold, &ex), 0);
	EXPECT(name, c_hold(&root, FS_FLOCK, o.hold, &sh), -EWOULDBLOCK);
	EXPECT(name, tree.holds.locks, 1);
	holds_drop_node(&tree.holds, 3);
	EXPECT(name, c_hold(&root, FS_FLOCK, o.hold, &ex), 0);
	EXPECT(name, c_hold(&root, FS_FLOCK, o.hold, &(struct fs_hold_set){.op = 77}), -EINVAL);
	EXPECT(name, c_close(&root, o.hold), 0);
	EXPECT(name, tree.holds.locks, 0);

	/* Unlinked and held when the power fails: gone at the next boot. */
	EXPECT(name, c_statfs(&root, &before), 0);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(name, new_file(&root, "/orphan", &o), 0);
		EXPECT(name, c_write(&root, o.hold, 0, data, FS_IO_MAX), FS_IO_MAX);
		EXPECT(name, c_path(&root, FS_UNLINK, "/orphan", &none), 0);
		if (i == 0)
			p = o;
	}
	EXPECT(name, c_close(&root, p.hold), 0); /* out of the middle of the list */
	EXPECT(name, c_sync(&root), 0);
	uint64_t old_hold = o.hold;

	disk.off = true;
	tree_abandon(&tree);
	disk_close(&disk);
	disk_open(&disk, test_path("fs.img"));
	tree_mount(&tree, &disk, SELF, CACHE);
	EXPECT(name, c_statfs(&root, &after), 0);
	CHECK(name, before.bfree == after.bfree && before.ffree == after.ffree);
	EXPECT(name, c_open(&root, "/l", O_RDONLY, 0, &o), 0);
	CHECK(name, o.hold > old_hold);
	free(data);
	finish(name);
}

static void versions(void)
{
	const char *name = "versions";
	struct fs_attr a, b;
	struct fs_opened o;

	/* An image whose base has a file. */
	const char *dir = test_path("base"), *path = test_path("fs.img");
	char args[200];

	CHECK(name, mkdir(dir, 0755) == 0);
	FILE *f = fopen(test_path("base/old"), "w");

	CHECK(name, f && fputs("base", f) >= 0 && fclose(f) == 0);
	snprintf(args, sizeof(args), "-b 4096 -d %s", dir);
	image_make(path, "8M", args);
	disk_open(&disk, path);
	tree_mount(&tree, &disk, SELF, CACHE * 4);
	root.t = &tree;
	EXPECT(name, c_stat(&root, "/old", true, &a), 0);
	CHECK(name, a.version.counter == 0 && a.version.writer == 0 && a.version.incarnation == 0);
	EXPECT(name, c_path(&root, FS_CHMOD, "/old", &(struct fs_path){.mode = 0600}), 0);
	EXPECT(name, c_stat(&root, "/old", true, &a), 0);
	EXPECT(name, a.version.counter, 0); /* the contents are still the base's */
	EXPECT(name, c_open(&root, "/old", O_RDWR, 0, &o), 0);
	EXPECT(name, c_write(&root, o.hold, 0, "B", 1), 1);
	EXPECT(name, c_fstat(&root, o.hold, &a), 0);
	CHECK(name, a.version.counter == 1 && a.version.writer == SELF);
	EXPECT(name, c_write(&root, o.hold, 0, "C", 1), 1);
	EXPECT(name, c_hold(&root, FS_FTRUNCATE, o.hold, &(struct fs_hold_set){.size = 2}), 0);
	uint32_t boot = tree.fs.boot;

	tree_unmount(&tree);
	disk_close(&disk);
	disk_open(&disk, path);
	tree_mount(&tree, &disk, SELF, CACHE * 4);
	EXPECT(name, c_stat(&root, "/old", true, &b), 0);
	CHECK(name,
	      b.version.counter == 3 && b.version.incarnation == boot && tree.fs.boot == boot + 1);
	c_put(&root, "/new", "x", 1);
	EXPECT(name, c_stat(&root, "/new", true, &b), 0);
	CHECK(name, b.version.counter > 0 && b.version.incarnation == boot + 1);
	EXPECT(name, c_stat(&root, "/", true, &a), 0);
	CHECK(name, a.version.counter > 0);
	finish(name);
}

static void full_disk(void)
{
	const char *name = "full disk";
	struct fs_opened o, p;
	struct fs_statfs s;
	uint8_t *data = pattern_of(FS_IO_MAX), *buf = malloc(FS_IO_MAX);
	uint64_t size = 0;
	struct fs_attr a;
	char path[64];
	long n;

	start("3M");
	c_put(&root, "/keep", data, 5000);
	EXPECT(name, new_file(&root, "/fill", &o), 0);
	while ((n = c_write(&root, o.hold, size, data, FS_IO_MAX)) > 0)
		size += (uint64_t)n;
	EXPECT(name, n, -ENOSPC);
	EXPECT(name, c_fstat(&root, o.hold, &a), 0);
	EXPECT(name, a.size, (long long)size);
	for (uint64_t off = 0; off < size; off += (uint64_t)n) {
		n = c_read(&root, o.hold, off, buf, FS_IO_MAX);
		CHECK(name, n > 0 && memcmp(buf, data, (size_t)n) == 0);
	}
	EXPECT(name, c_write(&root, o.hold, 10, "ok", 2), 2); /* overwriting needs no space */
	EXPECT(name, c_statfs(&root, &s), 0);
	CHECK(name, s.bfree < 4);
	/* Names: a directory block must not be had either, and failing leaves nothing. */
	for (unsigned i = 0;; i++) {
		snprintf(path, sizeof(path), "/a-name-of-some-length-%u", i);
		n = c_mkdir(&root, path, 0755);
		if (n < 0)
			break;
	}
	EXPECT(name, n, -ENOSPC);
	EXPECT(name, c_stat(&root, path, true, &a), -ENOENT);
	/* Space comes back at once. */
	EXPECT(name, c_hold(&root, FS_FTRUNCATE, o.hold, &(struct fs_hold_set){.size = 100000}), 0);
	EXPECT(name, new_file(&root, "/more", &p), 0);
	EXPECT(name, c_write(&root, p.hold, 0, data, FS_IO_MAX), FS_IO_MAX);
	EXPECT(name, c_open(&root, "/keep", O_RDONLY, 0, &p), 0);
	EXPECT(name, c_read(&root, p.hold, 0, buf, FS_IO_MAX), 5000);
	CHECK(name, memcmp(buf, data, 5000) == 0);
	/* Inodes can run out too. */
	for (unsigned i = 0;; i++) {
		snprintf(path, sizeof(path), "/i%u", i);
		n = c_open(&root, path, O_RDONLY | O_CREAT, 0644, &p);
		if (n < 0)
			break;
		c_close(&root, p.hold);
	}
	EXPECT(name, n, -ENOSPC);
	free(data);
	free(buf);
	finish(name);
}

int main(void)
{
	static const char *const variants[] = {
		"-b 1024 -O has_journal -J size=1", "-b 1024",
		"-b 2048 -O has_journal -J size=2 -N 1200",
		"-b 4096 -N 1200 -O none,filetype,sparse_super,large_file"};

	for (unsigned i = 0; i < 4; i++) {
		image_args = variants[i];
		printf("# mke2fs %s\n", image_args);
		contents();
		opening();
		paths();
		permissions();
		directories();
		renames();
		holding();
		records();
		full_disk();
	}
	versions();
	return 0;
}
