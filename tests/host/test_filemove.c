/* SPDX-License-Identifier: MIT */
/* Class File in motion (kernel/env/filemove.c, ends.c): what is packed arrives, or stays and is found again at home; damaged
 * bytes are refused and nothing leaks. */
#include "ends.h"
#include "env/filemove.h"
#include "tty.h"
#include "fs.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the kernel around it: only references are counted ---- */

struct proc *current;
bool file_static_bind;
enum { HERE = 2, THERE = 3 };
struct wh_identity node_id = {.node = HERE, .nodes = 3, .incarnation = 9};
static u64 fobjs, ofiles;
const struct ofile_ops regular_ops = {.kind = "file", .movable = true};
const struct ofile_ops directory_ops = {.kind = "directory", .movable = true};
static int pipe_attr(struct ofile *f, struct fs_attr *a)
{
	(void)f;
	*a = (struct fs_attr){.ino = 4, .mode = S_IFIFO | 0600};
	return 0;
}
static const struct ofile_ops pipe_ops = {.kind = "pipe", .cls = CLASS_PIPE, .stat = pipe_attr};
static const struct ofile_ops far_ops = {.kind = "pipe", .cls = CLASS_PIPE, .movable = true};
static const struct ofile_ops null_ops = {.kind = "null", .movable = true};

void *kmalloc(size_t n)
{
	return calloc(1, n);
}
void kfree(void *p)
{
	free(p);
}
char *kstrdup(const char *s)
{
	return strdup(s);
}
struct fobj *fobj_arrive(u32 tree, u64 hold, const char *path, const struct fs_attr *attr)
{
	struct fobj *f = kmalloc(sizeof *f);
	*f = (struct fobj){
		.refs = 1, .tree = tree, .hold = hold, .attr = *attr, .path = kstrdup(path)};
	fobjs++;
	return f;
}
void fobj_ref(struct fobj *f)
{
	f->refs++;
}
void fobj_put(struct fobj *f)
{
	if (--f->refs)
		return;
	free(f->path);
	free(f);
	fobjs--;
}
int fobj_bind(struct fobj *f)
{
	f->bound = true;
	return 0;
}
static struct ofile *new_file(const struct ofile_ops *ops, struct fobj *o, u32 flags)
{
	struct ofile *f = kmalloc(sizeof *f);
	*f = (struct ofile){.refs = 1, .ops = ops, .fobj = o, .flags = flags};
	ofiles++;
	return f;
}
struct ofile *regular_open(struct fobj *o, u32 flags)
{
	return new_file(S_ISDIR(o->attr.mode) ? &directory_ops : &regular_ops, o, flags);
}
struct ofile *dev_device(const char *name, u32 flags)
{
	return strcmp(name, "null") ? NULL : new_file(&null_ops, NULL, flags);
}
struct tty *tty_of_file(const struct ofile *f)
{
	(void)f; /* there are none here */
	return NULL;
}

struct ofile *far_open(struct fobj *end, u32 flags)
{
	struct ofile *f = new_file(&far_ops, NULL, flags);
	f->end = end;
	return f;
}
int copy_from_user(void *to, u64 from, size_t n)
{
	(void)to, (void)from, (void)n;
	abort();
}
int copy_to_user(u64 to, const void *from, size_t n)
{
	(void)to, (void)from, (void)n;
	abort();
}
i64 signal_from_afar(const struct fs_signal *q)
{
	(void)q;
	abort();
}
i64 signal_child_afar(const struct fs_child *q)
{
	(void)q;
	abort();
}
bool dev_is_stateless(const struct ofile *f)
{
	return f->ops == &null_ops;
}
void ofile_ref(struct ofile *f)
{
	f->refs++;
}
void ofile_put(struct ofile *f)
{
	if (--f->refs)
		return;
	if (f->fobj)
		fobj_put(f->fobj);
	if (f->end)
		fobj_put(f->end);
	if (f->home)
		end_forget(f);
	free(f);
	ofiles--;
}

/* ---- processes ---- */

