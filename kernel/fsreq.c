/* SPDX-License-Identifier: MIT */
/* Requests to the file server on behalf of the current process. */
#include "fs.h"
#include "ipc.h"
#include "lib.h"
#include "proc.h"

/* ---- transfer buffers: one large one is kept, since most readers and writers come one at a time ---- */

static void *spare_buf;

void *io_buf_get(size_t len)
{
	if (len <= PAGE_SIZE)
		return kmalloc(len);
	void *b = spare_buf;
	spare_buf = NULL;
	return b ? b : kmalloc(FS_IO_MAX);
}

void io_buf_put(void *buf, size_t len)
{
	if (len > PAGE_SIZE && !spare_buf)
		spare_buf = buf;
	else
		kfree(buf);
}

/* ---- requests ---- */

i64 fs_call(struct wh_msg *m, void *kbuf, size_t len, u32 bulk_flags)
{
	if (current->service == WH_SVC_FILE)
		return -EIO;
	return ipc_call(WH_SVC_FILE, m, kbuf, len, bulk_flags);
}

struct fs_cred fs_cred_effective(void)
{
	const struct unames *n = &current->u->names;
	struct fs_cred c = {.uid = n->euid, .gid = n->egid, .ngroups = n->ngroups};
	memcpy(c.groups, n->groups, n->ngroups * sizeof n->groups[0]);
	return c;
}

i64 fobj_request(struct fobj *f, u32 type, const struct fs_hold_set *set, struct wh_msg *m)
{
	int err = fobj_bind(f);
	if (err)
		return err;
	*m = (struct wh_msg){.type = type};
	if (set) {
		struct fs_hold_set *r = WH_BODY(m, struct fs_hold_set);
		*r = *set;
		r->tree = f->tree;
		r->owner = node_id.node;
		r->hold = f->hold;
		r->cred = fs_cred_effective();
	} else {
		*WH_BODY(m, struct fs_hold_req) = (struct fs_hold_req){
			.tree = f->tree, .owner = node_id.node, .hold = f->hold};
	}
	return fs_call(m, NULL, 0, WH_BULK_NONE);
}

i64 fobj_io(struct fobj *f, u32 type, u64 off, u32 flags, void *kbuf, size_t len, struct wh_msg *m)
{
	int err = fobj_bind(f);
	if (err)
		return err;
	*m = (struct wh_msg){.type = type};
	*WH_BODY(m, struct fs_io) = (struct fs_io){.tree = f->tree,
						   .flags = flags,
						   .hold = f->hold,
						   .off = off,
						   .len = (u32)len,
						   .owner = node_id.node};
	i64 n = fs_call(m, kbuf, len, type == FS_WRITE ? WH_BULK_IN : WH_BULK_OUT);
	return n > (i64)len ? -EIO : n; /* a server's mistake must not become an overrun here */
}

i64 fobj_read_frames(struct fobj *f, u64 off, const u64 *frames, u32 n)
{
	int err = fobj_bind(f);
	if (err || current->service == WH_SVC_FILE)
		return err ? err : -EIO;
	struct wh_msg m = {.type = FS_READ};
	*WH_BODY(&m, struct fs_io) = (struct fs_io){.tree = f->tree,
						    .hold = f->hold,
						    .off = off,
						    .len = n * PAGE_SIZE,
						    .owner = node_id.node};
	i64 got = ipc_call_frames(WH_SVC_FILE, &m, frames, n);
	return got > (i64)(n * PAGE_SIZE) ? -EIO : got;
}
