/* SPDX-License-Identifier: MIT */
/*
 * Class File (Lu & Liu §IV, Fig. 1, 2, 6): the descriptors of a process, their markers and duplicates, and its
 * names: working directory, program, mask.
 *
 * What keeps a file alive and its lock held is the hold at its custodian; it outlives the move, so nothing is ever
 * opened again. Instantiation is dynamic by default: a description arrives unbound, and its first use (fobj_bind)
 * asks the custodian, without effect, whether the hold still means the same file. Only that decides consistency: if
 * another process wrote to the file meanwhile, that is what this one would have seen had it stayed.
 * With file_static_bind everything is bound at the first call that uses a descriptor after the move (a class's `bind`
 * may not wait for a custodian).
 */
#include "env/rows.h"
#include "ends.h"
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "env/filemove.h"

bool file_static_bind;

/* ---- views ---- */

void fview_note(int fd, u32 row, i64 value)
{
	if (!views_on || fd < 0 || fd >= NOFILE)
		return;
	struct fview *v = &current->u->fview[fd];
	v->marked = v->fmarker;
	v->last_nr = row;
	v->dup = value;
}

static const char *mode_word(u32 flags)
{
	static const char *const words[] = {"read", "write", "read/write", "?"};
	return words[flags & O_ACCMODE];
}

static void view_fd(const struct proc *p, int fd, struct text *out)
{
	const struct ublock *u = p->u;
	const struct ofile *f = u->ofile[fd];
	const struct fview *v = &u->fview[fd];
	text_printf(out, "  fd %d %s", fd, f->ops->kind);
	if (f->ops->describe) {
		text_printf(out, " ");
		f->ops->describe(f, out);
	}
	if (f->fobj) {
		const struct fs_version *ver = &f->fobj->attr.version;
		text_printf(out, " tree %u %s, %s%s, offset %lu, version %u.%u.%lu", f->fobj->tree,
			    f->fobj->path, mode_word(f->flags),
			    f->flags & O_APPEND ? " append" : "", f->offset, ver->writer,
			    ver->incarnation, ver->counter);
		text_printf(out, "%s%s",
			    f->locked ? f->locked == LOCK_EX ? ", locked" : ", share-locked" : "",
			    f->fobj->bad     ? ", STALE"
			    : f->fobj->bound ? ""
					     : ", not yet bound");
	}
	if (f->end)
		text_printf(out, "; %s on node %u", f->fobj ? "its offset is" : "it stays",
			    f->end->tree);
	if (v->marked)
		text_printf(out, "; marked: %s() = %ld", syscall_rows[v->last_nr].name, v->dup);
	text_printf(out, "\n");
}

static void file_view(const struct proc *p, struct text *out)
{
	const struct ublock *u = p->u;
	text_printf(out, "  cwd %s, program %s, umask %03o\n", u->cwd ? u->cwd : "/",
		    u->exe ? u->exe : "-", u->umask);
	for (int fd = 0; fd < NOFILE; fd++)
		if (u->ofile[fd])
			view_fd(p, fd, out);
	rows_view(p, CLASS_FILE, out);
}

/* ---- a process's life ---- */

/* A system process: nothing to read, and the node's log to write to. */
static int file_init(struct proc *p)
{
	static const struct {
		const char *name;
		u32 flags;
	} std[] = {{"null", O_RDONLY}, {"log", O_WRONLY}, {"log", O_WRONLY}};
	p->u->umask = 022;
	p->u->cwd = kstrdup("/");
	if (!p->u->cwd)
		return -ENOMEM;
	for (u32 i = 0; i < ARRAY_LEN(std); i++) {
		struct ofile *f = dev_device(std[i].name, std[i].flags);
		if (!f)
			return -ENOMEM;
		p->u->ofile[i] = f; /* not fd_install: the limit of descriptors is not set yet */
	}
	return 0;
}

static int copy_string(char **to, const char *from, size_t len)
{
	if (!from)
		return 0;
	*to = kmalloc(len);
	if (!*to)
		return -ENOMEM;
	memcpy(*to, from, len);
	return 0;
}

static int file_fork(struct proc *child, const struct proc *parent)
{
	struct ublock *c = child->u;
	const struct ublock *u = parent->u;
	for (int fd = 0; fd < NOFILE; fd++) {
		if (!u->ofile[fd])
			continue;
		ofile_ref(u->ofile[fd]);
		c->ofile[fd] = u->ofile[fd];
		c->cloexec[fd] = u->cloexec[fd];
		c->fview[fd] = u->fview[fd]; /* its memory carries what the parent observed */
	}
	c->umask = u->umask;
	c->cmdline_len = u->cmdline_len;
	int err = copy_string(&c->cwd, u->cwd, u->cwd ? strlen(u->cwd) + 1 : 0);
	if (!err)
		err = copy_string(&c->exe, u->exe, u->exe ? strlen(u->exe) + 1 : 0);
	if (!err)
		err = copy_string(&c->cmdline, u->cmdline, u->cmdline_len);
	return err;
}

