/* SPDX-License-Identifier: MIT */
/*
 * Export and import of a frozen process, part by part (enum wh_proc_what). The handler makes one
 * stream of the parts (design 5); it cannot be trusted with their contents, since they come from
 * another node: everything is checked here before it can reach the processor, the page tables or
 * the views.
 */
#include "cpu.h"
#include "frame.h"
#include "fs.h"
#include "lib.h"
#include "proc.h"
#include "procctl.h"
#include "siggroup.h"
#include "signal.h"
#include "usercopy.h"

#define BLOB_MAX (256u << 10) /* bytes of packed views, or of signal state */
#define MXCSR_AT 24	      /* in the FXSAVE area */
#define SPOILED	 1u	      /* in proc.imported: a part was refused half way */
#define TABLES	 3	      /* page tables that one page may need */

static u64 *words(u64 phys)
{
	return P2V(phys);
}

static bool page_is_zero(u64 phys)
{
	const u64 *w = words(phys);

	for (u32 i = 0; i < PAGE_SIZE / sizeof *w; i += 8)
		if (w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] |
		    w[i + 7])
			return false;
	return true;
}

/* Copy what fits of `bytes`, in whole elements. */
static i64 give_array(u64 ubuf, u64 len, const void *rows, u64 bytes, u64 row)
{
	u64 n = MIN(bytes, len / row * row);

	return copy_to_user(ubuf, rows, n) < 0 ? -EFAULT : (i64)n;
}

static i64 give_struct(u64 ubuf, u64 len, const void *s, u64 bytes)
{
	if (len < bytes)
		return -ERANGE;
	return copy_to_user(ubuf, s, bytes) < 0 ? -EFAULT : (i64)bytes;
}

/* ---- export ---- */

static i64 get_info(struct proc *p, u64 ubuf, u64 len)
{
	struct wh_pinfo info;

	proc_info(p, &info);
	if (p->state == PROC_FROZEN)
		for (u64 a = vm_next_private(p->vm, 0); a != ~0ull;
		     a = vm_next_private(p->vm, a + PAGE_SIZE))
			info.zero_pages += page_is_zero(vm_private_frame(p->vm, a));
	return give_struct(ubuf, len, &info, sizeof info);
}

static i64 get_regs(struct proc *p, u64 ubuf, u64 len)
{
	struct wh_regs r;

	thread_regs_get(p->leader, &r);
	return give_struct(ubuf, len, &r, sizeof r);
}

/* A process that has not used the FPU yet has its initial state. */
static i64 get_fpu(struct proc *p, u64 ubuf, u64 len)
{
	const u16 fcw = 0x37f;
	const u32 mxcsr = 0x1f80;

	struct thread *t = p->leader;
	if (!t->fpu_used) {
		memset(t->fpu, 0, sizeof t->fpu);
		memcpy(t->fpu, &fcw, sizeof fcw);
		memcpy(t->fpu + MXCSR_AT, &mxcsr, sizeof mxcsr);
	}
	return give_struct(ubuf, len, t->fpu, sizeof t->fpu);
}

static i64 get_blob(struct proc *p, int (*pack)(struct proc *, struct blob *), u64 ubuf, u64 len)
{
	u64 room = MIN(len, (u64)BLOB_MAX);
	void *buf = kmalloc(room);
	struct blob b = BLOB(buf, room);

	if (!buf)
		return -ENOMEM;
	i64 r = pack(p, &b);
	if (b.bad)
		r = -ERANGE;
	if (r == 0)
		r = give_struct(ubuf, len, buf, b.pos);
	kfree(buf);
	return r;
}

static i64 get_signals(struct proc *p, u64 ubuf, u64 len)
{
	group_pack(p);
	i64 r = get_blob(p, signal_pack, ubuf, len);

	if (r >= 0) {
		p->packed_stop = p->stop_sig;
		p->packed_pending = p->u->sig.pending.set;
	}
	return r;
}

/* Regions that start at `from` or above. */
static i64 get_regions(struct proc *p, u64 from, u64 ubuf, u64 len)
{
	u64 done = 0;

	list_for_each(r, &p->vm->regions, struct region, link) {
		if (r->start < from)
			continue;
		if (len - done < sizeof(struct wh_region))
			break;
		struct wh_region w = {
			.start = r->start, .end = r->end, .flags = r->flags & ~(u32)WH_RG_FILE};
		if (r->file) {
			w.flags |= WH_RG_FILE;
			w.tree = r->file->tree;
			w.hold = r->file->hold;
			w.file_off = r->file_off;
			w.file_len = r->file_len;
		}
		if (copy_to_user(ubuf + done, &w, sizeof w) < 0)
			return -EFAULT;
		done += sizeof w;
	}
	return (i64)done;
}

