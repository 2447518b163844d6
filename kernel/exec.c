/* SPDX-License-Identifier: MIT */
/* execve: static ELF64 programs (fixed or position independent) and #! scripts. */
#include "cpu.h"
#include "exec.h"
#include "file.h"
#include "lib.h"
#include "linux_file.h"
#include "main.h"
#include "proc.h"
#include "rlimit.h"
#include "shared.h"
#include "signal.h"
#include "signo.h"
#include "trace.h"
#include "usercopy.h"
#include "vm_internal.h"

#define PIE_BASE   0x0000555555554000ull
#define STACK_SIZE (8ull << 20)
#define STACK_MIN  (256ull << 10) /* arguments and environment lie there, too */
#define MAX_PHDRS  32

struct elf_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_phdr {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};
enum {
	PT_LOAD = 1,
	PT_INTERP = 3,
	ET_EXEC = 2,
	ET_DYN = 3,
	EM_X86_64 = 62,
	PF_X = 1,
	PF_W = 2,
	PF_R = 4
};

/* Where the program's bytes come from: a file, or a boot module in memory. */
struct elf_source {
	struct fobj *file;
	const char *memory;
	u64 size;
};

static i64 source_read(const struct elf_source *s, u64 off, void *buf, size_t len)
{
	if (s->file)
		return fobj_read(s->file, off, buf, len);
	if (off >= s->size)
		return 0;
	len = MIN(len, s->size - off);
	memcpy(buf, s->memory + off, len);
	return (i64)len;
}

struct program {
	struct elf_header eh;
	struct elf_phdr ph[MAX_PHDRS];
	u64 base, entry, phdr_addr, end;
	u32 euid, egid; /* whom it runs as */
};

static bool load_ok(const struct elf_phdr *p, u64 base, u64 file_size)
{
	return p->filesz <= p->memsz && p->offset <= file_size &&
	       p->filesz <= file_size - p->offset && p->memsz < USER_TOP && p->vaddr < USER_TOP &&
	       base + p->vaddr >= USER_MIN && base + p->vaddr + p->memsz < VM_MMAP_TOP &&
	       (p->vaddr & PAGE_MASK) == (p->offset & PAGE_MASK);
}

/* Everything is checked here, before the old image is given up. */
static int read_program(const struct elf_source *src, struct program *pr)
{
	struct elf_header *eh = &pr->eh;
	i64 n = source_read(src, 0, eh, sizeof *eh);
	if (n < 0)
		return (int)n;
	if (n < (i64)sizeof *eh || memcmp(eh->ident, "\177ELF\2\1\1", 7) ||
	    (eh->type != ET_EXEC && eh->type != ET_DYN) || eh->machine != EM_X86_64 ||
	    eh->phentsize != sizeof pr->ph[0] || eh->phnum == 0 || eh->phnum > MAX_PHDRS)
		return -ENOEXEC;
	size_t len = eh->phnum * sizeof pr->ph[0];
	if (source_read(src, eh->phoff, pr->ph, len) != (i64)len)
		return -ENOEXEC;
	pr->base = eh->type == ET_DYN ? PIE_BASE : 0;
	pr->entry = pr->base + eh->entry;
	bool any = false, entry_ok = false;
	for (u32 i = 0; i < eh->phnum; i++) {
		struct elf_phdr *p = &pr->ph[i];
		if (p->type == PT_INTERP) /* dynamic: Whimbrel runs static programs */
			return -ENOEXEC;
		if (p->type != PT_LOAD || p->memsz == 0)
			continue;
		if (!load_ok(p, pr->base, src->size) || ((p->flags & PF_W) && (p->flags & PF_X)))
			return -ENOEXEC;
		u64 start = pr->base + p->vaddr;
		if (any && start < pr->end)
			return -ENOEXEC; /* out of order or overlapping */
		any = true;
		pr->end = start + p->memsz;
		if (eh->phoff >= p->offset && eh->phoff + len <= p->offset + p->filesz)
			pr->phdr_addr = start + (eh->phoff - p->offset);
		entry_ok |= (p->flags & PF_X) && pr->entry >= start && pr->entry < pr->end;
	}
	return entry_ok ? 0 : -ENOEXEC;
}

