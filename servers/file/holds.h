/* SPDX-License-Identifier: MIT */
/*
 * Holds: open files as their custodian knows them. A hold keeps its inode alive and carries the
 * flock() lock and the record locks that were taken through it; it belongs to a set of nodes, usually
 * one, two during a migration. It ends when the set is empty: by FS_CLOSE of the last owner, or
 * because the owner died.
 *
 * A node that reboots is another owner: its incarnation rises, and what the older one owned is
 * dropped when we hear of it (by the node table or by its own first message, whichever comes
 * first).
 */
#ifndef FILE_HOLDS_H
#define FILE_HOLDS_H

#include "fs.h"

enum { HOLD_BUCKETS = 256, HOLDS_MAX = 16384 };
enum hold_lock { HOLD_UNLOCKED = 0, HOLD_SHARED = 1, HOLD_EXCLUSIVE = 2 };

struct hold {
	uint64_t id; /* boot number << 32 | serial: never used twice */
	struct inode *ip;
	uint32_t flags;	 /* Linux O_* of the open */
	uint64_t owners; /* bit node - 1 */
	enum hold_lock lock;
	struct list records; /* struct record.link */
	struct hold *hash_next;
	struct list same_file; /* in inode.holds */
};

struct holds {
	struct fs *fs;
	uint64_t next_id;
	unsigned count, locks, records;
	bool refused, freed;		  /* a lock was, since holds_lock_freed() was last asked */
	void (*node_gone)(uint32_t node); /* ends.c; or NULL */
	struct hold *bucket[HOLD_BUCKETS];
	uint64_t incarnation[WH_MAX_NODES + 1]; /* last known, 0: never heard */
};

void holds_init(struct holds *t, struct fs *fs);
/* Drop everything (unmounting). */
void holds_end(struct holds *t);
/* Takes a reference of ip of its own. -ENFILE; -EINVAL for an impossible owner. */
int hold_new(struct holds *t, struct inode *ip, uint32_t flags, uint32_t owner, struct hold **h);
/* The hold, if `owner` is among its owners; else NULL. owner 0: anybody. */
struct hold *hold_find(struct holds *t, uint64_t id, uint32_t owner);
int hold_add_owner(struct hold *h, uint32_t owner);
/* Take `owner` off; the last one ends the hold. */
int hold_disown(struct holds *t, struct hold *h, uint32_t owner);
/* op: LOCK_SH, LOCK_EX or LOCK_UN, LOCK_NB ignored (it never blocks). -EWOULDBLOCK. */
int hold_lock(struct holds *t, struct hold *h, uint32_t op);
/* Did a lock become free since somebody was refused one? Who waits should ask again. */
bool holds_lock_freed(struct holds *t);
/* `node` is gone. */
void holds_drop_node(struct holds *t, uint32_t node);
/* `node` speaks with this incarnation: drops what an older one owned. False: the speaker itself is
 * the older one. */
bool holds_node_seen(struct holds *t, uint32_t node, uint64_t incarnation);

#endif