static i64 get_pagemap(struct proc *p, u64 from, u64 ubuf, u64 len)
{
	u64 *rows = kmalloc(PAGE_SIZE), n = 0, max = MIN(len, PAGE_SIZE) / sizeof *rows;

	if (!rows)
		return -ENOMEM;
	for (u64 a = vm_next_private(p->vm, from); a != ~0ull && n < max;
	     a = vm_next_private(p->vm, a + PAGE_SIZE))
		rows[n++] = a | page_is_zero(vm_private_frame(p->vm, a));
	i64 r = give_array(ubuf, len, rows, n * sizeof *rows, sizeof *rows);
	kfree(rows);
	return r;
}

static i64 get_page(struct proc *p, u64 addr, u64 ubuf, u64 len)
{
	u64 phys = addr & PAGE_MASK ? 0 : vm_private_frame(p->vm, addr);

	if (!phys)
		return -EINVAL;
	return give_struct(ubuf, len, P2V(phys), PAGE_SIZE);
}

static i64 get_holds(struct proc *p, u64 skip, u64 ubuf, u64 len)
{
	u32 max = 2 * NOFILE + p->vm->region_count; /* a file, and an end for its offset */
	struct wh_hold *rows = kmalloc(max * sizeof *rows);

	if (!rows)
		return -ENOMEM;
	u64 n = MIN(file_holds(p, rows, max), max);
	i64 r = skip >= n ? 0
			  : give_array(ubuf, len, rows + skip, (n - skip) * sizeof *rows,
				       sizeof *rows);
	kfree(rows);
	return r;
}

i64 image_get(struct proc *p, u32 what, u64 arg, u64 ubuf, u64 len)
{
	if (what == WH_P_INFO)
		return get_info(p, ubuf, len);
	if (p->state != PROC_FROZEN)
		return -EBUSY;
	switch (what) {
	case WH_P_REGS:
		return get_regs(p, ubuf, len);
	case WH_P_FPU:
		return get_fpu(p, ubuf, len);
	case WH_P_UBLOCK:
		return get_blob(p, env_pack, ubuf, len);
	case WH_P_SIGNALS:
		return get_signals(p, ubuf, len);
	case WH_P_THREADS:
		return get_blob(p, threads_pack, ubuf, len);
	case WH_P_REGIONS:
		return get_regions(p, arg, ubuf, len);
	case WH_P_PAGEMAP:
		return get_pagemap(p, arg, ubuf, len);
	case WH_P_PAGE:
		return get_page(p, arg, ubuf, len);
	case WH_P_HOLDS:
		return get_holds(p, arg, ubuf, len);
	default:
		return -EINVAL;
	}
}

/* ---- import ---- */

static i64 set_regs(struct proc *p, u64 ubuf, u64 len)
{
	struct wh_regs r;

	if (len != sizeof r)
		return -EINVAL;
	return copy_from_user(&r, ubuf, sizeof r) < 0 ? -EFAULT : thread_regs_set(p->leader, &r);
}

static i64 set_fpu(struct proc *p, u64 ubuf, u64 len)
{
	struct thread *t = p->leader;

	if (len != sizeof t->fpu)
		return -EINVAL;
	if (copy_from_user(t->fpu, ubuf, len) < 0)
		return -EFAULT;
	thread_fpu_arrived(t);
	return 0;
}

static int unpack_views(struct proc *p, struct blob *b)
{
	int r = env_unpack(p, b);

	if (r)
		p->imported |= SPOILED;
	return r;
}

static i64 set_blob(struct proc *p, int (*unpack)(struct proc *, struct blob *), u64 ubuf, u64 len)
{
	if (len == 0 || len > BLOB_MAX)
		return -EINVAL;
	void *buf = kmalloc(len);
	if (!buf)
		return -ENOMEM;
	struct blob b = BLOB(buf, len);
	i64 r = copy_from_user(buf, ubuf, len) < 0 ? -EFAULT : unpack(p, &b);
	kfree(buf);
	return r;
}

