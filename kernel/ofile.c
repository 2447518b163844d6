/* SPDX-License-Identifier: MIT */
/* Open file descriptions and the descriptor table. */
#include "ends.h"
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "rlimit.h"

static u64 ofile_count;

u64 counters_ofiles(void)
{
	return ofile_count;
}

struct ofile *ofile_new(const struct ofile_ops *ops, u32 flags)
{
	struct ofile *f = kmalloc(sizeof *f);
	if (!f)
		return NULL;
	f->refs = 1;
	f->flags = flags & O_KEPT;
	f->ops = ops;
	ofile_count++;
	return f;
}

void ofile_ref(struct ofile *f)
{
	f->refs++;
}

void ofile_put(struct ofile *f)
{
	if (--f->refs)
		return;
	if (f->watched)
		epoll_forget(f);
	if (f->ops->release)
		f->ops->release(f);
	if (f->fobj)
		fobj_put(f->fobj);
	if (f->end)
		fobj_put(f->end);
	if (f->home)
		end_forget(f);
	ofile_count--;
	kfree(f);
}

i64 ofile_flags(struct ofile *f, u32 mask, u32 set)
{
	i64 r = f->end ? far_flags(f, mask, set) : 0;
	if (!f->end)
		f->flags = (f->flags & ~mask) | (set & mask);
	return r < 0 ? r : (i64)f->flags;
}

struct ofile *fd_get(struct proc *p, int fd)
{
	if (file_static_bind && p == current)
		file_bind_arrived(p);
	if (fd < 0 || fd >= NOFILE || !p->u)
		return NULL;
	struct ofile *f = p->u->ofile[fd];
	if (f && p->live > 1 && p == current)
		thread_hold(f);
	return f;
}

int fd_limit(const struct proc *p)
{
	return (int)MIN(rlimit(p, RLIMIT_NOFILE), (u64)NOFILE);
}

int fd_install(struct proc *p, struct ofile *f, int min, bool cloexec)
{
	struct ublock *u = p->u;
	int limit = fd_limit(p);
	for (int fd = MAX(min, 0); fd < limit; fd++) {
		if (u->ofile[fd])
			continue;
		u->ofile[fd] = f;
		u->cloexec[fd] = cloexec;
		u->fview[fd] = (struct fview){.fmarker = 1};
		return fd;
	}
	return -EMFILE;
}

int fd_close(struct proc *p, int fd)
{
	struct ublock *u = p->u;
	if (fd < 0 || fd >= NOFILE || !u->ofile[fd])
		return -EBADF;
	struct ofile *f = u->ofile[fd];
	file_lock_closed(p, f);
	u->ofile[fd] = NULL;
	u->cloexec[fd] = 0;
	u->fview[fd] = (struct fview){0}; /* unmarked: nothing it returned binds us any more */
	ofile_put(f);
	return 0;
}
