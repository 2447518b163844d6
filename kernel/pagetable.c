/* SPDX-License-Identifier: MIT */
/* The kernel's own page tables (W^X), and the walk that everybody uses. */
#include "frame.h"
#include "lib.h"
#include "mem.h"

extern char text_start[], text_end[], rodata_end[], kernel_end[];
u64 kernel_pml4;
static u64 mmio_next = MMIO_BASE;

u64 kernel_image_end(void)
{
	return (u64)kernel_end - KERNEL_BASE;
}

u64 *pte_walk(u64 pml4, u64 addr, u64 *absent_to)
{
	u64 *table = P2V(pml4);
	for (int shift = 39; shift > 12; shift -= 9) {
		u64 e = table[addr >> shift & 511];
		if (!(e & PTE_P)) {
			*absent_to = (addr | ((1ull << shift) - 1)) + 1;
			return NULL;
		}
		table = P2V(PTE_ADDR(e));
	}
	return &table[addr >> 12 & 511];
}

u64 *pte_find(u64 pml4, u64 addr, bool create)
{
	u64 *table = P2V(pml4);
	for (int shift = 39; shift > 12; shift -= 9) {
		u64 *e = &table[addr >> shift & 511];
		if (!(*e & PTE_P)) {
			u64 phys = create ? frame_alloc_zero() : 0;
			if (!phys)
				return NULL;
			*e = phys | PTE_P | PTE_W | PTE_U;
		}
		table = P2V(PTE_ADDR(*e));
	}
	return &table[addr >> 12 & 511];
}

static void map_page(u64 addr, u64 entry)
{
	u64 *e = pte_find(kernel_pml4, addr, true);
	if (!e)
		panic("no memory for the kernel's page tables");
	*e = entry;
}

void pagetable_init(void)
{
	kernel_pml4 = frame_alloc_zero();
	u64 *pml4 = P2V(kernel_pml4);
	/* Direct map of 4 GB in 2 MB pages, never executable. */
	u64 pdpt = frame_alloc_zero();
	pml4[256] = pdpt | PTE_P | PTE_W;
	for (u64 g = 0; g < 4; g++) {
		u64 pd = frame_alloc_zero();
		((u64 *)P2V(pdpt))[g] = pd | PTE_P | PTE_W;
		for (u64 i = 0; i < 512; i++)
			((u64 *)P2V(pd))[i] = (g << 30 | i << 21) | PTE_P | PTE_W | PTE_PS | PTE_NX;
	}
	for (u64 a = KERNEL_BASE + 0x100000; a < (u64)kernel_end; a += PAGE_SIZE) {
		u64 e = (a - KERNEL_BASE) | PTE_P;
		if (a >= (u64)text_start && a < (u64)text_end)
			map_page(a, e);
		else if (a < (u64)rodata_end)
			map_page(a, e | PTE_NX);
		else
			map_page(a, e | PTE_W | PTE_NX);
	}
	/* Present from the start, so that address spaces, which copy the upper half, all see later
	 * mappings. */
	pml4[MMIO_BASE >> 39 & 511] = frame_alloc_zero() | PTE_P | PTE_W;
	__asm__ volatile("mov %0, %%cr3" ::"r"(kernel_pml4) : "memory");
}

void *mmio_map(u64 phys, u64 len)
{
	u64 at = mmio_next;
	for (u64 off = 0; off < PAGE_UP(len); off += PAGE_SIZE)
		map_page(at + off, (phys + off) | PTE_P | PTE_W | PTE_PCD | PTE_PWT | PTE_NX);
	mmio_next += PAGE_UP(len);
	return (void *)(at + (phys & PAGE_MASK));
}
