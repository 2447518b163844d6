/* SPDX-License-Identifier: MIT */
/* The cache of names: a direct-mapped table; absent names are cached too. See fs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"

int names_init(struct fs *fs)
{
	fs->names = calloc(NAME_BUCKETS, sizeof(fs->names[0]));
	return fs->names ? 0 : -ENOMEM;
}

static struct name_entry *slot(const struct fs *fs, uint32_t dir, const char *name, size_t len)
{
	uint32_t h = dir * 0x9e3779b1u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return &fs->names[(h ^ h >> 15) % NAME_BUCKETS];
}

bool names_find(const struct fs *fs, uint32_t dir, const char *name, size_t len, uint32_t *ino)
{
	if (len > NAME_SHORT)
		return false;
	const struct name_entry *e = slot(fs, dir, name, len);

	if (e->dir != dir || e->len != len || memcmp(e->name, name, len) != 0)
		return false;
	*ino = e->ino;
	return true;
}

void names_set(struct fs *fs, uint32_t dir, const char *name, size_t len, uint32_t ino)
{
	if (len > NAME_SHORT)
		return;
	struct name_entry *e = slot(fs, dir, name, len);

	e->dir = dir;
	e->ino = ino;
	e->len = (uint8_t)len;
	memcpy(e->name, name, len);
}

void names_forget_dir(struct fs *fs, uint32_t dir)
{
	for (unsigned i = 0; i < NAME_BUCKETS; i++)
		if (fs->names[i].dir == dir)
			fs->names[i].dir = 0;
}
