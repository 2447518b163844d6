/* SPDX-License-Identifier: MIT */
/* Cached pages that are mapped shared for writing (shared.c): what was written through a mapping, on its way to the custodian. */
#include "frame.h"
#include "lib.h"
#include "pagecache.h"
#include "proc.h"

void vnode_shared(struct vnode *v, int regions)
{
	v->shared += (u32)regions;
}

bool vnode_is_shared(const struct vnode *v)
{
	return v && v->shared;
}

u64 vnode_share(const struct vnode *v)
{
	return vnode_is_shared(v) ? (v->cached + v->shared - 1) / v->shared : 0;
}

bool vnode_is_base(const struct vnode *v)
{
	return v->tree == 0;
}

int fobj_page_kept(struct fobj *f, u64 index, u64 *phys)
{
	/* What was fetched while somebody wrote is not kept by the cache: fetch again. */
	for (int tries = 0; tries < 16; tries++) {
		int err = fobj_page(f, index, phys);
		if (err)
			return err;
		const struct cpage *c = f->vnode ? page_lookup(f->vnode, index) : NULL;
		if (c && c->phys == *phys)
			return 0;
		frame_put(*phys);
	}
	return -ENOMEM;
}

void fobj_page_written(struct fobj *f, u64 index)
{
	struct cpage *c = f->vnode ? page_lookup(f->vnode, index) : NULL;
	if (c)
		c->written = true;
}

/* Pages of one run of written pages, from the first found, into buf; those are then not `written`. */
static u64 gather(struct vnode *v, u8 *buf, u64 *index)
{
	struct cpage *c = NULL;
	u64 n = 0;
	list_for_each(x, &v->pages, struct cpage, in_vnode)
		if (!c && x->written)
			c = x;
	if (!c)
		return 0;
	*index = c->index;
	while (c && c->written && n < FS_IO_MAX / PAGE_SIZE) {
		memcpy(buf + n * PAGE_SIZE, P2V(c->phys), PAGE_SIZE);
		c->written = false;
		list_remove(&c->in_vnode); /* the others are found sooner */
		list_push_back(&v->pages, &c->in_vnode);
		c = page_lookup(v, *index + ++n);
	}
	return n;
}

int fobj_flush(struct fobj *f)
{
	struct vnode *v = f->vnode;
	u64 index, n;
	int err = 0;
	u8 *buf = v ? io_buf_get(FS_IO_MAX) : NULL;
	if (!buf)
		return v ? -ENOMEM : 0;
	v->users++;
	while ((n = gather(v, buf, &index))) {
		u64 off = index * PAGE_SIZE, size = f->attr.size;
		if (off >= size)
			continue;
		size_t len = MIN(n * PAGE_SIZE, size - off);
		i64 r = fobj_write_back(f, off, buf, len);
		if (r != (i64)len && !err) {
			err = r < 0 ? (int)r : -EIO;
			klog("file: %s: %lu bytes written through a mapping are lost: error %d",
			     f->path, len, -err);
		}
	}
	io_buf_put(buf, FS_IO_MAX);
	vnode_put(v);
	return err;
}

void vnode_cut(struct vnode *v, u64 size)
{
	vnode_drop(v, size, ~0ull);
	list_for_each(c, &v->pages, struct cpage, in_vnode) {
		u64 from = c->index * PAGE_SIZE;
		if (from + PAGE_SIZE <= size)
			continue;
		u64 keep = from < size ? size - from : 0;
		memset((u8 *)P2V(c->phys) + keep, 0, PAGE_SIZE - keep);
		c->written &= keep != 0;
	}
}
