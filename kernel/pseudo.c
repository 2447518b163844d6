/* SPDX-License-Identifier: MIT */
/* See pseudo.h: snapshots as files and directories. */
#include "pseudo.h"
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

struct snapshot {
	char *path; /* of a directory, else NULL */
	size_t len;
	char content[];
};

static u64 ino_of(const char *path)
{
	u64 h = 14695981039346656037ull; /* FNV-1a */
	for (; *path; path++)
		h = (h ^ (u8)*path) * 1099511628211ull;
	return h >> 16 | 1;
}

void pseudo_attr(struct fs_attr *a, const char *path, u32 mode)
{
	*a = (struct fs_attr){.ino = ino_of(path), .mode = mode, .nlink = S_ISDIR(mode) ? 2 : 1};
}

static i64 snapshot_pread(struct ofile *f, u64 ubuf, size_t len, u64 off)
{
	const struct snapshot *s = f->data;
	if (off >= s->len)
		return 0;
	len = MIN(len, s->len - off);
	return copy_to_user(ubuf, s->content + off, len) ? -EFAULT : (i64)len;
}

static i64 snapshot_read(struct ofile *f, u64 ubuf, size_t len)
{
	i64 n = snapshot_pread(f, ubuf, len, f->offset);
	if (n > 0)
		f->offset += (u64)n;
	return n;
}

static i64 snapshot_lseek(struct ofile *f, i64 off, int whence)
{
	i64 base = whence == SEEK_CUR ? (i64)f->offset : 0;
	if ((whence != SEEK_SET && whence != SEEK_CUR) || off < -base || off > 1ll << 40)
		return -EINVAL;
	f->offset = (u64)(base + off);
	return (i64)f->offset;
}

static int file_stat(struct ofile *f, struct fs_attr *a)
{
	(void)f;
	pseudo_attr(a, "", S_IFREG | 0444);
	return 0;
}

static void snapshot_release(struct ofile *f)
{
	struct snapshot *s = f->data;
	kfree(s->path);
	kfree(s);
}

static const struct ofile_ops file_ops = {
	.kind = "proc",
	.cls = CLASS_FILE,
	.movable = false,
	.read = snapshot_read,
	.pread = snapshot_pread,
	.lseek = snapshot_lseek,
	.stat = file_stat,
	.release = snapshot_release,
};

/* The entry in line number `line` (cookies count lines); "." and ".." come first. */
static bool entry_at(const struct snapshot *s, u64 line, char *type, char *name, size_t cap)
{
	const char *p = s->content, *end = s->content + s->len;
	if (line < 2) {
		*type = 'd';
		strlcpy(name, line ? ".." : ".", cap);
		return true;
	}
	for (line -= 2; line && p < end; line--)
		while (p < end && *p++ != '\n')
			;
	if (p >= end)
		return false;
	*type = *p;
	size_t n = 0;
	for (p += 2; p < end && *p != '\n' && n + 1 < cap; p++)
		name[n++] = *p;
	name[n] = 0;
	return true;
}

static i64 dir_readdir(struct ofile *f, u64 ubuf, size_t len)
{
	const struct snapshot *s = f->data;
	char name[64], type;
	size_t done = 0;
	while (entry_at(s, f->dircookie, &type, name, sizeof name)) {
		u64 space[12]; /* aligned for the header */
		struct linux_dirent64 *d = (void *)space;
		size_t n = strlen(name) + 1;
		size_t rec = (offsetof(struct linux_dirent64, d_name) + n + 7) & ~7ul;
		if (rec > len - done)
			return done ? (i64)done : -EINVAL;
		memset(space, 0, sizeof space);
		d->d_ino = ino_of(s->path) + f->dircookie + 1;
		d->d_off = (i64)f->dircookie + 1;
		d->d_reclen = (u16)rec;
		d->d_type = type == 'd'	  ? DT_DIR
			    : type == 'c' ? DT_CHR
			    : type == 'l' ? DT_LNK
					  : DT_REG;
		memcpy(d->d_name, name, n);
		if (copy_to_user(ubuf + done, d, rec))
			return done ? (i64)done : -EFAULT;
		done += rec;
		f->dircookie++;
	}
	return (i64)done;
}

static int dir_stat(struct ofile *f, struct fs_attr *a)
{
	pseudo_attr(a, ((const struct snapshot *)f->data)->path, S_IFDIR | 0555);
	return 0;
}

static i64 dir_read(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f, (void)ubuf, (void)len;
	return -EISDIR;
}

static const struct ofile_ops dir_ops = {
	.kind = "proc directory",
	.cls = CLASS_FILE,
	.movable = false,
	.read = dir_read,
	.lseek = directory_lseek,
	.stat = dir_stat,
	.readdir = dir_readdir,
	.release = snapshot_release,
};

const char *pseudo_dir_path(const struct ofile *f)
{
	return f->ops == &dir_ops ? ((const struct snapshot *)f->data)->path : NULL;
}

static struct ofile *snapshot_open(const struct ofile_ops *ops, const char *path,
				   const char *content, size_t len, u32 flags)
{
	struct snapshot *s = kmalloc(sizeof *s + len);
	struct ofile *f = s ? ofile_new(ops, flags) : NULL;
	if (f && path && !(s->path = kstrdup(path))) {
		f->data = s;
		ofile_put(f);
		return NULL;
	}
	if (!f) {
		kfree(s);
		return NULL;
	}
	memcpy(s->content, content, len);
	s->len = len;
	f->data = s;
	return f;
}

struct ofile *pseudo_file(const char *content, size_t len, u32 flags)
{
	return snapshot_open(&file_ops, NULL, content, len, flags);
}

bool pseudo_list_begin(struct pseudo_list *l)
{
	l->text = TEXT(kmalloc(PSEUDO_BUF), PSEUDO_BUF);
	return l->text.buf;
}

void pseudo_list_add(struct pseudo_list *l, char type, const char *name)
{
	text_printf(&l->text, "%c %s\n", type, name);
}

struct ofile *pseudo_list_open(struct pseudo_list *l, const char *path, u32 flags)
{
	struct ofile *f = snapshot_open(&dir_ops, path, l->text.buf, l->text.len, flags);
	kfree(l->text.buf);
	return f;
}

struct ofile *nodes_open(u32 flags, int *err)
{
	struct pseudo_list l;
	if ((flags & O_ACCMODE) != O_RDONLY) {
		*err = -EISDIR;
		return NULL;
	}
	struct ofile *f = NULL;
	if (pseudo_list_begin(&l)) {
		for (u32 k = 1; k <= node_id.nodes; k++) {
			char name[8];
			struct text t = TEXT(name, sizeof name);
			text_printf(&t, "%u", k);
			pseudo_list_add(&l, 'd', name);
		}
		f = pseudo_list_open(&l, "/n", flags);
	}
	*err = f ? 0 : -ENOMEM;
	return f;
}
