/* SPDX-License-Identifier: MIT */
/*
 * Holds that nobody uses any more, kept for a moment: who opens the same file again in the same way gets one without asking
 * the custodian, which could only say yes. Only holds that no other node has seen and on which nothing was ever locked are
 * kept: a hold is what locks belong to, and those of another open file must not be found on it.
 */
#include "fs.h"
#include "known.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

#define IDLE_MAX 64
#define IDLE_NS	 (1000 * 1000000ull)

static struct list idle = LIST_INIT(idle); /* oldest first */
static u32 count;
static struct timer timer;

static void take_out(struct fobj *f)
{
	if (list_empty(&f->idle))
		return;
	list_remove(&f->idle);
	count--;
}

/* Older ones than `until`, and beyond the limit. */
static void close_old(u64 until)
{
	list_for_each_safe(f, &idle, struct fobj, idle) {
		if (f->idle_since > until && count <= IDLE_MAX)
			break;
		take_out(f);
		fobj_close(f);
	}
}

static void on_timer(struct timer *t)
{
	close_old(now_ns() - IDLE_NS);
	if (count)
		timer_arm(t, now_ns() + IDLE_NS / 2);
}

bool idle_keep(struct fobj *f)
{
	struct fs_attr a;
	if (!f->lone || !f->bound || f->bad || !known_attr(f->attr.ino, f->attr.gen, &a) ||
	    !a.nlink)
		return false;
	f->idle_since = now_ns();
	list_push_back(&idle, &f->idle);
	count++;
	if (count > IDLE_MAX)
		close_old(0);
	if (!timer.armed) {
		timer.fire = on_timer;
		timer_arm(&timer, now_ns() + IDLE_NS);
	}
	return true;
}

void idle_end(struct fobj *f)
{
	take_out(f);
}

struct fobj *idle_take(const char *name, u32 flags)
{
	const struct fs_cred cred = fs_cred_effective();
	struct known k;
	u32 want = (flags & O_ACCMODE) == O_RDONLY   ? R_OK
		   : (flags & O_ACCMODE) == O_WRONLY ? W_OK
						     : R_OK | W_OK;
	if (!count || flags & (O_TRUNC | O_EXCL | O_PATH) ||
	    known_walk(name, !(flags & O_NOFOLLOW), &cred, &k))
		return NULL;
	bool dir = S_ISDIR(k.attr.mode);
	if ((!dir && !S_ISREG(k.attr.mode)) || (dir && (want & W_OK || flags & O_CREAT)) ||
	    (!dir && flags & O_DIRECTORY) || known_access(&k.attr, &cred, want))
		return NULL; /* an error: the server's words */
	if (flags & O_CREAT && name[strlen(name) - 1] == '/')
		return NULL;
	for (struct list *l = idle.prev; l != &idle; l = l->prev) {
		struct fobj *f = container_of(l, struct fobj, idle);
		if (f->attr.ino != k.attr.ino || f->attr.gen != k.attr.gen ||
		    (f->open_flags & O_ACCMODE) != (flags & O_ACCMODE) || strcmp(f->path, k.canon))
			continue;
		take_out(f);
		f->refs = 1;
		fobj_news(f->tree, &k.attr, false);
		struct fs_attr kept = f->attr;
		f->attr = k.attr;
		f->attr.size = kept.size;
		f->attr.version = kept.version;
		return f;
	}
	return NULL;
}

void idle_forget(u64 ino, u32 gen)
{
	list_for_each_safe(f, &idle, struct fobj, idle)
		if (f->attr.ino == ino && (!gen || f->attr.gen == gen)) {
			take_out(f);
			fobj_close(f);
		}
}

void idle_forget_name(const char *name)
{
	const struct fs_cred root = {0};
	struct known k;
	if (count && !known_walk(name, false, &root, &k))
		idle_forget(k.attr.ino, k.attr.gen);
}

void idle_forget_all(void)
{
	close_old(~0ull);
}

u32 idle_count(void)
{
	return count;
}

u64 idle_bytes(void)
{
	u64 sum = 0;
	list_for_each(f, &idle, struct fobj, idle)
		sum += kmalloc_size(f) + kmalloc_size(f->path);
	return sum;
}

/* wh_facts(facts, n): from the file server, about this node's tree. Returns how many of its holds nobody uses. */
i64 wh_sys_facts(const u64 *arg)
{
	static struct fs_fact some[8];
	u64 at = arg[0];
	if (current->service != WH_SVC_FILE)
		return -EPERM;
	for (u64 left = arg[1]; left;) {
		u32 n = (u32)MIN(left, ARRAY_LEN(some));
		if (copy_from_user(some, at, n * sizeof some[0]))
			return -EFAULT;
		known_learn(some, n, idle_forget);
		for (u32 i = 0; i < n; i++)
			if (some[i].kind == FACT_GONE)
				pagecache_file_gone(some[i].ino, some[i].attr.gen);
		at += n * sizeof some[0];
		left -= n;
	}
	return count;
}
