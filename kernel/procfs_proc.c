/* SPDX-License-Identifier: MIT */
/* /proc/PID: one process. A stub (it runs elsewhere) shows the names that are kept for it, and state A. */
#include "env/clock.h"
#include "fs.h"
#include "lib.h"
#include "path.h"
#include "procfs.h"
#include "rlimit.h"

#define TICK (NS_PER_SEC / 100)

static const char *comm(const struct proc *p)
{
	return p->u ? p->u->names.comm : p->away_comm;
}

static u64 vm_bytes(const struct proc *p)
{
	u64 sum = 0;
	if (p->vm)
		list_for_each(r, &p->vm->regions, struct region, link)
			sum += r->end - r->start;
	return sum;
}

static u64 resident_pages(const struct proc *p)
{
	return p->vm ? p->vm->private_pages : 0;
}

static i32 parent_of(const struct proc *p)
{
	return p->u ? p->u->names.ppid : p->parent ? p->parent->pid : 0;
}

/* Its start is told in its home's time, wherever it runs: a process may look at itself. */
static void proc_stat(const struct proc *p, struct text *t)
{
	const struct unames *n = p->u ? &p->u->names : NULL;
	u64 ticks = p->u ? proc_cpu_ns(p) / TICK : 0, child = p->u ? p->u->child_cpu_ns / TICK : 0;
	i32 nice = p->u ? p->u->nice : 0;
	text_printf(t, "%d (%s) %c %d %d %d 0 -1 0 0 0 0 0 %lu 0 %lu 0 %d %d %u 0 %lu %lu %lu",
		    p->pid, comm(p), proc_letter(p), parent_of(p), n ? n->pgid : p->away_pgid,
		    n ? n->sid : 0, ticks, child, 20 + nice, nice, proc_threads(p),
		    p->uqpid.birth_ns / TICK, vm_bytes(p), resident_pages(p));
	/* rsslim, addresses, signals, wchan ... exit_code: fields 25 to 52 */
	for (int i = 25; i <= 52; i++)
		text_printf(t, " 0");
	text_printf(t, "\n");
}

static void proc_statm(const struct proc *p, struct text *t)
{
	text_printf(t, "%lu %lu 0 0 0 %lu 0\n", vm_bytes(p) / PAGE_SIZE, resident_pages(p),
		    resident_pages(p));
}

static const char *state_word(const struct proc *p)
{
	switch (proc_letter(p)) {
	case 'R':
		return "R (running)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	case 'A':
		return "A (away)";
	case 'D':
		return "D (frozen)";
	default:
		return "S (sleeping)";
	}
}