static void proc_new(struct proc *p)
{
	memset(p, 0, sizeof *p);
	p->u = calloc(1, sizeof *p->u);
	p->vm = calloc(1, sizeof *p->vm);
	list_init(&p->vm->regions);
}

static void proc_end(struct proc *p)
{
	file_forget_arrival(p);
	for (int fd = 0; fd < NOFILE; fd++)
		if (p->u->ofile[fd])
			ofile_put(p->u->ofile[fd]);
	free(p->u->cwd);
	free(p->u->exe);
	free(p->u->cmdline);
	free(p->u->flocked);
	free(p->u);
	free(p->vm);
}

static struct region text;

/* fd 0 null, 3 a file in the middle with a lock, 4 its dup (close on exec), 5 a pipe, 6 a file whose offset another process
 * shares, 7 a directory; text of the program. */
static void proc_fill(struct proc *p)
{
	struct fs_attr reg = {.ino = 12, .gen = 5, .size = 100, .mode = S_IFREG | 0644};
	struct fs_attr dir = {.ino = 2, .mode = S_IFDIR | 0755};
	struct ublock *u = p->u;
	u->ofile[0] = dev_device("null", O_RDWR);
	u->ofile[3] = u->ofile[4] =
		regular_open(fobj_arrive(1, 77, "/tmp/x", &reg), O_RDWR | O_APPEND);
	u->ofile[3]->refs = 2;
	u->ofile[3]->offset = 41;
	u->ofile[3]->locked = LOCK_EX;
	u->cloexec[4] = 1;
	u->fview[3] = (struct fview){.fmarker = 1, .marked = 1, .last_nr = V_read, .dup = 41};
	u->ofile[5] = new_file(&pipe_ops, NULL, O_WRONLY);
	u->ofile[6] = regular_open(fobj_arrive(1, 78, "/tmp/y", &reg), O_RDWR);
	u->ofile[6]->refs = 2;
	u->ofile[6]->offset = 17;
	u->ofile[7] = regular_open(fobj_arrive(2, 5, "/etc", &dir), O_RDONLY | O_DIRECTORY);
	u->ofile[7]->dircookie = 9;
	u->cwd = strdup("/n/2/etc");
	u->exe = strdup("/bin/x");
	u->cmdline = strdup("x");
	u->cmdline_len = 2;
	u->umask = 027;
	text = (struct region){.start = 0x400000, .end = 0x500000, .flags = WH_RG_FILE};
	text.file = fobj_arrive(2, 6, "/bin/x", &reg);
	list_push_back(&p->vm->regions, &text.link);
}

static int failed;
static void check(const char *what, bool good, const char *why)
{
	if (good)
		printf("ok %s\n", what);
	else
		printf("not ok %s: %s\n", what, why);
	failed |= !good;
}

static bool same(const struct ublock *u)
{
	const struct ofile *f = u->ofile[3], *d = u->ofile[7];
	return u->ofile[0] && !strcmp(u->ofile[0]->ops->kind, "null") && f && f == u->ofile[4] &&
	       f->refs == 2 && f->fobj->tree == 1 && f->fobj->hold == 77 && !f->fobj->bound &&
	       f->fobj->attr.gen == 5 && !strcmp(f->fobj->path, "/tmp/x") && f->offset == 41 &&
	       f->locked == LOCK_EX && f->flags == (O_RDWR | O_APPEND) && u->cloexec[4] &&
	       !u->cloexec[3] && u->fview[3].dup == 41 && u->fview[3].last_nr == V_read && d &&
	       d->ops == &directory_ops && d->dircookie == 9 && !strcmp(u->cwd, "/n/2/etc") &&
	       !strcmp(u->exe, "/bin/x") && u->cmdline_len == 2 && !strcmp(u->cmdline, "x") &&
	       u->umask == 027;
}

/* On another node something stands for what stayed. */
static bool is_far(const struct ofile *f, u64 hold)
{
	return f && f->end && f->end->tree == HERE && f->end->hold & FS_END_BIT && f->end->bound &&
	       (hold ? f->fobj && f->fobj->hold == hold : !f->fobj);
}

