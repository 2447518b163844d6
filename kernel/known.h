/* SPDX-License-Identifier: MIT */
/*
 * What this node's file server has told of its own tree (wh_facts): names and attributes. The server, which alone changes the tree,
 * tells every change before anybody can have an answer that shows it, so what is here is true. What is not here has
 * to be asked. Bounded, and given back when frames are short.
 */
#ifndef KERNEL_KNOWN_H
#define KERNEL_KNOWN_H
#include <stdbool.h>
#include "msg_file.h"

#define KNOWN_ASK 1 /* the server has to be asked */

/* Where a path led. */
struct known {
	struct fs_attr attr;
	/* Without `.`, `..`, followed links and slashes too many; valid until the next known_walk. */
	const char *canon;
};
/* Walk `name`, absolute within this node's tree, as the server would. 0: *k; KNOWN_ASK; -ENOENT, -ENOTDIR, -EACCES, -ELOOP,
 * which are the server's answers. Never blocks. */
int known_walk(const char *name, bool follow, const struct fs_cred *cred, struct known *k);
/* The attributes of inode ino; false: not known, or of another generation. */
bool known_attr(uint64_t ino, uint32_t gen, struct fs_attr *a);
/* want: R_OK|W_OK|X_OK. 0 or -EACCES. */
int known_access(const struct fs_attr *a, const struct fs_cred *cred, uint32_t want);
/* Facts in their order. `nameless` is called for each inode without a name. */
void known_learn(const struct fs_fact *f, uint32_t n, void (*nameless)(uint64_t ino, uint32_t gen));
/* At most so many names, and inodes; the oldest go when there are more. */
void known_limit(uint32_t n);
/* How many of them were forgotten since the start: what a directory was told to have may be among them. */
uint64_t known_forgotten(void);
/* Memory in use. */
uint64_t known_bytes(void);
/* Forget about half. Returns how many facts were dropped. */
uint64_t known_reclaim(void);
#endif
