/* SPDX-License-Identifier: MIT */
/* See test_fs_util.h. */
#include "test_fs_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char temp_dir[64];

static void remove_temp(void)
{
	char cmd[100];

	if (!temp_dir[0])
		return;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", temp_dir);
	if (system(cmd) != 0)
		fprintf(stderr, "cannot remove %s\n", temp_dir);
}

void test_ok(const char *name)
{
	printf("ok %s\n", name);
	fflush(stdout);
}

void test_fail(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("not ok %s: ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	remove_temp();
	_exit(1); /* what is still allocated does not matter now */
}

uint32_t rnd(struct rng *r, uint32_t below)
{
	r->s = r->s * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((r->s >> 33) % below);
}

/* ---- the disk ---- */

struct unflushed {
	uint64_t off;
	size_t len;
	uint8_t *before, *after;
};

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(1);
	}
}

static void remember(struct test_disk *d, uint64_t off, const void *data, size_t len)
{
	d->pending = realloc(d->pending, (d->npending + 1) * sizeof(d->pending[0]));
	struct unflushed *u = &d->pending[d->npending++];

	*u = (struct unflushed){
		.off = off, .len = len, .before = malloc(len), .after = malloc(len)};
	must(pread(d->fd, u->before, len, (off_t)off) == (ssize_t)len, "pread");
	memcpy(u->after, data, len);
}

static void forget_pending(struct test_disk *d)
{
	for (unsigned i = 0; i < d->npending; i++) {
		free(d->pending[i].before);
		free(d->pending[i].after);
	}
	d->npending = 0;
}

/* The journal's: its magic number, and type 2. */
static bool is_commit(const void *block)
{
	static const uint8_t start[] = {0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2};

	return memcmp(block, start, sizeof(start)) == 0;
}

static int disk_submit(struct blkdev *dev, const struct blk_io *io, unsigned n)
{
	struct test_disk *d = (void *)dev;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned s = 0; s < io[i].nseg; s++) {
			uint64_t off = io[i].off + (uint64_t)s * io[i].seg_len;
			size_t len = io[i].seg_len;

			if (off + len > dev->bytes)
				return -EIO;
			if (!io[i].write) {
				dev->reads++;
				if (d->fail_reads ||
				    pread(d->fd, io[i].seg[s], len, (off_t)off) != (ssize_t)len)
					return -EIO;
				continue;
			}
			dev->writes++;
			d->committed |= is_commit(io[i].seg[s]);
			if (d->off || d->writes_left == 0) {
				d->off = true; /* the server does not notice: it is dead too */
				continue;
			}
			if (d->writes_left > 0)
				d->writes_left--;
			if (d->track)
				remember(d, off, io[i].seg[s], len);
			must(pwrite(d->fd, io[i].seg[s], len, (off_t)off) == (ssize_t)len,
			     "pwrite");
		}
	}
	return 0;
}

static int disk_flush(struct blkdev *dev)
{
	struct test_disk *d = (void *)dev;

	bool deaf = d->deaf == DEAF_ALWAYS || (d->deaf == DEAF_BEFORE_COMMIT && !d->committed) ||
		    (d->deaf == DEAF_AFTER_COMMIT && d->committed);

	dev->flushes++;
	d->committed = false;
	if (!d->off && !deaf)
		forget_pending(d);
	return 0;
}

static void *disk_alloc(struct blkdev *dev, size_t bytes)
{
	struct test_disk *d = (void *)dev;

	if (d->allocs == sizeof(d->memory) / sizeof(d->memory[0]))
		return NULL;
	return d->memory[d->allocs++] = calloc(1, bytes);
}

void disk_open(struct test_disk *d, const char *path)
{
	struct stat st;

	*d = (struct test_disk){.fd = open(path, O_RDWR), .writes_left = -1};
	must(d->fd >= 0 && fstat(d->fd, &st) == 0, path);
	d->dev = (struct blkdev){.bytes = (uint64_t)st.st_size,
				 .submit = disk_submit,
				 .flush = disk_flush,
				 .alloc = disk_alloc};
}

void disk_close(struct test_disk *d)
{
	forget_pending(d);
	free(d->pending);
	d->pending = NULL;
	for (unsigned i = 0; i < d->allocs; i++)
		free(d->memory[i]);
	d->allocs = 0;
	close(d->fd);
}

