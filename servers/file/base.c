/* SPDX-License-Identifier: MIT */
/* Files unchanged since the base image: read here, wherever they were opened. See remote.h. */
#include <sys/stat.h>

#include "remote.h"

enum { BASE_SLOTS = 1024 }; /* a cache: what falls out is read from the custodian */

static struct base_hold {
	uint32_t tree;
	uint32_t ino, gen;
	uint64_t hold;
	uint64_t size;
} table[BASE_SLOTS];

static struct base_hold *slot(uint32_t tree, uint64_t hold)
{
	return &table[(hold * 31 + hold / BASE_SLOTS + tree * 7) % BASE_SLOTS];
}

/* This node's inode of that number, if it is a file of the base image still. */
static struct inode *local_base(struct tree *t, uint64_t ino, uint32_t gen)
{
	struct inode *ip;
	struct fs_attr a;

	if (ino > UINT32_MAX || inode_get(&t->fs, (uint32_t)ino, &ip) < 0)
		return NULL;
	inode_attr(&t->fs, ip, &a);
	if (S_ISREG(a.mode) && a.version.counter == 0 && a.gen == gen)
		return ip;
	inode_put(&t->fs, ip);
	return NULL;
}

void base_learn(struct tree *t, uint32_t tree, struct fs_opened *o)
{
	struct inode *ip = NULL;
	struct fs_attr mine;

	o->cacheable = 0;
	if (S_ISREG(o->attr.mode) && o->attr.version.counter == 0)
		ip = local_base(t, o->attr.ino, o->attr.gen);
	if (!ip)
		return;
	inode_attr(&t->fs, ip, &mine);
	if (mine.size == o->attr.size && mine.mtime == o->attr.mtime) {
		*slot(tree, o->hold) = (struct base_hold){.tree = tree,
							  .ino = ip->ino,
							  .gen = o->attr.gen,
							  .hold = o->hold,
							  .size = mine.size};
		o->cacheable = 1;
	}
	inode_put(&t->fs, ip);
}

void base_forget(uint32_t tree, uint64_t hold)
{
	struct base_hold *b = slot(tree, hold);

	if (b->tree == tree && b->hold == hold)
		b->tree = 0;
}

bool base_read(struct tree *t, struct fs_request *r)
{
	struct fs_io q = FS_BODY(r, struct fs_io);
	const struct base_hold *b = slot(q.tree, q.hold);

	if (b->tree != q.tree || b->hold != q.hold)
		return false;
	struct inode *ip = local_base(t, b->ino, b->gen);

	if (!ip)
		return false;
	bool same = inode_size(ip) == b->size;

	if (same)
		r->msg.status = (int32_t)op_read_inode(t, r, ip, &q);
	inode_put(&t->fs, ip);
	return same;
}