static void proc_status(const struct proc *p, struct text *t)
{
	const struct unames *n = p->u ? &p->u->names : NULL;
	text_printf(t, "Name:\t%s\nState:\t%s\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		    comm(p), state_word(p), p->pid, p->pid, parent_of(p));
	if (n) {
		text_printf(t, "Uid:\t%u\t%u\t%u\t%u\n", n->uid, n->euid, n->suid, n->euid);
		text_printf(t, "Gid:\t%u\t%u\t%u\t%u\n", n->gid, n->egid, n->sgid, n->egid);
	}
	text_printf(t, "VmSize:\t%8lu kB\nVmRSS:\t%8lu kB\nThreads:\t%u\n", vm_bytes(p) / 1024,
		    resident_pages(p) * 4, proc_threads(p));
	text_printf(t, "Home:\t%u\nEpoch:\t%u\nAwayNode:\t%u\n", p->uqpid.home, p->epoch,
		    p->state == PROC_AWAY ? p->away_node : 0);
}

/* Strings separated by NUL, which a text cannot hold: they are put in place by hand. */
static void proc_cmdline(const struct proc *p, struct text *t)
{
	if (!p->u || !p->u->cmdline)
		return;
	t->len = MIN(p->u->cmdline_len, t->cap - 1);
	memcpy(t->buf, p->u->cmdline, t->len);
}

static void proc_comm(const struct proc *p, struct text *t)
{
	text_printf(t, "%s\n", comm(p));
}

static void proc_maps(const struct proc *p, struct text *t)
{
	if (!p->vm)
		return;
	list_for_each(r, &p->vm->regions, struct region, link)
		text_printf(t, "%012lx-%012lx %c%c%cp %08lx 00:00 %lu %s\n", r->start, r->end,
			    r->flags & WH_RG_READ ? 'r' : '-', r->flags & WH_RG_WRITE ? 'w' : '-',
			    r->flags & WH_RG_EXEC ? 'x' : '-', r->file_off,
			    r->file ? r->file->attr.ino : 0,
			    r->file		     ? r->file->path
			    : r->flags & WH_RG_STACK ? "[stack]"
			    : r->flags & WH_RG_HEAP  ? "[heap]"
						     : "");
}

static void print_limit(struct text *t, u64 v)
{
	if (v == RLIM_INFINITY)
		text_printf(t, "%-20s ", "unlimited");
	else
		text_printf(t, "%-20lu ", v);
}

static void proc_limits(const struct proc *p, struct text *t)
{
	static const struct {
		const char *name, *unit;
	} rows[RLIMIT_COUNT] = {
		{"Max cpu time", "seconds"},	 {"Max file size", "bytes"},
		{"Max data size", "bytes"},	 {"Max stack size", "bytes"},
		{"Max core file size", "bytes"}, {"Max resident set", "bytes"},
		{"Max processes", "processes"},	 {"Max open files", "files"},
		{"Max locked memory", "bytes"},	 {"Max address space", "bytes"},
		{"Max file locks", "locks"},	 {"Max pending signals", "signals"},
		{"Max msgqueue size", "bytes"},	 {"Max nice priority", ""},
		{"Max realtime priority", ""},	 {"Max realtime timeout", "us"},
	};
	if (!p->u)
		return;
	text_printf(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (u32 i = 0; i < RLIMIT_COUNT; i++) {
		text_printf(t, "%-25s ", rows[i].name);
		print_limit(t, p->u->rlimit[i].cur);
		print_limit(t, p->u->rlimit[i].max);
		text_printf(t, "%-10s\n", rows[i].unit);
	}
}

static void proc_mounts(const struct proc *p, struct text *t)
{
	(void)p;
	procfs_mounts(t);
}

static void proc_mountinfo(const struct proc *p, struct text *t)
{
	(void)p;
	text_printf(t, "1 0 254:0 / / rw - ext2 /dev/vda rw\n2 1 0:3 / /proc rw - proc proc rw\n"
		       "3 1 0:3 / /dev rw - devtmpfs dev rw\n");
}

static void proc_exe(const struct proc *p, struct text *t)
{
	if (p->u && p->u->exe)
		text_printf(t, "%s", p->u->exe);
}

static void proc_cwd(const struct proc *p, struct text *t)
{
	if (p->u && p->u->cwd)
		text_printf(t, "%s", p->u->cwd);
}

static void proc_root(const struct proc *p, struct text *t)
{
	(void)p;
	text_printf(t, "/");
}

static const struct procfs_file files[] = {
	{"stat", false, false, proc_stat},
	{"statm", false, false, proc_statm},
	{"status", false, false, proc_status},
	{"cmdline", false, false, proc_cmdline},
	{"limits", false, true, proc_limits},
	{"mounts", false, false, proc_mounts},
	{"mountinfo", false, false, proc_mountinfo},
	{"comm", false, false, proc_comm},
	{"maps", false, true, proc_maps},
	{"exe", true, true, proc_exe},
	{"cwd", true, true, proc_cwd},
	{"root", true, true, proc_root},
};

const struct procfs_file *procfs_file_find(const char *name)
{
	for (u32 i = 0; i < ARRAY_LEN(files); i++)
		if (!strcmp(files[i].name, name))
			return &files[i];
	return NULL;
}

const struct procfs_file *procfs_file_row(u32 i)
{
	return i < ARRAY_LEN(files) ? &files[i] : NULL;
}

void procfs_fd_target(const struct proc *p, int fd, struct text *t)
{
	struct ofile *f = p->u->ofile[fd];
	struct fs_attr a = {0};
	size_t room = t->cap - t->len;
	if (f->fobj &&
	    !path_show(t->buf + t->len, room, f->fobj->tree, f->fobj->path, p->u->names.tree))
		t->len += strlen(t->buf + t->len);
	else if (dev_is_stateless(f))
		text_printf(t, "/dev/%s", f->ops->kind);
	else if (f->ops->cls == CLASS_TTY && !f->ops->stat(f, &a)) /* as below */
		dev_terminal_name(&a, t);
	else {
		if (!f->fobj && f->ops->stat) /* in the kernel: does not block */
			f->ops->stat(f, &a);
		text_printf(t, "%s:[%lu]", f->ops->kind, a.ino);
	}
}