void disk_lose_power(struct test_disk *d, struct rng *r)
{
	for (unsigned i = d->npending; i-- > 0;) {
		struct unflushed *u = &d->pending[i];

		must(pwrite(d->fd, u->before, u->len, (off_t)u->off) == (ssize_t)u->len, "pwrite");
	}
	for (unsigned i = 0; i < d->npending; i++) {
		struct unflushed *u = &d->pending[i];

		if (rnd(r, 2))
			must(pwrite(d->fd, u->after, u->len, (off_t)u->off) == (ssize_t)u->len,
			     "pwrite");
	}
	forget_pending(d);
	d->off = true;
}

/* ---- images ---- */

const char *test_path(const char *name)
{
	static char path[4][300];
	static unsigned turn;

	if (!temp_dir[0]) {
		strcpy(temp_dir, "/tmp/whimbrel-fs.XXXXXX");
		must(mkdtemp(temp_dir) != NULL, "mkdtemp");
		atexit(remove_temp);
		setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", 1);
	}
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", temp_dir, name);
	return p;
}

static int run(const char *cmd, bool show_failure)
{
	const char *out = test_path("output");
	char line[1200];

	snprintf(line, sizeof(line), "%s >%s 2>&1", cmd, out);
	int status = system(line);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;

	if (code != 0 && show_failure) {
		fflush(stdout);
		snprintf(line, sizeof(line), "sed 's/^/# /' %s", out);
		if (system(line) != 0)
			code = 128;
	}
	return code;
}

void image_make(const char *path, const char *size, const char *args)
{
	char cmd[1000];

	snprintf(cmd, sizeof(cmd), "rm -f %s; mke2fs -q -F -t ext2 %s %s %s", path, args, path,
		 size);
	if (run(cmd, true) != 0)
		test_fail("mke2fs", "%s", cmd);
}

bool image_clean(const char *path)
{
	char cmd[400];

	snprintf(cmd, sizeof(cmd), "e2fsck -fn %s", path);
	return run(cmd, true) == 0;
}

/* ---- the client ---- */

struct call {
	struct fs_request r; /* first */
	uint8_t *bulk;
};

static long call_in(struct fs_request *r, size_t off, void *dst, size_t len)
{
	struct call *c = (void *)r;

	if (off + len > r->bulk_len)
		return -EINVAL;
	memcpy(dst, c->bulk + off, len);
	return (long)len;
}

static long call_out(struct fs_request *r, size_t off, const void *src, size_t len)
{
	struct call *c = (void *)r;

	if (off + len > r->bulk_len || !(r->bulk_flags & WH_BULK_OUT))
		return -EINVAL;
	memcpy(c->bulk + off, src, len);
	return (long)len;
}

/* Page frames, whose physical addresses are, for this disk, their addresses. */
static uint8_t frames[FS_READ_MAX] __attribute__((aligned(FS_FRAME)));

static long call_frames(struct fs_request *r, uint64_t *phys, unsigned n)
{
	if (((struct call *)(void *)r)->bulk != frames || n > r->bulk_len / FS_FRAME)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		phys[i] = (uintptr_t)frames + i * FS_FRAME;
	return 0;
}

static struct wh_msg reply;

static long request(struct client *c, uint32_t type, const void *body, size_t body_len, void *bulk,
		    size_t bulk_len, unsigned bulk_flags)
{
	struct call call = {.r = {.msg = {.type = type},
				  .bulk_len = (uint32_t)bulk_len,
				  .bulk_flags = bulk_flags,
				  .sender = c->node,
				  .copyin = call_in,
				  .copyout = call_out,
				  .frames = call_frames},
			    .bulk = bulk};

	memcpy(call.r.msg.body, body, body_len);
	if (c->handle)
		c->handle(c, &call.r);
	else
		fs_handle(c->t, &call.r);
	reply = call.r.msg;
	return reply.status;
}

/* A path as the kernel sends it. */
static long path_request(struct client *c, uint32_t type, const void *body, size_t body_len,
			 const char *path)
{
	return request(c, type, body, body_len, (void *)(uintptr_t)path, strlen(path) + 1,
		       WH_BULK_IN);
}

