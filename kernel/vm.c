/* SPDX-License-Identifier: MIT */
/* Regions: what may be mapped where. */
#include "vm.h"
#include "file.h"
#include "frame.h"
#include "lib.h"
#include "mem.h"
#include "shared.h"
#include "vm_internal.h"

u64 region_count;

static struct region *region_new(struct vm *vm, u64 start, u64 end, u32 flags, struct fobj *file,
				 u64 off, u64 len)
{
	struct region *r = vm->region_count < VM_REGIONS_MAX ? kmalloc(sizeof *r) : NULL;
	if (!r)
		return NULL;
	*r = (struct region){.start = start,
			     .end = end,
			     .flags = flags,
			     .file = file,
			     .file_off = off,
			     .file_len = len};
	list_init(&r->link);
	if (file)
		fobj_ref(file);
	vm->changes++;
	vm->region_count++;
	region_count++;
	return r;
}

static void region_free(struct vm *vm, struct region *r)
{
	list_remove(&r->link);
	if (r->flags & VM_RG_SHARED)
		shared_leave(r);
	if (r->file)
		fobj_put(r->file);
	kfree(r);
	vm->changes++;
	vm->region_count--;
	region_count--;
}

struct vm *vm_create(void)
{
	struct vm *vm = kmalloc(sizeof *vm);
	if (!vm)
		return NULL;
	vm->refs = 1;
	list_init(&vm->regions);
	vm->pml4 = frame_alloc_zero();
	if (!vm->pml4) {
		kfree(vm);
		return NULL;
	}
	memcpy((u64 *)P2V(vm->pml4) + 256, (u64 *)P2V(kernel_pml4) + 256, 2048);
	vm->mmap_top = VM_MMAP_TOP;
	return vm;
}

static void free_tables(u64 table, int level)
{
	u64 *e = P2V(table);
	for (int i = 0; i < (level == 4 ? 256 : 512); i++)
		if ((e[i] & PTE_P) && level > 1)
			free_tables(PTE_ADDR(e[i]), level - 1);
	frame_put(table);
}

void vm_put(struct vm *vm)
{
	if (--vm->refs)
		return;
	list_for_each_safe(r, &vm->regions, struct region, link) {
		shared_collect(vm, r->start, r->end);
		vm_drop_pages(vm, r->start, r->end);
		region_free(vm, r);
	}
	free_tables(vm->pml4, 4);
	kfree(vm);
}

u64 vm_loaded_cr3 HOT_DATA;

bool vm_is_loaded(const struct vm *vm)
{
	return vm->pml4 == vm_loaded_cr3;
}

struct region *vm_find(struct vm *vm, u64 addr)
{
	list_for_each(r, &vm->regions, struct region, link) {
		if (addr < r->start)
			return NULL;
		if (addr < r->end)
			return r;
	}
	return NULL;
}

static void insert(struct vm *vm, struct region *n)
{
	struct list *at = vm->regions.next;
	while (at != &vm->regions && container_of(at, struct region, link)->start < n->start)
		at = at->next;
	list_insert_before(at, &n->link);
}

/* Cut the region that contains addr in two at addr. 0 or -ENOMEM. */
static int split_at(struct vm *vm, u64 addr)
{
	struct region *r = vm_find(vm, addr);
	if (!r || r->start == addr)
		return 0;
	u64 head = addr - r->start;
	struct region *n = region_new(vm, addr, r->end, r->flags, r->file, r->file_off + head,
				      r->file_len > head ? r->file_len - head : 0);
	if (!n)
		return -ENOMEM;
	n->shm = r->shm;
	if (r->flags & VM_RG_SHARED)
		shared_join(n);
	r->end = addr;
	r->file_len = MIN(r->file_len, head);
	list_push_front(&r->link, &n->link);
	return 0;
}

static bool range_ok(u64 addr, u64 len)
{
	return !(addr & PAGE_MASK) && len && len <= USER_TOP && addr >= USER_MIN &&
	       addr <= USER_TOP - len;
}

int vm_unmap(struct vm *vm, u64 addr, u64 len)
{
	len = PAGE_UP(len);
	if (!range_ok(addr, len))
		return -EINVAL;
	if (split_at(vm, addr) || split_at(vm, addr + len))
		return -ENOMEM;
	list_for_each_safe(r, &vm->regions, struct region, link) {
		if (r->start >= addr && r->end <= addr + len) {
			shared_collect(vm, r->start, r->end);
			vm_drop_pages(vm, r->start, r->end);
			region_free(vm, r);
		}
	}
	return 0;
}

