/* SPDX-License-Identifier: MIT */
/*
 * What the kernel is told of the tree, so that it need not ask (struct fs_fact). All changes of an operation are told at its end,
 * before anybody is answered: the kernel never shows half an operation, nor anything older than an answer.
 */
#include <string.h>
#include <sys/stat.h>

#include "fs.h"

static void send(struct fs *fs)
{
	if (fs->nfacts)
		fs->tell(fs->facts, fs->nfacts);
	fs->nfacts = 0;
}

static struct fs_fact *next(struct fs *fs, uint32_t kind)
{
	if (fs->nfacts == TELL_FACTS)
		send(fs);
	struct fs_fact *f = &fs->facts[fs->nfacts++];

	memset(f, 0, sizeof(*f));
	f->kind = kind;
	return f;
}

void tell_name(struct fs *fs, const struct inode *dp, const char *name, size_t len, uint32_t ino)
{
	if (!fs->tell || len > FACT_NAME_MAX)
		return;
	struct fs_fact *f = next(fs, FACT_NAME);

	f->dir = dp->ino;
	f->dir_gen = dp->d.i_generation;
	f->ino = ino;
	f->len = (uint32_t)len;
	memcpy(f->name, name, len);
}

static void inode_fact(struct fs *fs, uint32_t ino)
{
	struct inode *ip = inode_peek(fs, ino);

	if (!ip || ip->d.i_mode == 0) {
		struct fs_fact *f = next(fs, FACT_GONE);

		f->ino = ino;
		f->attr.gen = ip ? ip->d.i_generation : 0;
	} else {
		struct fs_fact *f = next(fs, FACT_INODE);
		int len = S_ISLNK(ip->d.i_mode) && ip->d.i_size < sizeof(ip->d.i_block)
				  ? symlink_read(fs, ip, f->name, sizeof(f->name))
				  : 0;

		f->len = len > 0 ? (uint32_t)len : 0;
		f->ino = ino;
		inode_attr(fs, ip, &f->attr);
	}
	if (ip)
		ip->to_tell = false;
}

static void inode_facts(struct fs *fs)
{
	for (unsigned i = 0; i < fs->nto_tell; i++)
		inode_fact(fs, fs->to_tell[i]);
	fs->nto_tell = 0;
}

void tell_inode(struct fs *fs, struct inode *ip)
{
	if (!fs->tell || ip->to_tell)
		return;
	if (fs->nto_tell == TELL_INODES)
		inode_facts(fs);
	ip->to_tell = true;
	fs->to_tell[fs->nto_tell++] = ip->ino;
}

void tell_all(struct fs *fs)
{
	if (!fs->tell)
		return;
	inode_facts(fs);
	send(fs);
}
