/* SPDX-License-Identifier: MIT */
/*
 * /proc: what ps, top, free, uptime and df read. One row per file below; content is made when it is opened.
 * Figures of the node are physical properties and exempt from consistency (Sinha §8.2.1); those of a process
 * follow it.
 */
#include "env/clock.h"
#include "../boot/bootinfo.h"
#include "frame.h"
#include "fs.h"
#include "lib.h"
#include "procctl.h"
#include "procfs.h"
#include "sched.h"

#define TICK (NS_PER_SEC / 100) /* USER_HZ */

/* ---- the node ---- */

static void node_meminfo(struct text *t)
{
	u64 total = frame_total_count() * 4, free = frame_free_count() * 4,
	    cached = pagecache_frames() * 4;
	text_printf(t,
		    "MemTotal:       %8lu kB\nMemFree:        %8lu kB\nMemAvailable:   %8lu kB\n",
		    total, free, free + cached);
	text_printf(t,
		    "Buffers:        %8lu kB\nCached:         %8lu kB\nSwapCached:     %8lu kB\n",
		    0ul, cached, 0ul);
	text_printf(t,
		    "Shmem:          %8lu kB\nSReclaimable:   %8lu kB\nSlab:           %8lu kB\n",
		    0ul, 0ul, kmem_in_use() / 1024);
	text_printf(t, "SwapTotal:      %8lu kB\nSwapFree:       %8lu kB\n", 0ul, 0ul);
}

/* Of the processes there are: what ended ones used is missing, but it never goes back. */
static u64 used_ns(void)
{
	static u64 most;
	u64 sum = 0;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->u)
			sum += proc_cpu_ns(p);
	most = MAX(most, sum);
	return most;
}

static void node_uptime(struct text *t)
{
	u64 now = now_ns(), used = used_ns(), idle = used < now ? now - used : 0;
	text_printf(t, "%lu.%02lu %lu.%02lu\n", now / NS_PER_SEC, now / TICK % 100,
		    idle / NS_PER_SEC, idle / TICK % 100);
}

static void node_loadavg(struct text *t)
{
	u64 load = sched_load_milli() / 10, total = 0;
	i32 last = 0;
	list_for_each(p, &all_procs, struct proc, all_link) {
		total++;
		last = p->pid;
	}
	for (int i = 0; i < 3; i++)
		text_printf(t, "%lu.%02lu ", load / 100, load % 100);
	text_printf(t, "%lu/%lu %d\n", sched_runnable_users(), total, last);
}

static void node_stat(struct text *t)
{
	u64 now = now_ns(), used = used_ns(), idle = used < now ? now - used : 0, procs = 0;
	list_for_each(p, &all_procs, struct proc, all_link)
		procs++;
	for (int i = 0; i < 2; i++)
		text_printf(t, "cpu%s  %lu 0 0 %lu 0 0 0 0 0 0\n", i ? "0" : "", used / TICK,
			    idle / TICK);
	text_printf(
		t,
		"intr 0\nctxt %lu\nbtime %ld\nprocesses %lu\nprocs_running %lu\nprocs_blocked 0\n",
		switch_count, ktime / (i64)NS_PER_SEC, procs, sched_runnable_users());
}

static void node_cpuinfo(struct text *t)
{
	text_printf(
		t, "processor\t: 0\nvendor_id\t: Whimbrel\nmodel name\t: x86-64, one CPU per node\n"
		   "cpu cores\t: 1\n\n");
}

static void node_version(struct text *t)
{
	text_printf(t, "Whimbrel on node %u of %u\n", node_id.node, node_id.nodes);
}

void procfs_mounts(struct text *t)
{
	text_printf(t,
		    "/dev/vda / ext2 rw 0 0\nproc /proc proc rw 0 0\ndev /dev devtmpfs rw 0 0\n");
}

static void node_filesystems(struct text *t)
{
	text_printf(t, "nodev\tproc\n\text2\n");
}

static void node_cmdline(struct text *t)
{
	text_printf(t, "%s\n", bootinfo.cmdline);
}

