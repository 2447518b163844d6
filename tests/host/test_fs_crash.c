/* SPDX-License-Identifier: MIT */
/*
 * Power failures at random writes. Of the writes that no flush followed, a random part is on the
 * disk. After the restart everything synced must be there, what was deleted may be there but then
 * whole, and e2fsck must be content: after our replay of the journal, and also after the host's. The
 * power may fail again during that replay. And disks that do not obey some of the flushes must be
 * found out, or the test would show nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_fs_util.h"

enum { CRASHES = 60, FILES = 24, STEPS = 3000, CACHE = 200 * 1024, MAX_LEN = 90000 };

/* A file that is written once and never changed: its fate is deletion. */
enum fate { ABSENT, CREATED, SYNCED, DELETED };
static struct {
	enum fate fate;
	unsigned serial; /* its contents */
	size_t len;
} file[FILES];

static struct test_disk disk;
static struct tree tree;
static struct client me;
static struct rng r;
static unsigned serials;
static uint8_t buf[MAX_LEN];

static void file_path(char *path, unsigned i)
{
	sprintf(path, "/d%u/file%u", i % 3, i);
}

static void fill(unsigned i)
{
	struct rng c = {file[i].serial};

	for (size_t k = 0; k < file[i].len; k++)
		buf[k] = (uint8_t)rnd(&c, 256);
}

static void create(unsigned i)
{
	char path[40];

	file[i].serial = ++serials;
	file[i].len = rnd(&r, 3) ? rnd(&r, 6000) : rnd(&r, MAX_LEN);
	file[i].fate = CREATED;
	fill(i);
	file_path(path, i);
	c_put(&me, path, buf, file[i].len);
}

static void delete (unsigned i)
{
	char path[40];

	file_path(path, i);
	EXPECT(path, c_path(&me, FS_UNLINK, path, &(struct fs_path){0}), 0);
	file[i].fate = file[i].fate == SYNCED ? DELETED : ABSENT;
}

/* It reached the disk if the power is still on. */
static void sync_all(void)
{
	EXPECT("sync", c_sync(&me), 0);
	if (disk.off)
		return;
	for (unsigned i = 0; i < FILES; i++) {
		if (file[i].fate == CREATED)
			file[i].fate = SYNCED;
		if (file[i].fate == DELETED)
			file[i].fate = ABSENT;
	}
}

/* Other files come, change and go: their blocks are taken from those that were deleted. */
static void churn(void)
{
	char a[40], b[40];
	struct fs_opened o;

	sprintf(a, "/d%u/x%u", rnd(&r, 3), rnd(&r, 10));
	sprintf(b, "/d%u/x%u", rnd(&r, 3), rnd(&r, 10));
	switch (rnd(&r, 6)) {
	case 0:
		c_path(&me, FS_UNLINK, a, &(struct fs_path){0});
		break;
	case 1:
		c_two(&me, FS_RENAME, a, b);
		break;
	case 2:
		c_mkdir(&me, a, 0755);
		break;
	case 3:
		c_path(&me, FS_RMDIR, a, &(struct fs_path){0});
		break;
	default:
		if (c_open(&me, a, O_RDWR | O_CREAT, 0644, &o) == 0) {
			memset(buf, 0xcc, 30000);
			c_write(&me, o.hold, rnd(&r, 60000), buf, rnd(&r, 30000));
			if (rnd(&r, 3) == 0)
				c_hold(&me, FS_FTRUNCATE, o.hold,
				       &(struct fs_hold_set){.size = rnd(&r, 60000)});
			c_close(&me, o.hold);
		}
	}
}

static void step(void)
{
	unsigned i = rnd(&r, FILES);

	if (rnd(&r, 4))
		churn();
	else if (file[i].fate == ABSENT)
		create(i);
	else if (file[i].fate != DELETED)
		delete (i);
	if (rnd(&r, 25) == 0)
		sync_all();
}

static void verify(unsigned crash)
{
	static uint8_t got[FS_IO_MAX];
	char path[40], name[40];

	sprintf(name, "crash %u", crash);
	for (unsigned i = 0; i < FILES; i++) {
		struct fs_opened o;

		if (file[i].fate != SYNCED && file[i].fate != DELETED)
			continue;
		file_path(path, i);
		long err = c_open(&me, path, O_RDONLY, 0, &o);

		if (err == -ENOENT && file[i].fate == DELETED)
			continue;
		if (err < 0 || o.attr.size != file[i].len)
			test_fail(name, "%s: %ld, %lu bytes of %zu", path, err,
				  err ? 0 : (unsigned long)o.attr.size, file[i].len);
		fill(i);
		for (size_t off = 0; off < file[i].len; off += FS_IO_MAX) {
			long n = c_read(&me, o.hold, off, got, FS_IO_MAX);

			if (n <= 0 || memcmp(got, buf + off, (size_t)n) != 0)
				test_fail(name, "%s: bytes from %zu on are not what was synced",
					  path, off);
		}
		c_close(&me, o.hold);
	}
}

