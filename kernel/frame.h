/* SPDX-License-Identifier: MIT */
/* Physical frames with reference counts (copy-on-write), the direct map, reservations. */
#ifndef KERNEL_FRAME_H
#define KERNEL_FRAME_H
#include "types.h"

#define DIRECT_MAP 0xffff800000000000ull
#define P2V(phys)  ((void *)((u64)(phys) + DIRECT_MAP))
#define V2P(ptr)   ((u64)(ptr)-DIRECT_MAP)

/* One frame with one reference, not cleared; 0 when there is none (after trying
 * pagecache_reclaim()). */
u64 frame_alloc(void);
u64 frame_alloc_zero(void);
/* n contiguous frames, cleared, below 4 GB, freed as one; 0 if none. */
u64 frame_alloc_contig(u32 n);
/* The same as single frames, cleared or not, each with a second reference that nobody drops: a device may write to
 * them even after its driver has died. */
u64 frame_alloc_dma(u32 n, bool clear);
void frame_ref(u64 phys);
void frame_put(u64 phys); /* frees it with the last reference */
u32 frame_refs(u64 phys);
/* Set n frames aside for a process that is going to arrive (ACCEPT). false: not enough. */
bool frame_reserve(u64 n);
void frame_unreserve(u64 n);
u64 frame_free_count(void); /* not reserved */
u64 frame_total_count(void);
#endif
