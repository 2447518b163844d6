/* SPDX-License-Identifier: MIT */
/* Between the memory files only: start-up order, the kernel's own page tables, device windows. */
#ifndef KERNEL_MEM_H
#define KERNEL_MEM_H
#include "types.h"

#define KERNEL_BASE 0xffffffff80000000ull
#define MMIO_BASE   0xffffff0000000000ull

void frame_init(void);
/* Hand the pages of a boot module back once it has been loaded. */
void frame_release_boot(u64 start, u64 end);
u64 kernel_image_end(void); /* physical, page aligned */
u64 frame_size(u64 phys);   /* bytes of the block that starts here */
u16 *frame_kmem_class(u64 phys);
u32 *frame_kmem_used(u64 phys); /* chunks of this slab that are given out */

/* Replace the boot page tables: text R-X, read-only data R--, everything else RW-, direct map never
 * executable. */
void pagetable_init(void);
extern u64 kernel_pml4; /* physical */
/* Map a device's registers, uncached. */
void *mmio_map(u64 phys, u64 len);

/* Page-table entries. */
#define PTE_P	(1ull << 0)
#define PTE_W	(1ull << 1)
#define PTE_U	(1ull << 2)
#define PTE_PWT (1ull << 3)
#define PTE_PCD (1ull << 4)
#define PTE_D	(1ull << 6)
#define PTE_PS	(1ull << 7)
#define PTE_PRIVATE                                                                                \
	(1ull << 9) /* ours: an anonymous frame, or a private copy; not a page-cache frame */
#define PTE_NX	    (1ull << 63)
#define PTE_ADDR(e) ((e)&0x000ffffffffff000ull)
/* Entry for addr, NULL if the tables on the way are absent; with create they are made (NULL: no
 * memory). */
u64 *pte_find(u64 pml4, u64 addr, bool create);
/* The entry of addr; or NULL, and *absent_to is the first address behind the absent table (addresses before it have
 * no entry either: a wild mapping of many terabytes is walked in a few steps). */
u64 *pte_walk(u64 pml4, u64 addr, u64 *absent_to);
static inline void tlb_flush_page(u64 addr)
{
	__asm__ volatile("invlpg (%0)" ::"r"(addr) : "memory");
}
static inline void tlb_flush_all(void)
{
	u64 cr3;
	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3)::"memory");
}
#endif
