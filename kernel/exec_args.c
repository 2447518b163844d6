/* SPDX-License-Identifier: MIT */
/* The caller's side of execve: strings from user memory, the file, permissions. */
#include "exec.h"
#include "file.h"
#include "fs.h"
#include "lib.h"
#include "linux_file.h"
#include "path.h"
#include "proc.h"
#include "usercopy.h"

static int push(struct exec_strings *s, const char *str)
{
	size_t n = strlen(str) + 1;
	if (n > s->cap - s->len)
		return -E2BIG;
	memcpy(s->buf + s->len, str, n);
	s->len += n;
	return 0;
}

int exec_strings_prepend(struct exec_strings *s, const char *arg)
{
	size_t n = strlen(arg) + 1;
	if (n > s->cap - s->len)
		return -E2BIG;
	memmove(s->buf + n, s->buf, s->len);
	memcpy(s->buf, arg, n);
	s->len += n;
	s->execfn += n;
	s->argc++;
	return 0;
}

int exec_strings_shift(struct exec_strings *s, const char *script)
{
	size_t n = s->argc ? strlen(s->buf) + 1 : 0;
	memmove(s->buf, s->buf + n, s->len - n);
	s->len -= n;
	s->execfn -= n;
	s->argc -= n != 0;
	return exec_strings_prepend(s, script);
}

/* A NULL-terminated array of user string pointers; a NULL array is an empty one. Returns the count. */
static i64 push_array(struct exec_strings *s, u64 array)
{
	u32 n = 0;
	for (; array; array += 8, n++) {
		u64 ptr;
		if (copy_from_user(&ptr, array, sizeof ptr))
			return -EFAULT;
		if (!ptr)
			break;
		i64 len = str_from_user(s->buf + s->len, ptr, s->cap - s->len);
		if (len < 0)
			return len == -ENAMETOOLONG ? -E2BIG : len;
		s->len += (size_t)len + 1;
	}
	return n;
}

static bool may_execute(const struct fs_attr *a)
{
	const struct unames *n = &current->u->names;
	if (n->euid == 0)
		return a->mode & 0111;
	if (n->euid == a->uid)
		return a->mode & 0100;
	bool in_group = n->egid == a->gid;
	for (u32 i = 0; i < n->ngroups; i++)
		in_group |= n->groups[i] == a->gid;
	return a->mode & (in_group ? 0010 : 0001);
}

struct fobj *exec_open(const char *name, int *err)
{
	struct path *path;
	*err = path_from_kernel(AT_FDCWD, name, &path);
	if (*err)
		return NULL;
	struct fobj *f = NULL;
	*err = path_follow(&path); /* /proc/self/exe */
	if (!*err && path->kind != PATH_TREE)
		*err = -EACCES;
	if (!*err)
		f = fobj_open_path(path, O_RDONLY, 0, err);
	kfree(path);
	if (f && (!S_ISREG(f->attr.mode) || !may_execute(&f->attr))) {
		fobj_put(f);
		*err = -EACCES;
		return NULL;
	}
	return f;
}

static i64 collect(struct exec_strings *s, const char *path, u64 uargv, u64 uenvp)
{
	s->cap = EXEC_STRINGS_MAX;
	s->buf = kmalloc(s->cap);
	if (!s->buf)
		return -ENOMEM;
	i64 n = push_array(s, uargv);
	if (n < 0)
		return n;
	s->argc = (u32)n;
	n = push_array(s, uenvp);
	if (n < 0)
		return n;
	s->envc = (u32)n;
	s->execfn = s->len;
	return push(s, path);
}

i64 sys_execve(const u64 *arg)
{
	char *path = kmalloc(FS_PATH_MAX);
	struct exec_strings s = {0};
	if (!path)
		return -ENOMEM;
	i64 r = str_from_user(path, arg[0], FS_PATH_MAX);
	if (r == 0)
		r = -ENOENT;
	if (r > 0)
		r = collect(&s, path, arg[1], arg[2]);
	if (r == 0)
		r = exec_load(path, &s);
	kfree(s.buf);
	kfree(path);
	return r;
}

i64 exec_first(const char *path)
{
	struct exec_strings s = {.cap = 4096};
	s.buf = kmalloc(s.cap);
	if (!s.buf)
		return -ENOMEM;
	push(&s, path);
	s.argc = 1;
	s.execfn = s.len;
	push(&s, path);
	i64 r = exec_load(path, &s);
	kfree(s.buf);
	return r;
}