static int map_segment(struct vm *vm, struct fobj *f, const struct elf_phdr *p, u64 base)
{
	u64 start = PAGE_DOWN(base + p->vaddr), head = (base + p->vaddr) & PAGE_MASK;
	u64 file_end = PAGE_UP(base + p->vaddr + p->filesz),
	    end = PAGE_UP(base + p->vaddr + p->memsz);
	u32 flags = (p->flags & PF_R ? WH_RG_READ : 0) | (p->flags & PF_W ? WH_RG_WRITE : 0) |
		    (p->flags & PF_X ? WH_RG_EXEC : 0);
	i64 r = 0;
	if (p->filesz)
		r = vm_map(vm, start, file_end - start, flags | WH_RG_FILE, f, p->offset - head,
			   p->filesz + head, true);
	else
		file_end = start;
	if (r >= 0 && end > file_end)
		r = vm_map(vm, file_end, end - file_end, flags, NULL, 0, 0, true);
	return r < 0 ? (int)r : 0;
}

/* Boot modules: nobody can page them in yet, so the bytes are copied. current->vm is the space
 * being built. */
static int copy_segment(struct vm *vm, const struct elf_source *src, const struct elf_phdr *p,
			u64 base)
{
	u64 start = PAGE_DOWN(base + p->vaddr), end = PAGE_UP(base + p->vaddr + p->memsz);
	u32 flags = WH_RG_READ | WH_RG_WRITE;
	i64 r = vm_map(vm, start, end - start, flags, NULL, 0, 0, true);
	if (r < 0)
		return (int)r;
	if (copy_to_user(base + p->vaddr, src->memory + p->offset, p->filesz))
		return -EFAULT;
	flags = (p->flags & PF_R ? WH_RG_READ : 0) | (p->flags & PF_W ? WH_RG_WRITE : 0) |
		(p->flags & PF_X ? WH_RG_EXEC : 0);
	return vm_protect(vm, start, end - start, flags);
}

static struct vm *build_image(const struct elf_source *src, struct program *pr, int *err)
{
	struct vm *vm = vm_create();
	*err = -ENOMEM;
	if (!vm)
		return NULL;
	vm->wired = current->privileged;
	if (!src->file) {
		current->vm = vm;
		vm_switch(vm);
	}
	for (u32 i = 0; i < pr->eh.phnum; i++) {
		if (pr->ph[i].type != PT_LOAD || !pr->ph[i].memsz)
			continue;
		*err = src->file ? map_segment(vm, src->file, &pr->ph[i], pr->base)
				 : copy_segment(vm, src, &pr->ph[i], pr->base);
		if (*err)
			goto fail;
	}
	vm->brk_start = vm->brk = PAGE_UP(pr->end) + 16 * PAGE_SIZE;
	u64 want = PAGE_UP(MIN(rlimit(current, RLIMIT_STACK), STACK_SIZE));
	u64 stack = vm->wired ? 64 * PAGE_SIZE : MAX(want, STACK_MIN);
	i64 r = vm_map(vm, VM_STACK_TOP - stack, stack, WH_RG_READ | WH_RG_WRITE | WH_RG_STACK,
		       NULL, 0, 0, true);
	*err = (int)r;
	if (r >= 0)
		return vm;
fail:
	vm_put(vm);
	return NULL;
}

enum {
	AT_NULL,
	AT_PHDR = 3,
	AT_PHENT,
	AT_PHNUM,
	AT_PAGESZ,
	AT_BASE,
	AT_FLAGS,
	AT_ENTRY,
	AT_UID = 11,
	AT_EUID,
	AT_GID,
	AT_EGID,
	AT_PLATFORM,
	AT_HWCAP,
	AT_CLKTCK,
	AT_SECURE = 23,
	AT_RANDOM = 25,
	AT_EXECFN = 31
};

/* Strings, auxiliary vector, environment, arguments: the System V ABI's initial stack.
 * `current->vm` is the new image. */