static void host_replay(const char *image)
{
	char cmd[500];
	const char *copy = test_path("copy.img"), *out = test_path("replay.out");

	snprintf(cmd, sizeof(cmd), "cp %s %s && e2fsck -y -E journal_only %s >%s 2>&1", image, copy,
		 copy, out);
	if (system(cmd) != 0)
		test_fail("replay by the host", "%s", cmd);
	CHECK("replay by the host", image_clean(copy));
}

/* The power fails once more while the journal is replayed, or soon after. */
static bool restart_fails(const char *image)
{
	disk_open(&disk, image);
	disk.track = true;
	disk.writes_left = rnd(&r, 40);
	fs_log("power failure soon: what follows about read-only is meant");
	if (fs_mount(&tree.fs, &disk.dev, 1, CACHE) == 0) {
		holds_init(&tree.holds, &tree.fs);
		disk_lose_power(&disk, &r);
		tree_abandon(&tree);
	} else {
		disk_lose_power(&disk, &r);
	}
	bool off = disk.writes_left == 0;

	disk_close(&disk);
	return off;
}

/* Work until the power fails; restart; judge. */
static void crash(unsigned number, enum deafness deaf, unsigned *replayed, unsigned *twice)
{
	char image[300];

	r.s = 5000 + number;
	memset(file, 0, sizeof(file));
	snprintf(image, sizeof(image), "%s", test_path("crash.img"));
	image_make(image, "6M", "-b 1024 -O has_journal -J size=1");
	disk_open(&disk, image);
	disk.track = true;
	disk.deaf = deaf;
	tree_mount(&tree, &disk, 1, CACHE);
	me = (struct client){.t = &tree, .node = 1};
	for (unsigned d = 0; d < 3; d++) {
		char path[8];

		sprintf(path, "/d%u", d);
		EXPECT(path, c_mkdir(&me, path, 0755), 0);
	}
	for (unsigned i = 0; i < FILES / 2; i++)
		create(i);
	sync_all();
	disk.writes_left = rnd(&r, 2000);
	for (unsigned i = 0; i < STEPS && !disk.off; i++)
		step();
	disk_lose_power(&disk, &r);
	tree_abandon(&tree);
	disk_close(&disk);

	host_replay(image);
	while (rnd(&r, 2))
		*twice += restart_fails(image);
	disk_open(&disk, image);
	long before = (long)disk.dev.writes;

	tree_mount(&tree, &disk, 1, CACHE);
	*replayed += (long)disk.dev.writes - before > 6;
	verify(number);
	tree_unmount(&tree);
	disk_close(&disk);
	if (!image_clean(image))
		test_fail("crash", "seed %u: e2fsck is not content", 5000 + number);
}

/* In a process of its own, which must end with a failed check of what is on the disk. */
static void must_notice(const char *name, enum deafness deaf)
{
	int out[2], status = -1;
	char why[300] = "";
	size_t len = 0;

	fflush(stdout);
	CHECK(name, pipe(out) == 0);
	pid_t pid = fork();

	CHECK(name, pid >= 0);
	if (pid == 0) {
		unsigned replayed = 0, twice = 0;

		if (dup2(out[1], STDOUT_FILENO) < 0 || !freopen("/dev/null", "w", stderr))
			exit(2);
		close(out[0]);
		close(out[1]);
		for (unsigned i = 0; i < CRASHES; i++)
			crash(i, deaf, &replayed, &twice);
		exit(0);
	}
	close(out[1]);
	for (char c; read(out[0], &c, 1) == 1;)
		if (len + 1 < sizeof(why))
			why[len++] = c == '\n' ? ';' : c;
	close(out[0]);
	CHECK(name, waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		test_fail(name, "was not noticed in %u crashes (status %x)", CRASHES, status);
	printf("# noticed by: %s\n", why);
	test_ok(name);
}

int main(void)
{
	unsigned replayed = 0, twice = 0;

	must_notice("a disk that never flushes", DEAF_ALWAYS);
	must_notice("a disk that does not flush before a commit", DEAF_BEFORE_COMMIT);
	must_notice("a disk that does not flush behind a commit", DEAF_AFTER_COMMIT);
	for (unsigned i = 0; i < CRASHES; i++)
		crash(i, DEAF_NOT, &replayed, &twice);
	CHECK("crashes",
	      replayed > CRASHES / 4 && twice > CRASHES / 8); /* or it would show nothing */
	printf("# %u of %u restarts found work in the journal; in %u the power failed again\n",
	       replayed, CRASHES, twice);
	test_ok("power failures");
	return 0;
}
