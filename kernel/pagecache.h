/* SPDX-License-Identifier: MIT */
/* Between the files of the page cache only: pages and vnodes. */
#ifndef KERNEL_PAGECACHE_H
#define KERNEL_PAGECACHE_H
#include "fs.h"

/* Pages fetched by a sequential miss: more each time. */
#define AHEAD_MIN 16 /* FS_IO_MAX */
#define AHEAD_MAX 64 /* FS_READ_MAX */
#define CLUSTER	  8  /* pages around any other miss */

struct vnode {
	struct list link;
	u32 tree; /* 0: base image */
	u32 gen;
	u64 ino;
	struct fs_version version;
	u32 users;   /* fobjs, and calls that need it to stay */
	u32 shared;  /* regions that map it shared for writing: its mapped pages are the truth */
	u32 writers; /* writes in flight: what is read meanwhile may be old */
	u64 purges; /* changes behind our back that the file server told of: size and version unknown since */
	u64 known; /* how many of them the custodian has been asked about */
	u64 seq;   /* completed changes */
	u64 next;  /* page after the last read-ahead: a miss there is sequential */
	u64 ahead; /* pages of that */
	u64 cached;
	struct list pages; /* so many */
};

struct cpage {
	struct list lru, in_vnode;
	struct cpage *hash_next;
	struct vnode *v;
	u64 index, phys;
	bool written; /* through a mapping; the custodian does not have it yet */
};

extern struct list page_lru; /* oldest first */
struct cpage *page_lookup(const struct vnode *v, u64 index);
/* The cache takes a reference of its own. Not being able to is no error. */
void page_insert(struct vnode *v, u64 index, u64 phys);
void vnode_put(struct vnode *v);
#endif