int vm_protect(struct vm *vm, u64 addr, u64 len, u32 prot)
{
	len = PAGE_UP(len);
	if (!len)
		return 0;
	if (!range_ok(addr, len))
		return -EINVAL;
	for (u64 a = addr; a < addr + len;) {
		struct region *r = vm_find(vm, a);
		if (!r)
			return -ENOMEM;
		a = r->end;
	}
	if (split_at(vm, addr) || split_at(vm, addr + len))
		return -ENOMEM;
	list_for_each(r, &vm->regions, struct region, link) {
		if (r->start >= addr && r->end <= addr + len) {
			r->flags = (r->flags & ~(u32)VM_PROT) | (prot & VM_PROT);
			vm_protect_pages(vm, r);
			vm->changes++;
		}
	}
	return 0;
}

/* Highest gap of len bytes below mmap_top. 0: none. */
static u64 find_gap(struct vm *vm, u64 len)
{
	u64 top = vm->mmap_top;
	for (struct list *l = vm->regions.prev; l != &vm->regions; l = l->prev) {
		struct region *r = container_of(l, struct region, link);
		if (r->start >= top)
			continue;
		if (r->end <= top && top - r->end >= len)
			return top - len;
		top = r->start;
	}
	return top >= USER_MIN + len ? top - len : 0;
}

bool vm_overlaps(struct vm *vm, u64 addr, u64 len)
{
	list_for_each(r, &vm->regions, struct region, link)
		if (r->start < addr + len && addr < r->end)
			return true;
	return false;
}

/* Grow the region before instead of adding one, where nothing tells them apart (brk, stacks of
 * mmaps). */
static bool merge_before(struct vm *vm, u64 addr, u64 len, u32 flags, struct fobj *file)
{
	struct region *r = addr ? vm_find(vm, addr - 1) : NULL;
	if (!r || file || r->file || (flags & VM_RG_SHARED) || r->flags != flags || r->end != addr)
		return false;
	r->end += len;
	vm->changes++;
	return true;
}

static i64 map(struct vm *vm, u64 addr, u64 len, u32 flags, struct fobj *file, struct shm *shm,
	       u64 off, u64 file_len, bool fixed)
{
	len = PAGE_UP(len);
	if (len == 0 || len > USER_TOP)
		return -EINVAL;
	if (fixed) {
		int err = vm_unmap(vm, addr, len);
		if (err)
			return err;
	} else {
		addr = PAGE_UP(addr);
		if (!range_ok(addr, len) || vm_overlaps(vm, addr, len))
			addr = find_gap(vm, len);
		if (!addr)
			return -ENOMEM;
	}
	if (!merge_before(vm, addr, len, flags, file)) {
		struct region *r = region_new(vm, addr, addr + len, flags, file, off, file_len);
		if (!r)
			return -ENOMEM;
		r->shm = shm;
		if (flags & VM_RG_SHARED)
			shared_join(r);
		insert(vm, r);
	}
	if (vm->wired) {
		for (u64 a = addr; a < addr + len; a += PAGE_SIZE) {
			int err =
				(flags & VM_PROT) ? vm_fault(vm, a, flags & WH_RG_WRITE, false) : 0;
			if (err) {
				vm_unmap(vm, addr, len);
				return err;
			}
		}
	}
	return (i64)addr;
}

i64 vm_map(struct vm *vm, u64 addr, u64 len, u32 flags, struct fobj *file, u64 off, u64 file_len,
	   bool fixed)
{
	return map(vm, addr, len, flags, file, NULL, off, file_len, fixed);
}

i64 vm_map_shm(struct vm *vm, u64 addr, u64 len, u32 flags, struct shm *shm, bool fixed)
{
	return map(vm, addr, len, flags | VM_RG_SHARED, NULL, shm, 0, 0, fixed);
}

struct vm *vm_fork(struct vm *src)
{
	struct vm *vm = vm_create();
	if (!vm)
		return NULL;
	vm->brk_start = src->brk_start;
	vm->brk = src->brk;
	vm->mmap_top = src->mmap_top;
	list_for_each(r, &src->regions, struct region, link) {
		if ((r->flags & VM_RG_DMA) == VM_RG_DMA)
			continue;
		struct region *n = region_new(vm, r->start, r->end, r->flags, r->file, r->file_off,
					      r->file_len);
		if (n) {
			list_push_back(&vm->regions, &n->link);
			n->shm = r->shm;
			if (r->flags & VM_RG_SHARED)
				shared_join(n);
		}
		if (!n || vm_copy_pages(vm, src, r)) {
			vm_put(vm);
			vm = NULL;
			break;
		}
	}
	if (vm_is_loaded(src))
		tlb_flush_all();
	return vm;
}
