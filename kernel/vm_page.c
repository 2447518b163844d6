/* SPDX-License-Identifier: MIT */
/*
 * Pages: what is mapped. A present entry is either PRIVATE (an anonymous frame or a private copy;
 * shared between forks while its reference count is above one, then read-only) or a page-cache
 * frame (read-only), or, in a region that is VM_RG_SHARED, a frame of all who map it (shared.c).
 */
#include "file.h"
#include "frame.h"
#include "lib.h"
#include "mem.h"
#include "shared.h"
#include "vm.h"
#include "vm_internal.h"

/* How many neighbouring cached file pages one fault maps (facts.md: mapping around a fault halves
 * its price). */
#define FAULT_AROUND 16

static u64 prot_bits(const struct region *r)
{
	return PTE_P | PTE_U | (r->flags & WH_RG_EXEC ? 0 : PTE_NX);
}

void vm_drop_pages(struct vm *vm, u64 start, u64 end)
{
	bool loaded = vm_is_loaded(vm);
	u32 flushed = 0;
	for (u64 a = start; a < end;) {
		u64 *e = pte_walk(vm->pml4, a, &a);
		if (!e)
			continue;
		if (*e & PTE_P) {
			if (*e & PTE_PRIVATE)
				vm->private_pages--;
			frame_put(PTE_ADDR(*e));
			*e = 0;
			if (loaded && flushed++ < 8)
				tlb_flush_page(a);
		}
		a += PAGE_SIZE;
	}
	if (flushed > 8)
		tlb_flush_all();
}

void vm_protect_pages(struct vm *vm, struct region *r)
{
	for (u64 a = r->start; a < r->end;) {
		u64 *e = pte_walk(vm->pml4, a, &a);
		if (!e)
			continue;
		if (*e & PTE_P) {
			u64 entry = PTE_ADDR(*e) | (*e & PTE_PRIVATE) | prot_bits(r);
			if (!(r->flags & VM_PROT))
				entry &= ~PTE_U; /* PROT_NONE keeps the contents, out of reach */
			if ((r->flags & WH_RG_WRITE) && (*e & PTE_PRIVATE) &&
			    frame_refs(PTE_ADDR(*e)) == 1)
				entry |= PTE_W;
			if (r->flags & VM_RG_SHARED)
				entry |= (*e & PTE_D) | (r->flags & WH_RG_WRITE ? PTE_W : 0);
			*e = entry;
		}
		a += PAGE_SIZE;
	}
	if (vm_is_loaded(vm))
		tlb_flush_all();
}

int vm_copy_pages(struct vm *dst, struct vm *src, struct region *r)
{
	if (r->flags & VM_RG_SHARED) /* found at the first touch */
		return 0;
	for (u64 a = r->start; a < r->end;) {
		u64 *s = pte_walk(src->pml4, a, &a);
		if (!s)
			continue;
		if (*s & PTE_P) {
			u64 *d = pte_find(dst->pml4, a, true);
			if (!d)
				return -ENOMEM;
			*s &= ~PTE_W;
			*d = *s;
			frame_ref(PTE_ADDR(*s));
			if (*s & PTE_PRIVATE)
				dst->private_pages++;
		}
		a += PAGE_SIZE;
	}
	return 0;
}

static void map_private(struct vm *vm, u64 *e, u64 phys, const struct region *r)
{
	if (!(*e & PTE_P) || !(*e & PTE_PRIVATE))
		vm->private_pages++;
	*e = phys | PTE_PRIVATE | prot_bits(r) | (r->flags & WH_RG_WRITE ? PTE_W : 0);
	vm->changes++;
}

/* The page is there but read-only: copy on write, unless nobody else has it any more. */
static int break_cow(struct vm *vm, u64 *e, u64 page, struct region *r)
{
	u64 old = PTE_ADDR(*e);
	if ((*e & PTE_PRIVATE) && frame_refs(old) == 1) {
		*e |= PTE_W;
	} else {
		u64 phys = frame_alloc();
		if (!phys)
			return -ENOMEM;
		page_copy(P2V(phys), P2V(old));
		map_private(vm, e, phys, r);
		frame_put(old);
	}
	if (vm_is_loaded(vm))
		tlb_flush_page(page);
	return 0;
}

static void map_around(struct vm *vm, u64 page, struct region *r)
{
	u64 first = MAX(page & ~(FAULT_AROUND * PAGE_SIZE - 1), r->start);
	u64 last = MIN(first + FAULT_AROUND * PAGE_SIZE, r->end);
	for (u64 a = first; a < last; a += PAGE_SIZE) {
		if (a - r->start + PAGE_SIZE > r->file_len)
			break;
		u64 *e = pte_find(vm->pml4, a, true);
		if (!e || (*e & PTE_P))
			continue;
		u64 phys = fobj_page_cached(r->file, (r->file_off + a - r->start) / PAGE_SIZE);
		if (phys)
			*e = phys | prot_bits(r);
	}
}

