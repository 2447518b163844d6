/* SPDX-License-Identifier: MIT */
/*
 * Not a test itself: mounts an image as a node does that boots after a power failure, and unmounts it.
 * tests/os/test_durable.py judges what our replay of the journal makes of a disk, beside the host's.
 */
#include "test_fs_util.h"

enum { CACHE = 4 << 20 };

int main(int argc, char **argv)
{
	static struct test_disk disk;
	static struct tree tree;

	if (argc != 2) {
		fprintf(stderr, "usage: fs_replay IMAGE\n");
		return 2;
	}
	disk_open(&disk, argv[1]);
	tree_mount(&tree, &disk, 1, CACHE);
	tree_unmount(&tree);
	disk_close(&disk);
	return 0;
}
