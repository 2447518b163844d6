/* SPDX-License-Identifier: MIT */
/*
 * Cached pages of files: clean only (writes go through to the custodian first), shared with the page tables of
 * the programs that map them, dropped oldest first when frames are short.
 *
 * A vnode is the cache of one inode. Files unchanged since the common base image are the same version on every
 * node, so they share one vnode whatever tree they were opened in (tree 0): a migrated process finds its program
 * text and libraries cached here, at the same frames. A file that has been written belongs to its tree alone.
 */
#include "fs.h"
#include "frame.h"
#include "known.h"
#include "lib.h"
#include "proc.h"

/* Pages fetched by a sequential miss: more each time. */
#define AHEAD_MIN 16 /* FS_IO_MAX */
#define AHEAD_MAX 64 /* FS_READ_MAX */
#define CLUSTER	  8  /* pages around any other miss */
#define BUCKETS	  8192

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
	struct list pages;
};

struct cpage {
	struct list lru, in_vnode;
	struct cpage *hash_next;
	struct vnode *v;
	u64 index, phys;
	bool written; /* through a mapping; the custodian does not have it yet */
};

static struct list vnodes = LIST_INIT(vnodes);
static struct list lru = LIST_INIT(lru); /* oldest first */
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

static struct cpage *lookup(const struct vnode *v, u64 index)
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
	cached_frames--;
	kfree(c);
}

/* The cache takes a reference of its own. Not being able to is no error. */
static void page_insert(struct vnode *v, u64 index, u64 phys)
{
	struct cpage *c = kmalloc(sizeof *c); /* may reclaim pages: before looking */
	if (!c)
		return;
	if (lookup(v, index)) {
		kfree(c);
		return;
	}
	*c = (struct cpage){.v = v, .index = index, .phys = phys};
	frame_ref(phys);
	c->hash_next = *bucket(v, index);
	*bucket(v, index) = c;
	list_push_back(&lru, &c->lru);
	list_push_back(&v->pages, &c->in_vnode);
	cached_frames++;
}

static void vnode_maybe_free(struct vnode *v)
{
	if (v->users || !list_empty(&v->pages))
		return;
	list_remove(&v->link);
	kfree(v);
}

static void vnode_put(struct vnode *v)
{
	v->users--;
	vnode_maybe_free(v);
}

u64 pagecache_reclaim(u64 n)
{
	u64 freed = 0, look = cached_frames;
	while (look-- && freed < n && !list_empty(&lru)) {
		struct cpage *c = container_of(lru.next, struct cpage, lru);
		if (frame_refs(c->phys) > 1 ||
		    c->written) { /* mapped: dropping it would free nothing */
			list_remove(&c->lru);
			list_push_back(&lru, &c->lru);
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
		struct cpage *c = lookup(v, index);
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

/* ---- misses ---- */

/* Which pages to ask for on a miss at `index`: [*start, result). */
static u64 miss_window(struct vnode *v, bool local, u64 index, u64 pages, u64 *start)
{
	u64 end;
	*start = index;
	/* Older pages make room; read ahead only if even they do not. */
	if (frame_free_count() < 4 * AHEAD_MIN)
		pagecache_reclaim(4 * AHEAD_MIN);
	if (frame_free_count() < 2 * AHEAD_MIN)
		return index + 1;
	if (index == 0 || index == v->next) {
		if (local && frame_free_count() < 4 * AHEAD_MAX && cached_frames > 8 * AHEAD_MAX)
			pagecache_reclaim(4 * AHEAD_MAX);
		u64 most = local && frame_free_count() >= 2 * AHEAD_MAX ? AHEAD_MAX : AHEAD_MIN;
		v->ahead = index ? MIN(2 * v->ahead, most) : AHEAD_MIN;
		end = index + MAX(v->ahead, AHEAD_MIN);
	} else {
		*start = index - index % CLUSTER;
		end = *start + CLUSTER;
	}
	end = MIN(end, pages);
	for (u64 i = index; i > *start; i--)
		if (lookup(v, i - 1))
			*start = i;
	for (u64 i = end; i > index + 1; i--)
		if (lookup(v, i - 1))
			end = i - 1;
	return end;
}

/* Frames for pages [*start, *start + n), or for fewer, but for `index`. Returns how many. */
static u32 frames_for(u64 *frames, u64 *start, u64 index, u64 n)
{
	u32 have = 0;
	while (have < n && (frames[have] = frame_alloc()))
		have++;
	if (have && *start + have <= index) { /* too few to get there */
		while (have > 1)
			frame_put(frames[--have]);
		*start = index;
	}
	return have;
}

/* Fetch the page, and its neighbours into v if there is one. */
static int fetch(struct fobj *f, struct vnode *v, u64 index, u64 *phys)
{
	u64 start = index, end = index + 1, seq = 0, frames[AHEAD_MAX];
	u64 pages = PAGE_UP(f->attr.size) / PAGE_SIZE;
	if (v && index < pages) {
		end = miss_window(v, f->tree == node_id.node, index, pages, &start);
		seq = v->seq;
	}
	u32 n = frames_for(frames, &start, index, end - start);
	if (!n)
		return -ENOMEM;
	i64 got = fobj_read_frames(f, start * PAGE_SIZE, frames, n);
	/* What a write overtook may be read once, but not kept. */
	bool keep = v && got > 0 && index < pages && v->seq == seq && !v->writers;
	for (u32 i = 0; i < n; i++) {
		u64 at = i * PAGE_SIZE, have = got > (i64)at ? MIN((u64)got - at, PAGE_SIZE) : 0;
		bool wanted = start + i == index && got >= 0;
		if (have < PAGE_SIZE && (have || wanted))
			memset((u8 *)P2V(frames[i]) + have, 0, PAGE_SIZE - have);
		if (keep && (have || wanted))
			page_insert(v, start + i, frames[i]);
		if (wanted)
			*phys = frames[i];
		else
			frame_put(frames[i]);
	}
	if (keep && start + n > index)
		v->next = start + n;
	return got < 0 ? (int)got : 0;
}

int fobj_page(struct fobj *f, u64 index, u64 *phys)
{
	int err = fobj_bind(f);
	if (err)
		return err;
	struct vnode *v = f->vnode;
	*phys = fobj_page_cached(f, index);
	if (*phys)
		return 0;
	if (v)
		v->users++; /* f may move to another vnode while we wait */
	err = fetch(f, v, index, phys);
	if (v)
		vnode_put(v);
	return err;
}

u64 fobj_page_cached(struct fobj *f, u64 index)
{
	struct cpage *c = f->vnode ? lookup(f->vnode, index) : NULL;
	if (!c)
		return 0;
	list_remove(&c->lru);
	list_push_back(&lru, &c->lru);
	frame_ref(c->phys);
	return c->phys;
}

/* ---- mapped shared (shared.c) ---- */

void vnode_shared(struct vnode *v, int regions)
{
	v->shared += (u32)regions;
}

bool vnode_is_shared(const struct vnode *v)
{
	return v && v->shared;
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
		const struct cpage *c = f->vnode ? lookup(f->vnode, index) : NULL;
		if (c && c->phys == *phys)
			return 0;
		frame_put(*phys);
	}
	return -ENOMEM;
}

void fobj_page_written(struct fobj *f, u64 index)
{
	struct cpage *c = f->vnode ? lookup(f->vnode, index) : NULL;
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
		c = lookup(v, *index + ++n);
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
