/* SPDX-License-Identifier: MIT */
/*
 * Class File in motion. Packed form (version 3), all counts u32:
 *   held files   n, each {tree, u64 hold, path, struct fs_attr}   of descriptors and of mapped regions, each once; and
 *                open files that stay at their home (ends.h), named like a hold there
 *   open files   n, each {held file number, or NO_FILE and a device name; number of the end, or NO_FILE; flags, u64 offset,
 *                u64 dircookie, lock}
 *   descriptors  n, each {fd, open file number, cloexec, struct fview}
 *   cwd, program, arguments (bytes), umask
 *   files with record locks of its   n, each struct flocked
 * Descriptors that share an open file here share one there (dup). Regions travel separately and find their held file
 * by (tree, hold) with fobj_for_hold() once this is unpacked.
 *
 * The destination must unpack this before it has the holds adopted (FS_ADOPT): if another process of that node used
 * the same hold and ended in between, its FS_CLOSE would end the node's ownership under the newcomer.
 */
#include "env/filemove.h"
#include "ends.h"
#include "fs.h"
#include "proc.h"

#define MAX_HELD (NOFILE + 64)
#define NO_FILE	 0xffffffffu

/* ---- what a process holds ---- */

struct held {
	struct {
		struct fobj *f; /* held at its custodian, or the end of another node's open file */
		struct ofile *
			home; /* or an open file of this node that stays, or to which the process comes home */
	} row[MAX_HELD];
	u32 n;
	bool more; /* than fit */
};

static void held_add(struct held *h, struct fobj *f, struct ofile *home)
{
	for (u32 i = 0; i < h->n; i++)
		if (h->row[i].f == f && h->row[i].home == home)
			return;
	if (h->n == MAX_HELD) {
		h->more = true;
		return;
	}
	h->row[h->n].f = f;
	h->row[h->n++].home = home;
}

static u32 own_refs(const struct ublock *u, const struct ofile *f)
{
	u32 n = 0;
	for (int fd = 0; fd < NOFILE; fd++)
		n += u->ofile[fd] == f;
	return n;
}

/* Once it has been packed as one that stays it is one, even if those who shared it end meanwhile. */
static bool stays(const struct ublock *u, const struct ofile *f)
{
	return f->home || end_stays(f, own_refs(u, f));
}

static struct held *held_by(const struct proc *p)
{
	struct held *h = kmalloc(sizeof *h);
	if (!h)
		return NULL;
	for (int fd = 0; fd < NOFILE; fd++) {
		struct ofile *f = p->u->ofile[fd];
		if (f && f->fobj)
			held_add(h, f->fobj, NULL);
		if (f && f->end)
			held_add(h, f->end, NULL);
		else if (f && stays(p->u, f))
			held_add(h, NULL, f);
	}
	if (p->vm)
		list_for_each(r, &p->vm->regions, struct region, link)
			if (r->file)
				held_add(h, r->file, NULL);
	return h;
}

u32 file_holds(struct proc *p, struct wh_hold *rows, u32 max)
{
	struct held *h = held_by(p);
	u32 n = h ? h->n : 0;
	for (u32 i = 0; i < n && i < max; i++) {
		const struct fobj *f = h->row[i].f;
		rows[i] = f ? (struct wh_hold){.tree = f->tree, .hold = f->hold}
			    : (struct wh_hold){.tree = node_id.node,
					       .hold = end_number(h->row[i].home)};
	}
	kfree(h);
	return n;
}

/* ---- pack ---- */

static u32 index_of(const struct held *h, const struct fobj *f, const struct ofile *home)
{
	for (u32 i = 0; i < h->n; i++)
		if (h->row[i].f == f && h->row[i].home == home)
			return i;
	return NO_FILE;
}

/* What fstat says of an open file that stays; a pipe's owner is whoever asks, so the process itself. */
static struct fs_attr attr_of(const struct proc *p, struct ofile *f)
{
	struct fs_attr a = {0};
	if (f->fobj)
		return f->fobj->attr;
	f->ops->stat(f, &a);
	if (f->ops->cls == CLASS_PIPE) {
		a.uid = p->u->names.euid;
		a.gid = p->u->names.egid;
	}
	return a;
}

