/* SPDX-License-Identifier: MIT */
/* The few calls of wh.h that the remote part of the file server makes; test_fs_remote.c plays the
 * kernel. Compiled in with -include in place of servers/lib/wh.h. */
#ifndef WH_H
#define WH_H
#include <stddef.h>
#include <stdint.h>
#include "whimbrel.h"

long wh_copyin(uint64_t id, size_t off, void *dst, size_t len);
long wh_bulk_frames(uint64_t id, uint64_t *phys, unsigned n);
long wh_copyout(uint64_t id, size_t off, const void *src, size_t len);
long wh_page_purge(uint64_t ino, uint32_t gen, uint64_t off, uint64_t len);
uint64_t wh_now(void);

#endif
