/* SPDX-License-Identifier: MIT */
/*
 * The file server of a node: custodian of the node's tree, and the node's way to all other trees.
 * It is a boot module, for everything else is read through it. Privileged, wired, single-threaded;
 * waits for nothing but its own disk.
 */
#include <errno.h>
#include <string.h>

#include "ends.h"
#include "peer.h"
#include "remote.h"
#include "serve.h"
#include "wh.h"

/* The arena is one block of DMA memory, and those end at 8 MB. */
enum {
	CACHE_MIN = 1 << 20,
	ARENA_EXTRA = 256 << 10,
	CACHE_MAX = (8 << 20) - ARENA_EXTRA,
	FRAME = 4096
};
#define FLUSH_AFTER                                                                                \
	(3 *                                                                                       \
	 SERVE_SEC) /* what a killed node can lose at most, unless it was synced               \
			 */

static struct tree tree;
static struct serve_timer flush_timer;

static void on_request(const struct wh_event *ev)
{
	struct local_request l;
	uint32_t asked;

	local_request(&l, ev->id, &ev->msg, ev->bulk_len, ev->bulk_flags, tree.fs.node);
	memcpy(&asked, ev->msg.body, sizeof(asked)); /* every body begins with the tree */
	if (asked != tree.fs.node) {
		remote_forward(&l, asked);
		return;
	}
	fs_handle(&tree, &l.r);
	local_answer(&l);
}

static void on_ctl(const struct wh_event *ev)
{
	struct serve_ctl c;
	char text[400];

	if (serve_ctl_get(ev, &c, text, sizeof(text)) < 0)
		return;
	if (c.op == FS_CTL_COUNTERS)
		serve_ctl_answer(&c, 0, text,
				 (size_t)fs_counters(&tree, remote_pending(),
						     (unsigned)wh_facts(NULL, 0), text,
						     sizeof(text)));
	else
		serve_ctl_answer(&c, -EINVAL, "", 0);
}

/* ---- time: nothing stays unwritten for long ---- */

static void flush(void *arg)
{
	(void)arg;
	fs_checkpoint(&tree.fs);
}

static void tell_kernel(const struct fs_fact *f, unsigned n)
{
	wh_facts(f, n);
}

static void before_sleep(void)
{
	tell_all(&tree.fs); /* what changed without a request: a node that died */
	if (holds_lock_freed(&tree.holds))
		wh_lock_freed();
	if (!tree.fs.broken && fs_dirty(&tree.fs) && !serve_timer_armed(&flush_timer))
		serve_timer(&flush_timer, wh_now() + FLUSH_AFTER, flush, NULL);
}

/* ---- other nodes ---- */

static void on_message(unsigned node, uint32_t type, uint64_t id, const void *body, size_t len)
{
	if (type == PEER_FS_REQUEST)
		custodian_request(node, peer_message_incarnation(), id, body, len);
	else if (type == PEER_FS_REPLY)
		remote_reply(node, id, body, len);
	else if (type == PEER_FS_NEWS)
		ends_news(node, id);
	else
		serve_log("node %u sent a message of unknown type %u", node, type);
}

/* Who waits for news of that node's open files: they may be lost. Ask again. */
static void on_down(unsigned node)
{
	remote_down(node);
	ends_news(node, 0);
}

static const struct peer_ops peer_ops = {
	.on_message = on_message,
	.on_down = on_down,
	.on_room = remote_room,
};

static void on_poll(void *arg, uint64_t bits)
{
	(void)arg, (void)bits;
	ends_changed();
}

static void on_nodes(void *arg, uint64_t bits)
{
	struct wh_node rows[WH_MAX_NODES];
	long n = wh_node_get(rows, WH_MAX_NODES);

	(void)arg;
	(void)bits;
	for (long i = 0; i < n; i++) {
		const struct wh_node *row = &rows[i];

		if (row->node == tree.fs.node)
			continue;
		if (row->state == WH_NODE_DEAD) {
			remote_dead(row->node);
			custodian_node_dead(row->node);
			ends_news(row->node, 0);
			holds_drop_node(&tree.holds, row->node);
		} else if (row->incarnation) {
			holds_node_seen(&tree.holds, row->node, row->incarnation);
		}
	}
}

/* ---- start ---- */

/* A sixteenth of the node's memory. */
static size_t cache_size(void)
{
	struct wh_counters c;
	uint64_t bytes = wh_counters(&c) < 0 ? 0 : c.frames_total * FRAME / 16;

	return bytes < CACHE_MIN ? CACHE_MIN : bytes > CACHE_MAX ? CACHE_MAX : bytes;
}

int main(void)
{
	struct wh_identity id;
	struct blkdev *disk;
	size_t cache = cache_size();

	serve_init(WH_SVC_FILE);
	if (wh_identity(&id) < 0)
		serve_die("this node has no identity");
	int err = blk_virtio_open(&disk, cache + ARENA_EXTRA);

	if (err < 0)
		serve_die("no disk: %s", strerror(-err));
	err = fs_mount(&tree.fs, disk, id.node, cache);
	if (err < 0)
		serve_die("cannot mount the disk: %s", strerror(-err));
	tree.fs.tell = tell_kernel;
	holds_init(&tree.holds, &tree.fs);
	ends_start(&tree, &tree.holds);
	remote_start(&tree, id.nodes);
	custodian_start(&tree);
	for (uint32_t type = FS_OPEN; type <= FS_CHILD; type++)
		if (fs_known(type))
			serve_on(type, on_request);
	serve_on(WH_MSG_CTL, on_ctl);
	serve_note(WH_NOTE_NODES, on_nodes, NULL);
	serve_note(WH_NOTE_POLL, on_poll, NULL);
	serve_idle(before_sleep);
	peer_start(WH_SVC_FILE, &peer_ops);
	serve_log("tree of node %u: %llu MB, %llu MB free, boot %u", id.node,
		  (unsigned long long)disk->bytes >> 20,
		  (unsigned long long)(fs_free_blocks(&tree.fs) * tree.fs.bsize) >> 20,
		  tree.fs.boot);
	serve_run();
}