/* false: no memory. */
static bool pack_held(const struct proc *p, const struct held *h, struct blob *b)
{
	blob_put_u32(b, h->n);
	for (u32 i = 0; i < h->n; i++) {
		const struct fobj *f = h->row[i].f;
		struct ofile *home = h->row[i].home;
		struct fs_attr attr = f ? f->attr : attr_of(p, home);
		if (f)
			h->row[i].f->lone = false; /* another node is going to use it */
		u64 hold = f ? f->hold : end_number(home);
		if (!hold)
			return false;
		blob_put_u32(b, f ? f->tree : node_id.node);
		blob_put_u64(b, hold);
		blob_put_str(b, f ? f->path : home->fobj ? home->fobj->path : home->ops->kind);
		blob_put(b, &attr, sizeof attr);
	}
	return true;
}

/* The open files of the descriptor table, each once, in *list; returns how many. */
static u32 distinct(const struct ublock *u, struct ofile **list)
{
	u32 n = 0;
	for (int fd = 0; fd < NOFILE; fd++) {
		u32 i = 0;
		while (i < n && list[i] != u->ofile[fd])
			i++;
		if (u->ofile[fd] && i == n)
			list[n++] = u->ofile[fd];
	}
	return n;
}

static void pack_fds(const struct ublock *u, struct ofile *const *list, struct blob *b)
{
	u32 n = 0;
	for (int fd = 0; fd < NOFILE; fd++)
		n += u->ofile[fd] != NULL;
	blob_put_u32(b, n);
	for (u32 fd = 0; fd < NOFILE; fd++) {
		if (!u->ofile[fd])
			continue;
		u32 i = 0;
		while (list[i] != u->ofile[fd])
			i++;
		blob_put_u32(b, fd);
		blob_put_u32(b, i);
		blob_put_u32(b, u->cloexec[fd]);
		blob_put(b, &u->fview[fd], sizeof u->fview[fd]);
	}
}

int file_pack(struct proc *p, struct blob *b)
{
	const struct ublock *u = p->u;
	for (int fd = 0; fd < NOFILE; fd++)
		if (u->ofile[fd] && u->ofile[fd]->home)
			end_settle(u->ofile[fd], own_refs(u, u->ofile[fd]));
	struct held *h = held_by(p);
	struct ofile **list = kmalloc(NOFILE * sizeof *list);
	if (!h || !list || h->more) {
		int err = h && list ? -E2BIG : -ENOMEM;
		kfree(h);
		kfree(list);
		return err;
	}
	if (!pack_held(p, h, b)) {
		kfree(h);
		kfree(list);
		return -ENOMEM;
	}
	u32 n = distinct(u, list);
	blob_put_u32(b, n);
	for (u32 i = 0; i < n; i++) {
		const struct ofile *f = list[i];
		bool home = !f->end && stays(u, f);
		blob_put_u32(b, f->fobj ? index_of(h, f->fobj, NULL) : NO_FILE);
		blob_put_str(b, f->fobj ? "" : f->ops->kind);
		blob_put_u32(b, f->end || home ? index_of(h, f->end, home ? f : NULL) : NO_FILE);
		blob_put_u32(b, f->flags);
		blob_put_u64(b, f->offset);
		blob_put_u64(b, f->dircookie);
		blob_put_u32(b, home ? 0 : f->locked);
	}
	pack_fds(u, list, b);
	blob_put_str(b, u->cwd ? u->cwd : "/");
	blob_put_str(b, u->exe ? u->exe : "");
	blob_put_u32(b, u->cmdline_len);
	blob_put(b, u->cmdline, u->cmdline_len);
	blob_put_u32(b, u->umask);
	blob_put_u32(b, u->nflocked);
	if (u->nflocked)
		blob_put(b, u->flocked, u->nflocked * sizeof u->flocked[0]);
	kfree(h);
	kfree(list);
	return 0;
}

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
	int err = !path ? -ENOMEM : n > MAX_HELD ? -EINVAL : 0;
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
	    (index != NO_FILE && index >= a->held.n) || (end != NO_FILE && end >= a->held.n))
		return NULL;
	struct ofile *f = NULL;
	struct fobj *contents = index != NO_FILE ? a->held.row[index].f : NULL;
	if (index != NO_FILE && (!contents || contents->hold & FS_END_BIT))
		return NULL;
	if (end != NO_FILE) {
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
