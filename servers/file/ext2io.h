/* SPDX-License-Identifier: MIT */
/* libext2fs's view of the disk: an io_manager whose blocks are those of the block cache (as
 * metadata). */
#ifndef FILE_EXT2IO_H
#define FILE_EXT2IO_H

#include <sys/types.h>
#include <ext2fs/ext2fs.h>

#include "bcache.h"

/* The manager to give to ext2fs_open(); the file system it opens lives in `c`. */
io_manager ext2io_manager(struct bcache *c);

#endif