static int fault_file(struct vm *vm, u64 page, struct region *r, bool write)
{
	u64 at = page - r->start, phys, changes = vm->changes;
	struct fobj *f = r->file;
	fobj_ref(f);
	int err = fobj_page(f, (r->file_off + at) / PAGE_SIZE, &phys);
	fobj_put(f);
	if (vm->changes != changes) { /* by another thread: the access is tried again */
		if (!err)
			frame_put(phys);
		return 0;
	}
	if (err)
		return err == -ENOMEM ? -ENOMEM : -EIO;
	u64 *e = pte_find(vm->pml4, page, true);
	if (!e) {
		frame_put(phys);
		return -ENOMEM;
	}
	bool whole = at + PAGE_SIZE <= r->file_len;
	if (write || !whole) {
		u64 copy = frame_alloc();
		if (!copy) {
			frame_put(phys);
			return -ENOMEM;
		}
		page_copy(P2V(copy), P2V(phys));
		frame_put(phys);
		if (!whole)
			memset((char *)P2V(copy) + (r->file_len - at), 0,
			       PAGE_SIZE - (r->file_len - at));
		map_private(vm, e, copy, r);
	} else {
		*e = phys | prot_bits(r);
		vm->changes++;
		map_around(vm, page, r);
	}
	return 0;
}

static int fault_anonymous(struct vm *vm, u64 page, struct region *r)
{
	u64 phys = frame_alloc_zero();
	u64 *e = phys ? pte_find(vm->pml4, page, true) : NULL;
	if (!e) {
		if (phys)
			frame_put(phys);
		return -ENOMEM;
	}
	map_private(vm, e, phys, r);
	return 0;
}

static int fault_shared(struct vm *vm, u64 page, struct region *r)
{
	u64 phys, bits = prot_bits(r) | (r->flags & WH_RG_WRITE ? PTE_W : 0), changes = vm->changes;
	int err = shared_page(r, page - r->start, &phys);
	if (vm->changes != changes) { /* as in fault_file */
		if (!err)
			frame_put(phys);
		return 0;
	}
	if (err)
		return err == -ENOMEM ? -ENOMEM : -EIO;
	u64 *e = pte_find(vm->pml4, page, true);
	if (!e || *e & PTE_P) { /* another thread's fault was faster */
		frame_put(phys);
		return e ? 0 : -ENOMEM;
	}
	*e = phys | bits;
	vm->changes++;
	return 0;
}

int vm_fault(struct vm *vm, u64 addr, bool write, bool exec)
{
	struct region *r = vm_find(vm, addr);
	u64 page = PAGE_DOWN(addr);
	if (!r || !(r->flags & VM_PROT) || (write && !(r->flags & WH_RG_WRITE)) ||
	    (exec && !(r->flags & WH_RG_EXEC)))
		return -EFAULT;
	u64 *e = pte_find(vm->pml4, page, false);
	if (e && (*e & PTE_P)) {
		if (write && !(*e & PTE_W))
			return break_cow(vm, e, page, r);
		return *e & PTE_U ? 0 : -EFAULT;
	}
	if (r->flags & VM_RG_SHARED)
		return fault_shared(vm, page, r);
	if (r->file && page - r->start < r->file_len)
		return fault_file(vm, page, r, write);
	return fault_anonymous(vm, page, r);
}

u64 vm_private_frame(struct vm *vm, u64 addr)
{
	u64 *e = pte_find(vm->pml4, addr, false);
	return e && (*e & PTE_P) && (*e & PTE_PRIVATE) ? PTE_ADDR(*e) : 0;
}

u64 vm_next_private(struct vm *vm, u64 addr)
{
	list_for_each(r, &vm->regions, struct region, link) {
		for (u64 a = MAX(PAGE_UP(addr), r->start); a < r->end;) {
			u64 *e = pte_walk(vm->pml4, a, &a);
			if (!e)
				continue;
			if ((*e & PTE_P) && (*e & PTE_PRIVATE))
				return a;
			a += PAGE_SIZE;
		}
	}
	return ~0ull;
}

int vm_install(struct vm *vm, u64 addr, u64 phys)
{
	struct region *r = vm_find(vm, addr);
	if (!r)
		return -EINVAL;
	u64 *e = pte_find(vm->pml4, addr, true);
	if (!e)
		return -ENOMEM;
	if (*e & PTE_P)
		return -EEXIST;
	map_private(vm, e, phys, r);
	if (!(r->flags & VM_PROT))
		*e &= ~PTE_U;
	return 0;
}

u64 vm_translate(struct vm *vm, u64 addr, bool write)
{
	u64 *e = pte_find(vm->pml4, addr, false);
	if (!e || !(*e & PTE_P) || !(*e & PTE_U) || (write && !(*e & PTE_W)))
		return 0;
	return PTE_ADDR(*e) + (addr & PAGE_MASK);
}
