/* SPDX-License-Identifier: MIT */
/*
 * Held files and their cached pages (kernel/fobj.c, kernel/pagecache.c) against a model of the custodian. While a
 * request is on its way other processes run: here, by recursion, in orders worse than the kernel's own. A read
 * during which the file did not change must return exactly what the custodian has.
 */
#include "frame.h"
#include "fs.h"
#include "ipc.h"
#include "known.h"
#include "proc.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES	 4
#define FILE_MAX (40 * PAGE_SIZE)
#define OPEN_MAX 24
#define ROUNDS	 60000

/* ---- the kernel around it ---- */

static struct proc me;
struct proc *current = &me;
struct wh_identity node_id = {.node = 1, .nodes = 2};
static u64 allocations, frames;

void *kmalloc(size_t n)
{
	allocations++;
	return calloc(1, n ? n : 1);
}
void kfree(void *p)
{
	allocations -= p != NULL;
	free(p);
}
size_t kmalloc_size(const void *p)
{
	return p != NULL;
}
char *kstrdup(const char *s)
{
	allocations++;
	return strdup(s);
}
size_t strlcpy(char *dst, const char *src, size_t cap)
{
	snprintf(dst, cap, "%s", src);
	return strlen(src);
}
void klog(const char *fmt, ...)
{
	(void)fmt;
}

/* A frame is a page and its reference count behind it. */
u64 frame_alloc(void)
{
	u32 *p = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);
	p[PAGE_SIZE / 4] = 1;
	frames++;
	return V2P(p);
}
static u32 *refs_of(u64 phys)
{
	return (u32 *)P2V(phys) + PAGE_SIZE / 4;
}
void frame_ref(u64 phys)
{
	(*refs_of(phys))++;
}
u32 frame_refs(u64 phys)
{
	return *refs_of(phys);
}
void frame_put(u64 phys)
{
	if (--*refs_of(phys))
		return;
	free(P2V(phys));
	frames--;
}
int copy_from_user(void *dst, u64 src, size_t n)
{
	memcpy(dst, (const void *)src, n);
	return 0;
}
u64 frame_free_count(void)
{
	return 1000;
}

/* ---- the custodian ---- */

struct inode {
	u8 data[FILE_MAX];
	u64 size, changes; /* changes: of contents, by anybody */
	struct fs_version version;
	u32 writers; /* calls that change it and have not returned: a read may see either */
};
static struct inode inodes[FILES];
static u32 hold_inode[1 << 20]; /* hold -> inode + 1; 0: closed */
static u64 holds = 1, open_holds, opens, opened;

i64 wh_sys_page_purge(const u64 *arg);

