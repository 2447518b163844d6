/* SPDX-License-Identifier: MIT */
/*
 * Names and attributes of this node's tree. See known.h. Nothing here blocks, so a walk sees one moment.
 *
 * A name is kept under its directory's number and generation: what was in a directory that is gone is never found
 * under its number's next owner. Forgetting is always allowed: it costs a question.
 */
#include "known.h"
#include "lib.h"
#include "linux_file.h"

#define BUCKETS	  4096
#define ROOT_INO  2
#define LINKS_MAX 40 /* followed in one walk: the server's FS_SYMLINKS_MAX */
#define DEPTH_MAX 64 /* deeper paths are the server's */

/* Of both kinds; `used` gives a second chance. */
struct entry {
	struct entry *next; /* in its bucket */
	struct list age;
	u32 hash;
	bool used;
};

struct name {
	struct entry e; /* first */
	u32 dir, dir_gen, ino;
	u8 len;
	char text[FACT_NAME_MAX];
};

struct inode {
	struct entry e; /* first */
	char *link;	/* of a symbolic link whose target is known */
	struct fs_attr attr;
};

struct table {
	struct entry *bucket[BUCKETS];
	struct list age; /* oldest first */
	u32 count;
};

static struct table names = {.age = LIST_INIT(names.age)};
static struct table inodes = {.age = LIST_INIT(inodes.age)};
static u32 limit = 1024;
static u64 forgotten;
static u32 links; /* targets that are known */

u64 known_bytes(void)
{
	return names.count * 128ull + inodes.count * 128ull + links * 64ull; /* as kmalloc rounds */
}

u64 known_forgotten(void)
{
	return forgotten;
}

void known_limit(u32 n)
{
	limit = n;
}

/* ---- tables ---- */

static struct entry **slot(struct table *t, u32 hash)
{
	return &t->bucket[hash % BUCKETS];
}

static void enter(struct table *t, struct entry *e, u32 hash)
{
	e->hash = hash;
	e->next = *slot(t, hash);
	*slot(t, hash) = e;
	list_push_back(&t->age, &e->age);
	t->count++;
}

static void forget_link(struct inode *i)
{
	links -= i->link != NULL;
	kfree(i->link);
	i->link = NULL;
}

static void drop(struct table *t, struct entry *e)
{
	struct entry **at = slot(t, e->hash);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	list_remove(&e->age);
	t->count--;
	if (t == &inodes)
		forget_link((struct inode *)e);
	kfree(e);
}

/* The oldest that was not used since it was looked at last. */
static void drop_oldest(struct table *t)
{
	for (;;) {
		struct entry *e = container_of(t->age.next, struct entry, age);
		if (!e->used) {
			drop(t, e);
			forgotten++;
			return;
		}
		e->used = false;
		list_remove(&e->age);
		list_push_back(&t->age, &e->age);
	}
}

u64 known_reclaim(void)
{
	u64 before = names.count + inodes.count;
	for (u32 n = (names.count + 1) / 2; n; n--)
		drop_oldest(&names);
	for (u32 n = (inodes.count + 1) / 2; n; n--)
		drop_oldest(&inodes);
	return before - names.count - inodes.count;
}

/* ---- inodes ---- */

static u32 inode_hash(u64 ino)
{
	return (u32)(ino ^ ino >> 12);
}

static struct inode *find_inode(u64 ino)
{
	struct entry *e = *slot(&inodes, inode_hash(ino));
	while (e && ((struct inode *)e)->attr.ino != ino)
		e = e->next;
	if (e)
		e->used = true;
	return (struct inode *)e;
}

static void learn_inode(const struct fs_fact *f)
{
	struct inode *i = find_inode(f->attr.ino);
	if (!i) {
		while (inodes.count >= limit)
			drop_oldest(&inodes);
		i = kmalloc(sizeof *i); /* may make others be forgotten */
		if (!i)
			return;
		i->attr.ino = f->attr.ino;
		enter(&inodes, &i->e, inode_hash(f->attr.ino));
	}
	i->attr = f->attr;
	forget_link(i);
	if ((f->attr.mode & S_IFMT) != S_IFLNK || !f->len || f->len >= FACT_NAME_MAX)
		return;
	char *target = kmalloc(FACT_NAME_MAX);
	i = find_inode(f->attr.ino); /* it may have been given back for the target */
	if (!target || !i) {
		kfree(target);
		return;
	}
	memcpy(target, f->name, f->len);
	i->link = target;
	links++;
}

bool known_attr(u64 ino, u32 gen, struct fs_attr *a)
{
	const struct inode *i = find_inode(ino);
	if (!i || i->attr.gen != gen)
		return false;
	*a = i->attr;
	return true;
}

/* ---- names ---- */

static u32 name_hash(u32 dir, const char *text, u32 len)
{
	u32 h = dir * 0x9e3779b1u;
	for (u32 i = 0; i < len; i++)
		h = (h ^ (u8)text[i]) * 16777619u;
	return h ^ h >> 15;
}

static struct name *find_name(u32 dir, u32 gen, const char *text, u32 len, u32 hash)
{
	struct entry *e = *slot(&names, hash);
	for (; e; e = e->next) {
		struct name *n = (struct name *)e;
		if (e->hash == hash && n->dir == dir && n->dir_gen == gen && n->len == len &&
		    !memcmp(n->text, text, len)) {
			e->used = true;
			return n;
		}
	}
	return NULL;
}

