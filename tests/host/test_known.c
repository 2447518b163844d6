/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of its tree (kernel/known.c), told by the file server's core (tell.c): whatever it answers must be what
 * the server would say, after every one of many random changes, made by this node and by another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../kernel/known.h"
#include "test_fs_util.h"

enum { STEPS = 40000, LOOKS = 6, OPEN = 8, CACHE = 400 * 1024 };

static struct test_disk disk;
static struct tree tree;
static struct client here, there, asker;
static struct rng r;
static char what[2000]; /* the step, for messages */
static unsigned answered, asked, nameless_told;
static struct {
	struct client *by;
	uint64_t hold;
} files[OPEN];

/* ---- the kernel around known.c ---- */

void *kmalloc(size_t n);
void kfree(void *p);

void *kmalloc(size_t n)
{
	return rnd(&r, 500) ? calloc(1, n) : NULL;
}

void kfree(void *p)
{
	free(p);
}

static void nameless(uint64_t ino, uint32_t gen)
{
	(void)ino, (void)gen;
	nameless_told++;
}

static void learn(const struct fs_fact *f, unsigned n)
{
	known_learn(f, n, nameless);
}

/* ---- changes ---- */

static const char *some_path(char *buf)
{
	static const char *const names[] = {"a", "b", "c", "dir-with-quite-a-name"};
	static const char *const noise[] = {"/.", "/..", "/", "//"};
	unsigned depth = rnd(&r, 4) + 1;
	char *p = buf;

	for (unsigned i = 0; i < depth; i++) {
		p += sprintf(p, "/%s", names[rnd(&r, 4)]);
		if (rnd(&r, 12) == 0)
			p += sprintf(p, "%s", noise[rnd(&r, 4)]);
	}
	return buf;
}

static struct client *somebody(void)
{
	static const struct fs_cred creds[] = {
		{0},
		{0},
		{.uid = 1000, .gid = 100},
		{.uid = 1001, .gid = 7, .ngroups = 1, .groups = {100}}};
	struct client *c = rnd(&r, 4) ? &here : &there;

	c->cred = creds[rnd(&r, 4)];
	return c;
}

static void with_hold(struct client *c, unsigned i)
{
	static const uint8_t bytes[5000];
	struct fs_hold_set set = {.mode = rnd(&r, 01000),
				  .size = rnd(&r, 9000),
				  .atime = FS_TIME_NOW,
				  .mtime = FS_TIME_OMIT,
				  .uid = 1000,
				  .gid = 100};
	uint8_t list[600];
	uint64_t cookie = 0;

	switch (rnd(&r, 6)) {
	case 0:
		c_write(c, files[i].hold, rnd(&r, 20000), bytes, 1 + rnd(&r, sizeof(bytes)));
		break;
	case 1:
		c_hold(c, FS_FTRUNCATE, files[i].hold, &set);
		break;
	case 2:
		c_hold(c, rnd(&r, 2) ? FS_FCHMOD : FS_FCHOWN, files[i].hold, &set);
		break;
	case 3:
		c_readdir(c, files[i].hold, &cookie, list, sizeof(list));
		break;
	default:
		c_close(c, files[i].hold);
		files[i].by = NULL;
	}
}