static int build_stack(const struct program *pr, const struct exec_strings *s, u64 *sp_out)
{
	const struct unames *n = &current->u->names;
	u64 strings = VM_STACK_TOP - 64 - PAGE_UP(s->len) + (PAGE_UP(s->len) - s->len);
	u64 at_random = (strings - 16) & ~15ull;
	u64 seed[2] = {rand64(), rand64()};
	if (copy_to_user(strings, s->buf, s->len) || copy_to_user(at_random, seed, sizeof seed))
		return -EFAULT;
	u64 aux[] = {AT_PHDR,	pr->phdr_addr,
		     AT_PHENT,	sizeof pr->ph[0],
		     AT_PHNUM,	pr->eh.phnum,
		     AT_PAGESZ, PAGE_SIZE,
		     AT_BASE,	0,
		     AT_FLAGS,	0,
		     AT_ENTRY,	pr->entry,
		     AT_UID,	n->uid,
		     AT_EUID,	pr->euid,
		     AT_GID,	n->gid,
		     AT_EGID,	pr->egid,
		     AT_CLKTCK, 100,
		     AT_SECURE, pr->euid != n->uid || pr->egid != n->gid,
		     AT_HWCAP,	0,
		     AT_RANDOM, at_random,
		     AT_EXECFN, strings + s->execfn,
		     AT_NULL,	0};
	u64 words = 1 + s->argc + 1 + s->envc + 1;
	u64 sp = (at_random - sizeof aux - words * 8) & ~15ull;
	u64 *v = kmalloc(words * 8);
	if (!v)
		return -ENOMEM;
	u64 k = 0, off = 0;
	v[k++] = s->argc;
	for (u32 i = 0; i < s->argc + s->envc; i++) {
		if (i == s->argc)
			v[k++] = 0;
		v[k++] = strings + off;
		off += strlen(s->buf + off) + 1;
	}
	if (s->envc == 0)
		v[k++] = 0;
	v[k++] = 0;
	int bad = copy_to_user(sp, v, words * 8) || copy_to_user(sp + words * 8, aux, sizeof aux);
	kfree(v);
	*sp_out = sp;
	return bad ? -EFAULT : 0;
}

static void set_comm(const char *path)
{
	const char *slash = strrchr(path, '/');
	strlcpy(current->u->names.comm, slash ? slash + 1 : path, sizeof current->u->names.comm);
}

/* "#!interpreter [argument]": put them in front and start over with the interpreter. 1: was a
 * script. */
