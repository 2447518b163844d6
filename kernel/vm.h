/* SPDX-License-Identifier: MIT */
/* Address spaces: a sorted list of regions (what may be there) over page tables (what is there). */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H
#include "types.h"
#include "mem.h"
#include "whimbrel.h"

#define USER_MIN 0x10000ull
#define USER_TOP 0x00007ffffffff000ull

/* Both flags: DMA memory of a driver. A child does not get it: copying on write would give the
 * driver other frames than its device has. */
#define VM_RG_DMA (WH_RG_STACK | WH_RG_HEAP)

/* The frames are those of all who map it (shared.c). Such a region does not travel, so this is none of
 * the WH_RG_ bits of an image. */
#define VM_RG_SHARED (1u << 16)

/* Of one address space: regions are kernel memory, looked for one by one. Beyond: -ENOMEM. */
#define VM_REGIONS_MAX 4096u

struct fobj;
struct shm;
struct proc;

struct region {
	struct list link; /* in vm.regions, ascending */
	u64 start, end;
	u32 flags;	   /* enum wh_region_flags */
	struct fobj *file; /* WH_RG_FILE: one reference */
	struct shm *shm;   /* VM_RG_SHARED without file: one reference */
	u64 file_off;	   /* of start */
	u64 file_len;	   /* bytes from file_off that come from the file */
};

struct vm {
	u32 refs; /* vfork shares */
	u64 pml4; /* physical */
	struct list regions;
	u32 region_count; /* at most VM_REGIONS_MAX */
	u64 brk_start, brk;
	u64 mmap_top;	   /* next mmap is placed below */
	u64 private_pages; /* private frames mapped */
	u64 changes;	   /* of regions and pages: who has blocked looks again if there were any */
	bool wired;	   /* servers: everything is populated at once, nothing is ever paged */
};

struct vm *vm_create(void);	    /* NULL: no memory */
void vm_put(struct vm *vm);	    /* drop a reference; the last destroys it */
struct vm *vm_fork(struct vm *src); /* copy on write */
extern u64 vm_loaded_cr3;
static inline void vm_load(u64 cr3)
{
	if (cr3 == vm_loaded_cr3) /* a reload costs 1.5 us under TCG */
		return;
	vm_loaded_cr3 = cr3;
	__asm__ volatile("mov %0, %%cr3" ::"r"(cr3) : "memory");
}
/* NULL: kernel only. */
static inline void vm_switch(const struct vm *vm)
{
	vm_load(vm ? vm->pml4 : kernel_pml4);
}

/* Map [addr, addr+len). `file` (may be NULL) gains a reference. -ENOMEM, -EINVAL. With fixed, what
 * was there is unmapped first; else addr is a hint and the chosen address is returned. */
i64 vm_map(struct vm *vm, u64 addr, u64 len, u32 flags, struct fobj *file, u64 off, u64 file_len,
	   bool fixed);
/* The same for memory shared with all who have a region with this shm, which gains a reference. */
i64 vm_map_shm(struct vm *vm, u64 addr, u64 len, u32 flags, struct shm *shm, bool fixed);
int vm_unmap(struct vm *vm, u64 addr, u64 len);
int vm_protect(struct vm *vm, u64 addr, u64 len, u32 prot_flags);
struct region *vm_find(struct vm *vm, u64 addr);
bool vm_overlaps(struct vm *vm, u64 addr, u64 len); /* something is mapped in [addr, addr+len) */

/* Make the page at addr present (for write if `write`). 0, -EFAULT (no region / not permitted),
 * -ENOMEM, -EIO (the pager failed). May block on the file server. */
int vm_fault(struct vm *vm, u64 addr, bool write, bool exec);

/* Private page at addr: its frame if present, else 0 (for export). */
u64 vm_private_frame(struct vm *vm, u64 addr);
/* First present private page >= addr; ~0 if none. */
u64 vm_next_private(struct vm *vm, u64 addr);
/* Install a frame (one reference passes to the vm) at addr inside a region; replaces nothing. */
int vm_install(struct vm *vm, u64 addr, u64 phys);
/* Physical address behind a present page of a wired (server) space; 0 if absent. For IPC copies. */
u64 vm_translate(struct vm *vm, u64 addr, bool write);
#endif