static void learn_name(const struct fs_fact *f)
{
	if (!f->len || f->len > FACT_NAME_MAX)
		return;
	u32 hash = name_hash(f->dir, f->name, f->len);
	struct name *n = find_name(f->dir, f->dir_gen, f->name, f->len, hash);
	if (!n) {
		while (names.count >= limit)
			drop_oldest(&names);
		n = kmalloc(sizeof *n);
		if (!n)
			return;
		n->dir = f->dir;
		n->dir_gen = f->dir_gen;
		n->len = (u8)f->len;
		memcpy(n->text, f->name, f->len);
		enter(&names, &n->e, hash);
	}
	n->ino = f->ino;
}

void known_learn(const struct fs_fact *f, u32 n, void (*nameless)(u64 ino, u32 gen))
{
	for (; n; n--, f++) {
		struct inode *i;
		switch (f->kind) {
		case FACT_INODE:
			learn_inode(f);
			if (!f->attr.nlink)
				nameless(f->attr.ino, f->attr.gen);
			break;
		case FACT_NAME:
			learn_name(f);
			break;
		case FACT_GONE:
			i = find_inode(f->ino);
			if (i)
				drop(&inodes, &i->e);
			break;
		}
	}
}

/* ---- walks ---- */

int known_access(const struct fs_attr *a, const struct fs_cred *cred, u32 want)
{
	u32 mode = a->mode;
	if (cred->uid == 0)
		return want & X_OK && !S_ISDIR(mode) && !(mode & 0111) ? -EACCES : 0;
	if (cred->uid == a->uid)
		mode >>= 6;
	else if (fs_cred_in_group(cred, a->gid))
		mode >>= 3;
	return want & ~mode & 7 ? -EACCES : 0;
}

/* A walk: where it stands is the last of `way`, and canon is its path. Static, for it does not block. */
static struct {
	char canon[FS_PATH_MAX];
	char rest
		[2]
		[FS_PATH_MAX]; /* what is left of the path behind a link; its target may be in the other one */
	struct inode *way[DEPTH_MAX];
	u32 end[DEPTH_MAX]; /* of way[i] in canon */
	u32 depth;	    /* way[0 .. depth] */
	u32 links;
} w;

static int push(struct inode *i, const char *text, u32 len)
{
	u32 at = w.depth ? w.end[w.depth] : 0;
	if (w.depth + 1 == DEPTH_MAX || at + len + 2 > sizeof w.canon)
		return KNOWN_ASK;
	w.canon[at++] = '/';
	memcpy(w.canon + at, text, len);
	w.depth++;
	w.way[w.depth] = i;
	w.end[w.depth] = at + len;
	return 0;
}

/* `link` in front of what is left, which then is *p. */
static int expand(const struct inode *link, const char **p)
{
	char *to = w.rest[w.links % 2];
	size_t n = link->link ? strlen(link->link) : 0, left = strlen(*p);
	if (!n || n + left + 1 > sizeof w.rest[0])
		return KNOWN_ASK;
	if (++w.links > LINKS_MAX)
		return -ELOOP;
	memcpy(to, link->link, n);
	memcpy(to + n, *p, left + 1);
	*p = to;
	if (to[0] == '/')
		w.depth = 0;
	return 0;
}

/* One name in the directory where the walk stands. */
static int step(const char *text, u32 len, const char **p, bool follow)
{
	const struct inode *dir = w.way[w.depth];
	const char *behind = *p;
	if (len > FACT_NAME_MAX)
		return KNOWN_ASK;
	const struct name *n = find_name((u32)dir->attr.ino, dir->attr.gen, text, len,
					 name_hash((u32)dir->attr.ino, text, len));
	if (!n)
		return KNOWN_ASK;
	if (!n->ino)
		return -ENOENT;
	struct inode *i = find_inode(n->ino);
	if (!i)
		return KNOWN_ASK;
	if ((i->attr.mode & S_IFMT) == S_IFLNK && (*behind || follow))
		return expand(i, p);
	return push(i, text, len);
}

int known_walk(const char *name, bool follow, const struct fs_cred *cred, struct known *k)
{
	const char *p = name;
	bool slash = false;
	w.depth = w.links = 0;
	w.way[0] = find_inode(ROOT_INO);
	if (!w.way[0])
		return KNOWN_ASK;
	for (;;) {
		while (*p == '/')
			p++;
		if (!*p)
			break;
		const char *text = p;
		while (*p && *p != '/')
			p++;
		u32 len = (u32)(p - text);
		slash = *p == '/';
		const struct fs_attr *here = &w.way[w.depth]->attr;
		if (!S_ISDIR(here->mode))
			return -ENOTDIR;
		int err = known_access(here, cred, X_OK);
		if (err)
			return err;
		if (len == 1 && text[0] == '.')
			continue;
		if (len == 2 && text[0] == '.' && text[1] == '.')
			w.depth -= w.depth > 0;
		else
			err = step(text, len, &p, follow);
		if (err)
			return err;
	}
	k->attr = w.way[w.depth]->attr;
	if (slash && !S_ISDIR(k->attr.mode))
		return -ENOTDIR;
	u32 end = w.depth ? w.end[w.depth] : 0;
	if (!end)
		w.canon[end++] = '/';
	w.canon[end] = 0;
	k->canon = w.canon;
	return 0;
}
