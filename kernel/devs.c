/* SPDX-License-Identifier: MIT */
/*
 * /dev. null, zero, full, random and urandom have no state: they are the same on every node, so a process that
 * holds one migrates freely and gets its destination's. The terminal belongs to env/tty.c; "log" is what servers
 * write to: the node's kernel log.
 */
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "pseudo.h"
#include "tty.h"
#include "usercopy.h"

static i64 null_read(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f, (void)ubuf, (void)len;
	return 0;
}

static i64 null_write(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f, (void)ubuf;
	return (i64)len;
}

static i64 zero_read(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f;
	return zero_user(ubuf, len) ? -EFAULT : (i64)len;
}

static i64 full_write(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f, (void)ubuf;
	return len ? -ENOSPC : 0;
}

static i64 random_read(struct ofile *f, u64 ubuf, size_t len)
{
	(void)f;
	u64 words[32];
	for (size_t done = 0; done < len; done += sizeof words) {
		for (u32 i = 0; i < ARRAY_LEN(words); i++)
			words[i] = rand64();
		if (copy_to_user(ubuf + done, words, MIN(len - done, sizeof words)))
			return done ? (i64)done : -EFAULT;
	}
	return (i64)len;
}

/* The log takes whole lines: a line is collected here until its end, it is too long, or the close. */
struct log_line {
	size_t len;
	char text[200];
};

static void log_flush(struct ofile *f)
{
	struct log_line *l = f->data;
	if (!l || !l->len)
		return;
	l->text[l->len] = 0;
	klog("%s", l->text);
	l->len = 0;
}

static void log_char(struct ofile *f, char c)
{
	struct log_line *l = f->data;
	if (c == '\n' || l->len == sizeof l->text - 1)
		log_flush(f);
	if (c != '\n' && c)
		l->text[l->len++] = c;
}

static i64 log_write(struct ofile *f, u64 ubuf, size_t len)
{
	char part[128];
	if (!f->data && !(f->data = kmalloc(sizeof(struct log_line))))
		return -ENOMEM;
	for (size_t done = 0, n; done < len; done += n) {
		n = MIN(len - done, sizeof part);
		if (copy_from_user(part, ubuf + done, n))
			return done ? (i64)done : -EFAULT;
		for (size_t i = 0; i < n; i++)
			log_char(f, part[i]);
	}
	return (i64)len;
}

static void log_release(struct ofile *f)
{
	log_flush(f);
	kfree(f->data);
}

static i64 null_lseek(struct ofile *f, i64 off, int whence)
{
	(void)f, (void)off, (void)whence;
	return 0;
}

static int device_stat(struct ofile *f, struct fs_attr *a);

/* DEVICE(name, minor of major 1, read, write, mode) */
#define DEVICES                                                                                    \
	DEVICE(null, 3, null_read, null_write, 0666)                                               \
	DEVICE(zero, 5, zero_read, null_write, 0666)                                               \
	DEVICE(full, 7, zero_read, full_write, 0666)                                               \
	DEVICE(random, 8, random_read, null_write, 0666)                                           \
	DEVICE(urandom, 9, random_read, null_write, 0666)                                          \
	DEVICE(log, 11, null_read, log_write, 0600)

struct device {
	struct ofile_ops ops;
	u32 rdev, mode;
};
static const struct device devices[] = {
#define DEVICE(name, minor, read_, write_, mode_)                                                  \
	{{.kind = #name,                                                                           \
	  .cls = CLASS_FILE,                                                                       \
	  .movable = minor != 11,                                                                  \
	  .read = read_,                                                                           \
	  .write = write_,                                                                         \
	  .lseek = null_lseek,                                                                     \
	  .stat = device_stat,                                                                     \
	  .release = minor == 11 ? log_release : NULL},                                            \
	 0x100 + minor,                                                                            \
	 mode_},
	DEVICES
#undef DEVICE
};

static int device_stat(struct ofile *f, struct fs_attr *a)
{
	const struct device *d = container_of(f->ops, const struct device, ops);
	pseudo_attr(a, d->ops.kind, S_IFCHR | d->mode);
	a->rdev = d->rdev;
	return 0;
}

static const struct device *device_find(const char *name)
{
	for (u32 i = 0; i < ARRAY_LEN(devices); i++)
		if (!strcmp(devices[i].ops.kind, name))
			return &devices[i];
	return NULL;
}

bool dev_is_stateless(const struct ofile *f)
{
	return f->ops->movable && device_find(f->ops->kind);
}

