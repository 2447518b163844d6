/* SPDX-License-Identifier: MIT */
/*
 * Pages that are not cached: how many to ask the custodian for, and what of the answer may be kept. The frames are lent to the
 * file server, so that the disk can fill them (ipc_call_frames).
 */
#include "frame.h"
#include "lib.h"
#include "pagecache.h"
#include "proc.h"

/* Which pages to ask for on a miss at `index`: [*start, result). */
static u64 miss_window(struct vnode *v, bool local, u64 index, u64 pages, u64 *start)
{
	u64 end;
	*start = index;
	/* Older pages make room; read ahead only if even they do not. */
	if (frame_free_count() < 4 * AHEAD_MIN)
		pagecache_reclaim(4 * AHEAD_MIN);
	if (frame_free_count() < 2 * AHEAD_MIN)
		return index + 1;
	if (index == 0 || index == v->next) {
		if (local && frame_free_count() < 4 * AHEAD_MAX &&
		    pagecache_frames() > 8 * AHEAD_MAX)
			pagecache_reclaim(4 * AHEAD_MAX);
		u64 most = local && frame_free_count() >= 2 * AHEAD_MAX ? AHEAD_MAX : AHEAD_MIN;
		v->ahead = index ? MIN(2 * v->ahead, most) : AHEAD_MIN;
		end = index + MAX(v->ahead, AHEAD_MIN);
	} else {
		*start = index - index % CLUSTER;
		end = *start + CLUSTER;
	}
	end = MIN(end, pages);
	for (u64 i = index; i > *start; i--)
		if (page_lookup(v, i - 1))
			*start = i;
	for (u64 i = end; i > index + 1; i--)
		if (page_lookup(v, i - 1))
			end = i - 1;
	return end;
}

/* Frames for pages [*start, *start + n), or for fewer, but for `index`. Returns how many. */
static u32 frames_for(u64 *frames, u64 *start, u64 index, u64 n)
{
	u32 have = 0;
	while (have < n && (frames[have] = frame_alloc()))
		have++;
	if (have && *start + have <= index) { /* too few to get there */
		while (have > 1)
			frame_put(frames[--have]);
		*start = index;
	}
	return have;
}

/* Fetch the page, and its neighbours into v if there is one. */
static int fetch(struct fobj *f, struct vnode *v, u64 index, u64 *phys)
{
	u64 start = index, end = index + 1, seq = 0, frames[AHEAD_MAX];
	u64 pages = PAGE_UP(f->attr.size) / PAGE_SIZE;
	if (v && index < pages) {
		end = miss_window(v, f->tree == node_id.node, index, pages, &start);
		seq = v->seq;
	}
	u32 n = frames_for(frames, &start, index, end - start);
	if (!n)
		return -ENOMEM;
	i64 got = fobj_read_frames(f, start * PAGE_SIZE, frames, n);
	/* What a write overtook may be read once, but not kept. */
	bool keep = v && got > 0 && index < pages && v->seq == seq && !v->writers;
	for (u32 i = 0; i < n; i++) {
		u64 at = i * PAGE_SIZE, have = got > (i64)at ? MIN((u64)got - at, PAGE_SIZE) : 0;
		bool wanted = start + i == index && got >= 0;
		if (have < PAGE_SIZE && (have || wanted))
			memset((u8 *)P2V(frames[i]) + have, 0, PAGE_SIZE - have);
		if (keep && (have || wanted))
			page_insert(v, start + i, frames[i]);
		if (wanted)
			*phys = frames[i];
		else
			frame_put(frames[i]);
	}
	if (keep && start + n > index)
		v->next = start + n;
	return got < 0 ? (int)got : 0;
}

int fobj_page(struct fobj *f, u64 index, u64 *phys)
{
	int err = fobj_bind(f);
	if (err)
		return err;
	struct vnode *v = f->vnode;
	*phys = fobj_page_cached(f, index);
	if (*phys)
		return 0;
	if (v)
		v->users++; /* f may move to another vnode while we wait */
	err = fetch(f, v, index, phys);
	if (err == -EIO && v) /* perhaps only a neighbour cannot be read */
		err = fetch(f, NULL, index, phys);
	if (v)
		vnode_put(v);
	return err;
}

u64 fobj_page_cached(struct fobj *f, u64 index)
{
	struct cpage *c = f->vnode ? page_lookup(f->vnode, index) : NULL;
	if (!c)
		return 0;
	list_remove(&c->lru);
	list_push_back(&page_lru, &c->lru);
	frame_ref(c->phys);
	return c->phys;
}