static u32 seed = 1;
static u32 rnd(u32 n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

static struct fs_attr attr_of(const struct inode *i)
{
	return (struct fs_attr){.ino = (u64)(i - inodes) + 11,
				.size = i->size,
				.nlink = 1,
				.mode = S_IFREG | 0644,
				.version = i->version};
}

/* As the file server does, before anybody is answered. */
static void tell(const struct inode *i)
{
	struct fs_fact f[] = {
		{.kind = FACT_INODE, .attr = {.ino = 2, .mode = S_IFDIR | 0755, .nlink = 2}},
		{.kind = FACT_NAME, .dir = 2, .ino = (u32)(i - inodes) + 11, .len = 1},
		{.kind = FACT_INODE, .attr = attr_of(i)},
	};
	f[1].name[0] = (char)('a' + (i - inodes));
	known_learn(f, ARRAY_LEN(f), idle_forget);
}

static void changed(struct inode *i)
{
	i->changes++;
	i->version = (struct fs_version){
		.writer = 1, .incarnation = 1, .counter = i->version.counter + 1};
	tell(i);
}

static void resize(struct inode *i, u64 size)
{
	if (size < i->size)
		memset(i->data + size, 0, i->size - size);
	i->size = size;
	changed(i);
}

static i64 serve(struct wh_msg *m, u8 *buf)
{
	struct fs_io io = *WH_BODY(m, struct fs_io);
	struct fs_hold_set set = *WH_BODY(m, struct fs_hold_set);
	u64 hold = m->type == FS_READ || m->type == FS_WRITE ? io.hold : set.hold;
	struct inode *i = m->type == FS_OPEN ? NULL : &inodes[hold_inode[hold] - 1];
	switch (m->type) {
	case FS_OPEN:
		i = &inodes[buf[1] - 'a'];
		opens++;
		tell(i);
		if (WH_BODY(m, struct fs_open)->flags & O_TRUNC)
			resize(i, 0);
		hold_inode[holds] = (u32)(i - inodes) + 1;
		open_holds++;
		*WH_BODY(m, struct fs_opened) =
			(struct fs_opened){.hold = holds++, .attr = attr_of(i), .cacheable = 1};
		return 0;
	case FS_READ:
		if (io.off >= i->size)
			return 0;
		io.len = (u32)MIN(io.len, i->size - io.off);
		memcpy(buf, i->data + io.off, io.len);
		return io.len;
	case FS_WRITE:
		if (io.flags & O_APPEND)
			io.off = i->size;
		if (io.off >= FILE_MAX)
			return -ENOSPC;
		io.len = (u32)MIN(io.len, FILE_MAX - io.off);
		memcpy(i->data + io.off, buf, io.len);
		i->size = MAX(i->size, io.off + io.len);
		changed(i);
		*WH_BODY(m, struct fs_wrote) =
			(struct fs_wrote){.off = io.off, .size = i->size, .version = i->version};
		return io.len;
	case FS_FTRUNCATE:
		resize(i, set.size);
		return 0;
	case FS_FSTAT:
		*WH_BODY(m, struct fs_attr) = attr_of(i);
		return 0;
	case FS_BIND:
		*WH_BODY(m, struct fs_opened) =
			(struct fs_opened){.hold = hold, .attr = attr_of(i), .cacheable = 1};
		return 0;
	default:
		return -ENOSYS;
	}
}

static u32 depth;
static void someone_else(void);

i64 ipc_call(u32 svc, struct wh_msg *m, void *kbuf, size_t len, u32 flags)
{
	(void)svc, (void)len, (void)flags;
	someone_else();
	m->status = (i32)serve(m, kbuf);
	someone_else();
	return m->status;
}

i64 ipc_call_frames(u32 svc, struct wh_msg *m, const u64 *frames_to, u32 n)
{
	static u8 bufs[8][FS_READ_MAX];
	u8 *buf = bufs[depth];
	i64 got = ipc_call(svc, m, buf, n * PAGE_SIZE, WH_BULK_OUT);
	for (i64 at = 0; at < got; at += PAGE_SIZE)
		memcpy(P2V(frames_to[at / PAGE_SIZE]), buf + at,
		       PAGE_SIZE); /* to its end, as a disk would */
	return got;
}

/* Now and then it is crowded, and what is to be closed has to wait for its timer. */
static struct timer *armed[2];

bool ipc_crowded(void)
{
	return rnd(3) == 0;
}

struct timebase timebase = {.ticks_limit = ~0ull}; /* time stands still */
void timebase_resync(void)
{
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
	(void)deadline_ns;
	t->armed = true;
	armed[armed[0] != NULL] = t;
}

static void time_passes(void)
{
	struct timer *t = armed[0];

	if (!t)
		return;
	armed[0] = armed[1];
	armed[1] = NULL;
	t->armed = false;
	t->fire(t);
}

int ipc_post(u32 svc, const struct wh_msg *m)
{
	(void)svc;
	u64 hold = WH_BODY((struct wh_msg *)(u64)m, struct fs_hold_req)->hold;
	open_holds -= hold_inode[hold] != 0;
	hold_inode[hold] = 0;
	return 0;
}

/* ---- processes ---- */

static struct {
	struct fobj *f;
	u32 inode, busy; /* busy: a call is using it */
} files[OPEN_MAX];
static u64 reads_checked, wrong;

static void do_open(u32 slot)
{
	int err;
	char path[] = {'/', (char)('a' + rnd(FILES)), 0};
	struct inode *i = &inodes[path[1] - 'a'];
	i->writers++; /* perhaps */
	files[slot].busy++;
	struct fobj *f = fobj_open(1, path, rnd(12) ? O_RDWR : O_RDWR | O_TRUNC, 0, &err);
	files[slot].busy--;
	i->writers--;
	files[slot].inode = (u32)(path[1] - 'a');
	files[slot].f = f;
	opened++;
}

static void do_read(u32 slot)
{
	static u8 bufs[8][FILE_MAX];
	u8 *buf = bufs[depth];
	const struct inode *i = &inodes[files[slot].inode];
	u64 off = rnd(FILE_MAX), len = 1 + rnd(rnd(4) ? 5000 : FILE_MAX), before = i->changes;
	bool writing = i->writers;
	i64 n = fobj_read(files[slot].f, off, buf, MIN(len, FILE_MAX));
	if (i->changes != before || writing || i->writers)
		return;
	u64 want = off < i->size ? MIN(MIN(len, FILE_MAX), i->size - off) : 0;
	reads_checked++;
	wrong += n != (i64)want || memcmp(buf, i->data + off, want);
}

static void do_write(u32 slot)
{
	static u8 bufs[8][9000];
	u8 *buf = bufs[depth];
	u64 off = rnd(FILE_MAX);
	size_t len = 1 + rnd(9000);
	memset(buf, (int)rnd(256), len);
	inodes[files[slot].inode].writers++;
	fobj_write(files[slot].f, &off, rnd(3) == 0, buf, len);
	inodes[files[slot].inode].writers--;
}

/* A process on another node, through our file server: it changes the file and tells the kernel. */
static void do_remote(void)
{
	struct inode *i = &inodes[rnd(FILES)];
	u64 off = rnd(FILE_MAX / 2), len = 1 + rnd(9000), from = MIN(off, i->size);
	memset(i->data + off, (int)rnd(256), len);
	i->size = MAX(i->size, off + len);
	changed(i);
	me.service = WH_SVC_FILE;
	wh_sys_page_purge((u64[]){(u64)(i - inodes) + 11, 0, from, off + len - from});
	me.service = 0;
}

static void step(void)
{
	u32 slot = rnd(OPEN_MAX), what = rnd(100);
	if (rnd(50) == 0)
		time_passes();
	if (files[slot].busy)
		return;
	if (what == 0) {
		do_remote();
	} else if (what == 1) {
		pagecache_reclaim(1 + rnd(30));
	} else if (!files[slot].f) {
		do_open(slot);
	} else if (what < 6) {
		fobj_put(files[slot].f);
		files[slot].f = NULL;
	} else {
		files[slot].busy++;
		if (what < 60)
			do_read(slot);
		else if (what < 90)
			do_write(slot);
		else if (what < 93) {
			inodes[files[slot].inode].writers++;
			fobj_truncate(files[slot].f, rnd(FILE_MAX));
			inodes[files[slot].inode].writers--;
		} else if (what < 96) {
			struct fs_attr a;
			fobj_fstat(files[slot].f, &a);
		} else {
			vnode_detach(files[slot].f); /* as if it had just arrived */
			files[slot].f->bound = false;
			fobj_bind(files[slot].f);
		}
		files[slot].busy--;
	}
}

static void someone_else(void)
{
	if (depth >= 4 || rnd(4))
		return;
	depth++;
	step();
	depth--;
}

static int failed;
static void check(const char *what, bool good, const char *why)
{
	if (good)
		printf("ok %s\n", what);
	else
		printf("not ok %s: %s\n", what, why);
	failed |= !good;
}

int main(void)
{
	char why[128];
	static struct ublock u;
	me.u = &u;
	for (u32 round = 0; round < ROUNDS && !wrong; round++)
		step();
	snprintf(why, sizeof why, "%lu wrong of %lu", wrong, reads_checked);
	check("every undisturbed read is the custodian's", !wrong && reads_checked > ROUNDS / 10,
	      why);
	for (u32 slot = 0; slot < OPEN_MAX; slot++)
		if (files[slot].f)
			fobj_put(files[slot].f);
	while (armed[0])
		time_passes();
	snprintf(why, sizeof why, "%lu of %lu", opens, opened);
	check("some opens are answered from holds kept", opens < opened - opened / 10, why);
	idle_forget_all();
	for (u32 i = 0; i < 8; i++) /* halves */
		pagecache_reclaim(~0ull);
	io_buf_put(io_buf_get(PAGE_SIZE), PAGE_SIZE);
	snprintf(why, sizeof why, "%lu frames, %lu holds, %lu fobjs, %lu allocations", frames,
		 open_holds, counters_fobjs(), allocations);
	/* One transfer buffer is kept for the next one. */
	check("nothing leaks",
	      !frames && !open_holds && allocations <= 1 && !pagecache_frames() &&
		      !counters_fobjs(),
	      why);
	return failed;
}
