/* SPDX-License-Identifier: MIT */
/*
 * Cached pages of files: clean only (writes go through to the custodian first), shared with the page tables of
 * the programs that map them, dropped oldest first when frames are short.
 *
 * A vnode is the cache of one inode. Files unchanged since the common base image are the same version on every
 * node, so they share one vnode whatever tree they were opened in (tree 0): a migrated process finds its program
 * text and libraries cached here, at the same frames. A file that has been written belongs to its tree alone.
 */
#include "frame.h"
#include "known.h"
#include "lib.h"
#include "pagecache.h"
#include "proc.h"

#define BUCKETS 8192

static struct list vnodes = LIST_INIT(vnodes);
struct list page_lru = LIST_INIT(page_lru);
static struct cpage *buckets[BUCKETS];
static u64 cached_frames;

u64 pagecache_frames(void)
{
	return cached_frames;
}

/* ---- pages ---- */

static struct cpage **bucket(const struct vnode *v, u64 index)
{
	return &buckets[(((u64)v >> 4) + index * 2654435761u) % BUCKETS];
}

struct cpage *page_lookup(const struct vnode *v, u64 index)
{
	struct cpage *c = *bucket(v, index);
	while (c && (c->v != v || c->index != index))
		c = c->hash_next;
	return c;
}

static void page_drop(struct cpage *c)
{
	struct cpage **at = bucket(c->v, c->index);
	while (*at != c)
		at = &(*at)->hash_next;
	*at = c->hash_next;
	list_remove(&c->lru);
	list_remove(&c->in_vnode);
	frame_put(c->phys);
	c->v->cached--;
	cached_frames--;
	kfree(c);
}

void page_insert(struct vnode *v, u64 index, u64 phys)
{
	struct cpage *c = kmalloc(sizeof *c); /* may reclaim pages: before looking */
	if (!c)
		return;
	if (page_lookup(v, index)) {
		kfree(c);
		return;
	}
	*c = (struct cpage){.v = v, .index = index, .phys = phys};
	frame_ref(phys);
	c->hash_next = *bucket(v, index);
	*bucket(v, index) = c;
	list_push_back(&page_lru, &c->lru);
	list_push_back(&v->pages, &c->in_vnode);
	v->cached++;
	cached_frames++;
}

static void vnode_maybe_free(struct vnode *v)
{
	if (v->users || !list_empty(&v->pages))
		return;
	list_remove(&v->link);
	kfree(v);
}

void vnode_put(struct vnode *v)
{
	v->users--;
	vnode_maybe_free(v);
}

u64 pagecache_reclaim(u64 n)
{
	u64 freed = 0, look = cached_frames;
	while (look-- && freed < n && !list_empty(&page_lru)) {
		struct cpage *c = container_of(page_lru.next, struct cpage, lru);
		if (frame_refs(c->phys) > 1 ||
		    c->written) { /* mapped: dropping it would free nothing */
			list_remove(&c->lru);
			list_push_back(&page_lru, &c->lru);
			continue;
		}
		struct vnode *v = c->v;
		page_drop(c);
		vnode_maybe_free(v);
		freed++;
	}
	if (freed < n) {
		u64 before = frame_free_count();
		known_reclaim();
		freed += frame_free_count() - before;
	}
	return freed;
}

/* Mapped shared: what is in memory is newer than what the custodian has, and must stay the same frame. */
static bool kept(const struct cpage *c)
{
	return c->written || (c->v->shared && frame_refs(c->phys) > 1);
}

void vnode_drop(struct vnode *v, u64 from, u64 to)
{
	v->seq++;
	list_for_each_safe(c, &v->pages, struct cpage, in_vnode)
		if ((c->index + 1) * PAGE_SIZE > from && c->index * PAGE_SIZE < to && !kept(c))
			page_drop(c);
}

/* ---- vnodes ---- */

static bool same_version(const struct fs_version *a, const struct fs_version *b)
{
	return a->writer == b->writer && a->incarnation == b->incarnation &&
	       a->counter == b->counter;
}

static u32 key_tree(u32 tree, const struct fs_version *version)
{
	return version->counter ? tree : 0;
}

static struct vnode *vnode_find(u32 key, u64 ino, u32 gen)
{
	list_for_each(v, &vnodes, struct vnode, link)
		if (v->ino == ino && v->gen == gen && v->tree == key)
			return v;
	return NULL;
}

void vnode_attach(struct fobj *f)
{
	u32 key = key_tree(f->tree, &f->attr.version);
	struct vnode *v = vnode_find(key, f->attr.ino, f->attr.gen);
	if (!v) {
		v = kmalloc(sizeof *v);
		if (!v) /* then it is just not cached */
			return;
		*v = (struct vnode){.tree = key,
				    .ino = f->attr.ino,
				    .gen = f->attr.gen,
				    .version = f->attr.version};
		list_init(&v->pages);
		list_push_front(&vnodes, &v->link);
	}
	v->users++;
	f->vnode = v;
	if (!same_version(&v->version, &f->attr.version)) {
		vnode_drop(v, 0, ~0ull);
		v->version = f->attr.version;
	}
}

void vnode_detach(struct fobj *f)
{
	if (f->vnode)
		vnode_put(f->vnode);
	f->vnode = NULL;
}

