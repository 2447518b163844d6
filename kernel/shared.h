/* SPDX-License-Identifier: MIT */
/*
 * Memory that several processes write: MAP_SHARED of a file, or anonymous between relatives. Both belong to this node:
 * a process that has such a region cannot move (rule local), until it unmaps it.
 */
#ifndef KERNEL_SHARED_H
#define KERNEL_SHARED_H
#include "vm.h"

/* Anonymous frames, by page number; made zero at the first touch. */
struct shm;
struct shm *shm_new(u64 pages); /* one reference; NULL: no memory */
void shm_put(struct shm *s);
/* A region that is VM_RG_SHARED comes to be, as a whole or as a part or copy of another, or goes. */
void shared_join(struct region *r);
void shared_leave(struct region *r);

/* The frame of the page at `at` bytes from r's start, one reference. 0, -ENOMEM, -EIO (past the file's end). May block. */
int shared_page(struct region *r, u64 at, u64 *phys);
/* What was written through vm in [start, end) of shared files is noted in the page cache... */
void shared_collect(struct vm *vm, u64 start, u64 end);
/* ...and sent to the custodian. Blocks; 0 or -errno of the first that failed. */
int shared_sync(struct vm *vm, u64 start, u64 end);
int shared_sync_durable(struct vm *vm, u64 start, u64 end); /* and is on the disk */
/* Whatever process wrote to the file f: it is with the custodian now. */
int shared_sync_file(struct fobj *f);
/* f is, or becomes, a file that can be mapped shared for writing. 0 or -errno (-ENODEV: another node's). May block. */
int shared_prepare(struct fobj *f);
/* Why this vm cannot move: the first such region in words, or false. */
struct text;
bool shared_why(const struct vm *vm, struct text *why);
u64 counters_shm_frames(void);
/* Of the memory shared with others vm's part: each region has as much of it as any other. */
u64 shared_pages_of(const struct vm *vm);
#endif
