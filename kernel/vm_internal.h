/* SPDX-License-Identifier: MIT */
/* Between vm.c (regions) and vm_page.c (pages). */
#ifndef KERNEL_VM_INTERNAL_H
#define KERNEL_VM_INTERNAL_H
#include "vm.h"

#define VM_PROT	     (WH_RG_READ | WH_RG_WRITE | WH_RG_EXEC)
#define VM_STACK_TOP (USER_TOP - (1ull << 20))
#define VM_MMAP_TOP  (VM_STACK_TOP - (64ull << 20))

bool vm_is_loaded(const struct vm *vm);
/* Unmap [start, end) and drop the frames; page tables stay. */
void vm_drop_pages(struct vm *vm, u64 start, u64 end);
/* The region's protection changed: adjust what is present. */
void vm_protect_pages(struct vm *vm, struct region *r);
/* Share the pages of src's region r with dst, copy on write. 0 or -ENOMEM. */
int vm_copy_pages(struct vm *dst, struct vm *src, struct region *r);
extern u64 region_count;
#endif