long c_open_canon(struct client *c, const char *path, int flags, char *canon)
{
	struct fs_open q = {.tree = c->t->fs.node,
			    .flags = (uint32_t)flags,
			    .mode = 0644,
			    .owner = c->node,
			    .cred = c->cred};

	memset(canon, 'x', FS_PATH_MAX);
	strcpy(canon, path);
	long err = request(c, FS_OPEN, &q, sizeof(q), canon, FS_PATH_MAX, WH_BULK_IN | WH_BULK_OUT);

	if (err == 0)
		c_close(c, WH_BODY(&reply, struct fs_opened)->hold);
	return err;
}

long c_open(struct client *c, const char *path, int flags, unsigned mode, struct fs_opened *o)
{
	struct fs_open q = {.tree = c->t->fs.node,
			    .flags = (uint32_t)flags,
			    .mode = mode,
			    .owner = c->node,
			    .cred = c->cred};
	long err = path_request(c, FS_OPEN, &q, sizeof(q), path);

	if (err == 0)
		*o = *WH_BODY(&reply, struct fs_opened);
	return err;
}

static long hold_request(struct client *c, uint32_t type, uint64_t hold)
{
	struct fs_hold_req q = {.tree = c->t->fs.node, .owner = c->node, .hold = hold};

	return request(c, type, &q, sizeof(q), NULL, 0, 0);
}

long c_close(struct client *c, uint64_t hold)
{
	return hold_request(c, FS_CLOSE, hold);
}

static struct fs_io io_of(struct client *c, uint64_t hold, uint64_t off, size_t len)
{
	return (struct fs_io){.tree = c->t->fs.node,
			      .hold = hold,
			      .off = off,
			      .len = (uint32_t)len,
			      .owner = c->node};
}

long c_read(struct client *c, uint64_t hold, uint64_t off, void *buf, size_t len)
{
	struct fs_io q = io_of(c, hold, off, len);
	static bool direct;

	/* Every other one into whole frames, as the page cache reads. */
	if (off % FS_FRAME || len == 0 || len > FS_IO_MAX || !(direct = !direct))
		return request(c, FS_READ, &q, sizeof(q), buf, len, WH_BULK_OUT);
	long n = request(c, FS_READ, &q, sizeof(q), frames,
			 (len + FS_FRAME - 1) / FS_FRAME * FS_FRAME, WH_BULK_OUT);

	if (n > 0)
		memcpy(buf, frames, (size_t)n);
	return n;
}

long c_write(struct client *c, uint64_t hold, uint64_t off, const void *buf, size_t len)
{
	struct fs_io q = io_of(c, hold, off, len);

	return request(c, FS_WRITE, &q, sizeof(q), (void *)(uintptr_t)buf, len, WH_BULK_IN);
}

long c_append(struct client *c, uint64_t hold, const void *buf, size_t len, uint64_t *off)
{
	struct fs_io q = io_of(c, hold, 0, len);

	q.flags = O_APPEND;
	long n = request(c, FS_WRITE, &q, sizeof(q), (void *)(uintptr_t)buf, len, WH_BULK_IN);

	*off = WH_BODY(&reply, struct fs_wrote)->off;
	return n;
}

long c_readdir(struct client *c, uint64_t hold, uint64_t *cookie, void *buf, size_t len)
{
	struct fs_io q = io_of(c, hold, *cookie, len);

	q.flags = FS_READDIR_ATTR;
	long n = request(c, FS_READDIR, &q, sizeof(q), buf, len, WH_BULK_OUT);

	if (n >= 0)
		*cookie = WH_BODY(&reply, struct fs_dir)->cookie;
	return n;
}

long c_path(struct client *c, uint32_t type, const char *path, const struct fs_path *args)
{
	struct fs_path q = *args;

	q.tree = c->t->fs.node;
	q.cred = c->cred;
	return path_request(c, type, &q, sizeof(q), path);
}

long c_stat(struct client *c, const char *path, bool follow, struct fs_attr *a)
{
	long err = c_path(c, FS_STAT, path, &(struct fs_path){.flags = follow ? 0 : FS_NOFOLLOW});

	*a = *WH_BODY(&reply, struct fs_attr);
	return err;
}

long c_fstat(struct client *c, uint64_t hold, struct fs_attr *a)
{
	long err = hold_request(c, FS_FSTAT, hold);

	*a = *WH_BODY(&reply, struct fs_attr);
	return err;
}

