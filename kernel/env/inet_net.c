/* SPDX-License-Identifier: MIT */
/*
 * Family AF_INET: the way to and from the net server (abi/msg_sock.h). What the server tells is kept in the socket at once, in the
 * server's own call; what users do is merged until the server, notified, fetches it. So neither ever waits for the other, but for
 * requests, which the server answers without waiting for anything.
 */
#include "env/inet.h"
#include "ipc_internal.h"
#include "frame.h"
#include "poll.h"
#include "proc.h"
#include "usercopy.h"

/* Of one user; the rest is for others. */
#define USER_SOCKETS_MAX 128u

static struct inet *slots[SOCK_SLOTS];
static u32 slot_uses[SOCK_SLOTS];
static struct list newsworthy = LIST_INIT(newsworthy);

static struct inet *find(u32 id)
{
	struct inet *i = slots[id % SOCK_SLOTS];
	return i && i->id == id ? i : NULL;
}

int inet_number(struct inet *i)
{
	static u32 next;
	u32 mine = 0;
	for (u32 n = 0; n < SOCK_SLOTS; n++)
		mine += slots[n] && slots[n]->s.uid == i->s.uid;
	if (mine >= USER_SOCKETS_MAX && i->s.uid)
		return -EMFILE;
	for (u32 n = 0; n < SOCK_SLOTS; n++) {
		u32 slot = next++ % SOCK_SLOTS;
		if (slots[slot])
			continue;
		slots[slot] = i;
		i->id = ++slot_uses[slot] * SOCK_SLOTS + slot;
		return 0;
	}
	return -ENFILE;
}

void inet_unnumber(struct inet *i)
{
	if (i->id)
		slots[i->id % SOCK_SLOTS] = NULL;
	i->id = 0;
}

i64 inet_request(struct inet *i, u32 type, struct sock_req *q, void *kbuf, size_t len)
{
	struct wh_msg m = {.type = type};
	if (!i->id || !ipc_service_up(WH_SVC_NET))
		return -ENETDOWN;
	q->id = i->id;
	*WH_BODY(&m, struct sock_req) = *q;
	i64 r = ipc_call(WH_SVC_NET, &m, kbuf, len, len ? WH_BULK_IN : WH_BULK_NONE);
	*q = *WH_BODY(&m, struct sock_req);
	return r == -EIO && !ipc_service_up(WH_SVC_NET) ? -ENETDOWN : r;
}

int inet_announce(struct inet *i)
{
	struct sock_req q = {.opt = i->opt};
	i64 r = inet_request(i, SOCK_SET, &q, NULL, 0);
	return (int)r;
}

/* ---- news ---- */

void inet_news(struct inet *i, u32 flags)
{
	i->news |= flags;
	if (!i->id)
		return;
	if (list_empty(&i->news_link))
		list_push_back(&newsworthy, &i->news_link);
	ipc_note(WH_SVC_NET, WH_NOTE_SOCK);
}

void inet_news_later(struct inet *i)
{
	if (!i->id)
		return;
	if (list_empty(&i->news_link))
		list_push_back(&newsworthy, &i->news_link);
	ipc_note_quietly(WH_SVC_NET, WH_NOTE_SOCK);
}

static void destroy(struct inet *i)
{
	list_remove(&i->news_link);
	inet_unnumber(i);
	inet_dgram_drop(i);
	kfree(i->seg);
	socket_free(&i->s);
}

void inet_close(struct inet *i, bool reset)
{
	list_for_each_safe(c, &i->queue, struct inet, queue_link) {
		list_remove(&c->queue_link);
		inet_close(c, true);
	}
	inet_dgram_drop(i);
	if (i->id)
		inet_news(i, SOCK_N_CLOSE | (reset ? SOCK_N_RESET : 0));
	else
		destroy(i);
}

i64 wh_sys_sock_news(const u64 *arg)
{
	u64 n = 0;
	if (current->service != WH_SVC_NET)
		return -EPERM;
	while (n < arg[1] && !list_empty(&newsworthy)) {
		struct inet *i = container_of(newsworthy.next, struct inet, news_link);
		struct sock_news out = {
			.id = i->id, .flags = i->news, .read = i->read, .written = i->written};
		if (copy_to_user(arg[0] + n * sizeof out, &out, sizeof out))
			return -EFAULT;
		n++;
		i->news = 0;
		i->read_told = i->read;
		i->written_told = i->written;
		i->pieces_read = 0;
		list_remove(&i->news_link);
		if (out.flags & SOCK_N_CLOSE)
			destroy(i);
	}
	return (i64)n;
}

/* ---- tells ---- */

static i64 take_bytes(struct inet *i, const struct sock_tell *t)
{
	u32 n = MIN(t->n, SOCK_SEGS_MAX - i->seg_count);
	if (!i->seg)
		i->seg = kmalloc(SOCK_SEGS_MAX * sizeof *i->seg);
	if (!i->seg)
		return 0; /* it tells again */
	for (u32 k = 0; k < n; k++) {
		struct sock_seg *to = &i->seg[(i->seg_first + i->seg_count) % SOCK_SEGS_MAX];
		if (copy_from_user(to, t->segs + k * sizeof *to, sizeof *to))
			return -EFAULT;
		if (!to->len)
			continue;
		i->seg_count++;
		i->seg_bytes += to->len;
	}
	if (n)
		poll_wake(&i->s.readers);
	return n;
}

