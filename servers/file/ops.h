/* SPDX-License-Identifier: MIT */
/*
 * The operations of abi/msg_file.h on this node's tree, as a function from a request to a reply. It
 * knows nothing of IPC or the network: main.c feeds it what the kernel and other services ask,
 * remote.c what other nodes' file servers ask, the host tests what they like.
 */
#ifndef FILE_OPS_H
#define FILE_OPS_H

#include "fs.h"
#include "holds.h"

struct fs_request;
struct tree {
	struct fs fs;
	struct holds holds;
	/* Takes requests for ends (ends.c); NULL where there is no kernel to ask. */
	long (*end)(struct tree *t, struct fs_request *r);
};

/* A request being executed. The functions return bytes copied, or a negative errno. */
struct fs_request {
	struct wh_msg msg; /* in: the request; out: the reply */
	uint32_t bulk_len;
	uint32_t bulk_flags; /* enum wh_bulk */
	uint32_t sender;     /* node on whose behalf */
	long (*copyin)(struct fs_request *r, size_t off, void *dst, size_t len);
	long (*copyout)(struct fs_request *r, size_t off, const void *src, size_t len);
	/* The physical addresses of the first n page frames of the bulk; an error if it is anything else. NULL: it is. */
	long (*frames)(struct fs_request *r, uint64_t *phys, unsigned n);

	/* out: data pages of an inode that changed, for the kernel's page cache; len 0: none */
	struct {
		uint64_t ino, off, len;
		uint32_t gen;
	} changed;
};

/* Execute r->msg and leave the reply in it. Never blocks for anything but the disk. */
void fs_handle(struct tree *t, struct fs_request *r);

/* Is doing it twice as good as once? False for unknown types. */
bool fs_idempotent(uint32_t type);
bool fs_known(uint32_t type);

/* Text of FS_CTL_COUNTERS; returns its length. `pending`: remote requests under way; `idle`: holds that nobody uses. */
int fs_counters(const struct tree *t, unsigned pending, unsigned idle, char *buf, size_t size);

/* ---- shared by op_*.c ---- */

typedef long (*fs_op)(struct tree *t, struct fs_request *r);

/* The handlers, one per row of the table in ops.c; they return the status of the reply. */
long op_open(struct tree *t, struct fs_request *r);
long op_close(struct tree *t, struct fs_request *r);
long op_adopt(struct tree *t, struct fs_request *r);
long op_end(struct tree *t, struct fs_request *r);
long op_bind(struct tree *t, struct fs_request *r);
long op_flock(struct tree *t, struct fs_request *r);
long op_lock(struct tree *t, struct fs_request *r);
long op_read(struct tree *t, struct fs_request *r);
long op_write(struct tree *t, struct fs_request *r);
long op_readdir(struct tree *t, struct fs_request *r);
long op_truncate(struct tree *t, struct fs_request *r);
long op_ftruncate(struct tree *t, struct fs_request *r);
long op_sync(struct tree *t, struct fs_request *r);
long op_statfs(struct tree *t, struct fs_request *r);
long op_stat(struct tree *t, struct fs_request *r);
long op_fstat(struct tree *t, struct fs_request *r);
long op_access(struct tree *t, struct fs_request *r);
long op_resolve(struct tree *t, struct fs_request *r);
long op_readlink(struct tree *t, struct fs_request *r);
long op_chmod(struct tree *t, struct fs_request *r);
long op_fchmod(struct tree *t, struct fs_request *r);
long op_chown(struct tree *t, struct fs_request *r);
long op_fchown(struct tree *t, struct fs_request *r);
long op_utimes(struct tree *t, struct fs_request *r);
long op_futimes(struct tree *t, struct fs_request *r);
long op_unlink(struct tree *t, struct fs_request *r);
long op_rmdir(struct tree *t, struct fs_request *r);
long op_mkdir(struct tree *t, struct fs_request *r);
long op_mknod(struct tree *t, struct fs_request *r);
long op_symlink(struct tree *t, struct fs_request *r);
long op_link(struct tree *t, struct fs_request *r);
long op_rename(struct tree *t, struct fs_request *r);

/* The request's body as its struct, copied, so that the reply can be written over it. */
#define FS_BODY(r, type_) (*WH_BODY(&(r)->msg, const type_))
/* What has got another owner or other contents does not run with its owner's rights. */
void drop_set_ids(struct fs *fs, struct inode *ip);

/* The NUL-terminated string at `off` of the bulk, into buf[FS_PATH_MAX]. Returns its length + 1. */
long op_string(struct fs_request *r, size_t off, char *buf);
/* Walk the path at the head of the bulk. walk_end() after success. */
long op_walk(struct tree *t, struct fs_request *r, struct fs_cred cred, unsigned flags,
	     struct walk *w);
/* Put the canonical path into the bulk, if the requester wants it. */
long op_canonical(struct fs_request *r, const struct walk *w);
/* The hold of a request by its owner; NULL: -ESTALE. */
struct hold *op_hold(struct tree *t, struct fs_request *r, uint64_t id, uint32_t owner);
/* FS_READ of an inode. */
long op_read_inode(struct tree *t, struct fs_request *r, struct inode *ip, const struct fs_io *q);
/* Note that data pages [off, off + len) of ip changed. */
void op_changed(struct fs_request *r, const struct inode *ip, uint64_t off, uint64_t len);
/* Make a file, directory or link in w's directory under w's name; referenced. */
long op_create(struct tree *t, struct walk *w, uint32_t mode, struct fs_cred cred,
	       const char *target, struct inode **ip);

#endif