static void check_home(struct proc *p, u8 *image, size_t len)
{
	struct proc q;
	u32 before = p->u->ofile[5]->refs;
	proc_new(&q);
	struct blob r = BLOB(image, len);
	check("unpack at home", file_unpack(&q, &r) == 0 && same(q.u), "differs");
	check("there it is the open file itself",
	      q.u->ofile[5] == p->u->ofile[5] && q.u->ofile[6] == p->u->ofile[6] &&
		      q.u->ofile[6]->offset == 17,
	      "it is not");
	proc_end(&q);
	check("and is let go", p->u->ofile[5]->refs == before, "it is not");
}

static size_t check_round_trip(u8 *image, size_t cap)
{
	struct proc p, q;
	struct wh_hold rows[8];
	proc_new(&p);
	proc_fill(&p);
	struct blob b = BLOB(image, cap);
	check("pack", file_pack(&p, &b) == 0 && !b.bad, "failed");
	check("holds are unique", file_holds(&p, rows, 8) == 6, "not 6");
	check_home(&p, image, b.pos);
	node_id.node = THERE;
	proc_new(&q);
	struct blob r = BLOB(image, b.pos);
	check("unpack", file_unpack(&q, &r) == 0 && r.pos == b.pos && same(q.u), "differs");
	check("what stays is used from afar", is_far(q.u->ofile[5], 0) && is_far(q.u->ofile[6], 78),
	      "it is not");
	struct fobj *t = fobj_for_hold(&q, 2, 6);
	check("a region finds its file",
	      t && !strcmp(t->path, "/bin/x") && !fobj_for_hold(&q, 2, 7), "does not");
	file_bind(&q);
	check("what nobody uses goes at resumption",
	      t && t->refs == 1 && q.u->ofile[3]->fobj->refs == 1, "stays");
	if (t)
		fobj_put(t);
	proc_end(&q);
	fobj_put(text.file);
	p.u->ofile[6]->refs--; /* the other process */
	proc_end(&p);
	check("nothing leaks", !fobjs && !ofiles, "references left");
	return b.pos;
}

static void check_static(const u8 *image, size_t len)
{
	struct proc q;
	proc_new(&q);
	struct blob r = BLOB(image, len);
	file_static_bind = true;
	file_unpack(&q, &r);
	file_bind(&q);
	bool before = q.u->ofile[3]->fobj->bound;
	file_bind_arrived(&q);
	check("static instantiation binds at the first call", !before && q.u->ofile[3]->fobj->bound,
	      "does not");
	file_static_bind = false;
	proc_end(&q);
}

static void check_damage(const u8 *image, size_t len)
{
	u32 seed = 7, accepted = 0, shorter = 0;
	for (u32 round = 0; round < 60000; round++) {
		struct proc q;
		size_t n = len;
		u8 *copy = malloc(len); /* exact size: the sanitiser sees every byte too far */
		memcpy(copy, image, len);
		for (u32 hits = 1 + round % 3; round >= len && hits; hits--) {
			seed = seed * 1103515245 + 12345;
			size_t at = (seed >> 8) % len;
			copy[at] = round & 1 ? (u8)(seed >> 24)
					     : copy[at] ^ (u8)(1 << (seed >> 28) % 8);
		}
		if (round < len)
			n = round; /* cut off */
		proc_new(&q);
		struct blob b = BLOB(copy, n);
		bool good = file_unpack(&q, &b) == 0 && !b.bad;
		accepted += good;
		shorter += good && round < len;
		file_bind(&q);
		proc_end(&q);
		free(copy);
	}
	char why[64];
	snprintf(why, sizeof why, "%u cut images accepted, %lu fobjs, %lu ofiles left", shorter,
		 fobjs, ofiles);
	check("60000 damaged images", !shorter && accepted < 59000 && !fobjs && !ofiles, why);
}

int main(void)
{
	static u8 image[65536];
	size_t len = check_round_trip(image, sizeof image);
	check_static(image, len);
	check_damage(image, len);
	return failed;
}
