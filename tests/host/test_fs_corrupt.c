/* SPDX-License-Identifier: MIT */
/*
 * Damaged disks: random bytes of an image are changed, then everything is used. Errors are fine, and so is a mount
 * that is refused; what must not happen is a crash, a read beyond memory (the sanitisers watch) or an endless loop.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_fs_util.h"

enum { IMAGES = 300, CACHE = 400 * 1024, BLOCK = 1024, HOT_BLOCKS = 400 };

static struct test_disk disk;
static struct tree tree;
static struct client me;
static struct rng r = {7};
static uint8_t buf[FS_IO_MAX];

static void populate(const char *image)
{
	char path[64];

	disk_open(&disk, image);
	tree_mount(&tree, &disk, 1, CACHE);
	for (unsigned d = 0; d < 4; d++) {
		sprintf(path, "/dir%u", d);
		c_mkdir(&me, path, 0755);
		for (unsigned f = 0; f < 12; f++) {
			sprintf(path, "/dir%u/file%u", d, f);
			c_put(&me, path, buf, f == 5 ? 60000 : f * 700);
		}
		sprintf(path, "/dir%u/link", d);
		c_two(&me, FS_SYMLINK, d & 1 ? "../dir0/file1" : "/dir1/link", path);
	}
	tree_unmount(&tree);
	disk_close(&disk);
}

/* Most damage goes where the structure is. */
static void damage(const char *image, uint64_t bytes)
{
	int fd = open(image, O_RDWR);
	unsigned n = rnd(&r, 40) + 1;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = rnd(&r, 4) ? (uint64_t)rnd(&r, HOT_BLOCKS) * BLOCK + rnd(&r, BLOCK)
					 : rnd(&r, (uint32_t)bytes);
		uint8_t word[4] = {(uint8_t)rnd(&r, 256), (uint8_t)(rnd(&r, 3) ? 0 : rnd(&r, 256)),
				   (uint8_t)rnd(&r, 2), 0};

		if (rnd(&r, 4) == 0)
			memset(word, 0xff, sizeof(word));
		CHECK("damage", pwrite(fd, word, 1 + rnd(&r, 4), (off_t)at) > 0);
	}
	close(fd);
}

static void use_file(const char *path)
{
	struct fs_opened o;

	if (c_open(&me, path, O_RDWR, 0, &o) < 0)
		return;
	for (uint64_t off = 0; off < 80000; off += 20000)
		c_read(&me, o.hold, off, buf, FS_IO_MAX);
	c_write(&me, o.hold, rnd(&r, 100000), buf, rnd(&r, 20000));
	if (rnd(&r, 2))
		c_hold(&me, FS_FTRUNCATE, o.hold, &(struct fs_hold_set){.size = rnd(&r, 50000)});
	if (rnd(&r, 2))
		c_path(&me, FS_UNLINK, path, &(struct fs_path){0});
	c_close(&me, o.hold);
}

static void use_dir(const char *path)
{
	struct fs_opened o;
	uint64_t cookie = 0;

	if (c_open(&me, path, O_RDONLY, 0, &o) < 0)
		return;
	for (unsigned i = 0; i < 200 && c_readdir(&me, o.hold, &cookie, buf, 500) > 0; i++)
		continue;
	c_close(&me, o.hold);
}

static void use_all(void)
{
	char path[64], other[64], target[FS_PATH_MAX];
	struct fs_statfs s;
	struct fs_attr a;

	c_statfs(&me, &s);
	use_dir("/");
	for (unsigned d = 0; d < 4; d++) {
		sprintf(path, "/dir%u", d);
		use_dir(path);
		for (unsigned f = 0; f < 12; f++) {
			sprintf(path, "/dir%u/file%u", d, f);
			use_file(path);
			sprintf(other, "/dir%u/new%u", (d + 1) % 4, f);
			c_two(&me, rnd(&r, 2) ? FS_RENAME : FS_LINK, path, other);
		}
		sprintf(path, "/dir%u/link", d);
		c_stat(&me, path, true, &a);
		c_readlink(&me, path, target, sizeof(target));
		sprintf(path, "/dir%u/made", d);
		c_mkdir(&me, path, 0755);
		sprintf(other, "/dir%u", d);
		sprintf(path, "/dir%u/moved", (d + 1) % 4);
		c_two(&me, FS_RENAME, other, path);
		c_path(&me, FS_RMDIR, path, &(struct fs_path){0});
	}
	c_sync(&me);
}

int main(void)
{
	char good[300], bad[300], cmd[700];
	unsigned mounted = 0;

	snprintf(good, sizeof(good), "%s", test_path("good.img"));
	snprintf(bad, sizeof(bad), "%s", test_path("bad.img"));
	image_make(good, "4M", "-b 1024 -O has_journal -J size=1");
	me = (struct client){.t = &tree, .node = 1};
	populate(good);
	snprintf(cmd, sizeof(cmd), "cp %s %s", good, bad);
	stderr =
		fopen("/dev/null",
		      "w"); /* thousands of complaints; the sanitisers write to fd 2 all the same */
	for (unsigned i = 0; i < IMAGES; i++) {
		CHECK("copy", system(cmd) == 0);
		damage(bad, 4 << 20);
		disk_open(&disk, bad);
		if (fs_mount(&tree.fs, &disk.dev, 1, CACHE) == 0) {
			mounted++;
			holds_init(&tree.holds, &tree.fs);
			use_all();
			holds_end(&tree.holds);
			fs_unmount(&tree.fs);
		}
		disk_close(&disk);
	}
	printf("# %u of %u damaged disks could be mounted\n", mounted, IMAGES);
	CHECK("damaged disks", mounted > IMAGES / 4);
	test_ok("damaged disks");
	return 0;
}
