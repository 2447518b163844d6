/* SPDX-License-Identifier: MIT */
/* Class File arrives: the packed form of filemove.c, believed in nothing, becomes descriptors again. */
#include "env/filemove.h"
#include "ends.h"
#include "fs.h"
#include "proc.h"

/* ---- what has arrived, until regions and descriptors have taken their references ---- */

struct arrival {
	struct list link;
	struct proc *p;
	bool resumed;
	struct held held; /* one reference each */
};
static struct list arrivals = LIST_INIT(arrivals);

static struct arrival *arrival_of(const struct proc *p)
{
	list_for_each(a, &arrivals, struct arrival, link)
		if (a->p == p)
			return a;
	return NULL;
}

static void arrival_free(struct arrival *a)
{
	list_remove(&a->link);
	for (u32 i = 0; i < a->held.n; i++)
		if (a->held.row[i].f)
			fobj_put(a->held.row[i].f);
		else
			ofile_put(a->held.row[i].home);
	kfree(a);
}

void file_forget_arrival(struct proc *p)
{
	struct arrival *a = arrival_of(p);
	if (a)
		arrival_free(a);
}

struct fobj *fobj_for_hold(struct proc *p, u32 tree, u64 hold)
{
	struct arrival *a = arrival_of(p);
	for (u32 i = 0; a && i < a->held.n && !(hold & FS_END_BIT); i++) {
		struct fobj *f = a->held.row[i].f;
		if (f && f->tree == tree && f->hold == hold) {
			fobj_ref(f);
			return f;
		}
	}
	return NULL;
}

void file_bind(struct proc *p)
{
	struct arrival *a = arrival_of(p);
	if (!a)
		return;
	if (file_static_bind)
		a->resumed = true; /* bound by the process itself, at its first call */
	else
		arrival_free(a);
}

void file_bind_arrived(struct proc *p)
{
	struct arrival *a = arrival_of(p);
	if (!a || !a->resumed)
		return;
	a->resumed = false; /* binding is itself a use */
	/* An error comes again at the file's first use, where it can be told. */
	for (u32 i = 0; i < a->held.n; i++)
		if (a->held.row[i].f)
			fobj_bind(a->held.row[i].f);
	arrival_free(a);
}

/* ---- unpack ---- */

/* An end: the open file itself if this is its home. */
static int arrive_end(struct held *h, u32 tree, u64 hold, const char *path,
		      const struct fs_attr *attr)
{
	if (tree == node_id.node) {
		struct ofile *home = end_find(hold);
		if (!home)
			return -EINVAL;
		ofile_ref(home);
		h->row[h->n++].home = home;
		return 0;
	}
	struct fobj *f = fobj_arrive(tree, hold, path, attr);
	if (!f)
		return -ENOMEM;
	f->bound = true; /* there is nothing to compare: it has never been anywhere else */
	h->row[h->n++].f = f;
	return 0;
}

static bool attr_possible(u64 hold, const char *path, const struct fs_attr *attr)
{
	u32 type = attr->mode & S_IFMT;
	if (hold & FS_END_BIT)
		return type == S_IFREG || type == S_IFIFO || type == S_IFCHR;
	return hold && path[0] == '/' && (type == S_IFREG || type == S_IFDIR);
}

static int unpack_held(struct arrival *a, struct blob *b)
{
	char *path = kmalloc(PATH_CAP);
	u32 n = blob_get_u32(b);
	int err = !path ? -ENOMEM : n > FILE_MAX_HELD ? -EINVAL : 0;
	for (u32 i = 0; !err && i < n; i++) {
		struct fs_attr attr;
		u32 tree = blob_get_u32(b);
		u64 hold = blob_get_u64(b);
		blob_get_str(b, path, PATH_CAP);
		blob_get(b, &attr, sizeof attr);
		if (b->bad || !tree || tree > WH_MAX_NODES || !attr_possible(hold, path, &attr))
			err = -EINVAL;
		else if (hold & FS_END_BIT)
			err = arrive_end(&a->held, tree, hold, path, &attr);
		else if (!(a->held.row[i].f = fobj_arrive(tree, hold, path, &attr)))
			err = -ENOMEM;
		else
			a->held.n++;
	}
	kfree(path);
	return err;
}

/* Of an open file that stays: itself, if this is its home; else what stands for it here. */
static struct ofile *unpack_end(const struct held *h, u32 end, struct fobj *contents, u32 flags)
{
	struct ofile *f = h->row[end].home;
	struct fobj *e = h->row[end].f;
	if (f) {
		if (!f->fobj != !contents)
			return NULL;
		ofile_ref(f);
		return f;
	}
	if (!e || !(e->hold & FS_END_BIT) || S_ISREG(e->attr.mode) != (contents != NULL))
		return NULL;
	fobj_ref(e);
	if (!contents)
		return far_open(e, flags);
	fobj_ref(contents);
	f = regular_open(contents, flags);
	if (f)
		f->end = e;
	else
		fobj_put(e);
	return f;
}