static i64 take_dgram(struct inet *i, const struct sock_tell *t)
{
	struct sock_seg seg;
	u64 len = 0, at = 0;
	for (u32 k = 0; k < t->n; k++) {
		if (copy_from_user(&seg, t->segs + k * sizeof seg, sizeof seg))
			return -EFAULT;
		len += MIN(seg.len, (u64)SOCK_DGRAM_MAX + 1);
	}
	if (len > SOCK_DGRAM_MAX)
		return -EMSGSIZE;
	struct datagram *d = inet_dgram_new(i, (u32)len);
	if (!d)
		return -ENOBUFS;
	for (u32 k = 0; k < t->n; k++) {
		if (copy_from_user(&seg, t->segs + k * sizeof seg, sizeof seg) ||
		    copy_from_user(d->bytes + at, seg.addr, MIN(seg.len, len - at))) {
			kfree(d);
			return -EFAULT;
		}
		at += MIN(seg.len, len - at);
	}
	d->from = (struct inet_addr){t->raddr, t->rport};
	d->to = (struct inet_addr){t->laddr, t->lport};
	d->ttl = t->ttl;
	inet_dgram_put(i, d, false);
	poll_wake(&i->s.readers);
	return 0;
}

static void take_ring(struct inet *i, const struct sock_tell *t)
{
	i->ring = t->ring;
	i->ring_size = t->size;
	i->ring_start = i->written;
}

static i64 take_connection(struct inet *l, const struct sock_tell *t)
{
	if (l->state != INET_LISTENING || l->queued >= l->backlog)
		return -ENOBUFS;
	struct socket *s = socket_inherit(&l->s);
	if (!s)
		return -ENOMEM;
	struct inet *i = inet_of(s);
	int err = inet_number(i);
	if (err) {
		socket_free(s);
		return err;
	}
	list_init(&i->news_link);
	list_init(&i->queue);
	list_init(&i->queue_link);
	list_init(&i->datagrams);
	i->opt = l->opt;
	i->local = (struct inet_addr){t->laddr, t->lport};
	i->peer = (struct inet_addr){t->raddr, t->rport};
	i->bound = true;
	i->state = INET_CONNECTED;
	take_ring(i, t);
	list_push_back(&l->queue, &i->queue_link);
	l->queued++;
	poll_wake(&l->s.readers);
	return i->id;
}

static void take_error(struct inet *i, int error)
{
	i->s.error = error < 0 && error > -4096 ? error : -EIO;
	if (i->s.type == SOCK_STREAM) {
		i->state = INET_ENDED;
		i->eof = true;
	}
	poll_wake(&i->s.readers);
	poll_wake(&i->s.writers);
}

static i64 take(struct inet *i, const struct sock_tell *t)
{
	switch (t->what) {
	case SOCK_T_CONNECTED:
		i->local = (struct inet_addr){t->laddr, t->lport};
		i->state = INET_CONNECTED;
		take_ring(i, t);
		poll_wake(&i->s.writers);
		return 0;
	case SOCK_T_ACCEPTED:
		return take_connection(i, t);
	case SOCK_T_ERROR:
		take_error(i, t->error);
		return 0;
	case SOCK_T_BYTES:
		return take_bytes(i, t);
	case SOCK_T_EOF:
		i->eof = true;
		poll_wake(&i->s.readers);
		return 0;
	case SOCK_T_ACKED:
		if (t->pos > i->written || t->pos < i->acked)
			return -EINVAL;
		i->acked = t->pos;
		if (inet_ring_room(i) >= i->ring_size / 4)
			poll_wake(&i->s.writers);
		return 0;
	case SOCK_T_RING:
		take_ring(i, t);
		poll_wake(&i->s.writers);
		return (i64)i->written;
	case SOCK_T_DGRAM:
		return take_dgram(i, t);
	default:
		return -EINVAL;
	}
}

i64 wh_sys_sock_tell(const u64 *arg)
{
	struct sock_tell t;
	if (current->service != WH_SVC_NET)
		return -EPERM;
	if (copy_from_user(&t, arg[0], sizeof t))
		return -EFAULT;
	struct inet *i = find(t.id);
	if (!i || i->news & SOCK_N_CLOSE)
		return -EBADF;
	return take(i, &t);
}

/* ---- the server's memory ---- */

void *inet_memory(u64 addr, u64 *n, bool write)
{
	const struct ipc_port *port = ipc_ports[WH_SVC_NET];
	u64 phys = port ? vm_translate(port->owner->vm, addr, write) : 0;
	u64 here = PAGE_SIZE - (addr & PAGE_MASK);
	while (phys && here < *n &&
	       vm_translate(port->owner->vm, addr + here, write) == phys + here)
		here += PAGE_SIZE;
	*n = MIN(*n, here);
	return phys ? P2V(phys) : NULL;
}

void inet_net_gone(void)
{
	for (u32 n = 0; n < SOCK_SLOTS; n++) {
		struct inet *i = slots[n];
		if (!i)
			continue;
		bool closed = i->news & SOCK_N_CLOSE;
		list_remove(&i->news_link);
		inet_unnumber(i);
		if (closed) {
			destroy(i);
			continue;
		}
		i->seg_count = 0;
		i->seg_bytes = 0;
		i->ring_size = 0;
		take_error(i, -ENETDOWN);
	}
}
