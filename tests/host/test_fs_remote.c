/* SPDX-License-Identifier: MIT */
/*
 * Requests between file servers: node 1's remote.c and node 2's custodian.c in one process, over
 * channels that keep peer.h's promise and no more: they fail at random moments and lose what is
 * under way, both requests and answers. Everything must be executed exactly once all the same.
 * Also: base files, garbage, and dead custodians.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "peer.h"
#include "remote.h"
#include "serve.h"
#include "test_fs_util.h"
#include "wh.h"

enum { CACHE = 400 * 1024, FRAMES = 64, ID = 77 };

static struct tree one, two; /* the trees of nodes 1 and 2 */
static struct test_disk disk_one, disk_two;
static struct client remote, local;
static struct rng r = {1};

/* ---- what the kernel does ---- */

static struct fs_request *waiting; /* the request with id ID, until it is answered */
static uint64_t now_ns = 1;
static unsigned purges;

uint64_t wh_now(void)
{
	return now_ns;
}

long wh_copyin(uint64_t id, size_t off, void *dst, size_t len)
{
	CHECK("copyin", id == ID && waiting);
	return waiting->copyin(waiting, off, dst, len);
}

long wh_bulk_frames(uint64_t id, uint64_t *phys, unsigned n)
{
	CHECK("frames", id == ID && waiting);
	return waiting->frames(waiting, phys, n);
}

long wh_copyout(uint64_t id, size_t off, const void *src, size_t len)
{
	CHECK("copyout", id == ID && waiting);
	return waiting->copyout(waiting, off, src, len);
}

long wh_page_purge(uint64_t ino, uint32_t gen, uint64_t off, uint64_t len)
{
	CHECK("purge", ino && gen && len > 0 && off < 1u << 30);
	purges++;
	return 0;
}

/* ---- what the event loop does ---- */

static struct serve_timer *timer;

void serve_answer(uint64_t id, const struct wh_msg *m)
{
	CHECK("answered once", id == ID && waiting);
	waiting->msg = *m;
	waiting = NULL;
}

static bool quiet; /* complaints are expected */