static void node_swaps(struct text *t)
{
	text_printf(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

static void node_partitions(struct text *t)
{
	text_printf(t, "major minor  #blocks  name\n\n");
}

static void node_nothing(struct text *t)
{
	(void)t;
}

static void node_vmstat(struct text *t)
{
	text_printf(t, "nr_free_pages %lu\nnr_file_pages %lu\npgfault %lu\npswpin 0\npswpout 0\n",
		    frame_free_count(), pagecache_frames(), fault_count);
}

static const struct procfs_node_file node_files[] = {
	{"cmdline", node_cmdline},
	{"cpuinfo", node_cpuinfo},
	{"filesystems", node_filesystems},
	{"loadavg", node_loadavg},
	{"meminfo", node_meminfo},
	{"modules", node_nothing},
	{"mounts", procfs_mounts},
	{"partitions", node_partitions},
	{"stat", node_stat},
	{"swaps", node_swaps},
	{"uptime", node_uptime},
	{"version", node_version},
	{"vmstat", node_vmstat},
};

/* ---- names ---- */

/* What a path under /proc is. */
struct place {
	enum { ROOT, NODE_FILE, SELF, PROC_DIR, PROC_FILE, PROC_LINK, FD_DIR, FD_LINK } what;
	const struct procfs_node_file *node_file;
	struct proc *p;
	const struct procfs_file *file; /* PROC_FILE, PROC_LINK */
	int fd;
};

/* Cut the next component off *path into name; false at the end. */
static bool component(const char **path, char *name, size_t cap)
{
	const char *p = *path;
	size_t n = 0;
	while (*p == '/')
		p++;
	for (; *p && *p != '/'; p++)
		if (n + 1 < cap)
			name[n++] = *p;
	name[n] = 0;
	*path = p;
	return n;
}

static int number(const char *s)
{
	int v = 0;
	if (!*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > 99999999)
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v;
}

static int find_in_proc(const char *rest, const char *first, struct place *at)
{
	char name[32];
	at->p = !strcmp(first, "self") || !strcmp(first, "thread-self") ? current
									: proc_find(number(first));
	if (!at->p || at->p->state == PROC_NEW)
		return -ENOENT;
	at->what = PROC_DIR;
	if (!component(&rest, name, sizeof name))
		return 0;
	if (!strcmp(name, "fd")) {
		at->what = FD_DIR;
		if (!component(&rest, name, sizeof name))
			return at->p->u ? 0 : -ENOENT;
		at->what = FD_LINK;
		at->fd = number(name);
		if (component(&rest, name, sizeof name))
			return -ENOTDIR;
		return fd_get(at->p, at->fd) ? 0 : -ENOENT;
	}
	at->file = procfs_file_find(name);
	if (!at->file)
		return -ENOENT;
	at->what = at->file->link ? PROC_LINK : PROC_FILE;
	return component(&rest, name, sizeof name) ? -ENOTDIR : 0;
}

static int find(const char *path, struct place *at)
{
	char name[32];
	*at = (struct place){.what = ROOT};
	path += 5; /* "/proc" */
	if (!component(&path, name, sizeof name))
		return 0;
	if (!strcmp(name, "self") && !*path) {
		at->what = SELF;
		return 0;
	}
	for (u32 i = 0; i < ARRAY_LEN(node_files); i++)
		if (!strcmp(name, node_files[i].name)) {
			at->what = NODE_FILE;
			at->node_file = &node_files[i];
			return *path ? -ENOTDIR : 0;
		}
	return find_in_proc(path, name, at);
}

/* What another's process has open, where it is and how its memory lies is for its owner and root. */
static int may_look(const struct place *at)
{
	bool private = at->what == PROC_LINK || at->what == PROC_FILE
			       ? at->file->private
			       : at->what == FD_DIR || at->what == FD_LINK;
	if (!private)
		return 0;
	return at->p->u ? proc_may_inspect(at->p) : -ENOENT;
}

/* ---- what the rest of the kernel asks ---- */

static struct ofile *list_root(u32 flags)
{
	struct pseudo_list l;
	if (!pseudo_list_begin(&l))
		return NULL;
	for (u32 i = 0; i < ARRAY_LEN(node_files); i++)
		pseudo_list_add(&l, 'f', node_files[i].name);
	pseudo_list_add(&l, 'l', "self");
	list_for_each(p, &all_procs, struct proc, all_link) {
		char name[16];
		struct text t = TEXT(name, sizeof name);
		text_printf(&t, "%d", p->pid);
		if (p->state != PROC_NEW)
			pseudo_list_add(&l, 'd', name);
	}
	return pseudo_list_open(&l, "/proc", flags);
}

static struct ofile *list_proc(const struct place *at, const char *path, u32 flags)
{
	struct pseudo_list l;
	if (!pseudo_list_begin(&l))
		return NULL;
	if (at->what == FD_DIR) {
		/* Who looks at himself sees what he looks through, too: the lowest that is free, which this very call takes. */
		bool own = at->p == current;
		for (int fd = 0; fd < NOFILE; fd++) {
			char name[8];
			struct text t = TEXT(name, sizeof name);
			text_printf(&t, "%d", fd);
			if (at->p->u->ofile[fd] || own)
				pseudo_list_add(&l, 'l', name);
			own = own && at->p->u->ofile[fd];
		}
	} else {
		const struct procfs_file *f;
		pseudo_list_add(&l, 'd', "fd");
		for (u32 i = 0; (f = procfs_file_row(i)); i++)
			pseudo_list_add(&l, f->link ? 'l' : 'f', f->name);
	}
	return pseudo_list_open(&l, path, flags);
}

struct ofile *proc_open(const char *path, u32 flags, int *err)
{
	struct place at;
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	*err = find(path, &at);
	if (!*err)
		*err = may_look(&at);
	if (!*err && writes)
		*err = at.what == ROOT || at.what == PROC_DIR ? -EISDIR : -EACCES;
	if (*err)
		return NULL;
	*err = -ENOMEM;
	struct ofile *f = NULL;
	if (at.what == ROOT)
		f = list_root(flags);
	else if (at.what == SELF || at.what == PROC_DIR || at.what == FD_DIR)
		f = list_proc(&at, path, flags);
	else if (at.what == FD_LINK || at.what == PROC_LINK)
		*err = -ENXIO; /* another's pipe, or a file to be opened by its own name (readlink) */
	else {
		char *buf = kmalloc(PSEUDO_BUF);
		struct text t = TEXT(buf, PSEUDO_BUF);
		if (buf && at.what == NODE_FILE)
			at.node_file->make(&t);
		else if (buf)
			at.file->make(at.p, &t);
		f = buf ? pseudo_file(buf, t.len, flags) : NULL;
		kfree(buf);
	}
	if (f)
		*err = 0;
	return f;
}

int procfs_stat(const char *path, struct fs_attr *a)
{
	struct place at;
	int err = find(path, &at);
	if (err)
		return err;
	u32 mode = S_IFDIR | 0555;
	if (at.what == NODE_FILE || at.what == PROC_FILE)
		mode = S_IFREG | 0444;
	else if (at.what == PROC_LINK || at.what == FD_LINK)
		mode = S_IFLNK | 0777;
	pseudo_attr(a, path, mode);
	if (at.p) {
		a->uid = at.p->u ? at.p->u->names.euid : at.p->away_uid;
		a->gid = at.p->u ? at.p->u->names.egid : 0;
	}
	return 0;
}

i64 proc_readlink(const char *path, char *buf, size_t cap)
{
	struct text t = TEXT(buf, cap);
	struct place at;
	buf[0] = 0;
	if (!strncmp(path, "/dev/", 5)) {
		int fd = proc_fd_alias(path);
		if (!strcmp(path, "/dev/fd"))
			text_printf(&t, "/proc/self/fd");
		else if (fd >= 0)
			text_printf(&t, "/proc/self/fd/%d", fd);
		return t.len ? (i64)t.len : -EINVAL;
	}
	int err = find(path, &at);
	if (!err)
		err = may_look(&at);
	if (err)
		return err;
	if (at.what == SELF)
		text_printf(&t, "%d", current->pid);
	else if (at.what == PROC_LINK)
		at.file->make(at.p, &t);
	else if (at.what == FD_LINK)
		procfs_fd_target(at.p, at.fd, &t);
	return t.len ? (i64)t.len : -EINVAL;
}

int proc_fd_alias(const char *path)
{
	struct place at;
	if (!strcmp(path, "/dev/stdin"))
		return 0;
	if (!strcmp(path, "/dev/stdout"))
		return 1;
	if (!strcmp(path, "/dev/stderr"))
		return 2;
	if (!strncmp(path, "/dev/fd/", 8))
		return number(path + 8);
	if (strncmp(path, "/proc/", 6) || find(path, &at) || at.what != FD_LINK || at.p != current)
		return -1;
	return at.fd;
}
