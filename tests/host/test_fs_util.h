/* SPDX-License-Identifier: MIT */
/*
 * What the file server's host tests share: a disk in a file that can lose power, images made and
 * checked by the host's own e2fsprogs, and a client that speaks abi/msg_file.h to the server's
 * core.
 */
#ifndef TEST_FS_UTIL_H
#define TEST_FS_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ops.h"

/* One line per check: `ok NAME`, or `not ok NAME: why` and exit 1. */
void test_ok(const char *name);
void test_fail(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
#define CHECK(name, cond)                                                                          \
	((cond) ? (void)0 : test_fail(name, "%s:%d: %s", __FILE__, __LINE__, #cond))
/* The value of an expression is `want`; says what it was if not. */
#define EXPECT(name, expr, want)                                                                   \
	do {                                                                                       \
		long long got_ = (expr), want_ = (want);                                           \
		if (got_ != want_)                                                                 \
			test_fail(name, "%s:%d: %s is %lld, not %lld", __FILE__, __LINE__, #expr,  \
				  got_, want_);                                                    \
	} while (0)

/* ---- random numbers that are the same everywhere ---- */
struct rng {
	uint64_t s;
};
uint32_t rnd(struct rng *r, uint32_t below);

/* ---- the disk ---- */

struct unflushed; /* a write that no flush has followed yet */

/* A disk that does not do what it is told: the tests must notice. */
enum deafness {
	DEAF_NOT,
	DEAF_ALWAYS,
	DEAF_BEFORE_COMMIT, /* to a flush before the journal's commit record is written */
	DEAF_AFTER_COMMIT,
};

struct test_disk {
	struct blkdev dev; /* first */
	int fd;
	void *memory[64]; /* what alloc() gave */
	unsigned allocs;
	bool track;	  /* remember unflushed writes */
	long writes_left; /* transfers until the power fails; < 0: never */
	bool off;	  /* it has failed */
	enum deafness deaf;
	bool committed; /* a commit record has been written since the last flush */
	struct unflushed *pending;
	unsigned npending;
	bool fail_reads;
};
void disk_open(struct test_disk *d, const char *path);
void disk_close(struct test_disk *d);
/* The power fails now: of the writes not flushed each is on the disk or not, as `r` will have it. */
void disk_lose_power(struct test_disk *d, struct rng *r);

/* mke2fs -t ext2 with these further arguments; the path is in a fresh temporary directory. */
void image_make(const char *path, const char *size, const char *args);
/* e2fsck -fn finds nothing to complain of; prints what it says otherwise. */
bool image_clean(const char *path);
/* A file name in this run's temporary directory (removed at exit). Valid for the next three calls
 * only. */
const char *test_path(const char *name);

/* ---- the client ---- */

struct client {
	struct tree *t;
	uint32_t node;
	struct fs_cred cred;
	/* How a request gets there; NULL: fs_handle() directly. Bulk is at r->..., via copyin/out. */
	void (*handle)(struct client *c, struct fs_request *r);
};

void tree_mount(struct tree *t, struct test_disk *d, uint32_t node, size_t cache);
void tree_unmount(struct tree *t); /* closes all holds */
/* As after a power failure: all memory is gone. */
void tree_abandon(struct tree *t);

long c_open(struct client *c, const char *path, int flags, unsigned mode, struct fs_opened *o);
long c_open_canon(struct client *c, const char *path, int flags, char *canon);
long c_close(struct client *c, uint64_t hold);
long c_read(struct client *c, uint64_t hold, uint64_t off, void *buf, size_t len);
long c_write(struct client *c, uint64_t hold, uint64_t off, const void *buf, size_t len);
long c_append(struct client *c, uint64_t hold, const void *buf, size_t len, uint64_t *off);
long c_readdir(struct client *c, uint64_t hold, uint64_t *cookie, void *buf, size_t len);
long c_stat(struct client *c, const char *path, bool follow, struct fs_attr *a);
long c_fstat(struct client *c, uint64_t hold, struct fs_attr *a);
long c_path(struct client *c, uint32_t type, const char *path, const struct fs_path *args);
long c_two(struct client *c, uint32_t type, const char *first, const char *second);
long c_readlink(struct client *c, const char *path, char *buf, size_t len);
long c_resolve(struct client *c, const char *path, char *canon);
long c_hold(struct client *c, uint32_t type, uint64_t hold, const struct fs_hold_set *args);
/* FS_LOCK for `who`; a->type, start, end, test are given, and the answer is left there. */
long c_lock(struct client *c, uint64_t hold, uint64_t who, struct fs_lock *a);
long c_adopt(struct client *c, uint64_t hold, uint32_t owner, uint64_t incarnation);
long c_bind(struct client *c, uint64_t hold, struct fs_opened *o);
long c_sync(struct client *c);
long c_statfs(struct client *c, struct fs_statfs *s);
long c_mkdir(struct client *c, const char *path, unsigned mode);
/* The whole file, or abort. */
void c_put(struct client *c, const char *path, const void *data, size_t len);

#endif
