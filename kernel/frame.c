/* SPDX-License-Identifier: MIT */
/*
 * Buddy allocator over all RAM. One `struct frame` per 4 kB: reference count, order of the block it
 * heads, links of the free list. Blocks larger than one frame are always allocated and freed whole.
 */
#include "frame.h"
#include "../boot/bootinfo.h"
#include "file.h"
#include "lib.h"
#include "mem.h"
#include "oom.h"

#define ORDERS 12

struct frame {
	u32 refs;
	u8 order;
	u8 free;
	u16 kmem_class; /* of kmem.c: size class of this frame's slab */
	u32 next, prev; /* free list; 0 = end (frame 0 is never free) */
};

static struct frame *frames;
static u64 frame_count, free_frames, total_frames, reserved_frames;
static u32 free_head[ORDERS];

u16 *frame_kmem_class(u64 phys)
{
	return &frames[phys / PAGE_SIZE].kmem_class;
}

/* While a frame is allocated its free-list links are not in use. */
u32 *frame_kmem_used(u64 phys)
{
	return &frames[phys / PAGE_SIZE].next;
}

static void push(u32 f, u8 order)
{
	frames[f].free = 1;
	frames[f].order = order;
	frames[f].prev = 0;
	frames[f].next = free_head[order];
	if (free_head[order])
		frames[free_head[order]].prev = f;
	free_head[order] = f;
}

static void unlink_free(u32 f)
{
	u8 order = frames[f].order;
	if (frames[f].prev)
		frames[frames[f].prev].next = frames[f].next;
	else
		free_head[order] = frames[f].next;
	if (frames[f].next)
		frames[frames[f].next].prev = frames[f].prev;
	frames[f].free = 0;
}

static void free_block(u32 f, u8 order)
{
	free_frames += 1u << order;
	while (order + 1 < ORDERS) {
		u32 buddy = f ^ (1u << order);
		if (buddy >= frame_count || !frames[buddy].free || frames[buddy].order != order)
			break;
		unlink_free(buddy);
		f &= ~(1u << order);
		order++;
	}
	push(f, order);
}

static u32 take_block(u8 order)
{
	u8 o = order;
	while (o < ORDERS && !free_head[o])
		o++;
	if (o == ORDERS)
		return 0;
	u32 f = free_head[o];
	unlink_free(f);
	while (o > order) {
		o--;
		push(f + (1u << o), o);
	}
	frames[f].order = order;
	frames[f].refs = 1;
	free_frames -= 1u << order;
	return f;
}

/* Keep a few frames back for the page cache's own bookkeeping and interrupt-time needs. */
#define EMERGENCY 16

static u32 alloc_order(u8 order)
{
	u64 need = (1u << order) + reserved_frames + EMERGENCY + oom_reserve();
	if (free_frames < need)
		pagecache_reclaim(need - free_frames + 32);
	if (free_frames < need)
		return 0;
	u32 f = take_block(order);
	/* Pages come back in the order of their use, not of their addresses: until a whole block is together. */
	while (!f && pagecache_reclaim(1u << (order + 2)))
		f = take_block(order);
	return f;
}

u64 frame_alloc(void)
{
	return alloc_order(0) * PAGE_SIZE;
}

u64 frame_alloc_zero(void)
{
	u64 phys = frame_alloc();
	if (phys)
		page_zero(P2V(phys));
	return phys;
}

static u64 alloc_contig(u32 n, bool clear)
{
	u8 order = 0;
	while ((1u << order) < n)
		order++;
	if (order >= ORDERS)
		return 0;
	u64 phys = alloc_order(order) * PAGE_SIZE;
	if (phys && clear)
		memset(P2V(phys), 0, PAGE_SIZE << order);
	return phys;
}

u64 frame_alloc_contig(u32 n)
{
	return alloc_contig(n, true);
}

u64 frame_alloc_dma(u32 n, bool clear)
{
	u64 phys = alloc_contig(n, clear);
	if (!phys)
		return 0;
	u32 first = (u32)(phys / PAGE_SIZE), all = 1u << frames[first].order;
	for (u32 i = 0; i < all; i++) {
		frames[first + i].order = 0;
		frames[first + i].refs = 2;
	}
	return phys;
}

void frame_ref(u64 phys)
{
	frames[phys / PAGE_SIZE].refs++;
}

void frame_put(u64 phys)
{
	struct frame *f = &frames[phys / PAGE_SIZE];
	ASSERT(phys / PAGE_SIZE < frame_count && f->refs);
	if (--f->refs == 0)
		free_block((u32)(phys / PAGE_SIZE), f->order);
}

u32 frame_refs(u64 phys)
{
	return frames[phys / PAGE_SIZE].refs;
}

u64 frame_size(u64 phys)
{
	return PAGE_SIZE << frames[phys / PAGE_SIZE].order;
}

bool frame_reserve(u64 n)
{
	if (free_frames < reserved_frames + n + EMERGENCY)
		pagecache_reclaim(reserved_frames + n + EMERGENCY - free_frames);
	if (free_frames < reserved_frames + n + EMERGENCY)
		return false;
	reserved_frames += n;
	return true;
}

void frame_unreserve(u64 n)
{
	ASSERT(n <= reserved_frames);
	reserved_frames -= n;
}

u64 frame_free_count(void)
{
	return free_frames > reserved_frames ? free_frames - reserved_frames : 0;
}

u64 frame_total_count(void)
{
	return total_frames;
}

static bool in_use_at_boot(u64 a)
{
	if (a < 0x100000 || (a >= 0x100000 && a < kernel_image_end()))
		return true;
	for (u32 i = 0; i < bootinfo.modules; i++)
		if (a + PAGE_SIZE > bootinfo.module[i].start && a < bootinfo.module[i].end)
			return true;
	u64 table = V2P(frames);
	return a + PAGE_SIZE > table && a < table + frame_count * sizeof(struct frame);
}

void frame_init(void)
{
	u64 top = 0, table = kernel_image_end();
	for (u32 i = 0; i < bootinfo.ranges; i++)
		top = MAX(top, bootinfo.ram[i].end);
	/* The first page tables reach 1 GB; a node needs no more. */
	top = MIN(top, 1ull << 30);
	frame_count = top / PAGE_SIZE;
	for (u32 i = 0; i < bootinfo.modules; i++)
		table = MAX(table, PAGE_UP(bootinfo.module[i].end));
	frames = P2V(table);
	memset(frames, 0, frame_count * sizeof(struct frame));
	for (u32 i = 0; i < bootinfo.ranges; i++)
		for (u64 a = PAGE_UP(bootinfo.ram[i].start);
		     a + PAGE_SIZE <= MIN(bootinfo.ram[i].end, top); a += PAGE_SIZE)
			if (!in_use_at_boot(a)) {
				free_block((u32)(a / PAGE_SIZE), 0);
				total_frames++;
			}
}

void frame_release_boot(u64 start, u64 end)
{
	for (u64 a = PAGE_DOWN(start); a + PAGE_SIZE <= PAGE_UP(end); a += PAGE_SIZE) {
		free_block((u32)(a / PAGE_SIZE), 0);
		total_frames++;
	}
}
