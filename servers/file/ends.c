/* SPDX-License-Identifier: MIT */
/* Open files of this node that other nodes use. See ends.h. */
#include "ends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "peer.h"
#include "serve.h"
#include "wh.h"

#define NEWS_AGAIN (100 * SERVE_MS) /* what could not be sent */

struct end {
	struct list link;
	uint64_t number;
	uint64_t owners, waiting; /* bit node - 1 */
	uint32_t events;	  /* what the waiting ones wait for */
};

static struct list ends = {&ends, &ends};
static struct serve_timer again;

static uint64_t bit(uint32_t node)
{
	return node >= 1 && node <= WH_MAX_NODES ? 1ull << (node - 1) : 0;
}

static struct end *find(uint64_t number)
{
	for (struct list *l = ends.next; l != &ends; l = l->next) {
		struct end *e = list_entry(l, struct end, link);

		if (e->number == number)
			return e;
	}
	return NULL;
}

static long kernel(uint64_t number, uint32_t op, uint32_t events, uint32_t *ready)
{
	struct wh_msg m = {.type = FS_END};

	*WH_BODY(&m, struct fs_end) = (struct fs_end){.hold = number, .op = op, .cmd = events};
	long r = wh_end(&m, NULL, 0);

	*ready = WH_BODY(&m, struct fs_end_done)->ready;
	return r;
}

static void drop(struct end *e)
{
	uint32_t ignored;

	kernel(e->number, FS_END_DROP, 0, &ignored);
	list_del(&e->link);
	free(e);
}

/* ---- who uses one ---- */

static long adopt(const struct fs_adopt *q, const struct tree *t)
{
	struct end *e = find(q->hold);
	uint32_t ignored;

	/* A process that comes home has the open file itself. */
	if (q->owner == t->fs.node)
		return kernel(q->hold, FS_END_READY, 0, &ignored) == -ESTALE ? -ESTALE : 0;
	if (!bit(q->owner))
		return -EINVAL;
	if (!e) {
		long r = kernel(q->hold, FS_END_HOLD, 0, &ignored);

		if (r < 0)
			return r;
		e = calloc(1, sizeof(*e));
		if (!e) {
			kernel(q->hold, FS_END_DROP, 0, &ignored);
			return -ENOMEM;
		}
		e->number = q->hold;
		list_push(&ends, &e->link);
	}
	e->owners |= bit(q->owner);
	return 0;
}

static void disown(struct end *e, uint32_t node)
{
	e->owners &= ~bit(node);
	e->waiting &= ~bit(node);
	if (!e->owners)
		drop(e);
}

static void node_gone(uint32_t node)
{
	for (struct list *l = ends.next, *next; l != &ends; l = next) {
		next = l->next;
		disown(list_entry(l, struct end, link), node);
	}
}

/* ---- operations ---- */

static long operate(struct fs_request *r, struct end *e, const struct fs_end *q)
{
	static uint8_t buf[FS_END_IO_MAX];
	size_t len = r->bulk_len;
	bool poll = r->msg.type == FS_END_POLL;

	if (len > sizeof(buf) || q->op >= FS_END_HOLD || poll != (q->op == FS_END_READY))
		return -EINVAL;
	if ((r->bulk_flags & WH_BULK_IN) && r->copyin(r, 0, buf, len) != (long)len)
		return -EFAULT;
	long n = wh_end(&r->msg, len ? buf : NULL, len);

	size_t out = q->op == FS_END_READ ? (n > 0 ? (size_t)n : 0) : len;

	if (n >= 0 && (r->bulk_flags & WH_BULK_OUT) && out &&
	    r->copyout(r, 0, buf, out) != (long)out)
		return -EFAULT;
	if (poll && n >= 0 && !WH_BODY(&r->msg, struct fs_end_done)->ready) {
		e->waiting |= bit(q->owner);
		e->events |= q->cmd;
	}
	return n;
}

static long on_end(struct tree *t, struct fs_request *r)
{
	struct fs_end q = FS_BODY(r, struct fs_end); /* its head is that of all of them */
	struct end *e = find(q.hold);

	if (r->msg.type == FS_SIGNAL || r->msg.type == FS_CHILD) /* only their way is the same */
		return wh_end(&r->msg, NULL, 0);
	if (r->msg.type == FS_ADOPT) {
		struct fs_adopt a = FS_BODY(r, struct fs_adopt);
		long err = adopt(&a, t);

		memset(WH_BODY(&r->msg, struct fs_opened), 0, sizeof(struct fs_opened));
		return err;
	}
	if (!e || q.owner != r->sender || !(e->owners & bit(q.owner)))
		return r->msg.type == FS_CLOSE ? 0 : -ESTALE;
	if (r->msg.type == FS_CLOSE) {
		disown(e, q.owner);
		return 0;
	}
	return operate(r, e, &q);
}

/* ---- news ---- */

static void send_again(void *arg)
{
	(void)arg;
	ends_changed();
}

/* To each node that waits, once; a node that is told asks again before it waits again. */
static void tell(struct end *e)
{
	for (uint32_t node = 1; node <= WH_MAX_NODES; node++) {
		if (!(e->waiting & bit(node)))
			continue;
		if (peer_send(node, PEER_FS_NEWS, e->number, NULL, 0, NULL, 0) == 0)
			e->waiting &= ~bit(node);
		else if (!serve_timer_armed(&again))
			serve_timer(&again, wh_now() + NEWS_AGAIN, send_again, NULL);
	}
	if (!e->waiting)
		e->events = 0;
}

void ends_changed(void)
{
	for (struct list *l = ends.next; l != &ends; l = l->next) {
		struct end *e = list_entry(l, struct end, link);
		uint32_t ready = 0;

		if (e->waiting && (kernel(e->number, FS_END_READY, e->events, &ready) < 0 || ready))
			tell(e);
	}
}

void ends_news(unsigned node, uint64_t end)
{
	wh_end_news(node, end);
}

void ends_start(struct tree *t, struct holds *h)
{
	t->end = on_end;
	h->node_gone = node_gone;
}