struct ofile *dev_device(const char *name, u32 flags)
{
	const struct device *d = device_find(name);
	return d ? ofile_new(&d->ops, flags) : NULL;
}

static struct ofile *dev_list(u32 flags)
{
	struct pseudo_list l;
	if (!pseudo_list_begin(&l))
		return NULL;
	for (u32 i = 0; i < ARRAY_LEN(devices); i++)
		pseudo_list_add(&l, 'c', devices[i].ops.kind);
	pseudo_list_add(&l, 'c', "tty");
	pseudo_list_add(&l, 'c', "console");
	pseudo_list_add(&l, 'c', "ptmx");
	pseudo_list_add(&l, 'd', "pts");
	pseudo_list_add(&l, 'l', "fd");
	pseudo_list_add(&l, 'l', "stdin");
	pseudo_list_add(&l, 'l', "stdout");
	pseudo_list_add(&l, 'l', "stderr");
	return pseudo_list_open(&l, "/dev", flags);
}

static struct ofile *pts_list(u32 flags)
{
	struct pseudo_list l;
	if (!pseudo_list_begin(&l))
		return NULL;
	pty_list(&l);
	return pseudo_list_open(&l, "/dev/pts", flags);
}

/* The files with a number at the end of their names: what follows "/dev/pts/", else NULL. */
static const char *pts_name(const char *path)
{
	return !strncmp(path, "/dev/pts/", 9) ? path + 9 : NULL;
}

struct ofile *dev_open(const char *path, u32 flags, int *err)
{
	const char *name = path + 4; /* "/dev" */
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	struct ofile *f = NULL;
	*err = -ENOENT;
	if (!*name || !strcmp(name, "/pts")) {
		*err = writes ? -EISDIR : -ENOMEM;
		f = writes ? NULL : *name ? pts_list(flags) : dev_list(flags);
		*err = f ? 0 : *err;
		return f;
	}
	name++;
	const struct device *d = device_find(name);
	if (!strcmp(name, "tty"))
		return tty_open_controlling(flags, err);
	if (!strcmp(name, "ptmx"))
		return pty_open_master(flags, err);
	if (pts_name(path))
		return pty_open_slave(pts_name(path), flags, err);
	if (!strcmp(name, "fd"))
		return proc_open("/proc/self/fd", flags, err);
	if (!strcmp(name, "console")) {
		*err = -ENOMEM;
		f = tty_open(flags);
	} else if (d && d->mode == 0600 && current->u->names.euid) {
		*err = -EACCES;
	} else if (d) {
		*err = -ENOMEM;
		f = dev_device(name, flags);
	}
	if (f)
		*err = 0;
	return f;
}

/* Of those that have no row in `devices`; -1: none. */
static int minor_of_terminal(const char *name)
{
	return !strcmp(name, "tty")	  ? 0
	       : !strcmp(name, "console") ? 1
	       : !strcmp(name, "ptmx")	  ? 2
					  : -1;
}

/* What a terminal's attributes say of it, wherever it is (/proc/PID/fd). */
void dev_terminal_name(const struct fs_attr *a, struct text *t)
{
	if (a->rdev >> 8 == PTS_MAJOR)
		text_printf(t, "/dev/pts/%u", a->rdev & 0xff);
	else
		text_printf(t, "/dev/%s", a->rdev == RDEV(TTY_MAJOR, 2u) ? "ptmx" : "console");
}

int dev_stat(const char *path, struct fs_attr *a)
{
	const char *name = path + 4;
	if (!*name || !strcmp(name, "/pts")) {
		pseudo_attr(a, path, S_IFDIR | 0755);
		return 0;
	}
	if (pts_name(path))
		return pty_stat(pts_name(path), a);
	name++;
	const struct device *d = device_find(name);
	int minor = minor_of_terminal(name);
	if (d || minor >= 0) {
		pseudo_attr(a, name, S_IFCHR | (d ? d->mode : 0666));
		a->rdev = d ? d->rdev : RDEV(TTY_MAJOR, (u32)minor);
		return 0;
	}
	if (!strncmp(name, "fd", 2) && (name[2] == 0 || name[2] == '/')) {
		char in_proc[32];
		struct text t = TEXT(in_proc, sizeof in_proc);
		text_printf(&t, "/proc/self/%s", name);
		return procfs_stat(in_proc, a);
	}
	if (!strcmp(name, "stdin") || !strcmp(name, "stdout") || !strcmp(name, "stderr")) {
		pseudo_attr(a, path, S_IFLNK | 0777);
		return 0;
	}
	return -ENOENT;
}
