/* SPDX-License-Identifier: MIT */
/* See path.h. The lexical rules are in pathlex.c. */
#include "path.h"
#include "file.h"
#include "lib.h"
#include "proc.h"
#include "pseudo.h"
#include "usercopy.h"

int path_of_ofile(const struct proc *p, const struct ofile *f, char *out, size_t cap)
{
	const char *pseudo = pseudo_dir_path(f);
	if (pseudo)
		return strlcpy(out, pseudo, cap) >= cap ? -ENAMETOOLONG : 0;
	if (!f->fobj || (f->fobj->attr.mode & 0170000) != 0040000)
		return -ENOTDIR;
	return path_show(out, cap, f->fobj->tree, f->fobj->path, p->u->names.tree);
}

int path_name(const struct proc *p, const struct path *path, char **out)
{
	char *s = kmalloc(PATH_CAP);
	int err = s ? 0 : -ENOMEM;
	if (!err && path->kind == PATH_TREE)
		err = path_show(s, PATH_CAP, path->tree, path->name, p->u->names.tree);
	else if (!err)
		strlcpy(s, path->name, PATH_CAP);
	if (!err && !(*out = kstrdup(s)))
		err = -ENOMEM;
	kfree(s);
	return err;
}

int path_from_kernel(int dirfd, const char *name, struct path **out)
{
	const struct ublock *u = current->u;
	char *base = NULL;
	int err = 0;
	if (name[0] != '/' && dirfd != AT_FDCWD) {
		struct ofile *f = fd_get(current, dirfd);
		if (!f)
			return -EBADF;
		base = kmalloc(PATH_CAP);
		err = base ? path_of_ofile(current, f, base, PATH_CAP) : -ENOMEM;
	}
	struct path *p = err ? NULL : kmalloc(sizeof *p);
	if (!err && !p)
		err = -ENOMEM;
	const char *cwd = u->cwd ? u->cwd : "/";
	if (!err)
		err = path_lex(p, base ? base : cwd, name, u->names.tree, node_id.nodes);
	kfree(base);
	if (err)
		kfree(p);
	else
		*out = p;
	return err;
}

int path_from_user(int dirfd, u64 uname, struct path **out)
{
	char *name = kmalloc(FS_PATH_MAX);
	if (!name)
		return -ENOMEM;
	i64 n = str_from_user(name, uname, FS_PATH_MAX);
	int err = n < 0 ? (int)n : path_from_kernel(dirfd, name, out);
	kfree(name);
	return err;
}

int path_follow(struct path **p)
{
	struct path *next;
	if ((*p)->kind != PATH_PROC)
		return 0;
	char *target = kmalloc(PATH_CAP);
	if (!target)
		return -ENOMEM;
	i64 n = proc_readlink((*p)->name, target, PATH_CAP);
	int err = n > 0 && target[0] == '/' ? path_from_kernel(AT_FDCWD, target, &next) : 1;
	kfree(target);
	if (err > 0)
		return 0; /* no link, or to something without a path, like a pipe: stays what it is */
	if (err)
		return err;
	kfree(*p);
	*p = next;
	return 0;
}
