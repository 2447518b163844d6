/* SPDX-License-Identifier: MIT */
/* Our requests for other nodes' trees: the pending table. See remote.h. */
#include "remote.h"

#include <errno.h>
#include <string.h>

#include "peer.h"
#include "serve.h"
#include "wh.h"

struct pending {
	uint64_t id; /* serial << 16 | slot; 0: free */
	struct local_request l;
	uint32_t node;
	bool waited_for; /* the requester has not been answered (an FS_CLOSE has) */
	bool once;	 /* must not be executed twice */
	bool sent;
	uint64_t incarnation; /* of the custodian that may have executed it; 0: not known */
	uint64_t deadline, repeat_at;
	unsigned next_free;
};

static struct tree *tree;
static unsigned node_count;
static struct pending table[REMOTE_MAX];
static unsigned first_free, in_use;
static uint64_t serial;
static struct serve_timer timer;

static void tick(void *arg);

unsigned remote_pending(void)
{
	return in_use;
}

static void release(struct pending *p)
{
	p->id = 0;
	p->next_free = first_free;
	first_free = (unsigned)(p - table);
	in_use--;
}

static void fail(struct pending *p, const char *why)
{
	if (p->waited_for) {
		serve_log("request %u to the tree of node %u failed: %s", p->l.r.msg.type, p->node,
			  why);
		p->l.r.msg.status = -EIO;
		local_answer(&p->l);
	}
	release(p);
}

/*
 * Nobody will wait for this any longer. An FS_OPEN may have been executed, or may be yet: go on asking, for the hold
 * that it made has to be closed (remote_reply). The path is gone with the requester, so if it was not executed it
 * fails now.
 */
static void give_up(struct pending *p, const char *why)
{
	if (!p->waited_for || p->l.r.msg.type != FS_OPEN) {
		fail(p, why);
		return;
	}
	struct wh_msg request = p->l.r.msg;

	serve_log("request %u to the tree of node %u failed: %s", request.type, p->node, why);
	p->l.r.msg.status = -EIO;
	local_answer(&p->l);
	p->l.r.msg = request;
	p->waited_for = false;
}

static uint64_t hold_of(const struct pending *p)
{
	const struct wh_msg *m = &p->l.r.msg;

	return m->type == FS_CLOSE   ? WH_BODY(m, const struct fs_hold_req)->hold
	       : m->type == FS_ADOPT ? WH_BODY(m, const struct fs_adopt)->hold
				     : 0;
}

/*
 * A process can come, go and come back while an answer is lost: a repeated FS_CLOSE must not undo a later
 * FS_ADOPT of the same hold, nor the other way round. The older one is not repeated any more; done or not,
 * the newer one leaves the ownership right.
 */
static void overtake(uint32_t node, uint32_t type, uint64_t hold)
{
	for (struct pending *p = table; p < table + REMOTE_MAX; p++)
		if (p->id && p->node == node && p->l.r.msg.type == type && hold_of(p) == hold)
			fail(p, "overtaken by its opposite");
}

static bool two_paths(uint32_t type)
{
	return type == FS_SYMLINK || type == FS_LINK || type == FS_RENAME;
}

/* The bulk that the custodian needs, into buf[FS_IO_MAX]: data whole, of a path only its
 * characters. */
static long fetch_bulk(struct local_request *l, uint8_t *buf)
{
	struct fs_request *r = &l->r;

	if (!(r->bulk_flags & WH_BULK_IN) || r->bulk_len == 0)
		return 0;
	if (r->bulk_len > FS_IO_MAX)
		return -EINVAL;
	if (r->msg.type != FS_WRITE && r->msg.type != FS_END && !two_paths(r->msg.type))
		return op_string(r, 0, (char *)buf);
	return r->copyin(r, 0, buf, r->bulk_len);
}

/* Send it, or leave it for remote_room() and tick(). */
static void send(struct pending *p)
{
	static uint8_t bulk[FS_IO_MAX] __attribute__((aligned(8)));
	struct peer_fs_request h = {
		.bulk_len = p->l.r.bulk_len, .bulk_flags = p->l.r.bulk_flags, .msg = p->l.r.msg};
	long len = p->waited_for ? fetch_bulk(&p->l, bulk) : 0;
	int err = len < 0 ? (int)len
			  : peer_send(p->node, PEER_FS_REQUEST, p->id, &h, sizeof(h), bulk,
				      (size_t)len);

	p->repeat_at = wh_now() + REMOTE_REPEAT;
	p->sent = err == 0;
	if (err == 0 && !p->incarnation)
		p->incarnation = peer_incarnation(p->node);
	if (err < 0 && err != -EAGAIN)
		fail(p, strerror(-err));
}

/* Ask again. Not if another life of the custodian would do what an earlier one may have done
 * already. */
static void send_again(struct pending *p)
{
	uint64_t now = peer_incarnation(p->node);

	if (p->incarnation && now && now != p->incarnation && (p->once || !p->waited_for))
		fail(p, "the node was restarted");
	else
		send(p);
}

static void arm(void)
{
	if (in_use > 0 && !serve_timer_armed(&timer))
		serve_timer(&timer, wh_now() + SERVE_SEC, tick, NULL);
}