static int script(struct fobj *f, const char *path, struct exec_strings *s, char *interp)
{
	char line[FS_SCRIPT_MAX + 1];
	i64 n = fobj_read(f, 0, line, FS_SCRIPT_MAX);
	if (n < 3 || line[0] != '#' || line[1] != '!')
		return 0;
	line[n] = 0;
	char *end = strchr(line, '\n');
	if (!end)
		return -ENOEXEC;
	while (end > line + 2 && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		end--;
	*end = 0;
	char *p = line + 2;
	while (*p == ' ' || *p == '\t')
		p++;
	char *arg = strchr(p, ' ');
	if (arg) {
		*arg++ = 0;
		while (*arg == ' ')
			arg++;
	}
	if (!*p)
		return -ENOEXEC;
	int err = exec_strings_shift(s, path);
	strlcpy(interp, p, FS_SCRIPT_MAX); /* path may be interp: a script run by a script */
	if (!err && arg && *arg)
		err = exec_strings_prepend(s, arg);
	if (!err)
		err = exec_strings_prepend(s, interp);
	return err ? err : 1;
}

/* Whom the program runs as: set-id bits count in the process's own tree only, for the other trees' nodes are their
 * masters'. A script's do not count, its interpreter's do. */
static void effective_ids(const struct fobj *f, struct program *pr)
{
	const struct unames *n = &current->u->names;
	bool trusted = f->tree == n->tree;
	u32 mode = f->attr.mode,
	    setgid = S_ISGID | 0010; /* without x for the group it means something else */
	pr->euid = trusted && mode & S_ISUID ? f->attr.uid : n->euid;
	pr->egid = trusted && (mode & setgid) == setgid ? f->attr.gid : n->egid;
}

i64 exec_load(const char *path, struct exec_strings *args)
{
	struct program *pr = kmalloc(sizeof *pr);
	char interp[FS_SCRIPT_MAX + 1];
	struct fobj *f = NULL;
	int err = -ENOMEM;
	if (!pr)
		return -ENOMEM;
	const char *file = path;
	for (int depth = 0;; depth++) {
		f = exec_open(file, &err);
		if (!f)
			goto out;
		struct elf_source src = {.file = f, .size = f->attr.size};
		err = read_program(&src, pr);
		if (err != -ENOEXEC || depth == 4)
			break;
		int r = script(f, file, args, interp);
		if (r <= 0) {
			err = r ? r : -ENOEXEC;
			break;
		}
		fobj_put(f);
		f = NULL;
		file = interp;
	}
	if (!err)
		effective_ids(f, pr);
	struct elf_source src = {.file = f, .size = f ? f->attr.size : 0};
	struct vm *vm = err ? NULL : build_image(&src, pr, &err);
	if (!vm)
		goto out;
	/* From here on nothing of the old image is used by anybody else. */
	bool alone = current->live == 1;
	if (thread_become_only()) {
		err = -EINTR;
		vm_put(vm);
		goto out;
	}
	/* The new stack is written through the new address space; failing here still returns to the
	 * old one. */
	struct vm *old = current->vm;
	u64 sp = 0;
	current->vm = vm;
	vm_switch(vm);
	err = build_stack(pr, args, &sp);
	if (err) {
		current->vm = old;
		vm_switch(old);
		vm_put(vm);
		if (!alone) /* the others cannot come back; on the way out, for what is held here is freed first */
			signal_send(current, SIGKILL, SI_KERNEL, 0);
		goto out;
	}
	/* ---- point of no return ---- */
	char *exe = kstrdup(f->path);
	if (exe) {
		kfree(current->u->exe);
		current->u->exe = exe;
	}
	file_set_cmdline(current, args->buf, args->argc);
	current->u->names.euid = current->u->names.suid = pr->euid;
	current->u->names.egid = current->u->names.sgid = pr->egid;
	if (old) {
		shared_sync(old, 0, USER_TOP);
		vm_put(old);
	}
	vfork_done(current);
	set_comm(path);
	env_exec(current);
	fpu_forget(current_thread);
	current_thread->fpu_used = false;
	current_thread->fs_base = 0;
	current_thread->u.clear_child_tid = current_thread->u.robust_list = 0;
	cpu_load_selectors(0);
	cpu_set_fs(0);
	u64 iopl = current_thread->tf->rflags & RFLAGS_IOPL;
	*current_thread->tf =
		(struct trapframe){.rip = pr->entry,
				   .rsp = sp,
				   .cs = SEL_UCODE,
				   .ss = SEL_UDATA,
				   .rflags = RFLAGS_IF | 2 | (current->privileged ? iopl : 0)};
	trace(TRACE_EXEC, (u64)current->pid, pr->entry, sp);
	err = 0;
out:
	if (f)
		fobj_put(f);
	kfree(pr);
	return err;
}

struct vm *boot_image_load(const void *file, u64 len, u64 *entry, u64 *sp)
{
	struct elf_source src = {.memory = file, .size = len};
	struct program *pr = kmalloc(sizeof *pr);
	struct exec_strings s = {.buf = kmalloc(32), .cap = 32, .argc = 1};
	int err = -ENOMEM;
	if (pr && s.buf) {
		strlcpy(s.buf, current->u->names.comm, 16);
		s.len = strlen(s.buf) + 1;
		err = read_program(&src, pr);
	}
	struct vm *vm = err ? NULL : build_image(&src, pr, &err);
	if (vm && build_stack(pr, &s, sp)) {
		vm_put(vm);
		vm = NULL;
	}
	if (vm)
		*entry = pr->entry;
	kfree(s.buf);
	kfree(pr);
	return vm;
}
