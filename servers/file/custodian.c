/* SPDX-License-Identifier: MIT */
/* Other nodes' requests for this node's tree. See remote.h. Everything in them is only a claim. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"
#include "remote.h"
#include "serve.h"
#include "wh.h"

static struct tree *tree;

/* A peer's request while it is executed. */
struct served {
	struct fs_request r; /* first */
	const uint8_t *in;
	size_t in_len;
	size_t out_len; /* highest byte of `out` that was written */
};

static uint8_t
	out[FS_IO_MAX]; /* zeros, or what an earlier answer left, which its reader overwrote */

/*
 * What became of the latest request in one slot of a peer's table of pending requests. A slot has one request at a time and
 * ids only grow, so this is all that is needed to execute each exactly once: the same id again gets the same answer, and an
 * older one, late on its way, was answered or given up long ago.
 */
struct slot {
	uint64_t id;
	struct answer *answer; /* NULL: may be computed again */
};

struct answer {
	struct wh_msg msg;
	size_t out_len;
	uint8_t out[];
};

static struct memory {
	uint64_t incarnation; /* of the node that asked */
	struct slot *slots;   /* REMOTE_MAX; NULL: it never asked */
} memory[WH_MAX_NODES + 1];

/* Of a buffer that holds a path only the path was sent; the rest reads as zeros. */
static long copyin(struct fs_request *r, size_t off, void *dst, size_t len)
{
	struct served *s = (void *)r;
	size_t there = off < s->in_len ? s->in_len - off : 0;

	if (!(r->bulk_flags & WH_BULK_IN) || off > r->bulk_len || len > r->bulk_len - off)
		return -EINVAL;
	if (there > len)
		there = len;
	memcpy(dst, s->in + off, there);
	memset((uint8_t *)dst + there, 0, len - there);
	return (long)len;
}

static long copyout(struct fs_request *r, size_t off, const void *src, size_t len)
{
	struct served *s = (void *)r;

	if (!(r->bulk_flags & WH_BULK_OUT) || off > r->bulk_len || len > r->bulk_len - off)
		return -EINVAL;
	if (off > s->out_len) /* a gap would show an earlier answer */
		memset(out + s->out_len, 0, off - s->out_len);
	memcpy(out + off, src, len);
	if (off + len > s->out_len)
		s->out_len = off + len;
	return (long)len;
}

static void send(unsigned node, uint64_t id, const struct wh_msg *msg, const uint8_t *bulk,
		 size_t len)
{
	struct peer_fs_reply h = {.msg = *msg};
	int err = peer_send(node, PEER_FS_REPLY, id, &h, sizeof(h), bulk, len);

	/* If it cannot go now it is lost: the requester will ask again. */
	if (err < 0 && err != -EAGAIN)
		serve_log("answer to node %u: %s", node, strerror(-err));
}

/* Remember the answer before it is sent. Without memory for its bytes: better no answer than one without them. */
static void keep(struct slot *slot, struct served *s)
{
	struct answer *a = malloc(sizeof(*a) + s->out_len);

	if (!a && s->out_len > 0) {
		s->r.msg.status = -EIO;
		s->out_len = 0;
		a = malloc(sizeof(*a));
	}
	slot->answer = a;
	if (!a)
		return; /* a repetition would be executed again; memory is not supposed to end */
	a->msg = s->r.msg;
	a->out_len = s->out_len;
	memcpy(a->out, out, s->out_len);
}

static void forget(struct memory *m)
{
	for (unsigned i = 0; m->slots && i < REMOTE_MAX; i++)
		free(m->slots[i].answer);
	free(m->slots);
	m->slots = NULL;
}

static void execute(unsigned node, struct slot *slot, struct served *s)
{
	fs_handle(tree, &s->r);
	if (s->r.changed.len)
		wh_page_purge(s->r.changed.ino, s->r.changed.gen, s->r.changed.off,
			      s->r.changed.len);
	if (!fs_idempotent(s->r.msg.type))
		keep(slot, s);
	send(node, slot->id, &s->r.msg, out, s->out_len);
}

void custodian_request(unsigned node, uint64_t incarnation, uint64_t id, const void *body,
		       size_t len)
{
	const struct peer_fs_request *q = body;
	struct memory *m = &memory[node <= WH_MAX_NODES ? node : 0];
	uint32_t asked_tree;

	if (node == 0 || node > WH_MAX_NODES || len < sizeof(*q) || q->bulk_len > FS_IO_MAX ||
	    len - sizeof(*q) > q->bulk_len || id == 0 || (id & 0xffff) >= REMOTE_MAX) {
		serve_log("node %u sent a request that makes no sense: dropped", node);
		return;
	}
	if (!holds_node_seen(&tree->holds, node, incarnation)) {
		serve_log("node %u: a request from an earlier life of it dropped", node);
		return;
	}
	if (m->incarnation != incarnation) {
		forget(m);
		m->incarnation = incarnation;
	}
	if (!m->slots)
		m->slots = calloc(REMOTE_MAX, sizeof(m->slots[0]));
	if (!m->slots)
		return; /* it will ask again */
	struct slot *slot = &m->slots[id & 0xffff];

	if (id < slot->id)
		return;
	if (id == slot->id && slot->answer) {
		send(node, id, &slot->answer->msg, slot->answer->out, slot->answer->out_len);
		return;
	}
	free(slot->answer);
	*slot = (struct slot){.id = id};
	struct served s = {.r = {.msg = q->msg,
				 .bulk_len = q->bulk_len,
				 .bulk_flags = q->bulk_flags,
				 .sender = node,
				 .copyin = copyin,
				 .copyout = copyout},
			   .in = (const uint8_t *)(q + 1),
			   .in_len = len - sizeof(*q)};

	memcpy(&asked_tree, q->msg.body, sizeof(asked_tree)); /* first in every body */
	if (asked_tree != tree->fs.node || !fs_known(q->msg.type)) {
		s.r.msg.status = -EINVAL;
		send(node, id, &s.r.msg, NULL, 0);
		return;
	}
	execute(node, slot, &s);
}

void custodian_node_dead(unsigned node)
{
	if (node <= WH_MAX_NODES)
		forget(&memory[node]);
}

void custodian_start(struct tree *t)
{
	tree = t;
}
