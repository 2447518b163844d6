/* SPDX-License-Identifier: MIT */
/*
 * Files held at their custodian. An fobj is one hold: its identity survives migration, only the node that
 * owns it changes (design 6, 8). What blocks here is a request to the local file server, which forwards it if the tree
 * is another node's.
 */
#include "fs.h"
#include "frame.h"
#include "ipc.h"
#include "known.h"
#include "lib.h"
#include "proc.h"

struct list all_fobjs = LIST_INIT(all_fobjs);
static u64 fobj_count;

u64 counters_fobjs(void)
{
	return fobj_count - idle_count();
}

/* ---- life ---- */

static struct fobj *fobj_new(u32 tree, const char *path)
{
	struct fobj *f = kmalloc(sizeof *f);
	char *copy = kstrdup(path);
	if (!f || !copy) {
		kfree(f);
		kfree(copy);
		return NULL;
	}
	f->refs = 1;
	f->tree = tree;
	f->path = copy;
	waitq_init(&f->ready);
	list_init(&f->idle);
	list_push_back(&all_fobjs, &f->link);
	fobj_count++;
	return f;
}

static void fobj_free(struct fobj *f)
{
	vnode_detach(f);
	list_remove(&f->link);
	fobj_count--;
	kfree(f->path);
	kfree(f);
}

/* Opened, or bound after a migration: what the custodian said becomes ours. */
static void learn(struct fobj *f, const struct fs_opened *o)
{
	f->attr = o->attr;
	f->cacheable = o->cacheable && S_ISREG(o->attr.mode);
	f->bound = true;
	fobj_news(f->tree, &o->attr, false);
	fobj_newest(f);
	if (f->cacheable)
		vnode_attach(f);
}

struct fobj *fobj_open_path(struct path *path, u32 flags, u32 mode, int *err)
{
	bool own = path->tree == node_id.node;
	struct fobj *kept = own ? idle_take(path->name, flags) : NULL;
	if (kept) {
		strlcpy(path->name, kept->path, PATH_CAP);
		return kept;
	}
	/* Made first: after the custodian has granted the hold nothing may fail. */
	struct fobj *f = fobj_new(path->tree, "");
	char *name = kmalloc(PATH_CAP);
	if (!f || !name) {
		*err = -ENOMEM;
		goto fail;
	}
	struct wh_msg m = {.type = FS_OPEN};
	*WH_BODY(&m, struct fs_open) = (struct fs_open){.tree = path->tree,
							.flags = flags,
							.mode = mode,
							.owner = node_id.node,
							.cred = fs_cred_effective()};
	*err = (int)fs_call(&m, path->name, PATH_CAP, WH_BULK_IN | WH_BULK_OUT);
	if (*err < 0)
		goto fail;
	*err = 0;
	path->name[PATH_CAP - 1] = 0;
	kfree(f->path);
	f->path = kstrdup(path->name);
	if (f->path) {
		kfree(name);
	} else {
		strlcpy(name, path->name, PATH_CAP);
		f->path = name;
	}
	f->hold = WH_BODY(&m, struct fs_opened)->hold;
	f->lone = own && !(flags & O_PATH);
	f->open_flags = flags;
	learn(f, WH_BODY(&m, struct fs_opened));
	return f;
fail:
	kfree(name);
	if (f)
		fobj_free(f);
	return NULL;
}

struct fobj *fobj_open(u32 tree, const char *path, u32 flags, u32 mode, int *err)
{
	struct path *p = kmalloc(sizeof *p);
	struct fobj *f = NULL;
	*err = p ? 0 : -ENOMEM;
	if (p && strlcpy(p->name, path, PATH_CAP) >= PATH_CAP)
		*err = -ENAMETOOLONG;
	if (!*err) {
		p->kind = PATH_TREE;
		p->tree = tree;
		f = fobj_open_path(p, flags, mode, err);
	}
	kfree(p);
	return f;
}

struct fobj *fobj_arrive(u32 tree, u64 hold, const char *path, const struct fs_attr *attr)
{
	list_for_each(x, &all_fobjs, struct fobj, link)
		if (x->tree == tree && x->hold == hold && hold) {
			fobj_ref(x);
			x->lone = false;
			return x;
		}
	struct fobj *f = fobj_new(tree, path);
	if (f) {
		f->hold = hold;
		f->attr = *attr;
	}
	return f;
}

void fobj_ref(struct fobj *f)
{
	if (!f->refs++)
		idle_end(f);
}

/* Tell the custodian, and free f. false: not now. */
static bool close_hold(struct fobj *f)
{
	struct wh_msg m = {.type = FS_CLOSE};
	*WH_BODY(&m, struct fs_hold_req) =
		(struct fs_hold_req){.tree = f->tree, .owner = node_id.node, .hold = f->hold};
	int err = ipc_crowded() ? -ENOMEM : ipc_post(WH_SVC_FILE, &m);
	if (err == -ENOMEM)
		return false;
	if (err)
		klog("file: hold %lx of %s was not closed: error %d", f->hold, f->path, -err);
	fobj_free(f);
	return true;
}

/* A process that ends may have thousands of files mapped. What cannot be closed at once waits among all_fobjs, with no
 * references (fobj_arrive may bring it back to life), for the next try. */
#define CLOSE_AGAIN_NS (5 * 1000000ull)
static struct timer close_timer;

static void close_more(struct timer *t)
{
	list_for_each_safe(f, &all_fobjs, struct fobj, link)
		if (!f->refs && list_empty(&f->idle) && !close_hold(f)) {
			timer_arm(t, now_ns() + CLOSE_AGAIN_NS);
			return;
		}
}