long c_two(struct client *c, uint32_t type, const char *first, const char *second)
{
	struct fs_path2 q = {.tree = c->t->fs.node, .cred = c->cred};
	char both[2 * FS_PATH_MAX + 16];
	size_t a = strlen(first) + 1, b = strlen(second) + 1;

	memcpy(both, first, a);
	memcpy(both + a, second, b);
	return request(c, type, &q, sizeof(q), both, a + b, WH_BULK_IN);
}

long c_readlink(struct client *c, const char *path, char *buf, size_t len)
{
	struct fs_path q = {.tree = c->t->fs.node, .cred = c->cred};
	char bulk[FS_PATH_MAX];

	strcpy(bulk, path);
	long n = request(c, FS_READLINK, &q, sizeof(q), bulk, sizeof(bulk),
			 WH_BULK_IN | WH_BULK_OUT);

	if (n > 0)
		memcpy(buf, bulk, (size_t)n < len ? (size_t)n : len);
	return n;
}

long c_resolve(struct client *c, const char *path, char *canon)
{
	struct fs_path q = {.tree = c->t->fs.node, .cred = c->cred};

	strcpy(canon, path);
	return request(c, FS_RESOLVE, &q, sizeof(q), canon, FS_PATH_MAX, WH_BULK_IN | WH_BULK_OUT);
}

long c_hold(struct client *c, uint32_t type, uint64_t hold, const struct fs_hold_set *args)
{
	struct fs_hold_set q = *args;

	q.tree = c->t->fs.node;
	q.owner = c->node;
	q.hold = hold;
	q.cred = c->cred;
	return request(c, type, &q, sizeof(q), NULL, 0, 0);
}

long c_lock(struct client *c, uint64_t hold, uint64_t who, struct fs_lock *a)
{
	a->tree = c->t->fs.node;
	a->owner = c->node;
	a->hold = hold;
	a->who = who;
	a->pid = (int32_t)who;
	long err = request(c, FS_LOCK, a, sizeof(*a), NULL, 0, 0);

	*a = *WH_BODY(&reply, struct fs_lock);
	return err;
}

long c_adopt(struct client *c, uint64_t hold, uint32_t owner, uint64_t incarnation)
{
	struct fs_adopt q = {.tree = c->t->fs.node,
			     .owner = owner,
			     .hold = hold,
			     .owner_incarnation = incarnation};

	return request(c, FS_ADOPT, &q, sizeof(q), NULL, 0, 0);
}

long c_bind(struct client *c, uint64_t hold, struct fs_opened *o)
{
	long err = hold_request(c, FS_BIND, hold);

	*o = *WH_BODY(&reply, struct fs_opened);
	return err;
}

long c_sync(struct client *c)
{
	return hold_request(c, FS_SYNC, 0);
}

long c_statfs(struct client *c, struct fs_statfs *s)
{
	long err = hold_request(c, FS_STATFS, 0);

	*s = *WH_BODY(&reply, struct fs_statfs);
	return err;
}

long c_mkdir(struct client *c, const char *path, unsigned mode)
{
	return c_path(c, FS_MKDIR, path, &(struct fs_path){.mode = mode});
}

void c_put(struct client *c, const char *path, const void *data, size_t len)
{
	struct fs_opened o;

	EXPECT(path, c_open(c, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &o), 0);
	for (size_t done = 0; done < len;) {
		size_t n = len - done < FS_IO_MAX ? len - done : FS_IO_MAX;

		EXPECT(path, c_write(c, o.hold, done, (const uint8_t *)data + done, n), (long)n);
		done += n;
	}
	EXPECT(path, c_close(c, o.hold), 0);
}

void tree_mount(struct tree *t, struct test_disk *d, uint32_t node, size_t cache)
{
	int err = fs_mount(&t->fs, &d->dev, node, cache);

	if (err < 0)
		test_fail("mount", "%s", strerror(-err));
	holds_init(&t->holds, &t->fs);
}

void tree_unmount(struct tree *t)
{
	holds_end(&t->holds);
	int err = fs_unmount(&t->fs);

	if (err < 0)
		test_fail("unmount", "%s", strerror(-err));
}

void tree_abandon(struct tree *t)
{
	fs_log("power failure: what follows about read-only is meant");
	t->fs.broken = true;
	holds_end(&t->holds);
	fs_unmount(&t->fs);
}