static void change(void)
{
	static const char *const targets[] = {"a", "../b", "/a/b", ".", "dir-with-quite-a-name/c",
					      "c/"};
	char p[200], q[200];
	struct client *c = somebody();
	struct fs_path args = {.mode = rnd(&r, 4) ? 0755 : rnd(&r, 01000),
			       .uid2 = rnd(&r, 3) * 500,
			       .gid2 = 100,
			       .atime = FS_TIME_NOW,
			       .mtime = FS_TIME_NOW,
			       .size = rnd(&r, 9000)};
	unsigned op = rnd(&r, 16), i = rnd(&r, OPEN);
	struct fs_opened o;
	struct fs_attr a;

	some_path(p);
	some_path(q);
	snprintf(what, sizeof(what), "%u of node %u, user %u: %s %s", op, c->node, c->cred.uid, p,
		 q);
	switch (op) {
	case 0:
	case 1:
		c_mkdir(c, p, args.mode);
		break;
	case 2:
		c_path(c, FS_UNLINK, p, &args);
		break;
	case 3:
		c_path(c, FS_RMDIR, p, &args);
		break;
	case 4:
	case 5:
		c_two(c, FS_RENAME, p, q);
		break;
	case 6:
		c_two(c, FS_LINK, p, q);
		break;
	case 7:
		c_two(c, FS_SYMLINK, targets[rnd(&r, 6)], p);
		break;
	case 8:
		c_path(c, FS_CHMOD, p, &args);
		break;
	case 9:
		c_path(c, FS_CHOWN, p, &args);
		break;
	case 10:
		c_path(c, rnd(&r, 2) ? FS_UTIMES : FS_TRUNCATE, p, &args);
		break;
	case 11:
		c_stat(c, p, rnd(&r, 2), &a);
		break;
	default:
		if (files[i].by)
			with_hold(files[i].by, i);
		else if (c_open(c, p, rnd(&r, 3) ? O_RDWR | O_CREAT : O_RDONLY, args.mode, &o) ==
			 0) {
			files[i].by = c;
			files[i].hold = o.hold;
		}
	}
}

/* ---- what the kernel would answer ---- */

static void look(void)
{
	char p[200], canon[FS_PATH_MAX];
	bool follow = rnd(&r, 2);
	struct known k;
	struct fs_attr a;

	asker.cred = somebody()->cred;
	some_path(p);
	int got = known_walk(p, follow, &asker.cred, &k);
	struct known told = k;
	char path[FS_PATH_MAX] = "";

	if (got == 0)
		strcpy(path, k.canon);
	asked++;
	/* Asked as another node would, so that the kernel is not told by the question; now and then it is. */
	asker.node = rnd(&r, 3) ? 3 : 1;
	long truth = c_stat(&asker, p, follow, &a);

	if (got == KNOWN_ASK)
		return;
	answered++;
	if (got != truth)
		test_fail("answers are the server's", "after %s: %s (%d, user %u) is %d, not %ld",
			  what, p, follow, asker.cred.uid, got, truth);
	if (got < 0)
		return;
	if (memcmp(&told.attr, &a, sizeof(a)) != 0)
		test_fail("attributes are the server's", "after %s: %s", what, p);
	if (S_ISDIR(a.mode) && c_resolve(&asker, p, canon) == 0 && strcmp(canon, path) != 0)
		test_fail("canonical names are the server's", "%s is %s, not %s", p, path, canon);
	for (unsigned want = 0; want < 8; want++) {
		struct fs_path q = {.mode = want};

		if (follow &&
		    c_path(&asker, FS_ACCESS, p, &q) != known_access(&a, &asker.cred, want))
			test_fail("permissions are the server's", "%s, %u", p, want);
	}
}

int main(void)
{
	const char *image = test_path("known.img");

	r.s = 20261120;
	image_make(image, "16M",
		   "-b 1024 -I 256 -O none,has_journal,filetype,sparse_super,large_file");
	disk_open(&disk, image);
	tree_mount(&tree, &disk, 1, CACHE);
	tree.fs.tell = learn;
	here = (struct client){.t = &tree, .node = 1};
	there = (struct client){.t = &tree, .node = 2};
	asker = (struct client){.t = &tree, .node = 3};
	for (unsigned step = 0; step < STEPS; step++) {
		if (rnd(&r, 1000) == 0)
			known_limit(rnd(&r, 3) ? 400 : 12); /* also so few that each walk forgets */
		if (rnd(&r, 3000) == 0)
			known_reclaim();
		change();
		for (unsigned i = 0; i < LOOKS; i++)
			look();
	}
	test_ok("answers, attributes, names and permissions are the server's");
	if (answered < asked / 3 || nameless_told < 100)
		test_fail("most is known", "%u of %u; %u inodes without a name", answered, asked,
			  nameless_told);
	printf("# %u of %u questions were not asked\n", answered, asked);
	test_ok("most is known");
	for (unsigned i = 0; i < OPEN; i++)
		if (files[i].by)
			c_close(files[i].by, files[i].hold);
	tree_unmount(&tree);
	disk_close(&disk);
	CHECK("the disk is clean", image_clean(image));
	while (known_reclaim())
		;
	return 0;
}
