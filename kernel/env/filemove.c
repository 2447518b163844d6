/* SPDX-License-Identifier: MIT */
/*
 * Class File in motion (and arriving: filearrive.c). Packed form (version 3), all counts u32:
 *   held files   n, each {tree, u64 hold, path, struct fs_attr}   of descriptors and of mapped regions, each once; and
 *                open files that stay at their home (ends.h), named like a hold there
 *   open files   n, each {held file number, or FILE_NONE and a device name; number of the end, or FILE_NONE; flags, u64 offset,
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

static void held_add(struct held *h, struct fobj *f, struct ofile *home)
{
	for (u32 i = 0; i < h->n; i++)
		if (h->row[i].f == f && h->row[i].home == home)
			return;
	if (h->n == FILE_MAX_HELD) {
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
	return FILE_NONE;
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
		blob_put_u32(b, f->fobj ? index_of(h, f->fobj, NULL) : FILE_NONE);
		blob_put_str(b, f->fobj ? "" : f->ops->kind);
		blob_put_u32(b, f->end || home ? index_of(h, f->end, home ? f : NULL) : FILE_NONE);
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