void fobj_close(struct fobj *f)
{
	if (!close_hold(f) && !close_timer.armed) {
		close_timer.fire = close_more;
		timer_arm(&close_timer, now_ns() + CLOSE_AGAIN_NS);
	}
}

void fobj_put(struct fobj *f)
{
	if (--f->refs)
		return;
	if (!f->hold)
		fobj_free(f);
	else if (!idle_keep(f))
		fobj_close(f);
}

int fobj_bind(struct fobj *f)
{
	if (f->bound || f->bad)
		return -(int)f->bad;
	struct wh_msg m = {.type = FS_BIND};
	*WH_BODY(&m, struct fs_hold_req) =
		(struct fs_hold_req){.tree = f->tree, .owner = node_id.node, .hold = f->hold};
	i64 status = fs_call(&m, NULL, 0, WH_BULK_NONE);
	if (f->bound) /* another process of this node was faster */
		return 0;
	const struct fs_opened *o = WH_BODY(&m, struct fs_opened);
	if (status >= 0 && (o->attr.ino != f->attr.ino || o->attr.gen != f->attr.gen))
		status = -ESTALE;
	if (status < 0) {
		klog("file: cannot bind hold %lx (tree %u, %s): error %d\n", f->hold, f->tree,
		     f->path, (int)-status);
		/* An unreachable custodian may come back; a hold it does not know will not. */
		if (status == -ESTALE || status == -EBADF)
			f->bad = ESTALE;
		return (int)status;
	}
	/* Another version than the one last seen is no inconsistency: it is the custodian's same file, and
	 * whoever changed it would have changed it as well had the process stayed. */
	learn(f, o);
	return 0;
}

/* ---- contents ---- */

/* As the custodian has them; of its own tree the kernel knows them, usually. */
static i64 attr_now(struct fobj *f, struct fs_attr *a)
{
	struct wh_msg m;
	i64 r = fobj_bind(f);
	if (r || (f->tree == node_id.node && known_attr(f->attr.ino, f->attr.gen, a)))
		return r;
	r = fobj_request(f, FS_FSTAT, NULL, &m);
	if (r >= 0)
		*a = *WH_BODY(&m, struct fs_attr);
	return r;
}

int fobj_fstat(struct fobj *f, struct fs_attr *a)
{
	i64 r = attr_now(f, a);
	if (r < 0)
		return (int)r;
	fobj_news(f->tree, a, false);
	struct fs_attr kept = f->attr; /* size and version may be newer already */
	f->attr = *a;
	f->attr.size = kept.size;
	f->attr.version = kept.version;
	return 0;
}

i64 fobj_read(struct fobj *f, u64 off, void *buf, size_t len)
{
	size_t done = 0;
	int err = fobj_bind(f);
	if (!err)
		err = fobj_refresh(f);
	if (err)
		return err;
	while (done < len) {
		struct wh_msg m;
		u64 phys;
		size_t n;
		if (!f->vnode) {
			n = MIN(len - done, FS_IO_MAX);
			i64 got = fobj_io(f, FS_READ, off, 0, (u8 *)buf + done, n, &m);
			if (got <= 0)
				return done ? (i64)done : got;
			n = (size_t)got;
		} else {
			if (off >= f->attr.size)
				break;
			n = PAGE_SIZE - (off & PAGE_MASK);
			n = MIN(n, MIN(len - done, f->attr.size - off));
			err = fobj_page(f, off / PAGE_SIZE, &phys);
			if (err)
				return done ? (i64)done : err;
			memcpy((u8 *)buf + done, (u8 *)P2V(phys) + (off & PAGE_MASK), n);
			frame_put(phys);
		}
		done += n;
		off += n;
	}
	return (i64)done;
}

static i64 write_through(struct fobj *f, u64 *off, bool append, const void *kbuf, size_t len,
			 bool to_cache)
{
	int err = fobj_bind(f);
	if (err)
		return err;
	struct wh_msg m = {0};
	u64 seq;
	struct vnode *v = vnode_write_begin(f, &seq);
	/* The buffer is only read (WH_BULK_IN). */
	i64 n = fobj_io(f, FS_WRITE, *off, append ? O_APPEND : 0, (void *)(u64)kbuf, len, &m);
	const struct fs_wrote *w = WH_BODY(&m, struct fs_wrote);
	vnode_write_end(v, seq, w->off, to_cache ? kbuf : NULL, n);
	if (n > 0) {
		struct fs_attr news = f->attr;
		news.size = w->size;
		news.version = w->version;
		*off = w->off + (u64)n;
		fobj_news(f->tree, &news, true);
	}
	return n;
}

i64 fobj_write(struct fobj *f, u64 *off, bool append, const void *kbuf, size_t len)
{
	return write_through(f, off, append, kbuf, len, true);
}

i64 fobj_write_back(struct fobj *f, u64 off, const void *kbuf, size_t len)
{
	return write_through(f, &off, false, kbuf, len, false);
}

int fobj_truncate(struct fobj *f, u64 size)
{
	struct fs_hold_set set = {.size = size};
	struct fs_attr a;
	struct wh_msg m;
	u64 seq;
	int err = fobj_bind(f);
	if (err)
		return err;
	struct vnode *v = vnode_write_begin(f, &seq);
	i64 r = fobj_request(f, FS_FTRUNCATE, &set, &m);
	vnode_write_end(v, seq, 0, NULL, 0);
	if (r < 0)
		return (int)r;
	if (f->vnode)
		vnode_cut(f->vnode, size);
	r = attr_now(f, &a);
	if (r < 0)
		return (int)r;
	fobj_news(f->tree, &a, true);
	return 0;
}
