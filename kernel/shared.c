/* SPDX-License-Identifier: MIT */
/*
 * Shared memory. Pages of a shared file are the page cache's own frames, mapped writable: read() and write() of the same
 * file on this node see them, and they stay cached as long as they are mapped. The processor notes in the page-table
 * entry that a page was written (PTE_D); it is carried to the cache when the region is synced or unmapped, and from
 * there to the custodian, by msync, munmap, fsync and the end of the process.
 */
#include "shared.h"
#include "frame.h"
#include "fs.h"
#include "lib.h"
#include "mem.h"
#include "proc.h"
#include "vm_internal.h"

/* ---- anonymous ---- */

#define LEAF 512ull /* frames named by one page of numbers */

struct shm {
	u32 refs; /* regions */
	u64 pages, present;
	u64 *leaf[]; /* each LEAF frames, 0: not there yet; NULL: none of them is */
};
static u64 shm_frames;

u64 counters_shm_frames(void)
{
	return shm_frames;
}

static u64 leaves(u64 pages)
{
	return (pages + LEAF - 1) / LEAF;
}

struct shm *shm_new(u64 pages)
{
	if (pages >
	    frame_total_count()) /* it could never be filled, and its table is kernel memory */
		return NULL;
	struct shm *s = kmalloc(sizeof *s + leaves(pages) * sizeof s->leaf[0]);
	if (s)
		s->refs = 1, s->pages = pages;
	return s;
}

void shm_put(struct shm *s)
{
	if (--s->refs)
		return;
	for (u64 i = 0; i < leaves(s->pages); i++) {
		for (u64 k = 0; s->leaf[i] && k < LEAF; k++)
			if (s->leaf[i][k]) {
				frame_put(s->leaf[i][k]);
				shm_frames--;
			}
		kfree(s->leaf[i]);
	}
	kfree(s);
}

static int shm_page(struct shm *s, u64 index, u64 *phys)
{
	if (index >= s->pages)
		return -EIO;
	u64 **leaf = &s->leaf[index / LEAF];
	if (!*leaf) {
		u64 *fresh = kmalloc(LEAF * sizeof(u64)); /* may wait for memory */
		if (!fresh)
			return -ENOMEM;
		if (*leaf)
			kfree(fresh);
		else
			*leaf = fresh;
	}
	u64 *frame = &(*leaf)[index % LEAF];
	if (!*frame) {
		u64 fresh = frame_alloc_zero();
		if (!fresh)
			return -ENOMEM;
		if (*frame) {
			frame_put(fresh);
		} else {
			*frame = fresh;
			s->present++;
			shm_frames++;
		}
	}
	frame_ref(*frame);
	*phys = *frame;
	return 0;
}

/* ---- regions ---- */

void shared_join(struct region *r)
{
	if (r->shm)
		r->shm->refs++;
	else if (r->file)
		vnode_shared(r->file->vnode, 1);
}

void shared_leave(struct region *r)
{
	if (r->shm)
		shm_put(r->shm);
	else if (r->file)
		vnode_shared(r->file->vnode, -1);
}

int shared_page(struct region *r, u64 at, u64 *phys)
{
	if (r->shm)
		return shm_page(r->shm, (r->file_off + at) / PAGE_SIZE, phys);
	/* Another thread may unmap r meanwhile. */
	struct fobj *f = r->file;
	u64 off = r->file_off + at;
	fobj_ref(f);
	int err = fobj_refresh(f);
	if (!err && off >= f->attr.size)
		err = -EIO;
	if (!err)
		err = fobj_page_kept(f, off / PAGE_SIZE, phys);
	fobj_put(f);
	return err;
}

static bool of_file(const struct region *r)
{
	return (r->flags & VM_RG_SHARED) && r->file;
}

static void collect(struct vm *vm, struct region *r, u64 start, u64 end)
{
	bool any = false;
	for (u64 a = start; a < end;) {
		u64 *e = pte_walk(vm->pml4, a, &a);
		if (!e)
			continue;
		if ((*e & PTE_P) && (*e & PTE_D)) {
			fobj_page_written(r->file, (r->file_off + a - r->start) / PAGE_SIZE);
			*e &= ~PTE_D;
			any = true;
		}
		a += PAGE_SIZE;
	}
	if (any && vm_is_loaded(vm))
		tlb_flush_all();
}

void shared_collect(struct vm *vm, u64 start, u64 end)
{
	list_for_each(r, &vm->regions, struct region, link)
		if (of_file(r) && r->start < end && start < r->end)
			collect(vm, r, MAX(r->start, start), MIN(r->end, end));
}

/* The vm may change while one file is written: look again, behind what is done. */
int shared_sync(struct vm *vm, u64 start, u64 end)
{
	int err = 0;
	shared_collect(vm, start, end);
	for (u64 from = start; from < end;) {
		struct fobj *f = NULL;
		list_for_each(r, &vm->regions, struct region, link)
			if (!f && of_file(r) && r->end > from && r->start < end) {
				f = r->file;
				from = r->end;
			}
		if (!f)
			break;
		fobj_ref(f);
		int e = fobj_flush(f);
		err = err ? err : e;
		fobj_put(f);
	}
	return err;
}

int shared_sync_durable(struct vm *vm, u64 start, u64 end)
{
	int err = shared_sync(vm, start, end);
	struct wh_msg m;
	list_for_each(r, &vm->regions, struct region, link)
		if (of_file(r) && r->start < end && start < r->end) {
			struct fobj *f =
				r->file; /* one fsync is for the whole tree, and only local files are shared */
			fobj_ref(f);
			i64 e = fobj_request(f, FS_FSYNC, NULL, &m);
			fobj_put(f);
			return err ? err : (int)MIN(e, 0);
		}
	return err;
}

int shared_sync_file(struct fobj *f)
{
	struct fobj *writer = NULL;
	if (!vnode_is_shared(f->vnode))
		return 0;
	list_for_each(p, &all_procs, struct proc, all_link) {
		if (!p->vm)
			continue;
		list_for_each(r, &p->vm->regions, struct region, link)
			if (of_file(r) && r->file->vnode == f->vnode) {
				collect(p->vm, r, r->start, r->end);
				writer = r->file;
			}
	}
	if (!writer)
		return 0;
	fobj_ref(writer);
	int err = fobj_flush(writer);
	fobj_put(writer);
	return err;
}

int shared_prepare(struct fobj *f)
{
	int err = fobj_bind(f);
	/* Pages of the base image are shared with other trees: as a file of another version it gets its own. */
	if (!err && f->vnode && vnode_is_base(f->vnode))
		err = fobj_truncate(f, f->attr.size);
	if (err)
		return err;
	return f->vnode && f->tree == node_id.node && !vnode_is_base(f->vnode) ? 0 : -ENODEV;
}

u64 shared_pages_of(const struct vm *vm)
{
	u64 sum = 0;
	list_for_each(r, &vm->regions, struct region, link)
		if (r->shm)
			sum += (r->shm->present + r->shm->refs - 1) / r->shm->refs;
		else if (of_file(r))
			sum += vnode_share(r->file->vnode);
	return sum;
}

bool shared_why(const struct vm *vm, struct text *why)
{
	list_for_each(r, &vm->regions, struct region, link) {
		if (!(r->flags & VM_RG_SHARED))
			continue;
		text_printf(why, "memory: mmap(MAP_SHARED) of %s at %lx",
			    r->file ? r->file->path : "anonymous memory", r->start);
		return true;
	}
	return false;
}