static struct ofile *unpack_ofile(const struct arrival *a, struct blob *b)
{
	char device[16];
	u32 index = blob_get_u32(b);
	blob_get_str(b, device, sizeof device);
	u32 end = blob_get_u32(b);
	u32 flags = blob_get_u32(b);
	u64 offset = blob_get_u64(b), cookie = blob_get_u64(b);
	u32 locked = blob_get_u32(b);
	if (b->bad || flags & ~O_KEPT || offset >> 63 || locked > LOCK_EX ||
	    (index != FILE_NONE && index >= a->held.n) || (end != FILE_NONE && end >= a->held.n))
		return NULL;
	struct ofile *f = NULL;
	struct fobj *contents = index != FILE_NONE ? a->held.row[index].f : NULL;
	if (index != FILE_NONE && (!contents || contents->hold & FS_END_BIT))
		return NULL;
	if (end != FILE_NONE) {
		f = unpack_end(&a->held, end, contents, flags);
		if (!f || a->held.row[end].home)
			return f; /* at home it is as others have left it */
	} else if (contents) {
		fobj_ref(contents);
		f = regular_open(contents, flags);
	} else {
		f = dev_device(device, flags);
		if (f && !dev_is_stateless(f)) {
			ofile_put(f);
			return NULL;
		}
	}
	if (f) {
		f->offset = offset;
		f->dircookie = cookie;
		f->locked = locked;
	}
	return f;
}

static int unpack_fds(struct ublock *u, struct ofile *const *list, u32 files, struct blob *b)
{
	u32 n = blob_get_u32(b);
	if (n > NOFILE)
		return -EINVAL;
	for (u32 i = 0; i < n; i++) {
		struct fview view;
		u32 fd = blob_get_u32(b), index = blob_get_u32(b), cloexec = blob_get_u32(b);
		blob_get(b, &view, sizeof view);
		if (b->bad || fd >= NOFILE || index >= files || u->ofile[fd] || cloexec > 1 ||
		    view.last_nr >= V_ROWS || view.fmarker > 1 || view.marked > 1)
			return -EINVAL;
		ofile_ref(list[index]);
		u->ofile[fd] = list[index];
		u->cloexec[fd] = (u8)cloexec;
		u->fview[fd] = view;
	}
	return 0;
}

static int unpack_open_files(struct proc *p, struct arrival *a, struct blob *b)
{
	struct ofile **list = kmalloc(NOFILE * sizeof *list);
	u32 n = blob_get_u32(b), have = 0;
	int err = !list ? -ENOMEM : n > NOFILE ? -EINVAL : 0;
	while (!err && have < n) {
		list[have] = unpack_ofile(a, b);
		if (!list[have])
			err = -EINVAL;
		else
			have++;
	}
	if (!err)
		err = unpack_fds(p->u, list, n, b);
	while (have) /* the descriptors hold them now */
		ofile_put(list[--have]);
	kfree(list);
	return err;
}

static int unpack_names(struct ublock *u, struct blob *b)
{
	char *name = kmalloc(PATH_CAP);
	if (!name)
		return -ENOMEM;
	blob_get_str(b, name, PATH_CAP);
	bool absolute = name[0] == '/';
	kfree(u->cwd);
	u->cwd = kstrdup(name);
	blob_get_str(b, name, PATH_CAP);
	kfree(u->exe);
	u->exe = kstrdup(name);
	kfree(name);
	u32 n = blob_get_u32(b);
	if (b->bad || !absolute || n > PAGE_SIZE)
		return -EINVAL;
	kfree(u->cmdline);
	u->cmdline_len = 0;
	u->cmdline = kmalloc(n);
	if (!u->cwd || !u->exe || !u->cmdline)
		return -ENOMEM;
	blob_get(b, u->cmdline, n);
	u->cmdline_len = n;
	u->umask = blob_get_u32(b);
	return b->bad || u->umask > 0777 ? -EINVAL : 0;
}

static int unpack_flocked(struct ublock *u, struct blob *b)
{
	u32 n = blob_get_u32(b);
	if (b->bad || n > FLOCKED_MAX || u->flocked)
		return -EINVAL;
	if (!n)
		return 0;
	u->flocked = kmalloc(n * sizeof u->flocked[0]);
	if (!u->flocked)
		return -ENOMEM;
	blob_get(b, u->flocked, n * sizeof u->flocked[0]);
	u->nflocked = n;
	return b->bad ? -EINVAL : 0;
}

int file_unpack(struct proc *p, struct blob *b)
{
	struct arrival *a = kmalloc(sizeof *a);
	if (!a)
		return -ENOMEM;
	if (arrival_of(p)) { /* twice */
		kfree(a);
		return -EINVAL;
	}
	a->p = p;
	list_push_back(&arrivals, &a->link);
	int err = unpack_held(a, b);
	if (!err)
		err = unpack_open_files(p, a, b);
	if (!err)
		err = unpack_names(p->u, b);
	if (!err)
		err = unpack_flocked(p->u, b);
	return err; /* what was unpacked goes when the copy is dropped */
}