static void tick(void *arg)
{
	uint64_t now = wh_now();

	(void)arg;
	for (struct pending *p = table; p < table + REMOTE_MAX; p++) {
		if (!p->id)
			continue;
		if (p->waited_for && now >= p->deadline)
			give_up(p, "no answer");
		else if (!p->sent || now >= p->repeat_at)
			send_again(p);
	}
	arm();
}

/* A table entry, sent. There is one free. */
static void enter(const struct local_request *l, uint32_t node, bool waited_for)
{
	unsigned i = first_free;
	struct pending *p = &table[i];

	first_free = p->next_free;
	in_use++;
	*p = (struct pending){.id = ++serial << 16 | i,
			      .l = *l,
			      .node = node,
			      .waited_for = waited_for,
			      .once = !fs_idempotent(l->r.msg.type),
			      .deadline = wh_now() + REMOTE_PATIENCE};
	send(p);
	arm();
}

/* Close a hold that nobody here knows of. A free entry is there: that of the FS_OPEN. */
static void close_hold(uint32_t node, uint64_t hold)
{
	struct wh_msg m = {.type = FS_CLOSE};
	struct local_request l;

	*WH_BODY(&m, struct fs_hold_req) =
		(struct fs_hold_req){.tree = node, .owner = tree->fs.node, .hold = hold};
	local_request(&l, 0, &m, 0, WH_BULK_NONE, tree->fs.node);
	enter(&l, node, false);
}

void remote_forward(struct local_request *l, uint32_t node)
{
	uint32_t type = l->r.msg.type;

	if (node == 0 || node > node_count || !fs_known(type)) {
		l->r.msg.status = fs_known(type) ? -ENOENT : -ENOSYS;
		local_answer(l);
		return;
	}
	if (type == FS_READ && base_read(tree, &l->r)) {
		local_answer(l);
		return;
	}
	if (type == FS_CLOSE) {
		uint64_t hold = WH_BODY(&l->r.msg, struct fs_hold_req)->hold;

		base_forget(node, hold);
		overtake(node, FS_ADOPT, hold);
	}
	if (type == FS_ADOPT)
		overtake(node, FS_CLOSE, WH_BODY(&l->r.msg, struct fs_adopt)->hold);
	if (first_free >= REMOTE_MAX) {
		serve_log("too many requests to other nodes");
		l->r.msg.status = -EIO;
		local_answer(l);
		return;
	}
	bool waited_for = type != FS_CLOSE;

	if (!waited_for) {
		struct wh_msg done = {.type = type};

		serve_answer(l->id, &done);
	}
	enter(l, node, waited_for);
}

void remote_reply(unsigned node, uint64_t id, const void *body, size_t len)
{
	const struct peer_fs_reply *a = body;
	struct pending *p = table;

	if ((id & 0xffff) < REMOTE_MAX)
		p += id & 0xffff;
	if (id == 0 || p->id != id || p->node != node)
		return; /* answered already, or given up */
	struct fs_request *r = &p->l.r;
	size_t bulk = len - sizeof(*a);

	if (len < sizeof(*a) || bulk > r->bulk_len ||
	    (bulk > 0 && !(r->bulk_flags & WH_BULK_OUT))) {
		fail(p, "the answer makes no sense");
		return;
	}
	uint32_t type = r->msg.type;

	r->msg = a->msg;
	r->msg.type = type;
	if (p->waited_for) {
		if (r->msg.status >= 0 && (type == FS_OPEN || type == FS_ADOPT || type == FS_BIND))
			base_learn(tree, node, WH_BODY(&r->msg, struct fs_opened));
		if (bulk > 0 && r->copyout(r, 0, a + 1, bulk) != (long)bulk)
			r->msg.status = -EFAULT;
		local_answer(&p->l);
	}
	bool closing = !p->waited_for && type == FS_OPEN && r->msg.status >= 0;
	uint64_t hold = WH_BODY(&r->msg, struct fs_opened)->hold;

	release(p);
	if (closing)
		close_hold(node, hold);
}

/* Oldest first: of what one node has sent, little may overtake more than a few others (siggroup.h). */
static void resend(unsigned node, bool unsent_only)
{
	for (uint64_t last = 0;;) {
		struct pending *oldest = NULL;

		for (struct pending *p = table; p < table + REMOTE_MAX; p++)
			if (p->id > last && p->node == node && !(unsent_only && p->sent) &&
			    (!oldest || p->id < oldest->id))
				oldest = p;
		if (!oldest)
			return;
		last = oldest->id;
		send_again(oldest);
	}
}

void remote_down(unsigned node)
{
	resend(node, false);
}

void remote_room(unsigned node)
{
	resend(node, true);
}

void remote_dead(unsigned node)
{
	for (struct pending *p = table; p < table + REMOTE_MAX; p++)
		if (p->id && p->node == node)
			fail(p, "the node is dead");
}

void remote_start(struct tree *t, unsigned nodes)
{
	tree = t;
	node_count = nodes <= WH_MAX_NODES ? nodes : WH_MAX_NODES;
	for (unsigned i = 0; i < REMOTE_MAX; i++)
		table[i].next_free = i + 1;
	first_free = 0;
}
