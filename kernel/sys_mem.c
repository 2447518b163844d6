/* SPDX-License-Identifier: MIT */
/* brk, mmap, munmap, mprotect, mremap, madvise, arch_prctl, sched_yield. */
#include "cpu.h"
#include "file.h"
#include "lib.h"
#include "linux_file.h"
#include "proc.h"
#include "rlimit.h"
#include "shared.h"
#include "usercopy.h"
#include "vm_internal.h"

enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum {
	MAP_SHARED = 1,
	MAP_PRIVATE = 2,
	MAP_TYPE = 15,
	MAP_FIXED = 0x10,
	MAP_ANONYMOUS = 0x20,
	MAP_FIXED_NOREPLACE = 0x100000
};

static u32 region_prot(u64 prot)
{
	return (prot & PROT_READ ? WH_RG_READ : 0) |
	       (prot & PROT_WRITE ? WH_RG_WRITE | WH_RG_READ : 0) |
	       (prot & PROT_EXEC ? WH_RG_EXEC : 0);
}

i64 sys_brk(const u64 *arg)
{
	struct vm *vm = current->vm;
	u64 want = arg[0];
	if (want < vm->brk_start || want >= VM_MMAP_TOP)
		return (i64)vm->brk;
	u64 from = PAGE_UP(vm->brk), to = PAGE_UP(want);
	if (to > from) {
		if (!rlimit_memory(to - from, true))
			return (i64)vm->brk;
		if (vm_overlaps(vm, from, to - from))
			return (i64)vm->brk;
		if (vm_map(vm, from, to - from, WH_RG_READ | WH_RG_WRITE | WH_RG_HEAP, NULL, 0, 0,
			   true) < 0)
			return (i64)vm->brk;
	} else if (to < from && vm_unmap(vm, to, from - to)) {
		return (i64)vm->brk;
	}
	vm->brk = want;
	return (i64)want;
}

static i64 map_file(u64 addr, u64 len, u32 prot, u64 flags, int fd, u64 off)
{
	struct ofile *f = fd_get(current, fd);
	if (!f)
		return -EBADF;
	if (!f->fobj || !S_ISREG(f->fobj->attr.mode))
		return -ENODEV;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	if (shared && (prot & WH_RG_WRITE) && (f->flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	/* Who can never write sees the cached pages as a private mapping, too. */
	shared = shared && (f->flags & O_ACCMODE) == O_RDWR;
	int err = shared ? shared_prepare(f->fobj) : fobj_bind(f->fobj);
	if (err == -ENODEV && !(prot & WH_RG_WRITE)) { /* another node's */
		shared = false;
		err = 0;
	}
	if (err)
		return err;
	if (shared)
		return vm_map(current->vm, addr, len, prot | WH_RG_FILE | VM_RG_SHARED, f->fobj,
			      off, PAGE_UP(len), flags & MAP_FIXED);
	u64 size = f->fobj->attr.size, file_len = off < size ? MIN(size - off, PAGE_UP(len)) : 0;
	return vm_map(current->vm, addr, len, prot | WH_RG_FILE, f->fobj, off, file_len,
		      flags & MAP_FIXED);
}

static i64 map_shared(u64 addr, u64 len, u32 prot, bool fixed)
{
	struct shm *s = shm_new(PAGE_UP(len) / PAGE_SIZE);
	if (!s)
		return -ENOMEM;
	i64 at = vm_map_shm(current->vm, addr, len, prot, s, fixed);
	shm_put(s); /* the region's is its own */
	return at;
}

i64 sys_mmap(const u64 *arg)
{
	u64 addr = arg[0], len = arg[1], flags = arg[3], off = arg[5];
	u32 prot = region_prot(arg[2]);
	if (!len || len > USER_TOP || (off & PAGE_MASK) || !(flags & (MAP_SHARED | MAP_PRIVATE)))
		return -EINVAL;
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) &&
	    ((addr & PAGE_MASK) || addr < USER_MIN || addr > USER_TOP - PAGE_UP(len)))
		return addr & PAGE_MASK ? -EINVAL : -ENOMEM;
	if ((prot & WH_RG_WRITE) && (prot & WH_RG_EXEC))
		return -EACCES; /* W^X */
	if (flags & MAP_FIXED_NOREPLACE) {
		if (vm_overlaps(current->vm, addr, PAGE_UP(len)))
			return -EEXIST;
		flags |= MAP_FIXED;
	}
	if (!rlimit_memory(PAGE_UP(len), (prot & WH_RG_WRITE) && (flags & MAP_TYPE) == MAP_PRIVATE))
		return -ENOMEM;
	if (flags & MAP_FIXED) { /* what was there goes, but not what was written to it */
		int err = shared_sync(current->vm, addr, addr + PAGE_UP(len));
		if (err)
			return err;
	}
	if (!(flags & MAP_ANONYMOUS))
		return map_file(addr, len, prot, flags, (int)arg[4], off);
	if ((flags & MAP_TYPE) != MAP_PRIVATE)
		return map_shared(addr, len, prot, flags & MAP_FIXED);
	return vm_map(current->vm, addr, len, prot, NULL, 0, 0, flags & MAP_FIXED);
}

