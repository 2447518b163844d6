/* SPDX-License-Identifier: MIT */
/* The hold table. See holds.h. */
#include "holds.h"
#include "records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

static uint64_t owner_bit(uint32_t node)
{
	return node >= 1 && node <= WH_MAX_NODES ? 1ull << (node - 1) : 0;
}

static struct hold **bucket(struct holds *t, uint64_t id)
{
	return &t->bucket[id % HOLD_BUCKETS];
}

void holds_init(struct holds *t, struct fs *fs)
{
	*t = (struct holds){.fs = fs, .next_id = (uint64_t)fs->boot << 32 | 1};
}

int hold_new(struct holds *t, struct inode *ip, uint32_t flags, uint32_t owner, struct hold **out)
{
	if (!owner_bit(owner))
		return -EINVAL;
	struct hold *h = t->count < HOLDS_MAX ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return -ENFILE;
	h->id = t->next_id++;
	h->ip = inode_ref(ip);
	h->flags = flags;
	h->owners = owner_bit(owner);
	h->hash_next = *bucket(t, h->id);
	*bucket(t, h->id) = h;
	list_push(&ip->holds, &h->same_file);
	list_init(&h->records);
	t->count++;
	*out = h;
	return 0;
}

struct hold *hold_find(struct holds *t, uint64_t id, uint32_t owner)
{
	struct hold *h = *bucket(t, id);

	while (h && h->id != id)
		h = h->hash_next;
	return h && (owner == 0 || (h->owners & owner_bit(owner))) ? h : NULL;
}

int hold_add_owner(struct hold *h, uint32_t owner)
{
	if (!owner_bit(owner))
		return -EINVAL;
	h->owners |= owner_bit(owner);
	return 0;
}

static void set_lock(struct holds *t, struct hold *h, enum hold_lock lock)
{
	t->freed |= lock < h->lock;
	t->locks += (lock != HOLD_UNLOCKED) - (h->lock != HOLD_UNLOCKED);
	h->lock = lock;
}

static int end(struct holds *t, struct hold *h)
{
	struct hold **p = bucket(t, h->id);
	struct inode *ip = h->ip;
	int err = 0;

	while (*p != h)
		p = &(*p)->hash_next;
	*p = h->hash_next;
	set_lock(t, h, HOLD_UNLOCKED);
	records_drop(t, h);
	list_del(&h->same_file);
	free(h);
	t->count--;
	if (ip->d.i_links_count == 0 && list_empty(&ip->holds))
		err = inode_free_orphan(t->fs, ip);
	inode_put(t->fs, ip);
	return err;
}

int hold_disown(struct holds *t, struct hold *h, uint32_t owner)
{
	h->owners &= ~owner_bit(owner);
	return h->owners ? 0 : end(t, h);
}

int hold_lock(struct holds *t, struct hold *h, uint32_t op)
{
	enum hold_lock want;

	switch (op & ~(uint32_t)LOCK_NB) {
	case LOCK_SH:
		want = HOLD_SHARED;
		break;
	case LOCK_EX:
		want = HOLD_EXCLUSIVE;
		break;
	case LOCK_UN:
		want = HOLD_UNLOCKED;
		break;
	default:
		return -EINVAL;
	}
	if (want != HOLD_UNLOCKED) {
		struct list *head = &h->ip->holds;

		for (struct list *l = head->next; l != head; l = l->next) {
			struct hold *o = list_entry(l, struct hold, same_file);

			if (o != h && o->lock != HOLD_UNLOCKED &&
			    (want == HOLD_EXCLUSIVE || o->lock == HOLD_EXCLUSIVE)) {
				t->refused = true;
				return -EWOULDBLOCK;
			}
		}
	}
	set_lock(t, h, want);
	return 0;
}

bool holds_lock_freed(struct holds *t)
{
	if (!t->refused || !t->freed)
		return false;
	t->refused = t->freed = false;
	return true;
}

void holds_drop_node(struct holds *t, uint32_t node)
{
	unsigned dropped = 0;

	for (unsigned i = 0; i < HOLD_BUCKETS; i++) {
		for (struct hold *h = t->bucket[i], *next; h; h = next) {
			next = h->hash_next;
			if (!(h->owners & owner_bit(node)))
				continue;
			dropped++;
			fs_begin(t->fs); /* room for freeing; what fails is reported below */
			if (hold_disown(t, h, node) < 0)
				fs_log("an unlinked file of node %u could not be freed", node);
		}
	}
	if (t->node_gone)
		t->node_gone(node);
	if (dropped)
		fs_log("node %u is gone: %u of its holds dropped", node, dropped);
}

bool holds_node_seen(struct holds *t, uint32_t node, uint64_t incarnation)
{
	if (!owner_bit(node) || incarnation == 0)
		return false;
	if (incarnation < t->incarnation[node])
		return false;
	if (t->incarnation[node] && incarnation > t->incarnation[node])
		holds_drop_node(t, node);
	t->incarnation[node] = incarnation;
	return true;
}

void holds_end(struct holds *t)
{
	for (unsigned i = 0; i < HOLD_BUCKETS; i++)
		for (struct hold *h = t->bucket[i], *next; h; h = next) {
			next = h->hash_next;
			h->owners = 0;
			end(t, h);
		}
}
