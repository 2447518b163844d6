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
	if (r->msg.type != FS_WRITE && !two_paths(r->msg.type))
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
			fail(p, "no answer");
		else if (!p->sent || now >= p->repeat_at)
			send_again(p);
	}
	arm();
}

void remote_forward(struct local_request *l, uint32_t node)
{
	unsigned i = first_free;
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
	if (type == FS_CLOSE)
		base_forget(node, WH_BODY(&l->r.msg, struct fs_hold_req)->hold);
	if (i >= REMOTE_MAX) {
		serve_log("too many requests to other nodes");
		l->r.msg.status = -EIO;
		local_answer(l);
		return;
	}
	struct pending *p = &table[i];

	first_free = p->next_free;
	in_use++;
	*p = (struct pending){.id = ++serial << 16 | i,
			      .l = *l,
			      .node = node,
			      .waited_for = type != FS_CLOSE,
			      .once = !fs_idempotent(type),
			      .deadline = wh_now() + REMOTE_PATIENCE};
	if (!p->waited_for) {
		struct wh_msg done = {.type = type};

		serve_answer(l->id, &done);
	}
	send(p);
	arm();
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
	release(p);
}

static void resend(unsigned node, bool unsent_only)
{
	for (struct pending *p = table; p < table + REMOTE_MAX; p++)
		if (p->id && p->node == node && !(unsent_only && p->sent))
			send_again(p);
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
