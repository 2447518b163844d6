/* SPDX-License-Identifier: MIT */
/*
 * Family AF_UNIX: names. A path is a file of kind socket in a tree; which socket it leads to is known to the node where it was bound,
 * by tree and inode: so it goes on leading there under another name, and leads nowhere when it is gone. An abstract name is
 * a string of this node.
 */
#include "env/unix.h"
#include "fs.h"
#include "known.h"
#include "proc.h"
#include "sys_file.h"

#define FAMILY_LEN 2u

void name_put(struct unix_name *n)
{
	if (n && --n->refs == 0)
		kfree(n);
}

void unix_show_name(const struct unix_name *n, struct sockaddr_buf *a)
{
	a->family = AF_UNIX;
	a->len = n ? n->len : FAMILY_LEN;
	if (n)
		memcpy(a->bytes, n->addr, n->len);
}

static struct unix_sock *find_abstract(const u8 *addr, u32 len, u16 type)
{
	list_for_each(u, &unix_all, struct unix_sock, link)
		if (u->bound && !u->name->ino && u->s.type == type && u->name->len == len &&
		    !memcmp(u->name->addr, addr, len))
			return u;
	return NULL;
}

static struct unix_sock *find_file(u32 tree, u64 ino, u32 gen)
{
	list_for_each(u, &unix_all, struct unix_sock, link)
		if (u->bound && u->name->ino == ino && u->name->tree == tree && u->name->gen == gen)
			return u;
	return NULL;
}

static bool is_path(const struct sockaddr_buf *a)
{
	return a->bytes[FAMILY_LEN] != 0;
}

/* The file that the path of an address means; *p is the caller's: kfree. */
static int path_of(const struct sockaddr_buf *a, struct path **p)
{
	char name[UNIX_PATH_MAX + 1];
	u32 n = a->len - FAMILY_LEN;
	memcpy(name, a->bytes + FAMILY_LEN, n);
	name[n] = 0;
	return path_from_kernel(AT_FDCWD, name, p);
}

static int make_file(struct path *p, struct unix_name *n)
{
	struct wh_msg m = {.type = FS_MKNOD};
	struct fs_attr a;
	if (p->kind != PATH_TREE)
		return -EACCES;
	*WH_BODY(&m, struct fs_path) =
		(struct fs_path){.tree = p->tree,
				 .mode = S_IFSOCK | (0777 & ~current->u->umask),
				 .cred = fs_cred_effective()};
	i64 r = fs_call(&m, p->name, PATH_CAP, WH_BULK_IN);
	if (r < 0)
		return r == -EEXIST ? -EADDRINUSE : (int)r;
	int err = path_stat(p, true, &a);
	if (err)
		return err;
	n->tree = p->tree;
	n->ino = a.ino;
	n->gen = a.gen;
	return 0;
}

/* A name that nobody has, for who wants any. */
static int choose(struct unix_name *n, u16 type)
{
	static u32 serial;
	for (u32 tries = 0; tries < 1u << 20; tries++) {
		struct text t = TEXT((char *)n->addr + FAMILY_LEN + 1, 8);
		text_printf(&t, "%05x", serial++ & 0xfffff);
		n->len = FAMILY_LEN + 6;
		if (!find_abstract(n->addr, n->len, type))
			return 0;
	}
	return -ENOSPC;
}

static int fill_name(struct unix_name *n, const struct sockaddr_buf *a, u16 type)
{
	struct path *p;
	n->refs = 1;
	memcpy(n->addr, a->bytes, FAMILY_LEN);
	if (a->len == FAMILY_LEN)
		return choose(n, type);
	memcpy(n->addr, a->bytes, a->len);
	n->len = a->len;
	if (!is_path(a))
		return find_abstract(n->addr, n->len, type) ? -EADDRINUSE : 0;
	n->len = FAMILY_LEN + (u32)strnlen((char *)n->addr + FAMILY_LEN, a->len - FAMILY_LEN) + 1;
	int err = path_of(a, &p);
	if (err)
		return err;
	err = make_file(p, n);
	kfree(p);
	return err;
}

int unix_bind(struct socket *s, const struct sockaddr_buf *a)
{
	struct unix_sock *u = unix_of(s);
	if (a->len < FAMILY_LEN || a->len > FAMILY_LEN + UNIX_PATH_MAX || a->family != AF_UNIX)
		return -EINVAL;
	if (u->name)
		return a->len == FAMILY_LEN ? 0 : -EINVAL;
	struct unix_name *n = kmalloc(sizeof *n);
	if (!n)
		return -ENOMEM;
	int err = fill_name(n, a, s->type);
	if (!err && u->name) /* another thread's came first */
		err = -EINVAL;
	if (err) {
		kfree(n);
		return err;
	}
	u->name = n;
	u->bound = true;
	return 0;
}

static int find_by_path(const struct sockaddr_buf *a, struct unix_sock **out)
{
	const struct fs_cred cred = fs_cred_effective();
	struct fs_attr attr;
	struct path *p;
	int err = path_of(a, &p);
	if (err)
		return err;
	err = path_stat(p, false, &attr);
	if (!err)
		err = known_access(&attr, &cred, W_OK);
	if (!err && (attr.mode & S_IFMT) == S_IFSOCK && p->kind == PATH_TREE)
		*out = find_file(p->tree, attr.ino, attr.gen);
	kfree(p);
	return err;
}

int unix_lookup(const struct sockaddr_buf *a, u16 type, struct unix_sock **out)
{
	if (a->len <= FAMILY_LEN || a->len > FAMILY_LEN + UNIX_PATH_MAX || a->family != AF_UNIX)
		return -EINVAL;
	*out = NULL;
	int err = 0;
	if (is_path(a))
		err = find_by_path(a, out);
	else
		*out = find_abstract(a->bytes, a->len, type);
	if (!err && !*out)
		err = -ECONNREFUSED;
	if (!err && (*out)->s.type != type)
		err = -EPROTOTYPE;
	if (!err)
		unix_ref(*out);
	return err;
}