static void file_exec(struct proc *p)
{
	for (int fd = 0; fd < NOFILE; fd++)
		if (p->u->cloexec[fd])
			fd_close(p, fd);
}

static void file_release(struct proc *p, bool away)
{
	/* Away or not is the same for descriptors: the destination adopted the holds before it was told to resume, so what
	 * ends now is only this node's share of them. */
	file_forget_arrival(p);
	struct ublock *u = p->u;
	if (!u)
		return;
	if (away) /* its record locks live on there */
		u->nflocked = 0;
	for (int fd = 0; fd < NOFILE; fd++) {
		struct ofile *f = u->ofile[fd];
		if (away && f && f->refs == 1) /* the description has gone there, and its flock */
			f->locked = 0;
		fd_close(p, fd);
	}
	kfree(u->flocked);
	u->flocked = NULL;
	kfree(u->cwd);
	kfree(u->exe);
	kfree(u->cmdline);
	u->cwd = u->exe = u->cmdline = NULL;
	u->cmdline_len = 0;
}

void file_set_cmdline(struct proc *p, const char *args, u32 argc)
{
	size_t len = 0;
	while (argc--)
		len += strlen(args + len) + 1;
	len = MIN(len, PAGE_SIZE / 2);
	char *copy = kmalloc(len);
	if (!copy)
		return;
	memcpy(copy, args, len);
	kfree(p->u->cmdline);
	p->u->cmdline = copy;
	p->u->cmdline_len = (u32)len;
}

/* ---- may it move? ---- */

static u32 own_refs(const struct proc *p, const struct ofile *f)
{
	u32 n = 0;
	for (int fd = 0; fd < NOFILE; fd++)
		n += p->u->ofile[fd] == f;
	return n;
}

/* Another process with the same description, or 0. */
static i32 sharer(const struct proc *p, const struct ofile *f)
{
	list_for_each(q, &all_procs, struct proc, all_link)
		if (q != p && q->u && own_refs(q, f))
			return q->pid;
	return 0;
}

static void refuse(const struct proc *p, int fd, u32 node, const char *because, const char *cure,
		   struct text *why)
{
	const struct fview *v = &p->u->fview[fd];
	const struct ofile *f = p->u->ofile[fd];
	text_printf(why, "file: fd %d (%s", fd, f->ops->kind);
	if (f->fobj)
		text_printf(why, " %s", f->fobj->path);
	if (f->ops->describe) {
		text_printf(why, " ");
		f->ops->describe(f, why);
	}
	text_printf(why, "): ");
	if (v->marked)
		text_printf(why, "%s() returned %ld; ", syscall_rows[v->last_nr].name, v->dup);
	else
		text_printf(why, "made by %s(); ",
			    f->ops->cls == CLASS_PIPE	  ? "pipe"
			    : f->ops->cls == CLASS_EVENT  ? f->ops->kind
			    : f->ops->cls == CLASS_SOCKET ? "socket"
							  : "open");
	text_printf(why, "rule local: %s and cannot be kept on node %u; cure: %s", because, node,
		    cure);
}

static int file_verdict(struct proc *p, u32 node, struct text *why)
{
	for (int fd = 0; fd < NOFILE; fd++) {
		const struct ofile *f = p->u->ofile[fd];
		if (!f || dev_is_stateless(f) || f->end || end_possible(f))
			continue;
		if (!f->ops->movable) {
			refuse(p, fd, node,
			       f->ops->cls == CLASS_SOCKET ? "it is open"
							   : "it belongs to this node",
			       f->ops->cls == CLASS_FILE || f->ops->cls == CLASS_SOCKET
				       ? "close it"
				       : "redirect it to a file or /dev/null",
			       why);
			return -EPERM;
		}
		if (f->refs > own_refs(p, f)) {
			char because[64];
			struct text t = TEXT(because, sizeof because);
			text_printf(&t, "its position is shared with process %d", sharer(p, f));
			refuse(p, fd, node, because, "open the file in the process itself", why);
			return -EPERM;
		}
	}
	return 0;
}

const struct env_class env_file = {
	.name = "file",
	.version = 3,
	.init = file_init,
	.fork = file_fork,
	.exec = file_exec,
	.release = file_release,
	.pack = file_pack,
	.unpack = file_unpack,
	.verdict = file_verdict,
	.bind = file_bind,
	.view = file_view,
};