void serve_log(const char *fmt, ...)
{
	va_list ap;

	if (quiet)
		return;
	va_start(ap, fmt);
	fprintf(stderr, "log: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
}

void serve_timer(struct serve_timer *t, uint64_t deadline, void (*fn)(void *arg), void *arg)
{
	static struct serve_timer *end;

	*t = (struct serve_timer){.deadline = deadline, .fn = fn, .arg = arg, .link = &end};
	timer = t;
}

/* ---- the channels ---- */

struct frame {
	unsigned to;
	uint32_t type;
	uint64_t id;
	size_t len;
	uint8_t *body;
};
static struct frame queue[FRAMES];
static unsigned queued, sent, breaks;
static unsigned break_every; /* one in so many deliveries is a failure instead; 0: never */
static bool dead;	     /* node 2 hears nothing */
static bool lose_answers;
static uint64_t incarnation_two = 5;

static void lose_all(void)
{
	while (queued > 0)
		free(queue[--queued].body);
}

int peer_send(unsigned node, uint32_t type, uint64_t id, const void *hdr, size_t hlen,
	      const void *payload, size_t plen)
{
	if (queued == FRAMES)
		return -EAGAIN;
	struct frame *f = &queue[queued++];

	/* To node 2 from node 1, which asks; to node 1 from node 2, which answers. */
	CHECK("peer", (node == 2 || type == PEER_FS_REPLY) && hlen + plen <= PEER_BODY_MAX);
	*f = (struct frame){.to = node,
			    .type = type,
			    .id = id,
			    .len = hlen + plen,
			    .body = malloc(hlen + plen)};
	memcpy(f->body, hdr, hlen);
	if (plen)
		memcpy(f->body + hlen, payload, plen);
	sent++;
	return 0;
}

uint64_t peer_incarnation(unsigned node)
{
	return node == 2 ? incarnation_two : 1;
}

/* One event: a frame arrives, or the connection fails, or time passes. */
static void pump(void)
{
	if (queued > 0 && (dead || (break_every && rnd(&r, break_every) == 0))) {
		breaks++;
		lose_all();
		now_ns += 1000000;
		if (!dead)
			remote_down(2);
	} else if (queued > 0) {
		struct frame f = queue[0];

		memmove(queue, queue + 1, --queued * sizeof(queue[0]));
		if (f.to == 1 && lose_answers)
			breaks++;
		else if (f.to == 2)
			custodian_request(1, 9, f.id, f.body, f.len);
		else
			remote_reply(2, f.id, f.body, f.len);
		free(f.body);
	} else if (timer) {
		struct serve_timer *t = timer;

		timer = NULL;
		t->link = NULL;
		now_ns = t->deadline > now_ns ? t->deadline : now_ns;
		t->fn(t->arg);
	} else {
		test_fail("pump", "a request hangs: nothing is under way and no timer runs");
	}
}

static void forward(struct client *c, struct fs_request *q)
{
	struct local_request l;

	(void)c;
	waiting = q;
	local_request(&l, ID, &q->msg, q->bulk_len, q->bulk_flags, 1);
	remote_forward(&l, 2);
	while (waiting)
		pump();
}

/* ---- the tests ---- */

static void start(void)
{
	char args[700], image[300];

	CHECK("base", mkdir(test_path("base"), 0755) == 0);
	FILE *f = fopen(test_path("base/prog"), "w");

	for (unsigned i = 0; i < 20000; i++)
		fprintf(f, "%u,", i);
	fclose(f);
	snprintf(args, sizeof(args), "-b 1024 -O has_journal -J size=1 -d %s", test_path("base"));
	snprintf(image, sizeof(image), "%s", test_path("one.img"));
	image_make(image, "8M", args);
	snprintf(args, sizeof(args), "cp %s %s", image, test_path("two.img"));
	CHECK("copy", system(args) == 0);
	disk_open(&disk_one, image);
	disk_open(&disk_two, test_path("two.img"));
	tree_mount(&one, &disk_one, 1, CACHE);
	tree_mount(&two, &disk_two, 2, CACHE);
	remote_start(&one, 2);
	custodian_start(&two);
	remote = (struct client){.t = &two, .node = 1, .handle = forward};
	local = (struct client){.t = &two, .node = 2};
}

/* Things that show it if they are done twice or not at all. */
static void exactly_once(void)
{
	const char *name = "exactly once";
	const struct fs_path none = {0};
	struct fs_opened o, log;
	char path[40], line[40], expect[40], canon[FS_PATH_MAX];
	uint64_t at, end = 0;
	struct fs_attr a;

	break_every = 6;
	EXPECT(name, c_open(&remote, "/log", O_RDWR | O_CREAT | O_EXCL, 0644, &log), 0);
	for (unsigned i = 0; i < 400; i++) {
		sprintf(path, "/dir%u", i);
		EXPECT(path, c_mkdir(&remote, path, 0755), 0);
		EXPECT(path, c_two(&remote, FS_RENAME, path, "/moved"), 0);
		EXPECT(path, c_resolve(&remote, "/moved/../moved/.", canon), 0);
		CHECK(path, strcmp(canon, "/moved") == 0);
		EXPECT(path, c_path(&remote, FS_RMDIR, "/moved", &none), 0);
		sprintf(line, "line %u\n", i);
		EXPECT(path, c_append(&remote, log.hold, line, strlen(line), &at),
		       (long)strlen(line));
		EXPECT(path, (long)at, (long)end);
		end += strlen(line);
		sprintf(path, "/f%u", i);
		EXPECT(path, c_open(&remote, path, O_RDWR | O_CREAT | O_EXCL, 0600, &o), 0);
		CHECK(path, o.cacheable == 0);
		EXPECT(path, c_path(&remote, FS_UNLINK, path, &none), 0);
		EXPECT(path, c_close(&remote, o.hold), 0);
	}
	while (remote_pending())
		pump();
	EXPECT(name, two.holds.count, 1);
	EXPECT(name, c_fstat(&remote, log.hold, &a), 0);
	EXPECT(name, (long)a.size, (long)end);
	at = 0;
	for (unsigned i = 0; i < 400; i++) {
		sprintf(expect, "line %u\n", i);
		EXPECT(name, c_read(&remote, log.hold, at, line, strlen(expect)),
		       (long)strlen(expect));
		CHECK(name, memcmp(line, expect, strlen(expect)) == 0);
		at += strlen(expect);
	}
	EXPECT(name, c_close(&remote, log.hold), 0);
	while (remote_pending())
		pump();
	EXPECT(name, two.holds.count, 0);
	CHECK(name, breaks > 100 && purges > 100);
	break_every = 0;
	test_ok(name);
}

/* A request under an id of its own choice, as the wire might bring it; its answer's status. */
static long raw(uint64_t id, uint32_t type, const char *path)
{
	struct {
		struct peer_fs_request q;
		char path[32];
	} m = {.q = {.bulk_len = FS_PATH_MAX, .bulk_flags = WH_BULK_IN, .msg = {.type = type}}};
	long status = -EAGAIN; /* no answer */

	*WH_BODY(&m.q.msg, struct fs_path) = (struct fs_path){.tree = 2, .mode = 0755};
	strcpy(m.path, path);
	custodian_request(3, 99, id, &m, sizeof(m.q) + strlen(path) + 1);
	if (queued > 0)
		status = ((struct peer_fs_reply *)(void *)queue[0].body)->msg.status;
	lose_all();
	return status;
}

/* However many others came between: a repeated request is not done again, one from the past is not done at all. */
static void old_requests(void)
{
	const char *name = "old requests";
	const uint64_t one_slot = 1 << 16;
	char path[32];

	EXPECT(name, raw(one_slot | 5, FS_MKDIR, "/old"), 0);
	EXPECT(name, raw(2 * one_slot | 6, FS_MKDIR, "/kept"), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		sprintf(path, "/between%u", (unsigned)i);
		EXPECT(name, raw((3 + 2 * i) * one_slot | 7, FS_MKDIR, path), 0);
		EXPECT(name, raw((4 + 2 * i) * one_slot | 7, FS_RMDIR, path), 0);
	}
	EXPECT(name, raw(2 * one_slot | 6, FS_MKDIR, "/kept"), 0);
	EXPECT(name, raw(5000 * one_slot | 5, FS_RMDIR, "/old"), 0);
	EXPECT(name, raw(one_slot | 5, FS_MKDIR, "/old"), -EAGAIN);
	EXPECT(name, raw(5000 * one_slot | 5, FS_RMDIR, "/old"), 0);
	EXPECT(name, raw(5001 * one_slot | 5, FS_RMDIR, "/old"), -ENOENT);
	EXPECT(name, raw(5002 * one_slot | 5, FS_RMDIR, "/kept"), 0);
	quiet = true;
	EXPECT(name, raw(5003 * one_slot | REMOTE_MAX, FS_MKDIR, "/old"), -EAGAIN);
	quiet = false;
	test_ok(name);
}

static void base_files(void)
{
	const char *name = "base files";
	static char here[FS_IO_MAX], there[FS_IO_MAX];
	struct fs_opened o, l;

	EXPECT(name, c_open(&remote, "/prog", O_RDONLY, 0, &o), 0);
	EXPECT(name, o.cacheable, 1);
	unsigned before = sent;

	EXPECT(name, c_read(&remote, o.hold, 30000, here, FS_IO_MAX), FS_IO_MAX);
	EXPECT(name, sent, before); /* not a frame */
	EXPECT(name, c_open(&local, "/prog", O_RDWR, 0, &l), 0);
	EXPECT(name, c_read(&local, l.hold, 30000, there, FS_IO_MAX), FS_IO_MAX);
	CHECK(name, memcmp(here, there, FS_IO_MAX) == 0);
	/* The local copy changes: the custodian's counts. */
	struct client mine = {.t = &one, .node = 1};
	struct fs_opened m;

	EXPECT(name, c_open(&mine, "/prog", O_RDWR, 0, &m), 0);
	EXPECT(name, c_write(&mine, m.hold, 30000, "XX", 2), 2);
	EXPECT(name, c_read(&remote, o.hold, 30000, here, FS_IO_MAX), FS_IO_MAX);
	CHECK(name, sent > before && memcmp(here, there, FS_IO_MAX) == 0);
	EXPECT(name, c_open(&remote, "/prog", O_RDONLY, 0, &m), 0);
	EXPECT(name, m.cacheable, 0);
	EXPECT(name, c_close(&remote, m.hold), 0);
	EXPECT(name, c_close(&remote, o.hold), 0);
	EXPECT(name, c_close(&local, l.hold), 0);
	while (remote_pending())
		pump();
	test_ok(name);
}

static void garbage(void)
{
	uint64_t words[200];
	uint8_t *body = (uint8_t *)words;

	quiet = true;
	for (unsigned i = 0; i < 20000; i++) {
		size_t len = rnd(&r, sizeof(words));

		for (unsigned k = 0; k < sizeof(words) / 8; k++)
			words[k] = rnd(&r, 3) ? rnd(&r, 40)
					      : ((uint64_t)rnd(&r, ~0u) << 32 | rnd(&r, ~0u));
		if (rnd(&r, 2)) { /* plausible, to get further */
			struct peer_fs_request *q = (void *)body;

			q->bulk_len = rnd(&r, 5000);
			q->bulk_flags = rnd(&r, 4);
			q->msg.type = rnd(&r, 33);
			q->msg.body[0] = 2;
			q->msg.body[1] = q->msg.body[2] = q->msg.body[3] = 0;
			if (rnd(&r, 2))
				memcpy(q + 1, "/../log", 8);
		}
		custodian_request(rnd(&r, 70), rnd(&r, 10), rnd(&r, 1000), body, len);
		remote_reply(rnd(&r, 4), rnd(&r, 1000), body, len);
		lose_all();
	}
	quiet = false;
	EXPECT("garbage", c_mkdir(&remote, "/after-garbage", 0755), 0);
	test_ok("garbage");
}

static void dead_custodian(void)
{
	const char *name = "dead custodian";
	struct fs_attr a;
	struct fs_opened o;

	EXPECT(name, c_open(&remote, "/prog", O_RDONLY, 0, &o), 0);
	dead = true;
	uint64_t before = now_ns;

	EXPECT(name, c_stat(&remote, "/prog", true, &a), -EIO);
	CHECK(name, now_ns - before >= REMOTE_PATIENCE);
	EXPECT(name, c_close(&remote, o.hold), 0); /* nobody waits for that */
	EXPECT(name, remote_pending(), 1);
	for (unsigned i = 0; i < 100; i++)
		pump();
	EXPECT(name, remote_pending(), 1); /* and it is not given up */
	remote_dead(2);
	EXPECT(name, remote_pending(), 0);
	/* It comes back as another: what may have been done is not done again. */
	struct wh_msg m = {.type = FS_MKDIR};
	struct local_request l;

	WH_BODY(&m, struct fs_path)->tree = 2;
	struct fs_request q = {.msg = m};

	waiting = &q;
	local_request(&l, ID, &m, 0, 0, 1);
	remote_forward(&l, 2);
	lose_all();
	dead = false;
	incarnation_two++;
	remote_down(2);
	CHECK(name, !waiting && q.msg.status == -EIO);
	EXPECT(name, c_stat(&remote, "/prog", true, &a), 0);
	test_ok(name);
}

/* A hold that comes, goes and comes back while answers are lost stays owned; one that is given up does not. */
static void ownership(void)
{
	const char *name = "ownership";
	struct fs_opened l, o;

	while (remote_pending())
		pump();
	unsigned before =
		two.holds.count; /* of the test before: its close was lost with the node */

	EXPECT(name, c_open(&local, "/prog", O_RDONLY, 0, &l), 0);
	EXPECT(name, c_adopt(&remote, l.hold, 1, 9), 0);
	/* Executed, but the answer is lost. */
	EXPECT(name, c_close(&remote, l.hold), 0);
	pump();
	lose_all();
	EXPECT(name, c_adopt(&remote, l.hold, 1, 9), 0);
	remote_down(2);
	for (unsigned i = 0; i < 20; i++)
		if (remote_pending())
			pump();
	EXPECT(name, c_bind(&remote, l.hold, &o), 0);
	EXPECT(name, c_close(&remote, l.hold), 0);
	EXPECT(name, c_close(&local, l.hold), 0);
	while (remote_pending())
		pump();
	EXPECT(name, two.holds.count, before);

	/* An open that is executed, but whose answers are all lost until the caller has given up. */
	lose_answers = true;
	EXPECT(name, c_open(&remote, "/prog", O_RDONLY, 0, &o), -EIO);
	EXPECT(name, two.holds.count, before + 1);
	lose_answers = false;
	while (remote_pending())
		pump();
	EXPECT(name, two.holds.count, before);
	test_ok(name);
}

static void forward_close(uint64_t hold)
{
	struct wh_msg m = {.type = FS_CLOSE};
	struct local_request l;
	struct fs_request q = {.msg = m};

	*WH_BODY(&m, struct fs_hold_req) =
		(struct fs_hold_req){.tree = 2, .owner = 1, .hold = hold};
	waiting = &q;
	local_request(&l, ID, &m, 0, WH_BULK_NONE, 1);
	remote_forward(&l, 2);
}

/* What was lost with a connection is asked for again in the order in which it was asked for first. */
static void order(void)
{
	enum { FIRST = 1000, HALF = 8 };
	const char *name = "order";
	uint64_t last = 0;

	while (remote_pending())
		pump();
	for (unsigned i = 0; i < HALF; i++)
		forward_close(FIRST + i);
	for (unsigned i = 0; i < HALF; i++) /* executed; the answers are behind */
		pump();
	for (unsigned i = 0; i < HALF / 2; i++)
		pump();
	for (unsigned i = 0; i < HALF; i++)
		forward_close(FIRST + HALF + i);
	lose_all();
	remote_down(2);
	CHECK(name, queued == HALF + HALF / 2);
	for (unsigned i = 0; i < queued; i++) {
		CHECK(name, queue[i].id > last);
		last = queue[i].id;
	}
	while (remote_pending())
		pump();
	test_ok(name);
}

int main(void)
{
	start();
	exactly_once();
	old_requests();
	base_files();
	garbage();
	dead_custodian();
	ownership();
	order();
	tree_unmount(&one);
	tree_unmount(&two);
	disk_close(&disk_one);
	disk_close(&disk_two);
	CHECK("e2fsck", image_clean(test_path("one.img")) && image_clean(test_path("two.img")));
	test_ok("e2fsck");
	return 0;
}