static bool region_valid(const struct wh_region *w)
{
	const u32 known =
		WH_RG_READ | WH_RG_WRITE | WH_RG_EXEC | WH_RG_FILE | WH_RG_STACK | WH_RG_HEAP;
	u64 len = w->end - w->start;

	if ((w->flags & ~known) || ((w->flags & WH_RG_WRITE) && (w->flags & WH_RG_EXEC)))
		return false;
	if (((w->start | w->end) & PAGE_MASK) || w->start < USER_MIN || w->end > USER_TOP ||
	    w->start >= w->end)
		return false;
	return !(w->flags & WH_RG_FILE) ||
	       (!(w->file_off & PAGE_MASK) && w->file_off < 1ull << 62 && w->file_len <= len);
}

static i64 add_region(struct proc *p, const struct wh_region *w)
{
	struct fobj *f = NULL;

	if (!region_valid(w))
		return -EINVAL;
	/* Ascending, so that none overlaps another and mapping one never unmaps another. */
	if (!list_empty(&p->vm->regions) &&
	    container_of(p->vm->regions.prev, struct region, link)->end > w->start)
		return -EINVAL;
	if (w->flags & WH_RG_FILE) {
		f = fobj_for_hold(p, w->tree, w->hold);
		if (!f)
			return -EINVAL;
	}
	i64 r = vm_map(p->vm, w->start, w->end - w->start, w->flags, f, f ? w->file_off : 0,
		       f ? w->file_len : 0, true);
	if (f)
		fobj_put(f);
	return r < 0 ? r : 0;
}

static i64 set_regions(struct proc *p, u64 ubuf, u64 len)
{
	i64 r = 0;

	if (len % sizeof(struct wh_region) || !(p->imported & 1u << WH_P_UBLOCK))
		return -EINVAL;
	if (p->vm->region_count + len / sizeof(struct wh_region) > VM_REGIONS_MAX)
		return -EINVAL;
	for (u64 at = 0; at < len && r == 0; at += sizeof(struct wh_region)) {
		struct wh_region w;
		r = copy_from_user(&w, ubuf + at, sizeof w) < 0 ? -EFAULT : add_region(p, &w);
	}
	if (r)
		p->imported |= SPOILED;
	return r;
}

static void take_reserved(struct proc *p, u64 n)
{
	n = MIN(n, p->reserved_frames);
	p->reserved_frames -= n;
	frame_unreserve(n);
}

static i64 set_page(struct proc *p, u64 addr, u64 ubuf, u64 len)
{
	if (len != PAGE_SIZE || (addr & PAGE_MASK) || !vm_find(p->vm, addr))
		return -EINVAL;
	u64 phys = vm_private_frame(p->vm, addr);
	if (phys) /* sent twice */
		return copy_from_user(P2V(phys), ubuf, PAGE_SIZE);
	take_reserved(p, 1);
	phys = frame_alloc();
	if (!phys)
		return -ENOMEM;
	i64 r = copy_from_user(P2V(phys), ubuf, PAGE_SIZE);
	if (r == 0)
		r = vm_install(p->vm, addr, phys);
	if (r == -ENOMEM) {
		take_reserved(p, TABLES);
		r = vm_install(p->vm, addr, phys);
	}
	if (r)
		frame_put(phys);
	return r;
}

static i64 set_part(struct proc *p, u32 what, u64 arg, u64 ubuf, u64 len)
{
	bool again = p->imported & 1u << what;

	switch (what) {
	case WH_P_REGS:
		return set_regs(p, ubuf, len);
	case WH_P_FPU:
		return set_fpu(p, ubuf, len);
	case WH_P_UBLOCK:
		return again ? -EBUSY : set_blob(p, unpack_views, ubuf, len);
	case WH_P_SIGNALS:
		return set_blob(p, signal_unpack, ubuf, len);
	case WH_P_THREADS:
		return again ? -EBUSY : set_blob(p, threads_unpack, ubuf, len);
	case WH_P_REGIONS:
		return set_regions(p, ubuf, len);
	case WH_P_PAGE:
		return set_page(p, arg, ubuf, len);
	default:
		return -EINVAL;
	}
}

i64 image_set(struct proc *p, u32 what, u64 arg, u64 ubuf, u64 len)
{
	if (p->state != PROC_NEW || !p->vm || (p->imported & SPOILED))
		return -EINVAL;
	i64 r = set_part(p, what, arg, ubuf, len);
	if (r == 0)
		p->imported |= 1u << what;
	return r;
}

int image_complete(const struct proc *p)
{
	const u32 needed = 1u << WH_P_REGS | 1u << WH_P_UBLOCK | 1u << WH_P_REGIONS |
			   1u << WH_P_SIGNALS | 1u << WH_P_THREADS;

	return (p->imported & (needed | SPOILED)) == needed ? 0 : -EINVAL;
}