int fobj_refresh(struct fobj *f)
{
	struct vnode *v = f->vnode;
	struct fs_attr ignored;
	if (!v || v->known == v->purges)
		return 0;
	u64 mark = v->purges;
	v->users++;
	int err = fobj_fstat(f, &ignored);
	if (!err)
		v->known = MAX(v->known, mark);
	vnode_put(v);
	return err;
}

/* Two answers of the custodian may reach us in the wrong order. */
static bool older(const struct fs_version *a, const struct fs_version *b)
{
	return a->writer == b->writer && a->incarnation == b->incarnation &&
	       a->counter < b->counter;
}

/* Is a the version right after b? Else somebody's change lies between that has not been heard of. */
static bool follows(const struct fs_version *a, const struct fs_version *b)
{
	return older(b, a) && a->counter == b->counter + 1;
}

void fobj_news(u32 tree, const struct fs_attr *attr, bool own_write)
{
	list_for_each(f, &all_fobjs, struct fobj, link) {
		if (f->tree != tree || f->attr.ino != attr->ino || f->attr.gen != attr->gen ||
		    older(&attr->version, &f->attr.version))
			continue;
		f->attr.size = attr->size;
		f->attr.version = attr->version;
		struct vnode *v = f->vnode;
		if (!v)
			continue;
		if (v->tree != key_tree(tree, &attr->version)) {
			vnode_detach(f);
			/* Another node's file is cached only as long as it is the base image's. */
			f->cacheable = tree == node_id.node;
			if (f->cacheable)
				vnode_attach(f);
		} else if (!same_version(&v->version, &attr->version)) {
			if (!own_write || !follows(&attr->version, &v->version))
				vnode_drop(v, 0, ~0ull);
			v->version = attr->version;
		}
	}
}

void fobj_newest(struct fobj *f)
{
	list_for_each(x, &all_fobjs, struct fobj, link) {
		if (x->tree != f->tree || x->attr.ino != f->attr.ino ||
		    x->attr.gen != f->attr.gen || !older(&f->attr.version, &x->attr.version))
			continue;
		f->attr.size = x->attr.size;
		f->attr.version = x->attr.version;
	}
}

/* ---- writes ---- */

struct vnode *vnode_write_begin(struct fobj *f, u64 *seq)
{
	struct vnode *v = f->vnode;
	*seq = 0;
	if (!v)
		return NULL;
	v->users++;
	v->writers++;
	*seq = v->seq;
	return v;
}

/* A whole page that is not cached. What is written is often read soon; but programs that wait for memory come first. */
static void write_new_page(struct vnode *v, u64 index, const void *data)
{
	if (frame_free_count() < AHEAD_MAX && cached_frames > 8 * AHEAD_MAX)
		pagecache_reclaim(AHEAD_MAX);
	u64 phys = frame_free_count() < AHEAD_MAX / 2 ? 0 : frame_alloc();
	if (!phys)
		return;
	memcpy(P2V(phys), data, PAGE_SIZE);
	page_insert(v, index, phys);
	frame_put(phys);
}

static void write_pages(struct vnode *v, u64 off, const u8 *data, u64 n)
{
	for (u64 done = 0, len; done < n; done += len) {
		u64 at = (off + done) & PAGE_MASK, index = (off + done) / PAGE_SIZE;
		struct cpage *c = page_lookup(v, index);
		len = MIN(PAGE_SIZE - at, n - done);
		if (c)
			memcpy((u8 *)P2V(c->phys) + at, data + done, len);
		else if (len == PAGE_SIZE && v->tree)
			write_new_page(v, index, data + done);
	}
}

void vnode_write_end(struct vnode *v, u64 seq, u64 off, const void *data, i64 n)
{
	if (!v)
		return;
	v->writers--;
	if (n > 0) {
		/* With another write in flight nobody knows here whose bytes the custodian wrote last. */
		if (data && !v->shared && (v->writers || v->seq != seq || !v->tree)) {
			if (v->tree)
				vnode_drop(v, off, off + (u64)n);
		} else if (data) { /* else it came from the pages */
			write_pages(v, off, data, (u64)n);
		}
		v->seq++;
	}
	vnode_put(v);
}

/* wh_page_purge(ino, gen, off, len): a peer, through our file server, changed a file of this node's tree. */
i64 wh_sys_page_purge(const u64 *arg)
{
	u64 ino = arg[0], off = arg[2], end = arg[2] + arg[3];
	u32 gen = (u32)arg[1];
	const struct fs_version unknown = {.writer = ~0u, .counter = 1}; /* until asked */
	if (current->service != WH_SVC_FILE)
		return -EPERM;
	if (end < off)
		end = ~0ull;
	/* Fobjs that still shared the base image's pages leave them: their file is no longer that version. */
	list_for_each(f, &all_fobjs, struct fobj, link) {
		struct vnode *v = f->vnode;
		if (!v || f->tree != node_id.node || v->ino != ino || v->gen != gen)
			continue;
		if (!v->tree) {
			vnode_detach(f);
			f->attr.version = unknown;
			vnode_attach(f);
		}
		if (f->vnode)
			f->vnode->purges++;
	}
	struct vnode *v = vnode_find(node_id.node, ino, gen);
	if (v) {
		vnode_drop(v, off, end);
		vnode_maybe_free(v);
	}
	return 0;
}

void pagecache_file_gone(u64 ino, u32 gen)
{
	struct vnode *v = vnode_find(node_id.node, ino, gen);
	if (!v)
		return;
	vnode_drop(v, 0, ~0ull);
	vnode_maybe_free(v);
}