i64 sys_munmap(const u64 *arg)
{
	if (!arg[1] || arg[0] > USER_TOP || arg[1] > USER_TOP)
		return -EINVAL;
	shared_sync(current->vm, arg[0],
		    arg[0] + PAGE_UP(arg[1])); /* nobody hears of an error: msync tells */
	return vm_unmap(current->vm, arg[0], arg[1]);
}

i64 sys_msync(const u64 *arg)
{
	enum { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };
	u64 flags = arg[2], end = arg[0] + PAGE_UP(arg[1]);
	if ((arg[0] & PAGE_MASK) || flags & ~(u64)(MS_ASYNC | MS_INVALIDATE | MS_SYNC) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (arg[1] > USER_TOP || end > USER_TOP)
		return -ENOMEM;
	for (u64 a = arg[0]; a < end;) {
		struct region *r = vm_find(current->vm, a);
		if (!r)
			return -ENOMEM;
		a = r->end;
	}
	return flags & MS_SYNC ? shared_sync_durable(current->vm, arg[0], end) : 0;
}

i64 sys_mprotect(const u64 *arg)
{
	u32 prot = region_prot(arg[2]);
	if ((arg[0] & PAGE_MASK) || arg[1] > USER_TOP)
		return -EINVAL;
	if ((prot & WH_RG_WRITE) && (prot & WH_RG_EXEC))
		return -EACCES;
	return vm_protect(current->vm, arg[0], arg[1], prot);
}

/* Growing in place is all that is offered; malloc falls back to a copy. */
i64 sys_mremap(const u64 *arg)
{
	u64 addr = arg[0], old = PAGE_UP(arg[1]), len = PAGE_UP(arg[2]);
	struct region *r = vm_find(current->vm, addr);
	if ((addr & PAGE_MASK) || !len || len > USER_TOP)
		return -EINVAL;
	if (!r || r->end - addr < old)
		return -EFAULT;
	if (len == old)
		return (i64)addr;
	if (len < old) {
		shared_sync(current->vm, addr + len, addr + old);
		int err = vm_unmap(current->vm, addr + len, old - len);
		return err ? err : (i64)addr;
	}
	if (!rlimit_memory(len - old, r->flags & WH_RG_WRITE))
		return -ENOMEM;
	if (addr + len > VM_MMAP_TOP || vm_overlaps(current->vm, addr + old, len - old))
		return -ENOMEM;
	if (r->file || r->shm ||
	    vm_map(current->vm, addr + old, len - old, r->flags, NULL, 0, 0, true) < 0)
		return -ENOMEM;
	return (i64)addr;
}

i64 sys_madvise(const u64 *arg)
{
	enum { MADV_DONTNEED = 4 };
	if (arg[0] & PAGE_MASK)
		return -EINVAL;
	if (arg[2] == MADV_DONTNEED) { /* anonymous memory reads as zeros afterwards: a promise
					  malloc relies on */
		u64 end = MIN(arg[0] + PAGE_UP(arg[1]), USER_TOP);
		list_for_each(r, &current->vm->regions, struct region, link)
			if (r->start < end && arg[0] < r->end) {
				shared_collect(current->vm, arg[0], end);
				vm_drop_pages(current->vm, MAX(r->start, arg[0]), MIN(r->end, end));
			}
	}
	return 0;
}

i64 sys_arch_prctl(const u64 *arg)
{
	enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003 };
	switch (arg[0]) {
	case ARCH_SET_FS:
		if (arg[1] >= USER_TOP)
			return -EPERM;
		current_thread->fs_base = arg[1];
		cpu_set_fs(arg[1]);
		return 0;
	case ARCH_GET_FS:
		return copy_to_user(arg[1], &current_thread->fs_base,
				    sizeof current_thread->fs_base);
	default:
		return -EINVAL;
	}
}

HOT i64 sys_sched_yield(const u64 *arg)
{
	(void)arg;
	schedule();
	return 0;
}

/* ---- pages are never taken away from a process, so they are locked anyway ---- */

static i64 mapped_range(u64 addr, u64 len)
{
	if (len > USER_TOP || addr > USER_TOP)
		return -ENOMEM;
	for (u64 a = addr & ~PAGE_MASK, end = addr + len; a < end;) {
		const struct region *r = vm_find(current->vm, a);
		if (!r)
			return -ENOMEM;
		a = r->end;
	}
	return 0;
}

i64 sys_mlock(const u64 *arg)
{
	return mapped_range(arg[0], arg[1]);
}

i64 sys_munlock(const u64 *arg)
{
	return mapped_range(arg[0], arg[1]);
}

i64 sys_mlockall(const u64 *arg)
{
	return arg[0] && arg[0] < 8 ? 0 : -EINVAL;
}

i64 sys_munlockall(const u64 *arg)
{
	(void)arg;
	return 0;
}
