/* SPDX-License-Identifier: MIT */
/*
 * Family AF_UNIX: messages. The sender copies into the ring of the receiver's queue, the receiver out of it. Either copy may
 * block for a page of its user's; meanwhile `writing` and `reading` keep others of the same kind away, and what has been copied counts
 * only afterwards.
 */
#include "env/unix.h"
#include "frame.h"
#include "poll.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

/* ---- the ring ---- */

static void free_page(struct unix_sock *q, u32 i)
{
	if (q->frame[i])
		frame_put(q->frame[i]);
	q->frame[i] = 0;
}

/* Does page i hold bytes? The ring's last bytes may have wrapped into the page of its first. */
static bool page_in_use(const struct unix_sock *q, u32 i)
{
	return q->count > (i * PAGE_SIZE + UNIX_RING - q->head) % UNIX_RING;
}

static void consume(struct unix_sock *q, u32 n)
{
	while (n) {
		u32 page = q->head / PAGE_SIZE;
		u32 piece = MIN(n, (u32)PAGE_SIZE - q->head % (u32)PAGE_SIZE);
		q->head = (q->head + piece) % UNIX_RING;
		q->count -= piece;
		n -= piece;
		if (q->writing)
			continue; /* a copy into these pages may be under way */
		if (q->head / PAGE_SIZE != page && !page_in_use(q, page))
			free_page(q, page);
		else if (q->count == 0)
			q->head = page *
				  PAGE_SIZE; /* the next bytes fill this page from its beginning */
	}
}

/* n bytes of the user's from `off` on, behind those that are there. They do not count yet. 0 or -errno. */
static int copy_in(struct unix_sock *q, const struct sock_io *io, u64 off, u32 n)
{
	u32 tail = (q->head + q->count) % UNIX_RING;
	int err = 0;
	q->writing = true;
	while (n && !err) {
		u32 page = tail / PAGE_SIZE, at = tail % PAGE_SIZE;
		u64 here, from = sock_at(io, off, &here);
		u32 piece = MIN(MIN(n, (u32)PAGE_SIZE - at), (u32)MIN(here, (u64)PAGE_SIZE));
		if (!q->frame[page] && !(q->frame[page] = frame_alloc()))
			err = -ENOBUFS;
		else if (copy_from_user((u8 *)P2V(q->frame[page]) + at, from, piece))
			err = -EFAULT;
		tail = (tail + piece) % UNIX_RING;
		off += piece;
		n -= piece;
	}
	q->writing = false;
	if (q->dead) { /* meanwhile its queue was emptied */
		for (u32 i = 0; i < UNIX_PAGES; i++)
			free_page(q, i);
		err = -EPIPE;
	}
	return err;
}

/* n bytes from `skip` behind the first on, to byte `off` of the user's buffers. */
static int copy_out(struct unix_sock *q, u32 skip, const struct sock_io *io, u64 off, u32 n)
{
	u32 at = (q->head + skip) % UNIX_RING;
	int err = 0;
	q->reading = true;
	while (n && !err) {
		u32 piece = MIN(n, (u32)PAGE_SIZE - at % (u32)PAGE_SIZE);
		err = sock_scatter(io, off, (u8 *)P2V(q->frame[at / PAGE_SIZE]) + at % PAGE_SIZE,
				   piece);
		at = (at + piece) % UNIX_RING;
		off += piece;
		n -= piece;
	}
	q->reading = false;
	return err;
}

/* ---- messages ---- */

static struct unix_msg *first(const struct unix_sock *q)
{
	return q->nmsgs ? container_of(q->msgs.next, struct unix_msg, link) : NULL;
}

static struct unix_msg *next(const struct unix_sock *q, const struct unix_msg *m)
{
	return m->link.next == &q->msgs ? NULL : container_of(m->link.next, struct unix_msg, link);
}

static struct unix_msg *new_msg(struct unix_sock *q)
{
	struct unix_msg *m = q->spare;
	q->spare = NULL;
	return m ? m : kmalloc(sizeof *m);
}

static void keep_spare(struct unix_sock *q, struct unix_msg *m)
{
	if (q->spare)
		kfree(m);
	else
		q->spare = m;
}

static void remove(struct unix_sock *q, struct unix_msg *m)
{
	list_remove(&m->link);
	q->nmsgs--;
	name_put(m->from);
	rights_end(&m->extra);
	extra_drop(&m->extra);
	*m = (struct unix_msg){0};
	keep_spare(q, m);
}

void unix_purge(struct unix_sock *u)
{
	struct unix_msg *m;
	while ((m = first(u))) {
		u->count -= m->len;
		remove(u, m);
	}
	for (u32 i = 0; i < UNIX_PAGES && !u->writing; i++)
		free_page(u, i);
}

static bool same_cred(const struct unix_cred *a, const struct unix_cred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

/* The last n bytes of the ring count from now on, as a message or as part of the last one; *x goes with them. m: new, and used up
 * or kept. */
static void commit(struct unix_sock *q, struct unix_msg *m, u32 n, struct unix_extra *x,
		   struct unix_name *from)
{
	struct unix_msg *last = q->nmsgs ? container_of(q->msgs.prev, struct unix_msg, link) : NULL;
	q->count += n;
	if (q->s.type == SOCK_STREAM && last && !last->extra.fds && !x->fds &&
	    same_cred(&last->extra.cred, &x->cred)) {
		last->len += n;
		keep_spare(q, m);
		return;
	}
	*m = (struct unix_msg){.len = n, .extra = *x, .from = from};
	if (from)
		from->refs++;
	rights_begin(x);
	x->fds = NULL;
	list_push_back(&q->msgs, &m->link);
	q->nmsgs++;
}

/* ---- sending ---- */

static u32 room(const struct unix_sock *from, const struct unix_sock *to)
{
	u32 limit = MIN(UNIX_RING, from->s.opt.sndbuf);
	if (unix_is_dgram(to))
		limit = UNIX_RING; /* all senders together */
	return to->nmsgs >= UNIX_MSGS_MAX || to->count >= limit ? 0 : limit - to->count;
}

bool unix_is_full(struct unix_sock *from, struct unix_sock *to)
{
	bool full = room(from, to) < PAGE_SIZE;
	to->wanted |= full;
	return full;
}

static i64 send_stream(struct unix_sock *u, struct unix_sock *to, struct sock_io *io,
		       struct unix_extra *x, u64 done, u64 deadline)
{
	i64 err = 0;
	while (done < io->len && !err) {
		u32 want = (u32)MIN(io->len - done, (u64)PAGE_SIZE), there = room(u, to);
		if (u->down & DOWN_WRITE || to->dead) {
			err = -EPIPE;
		} else if (to->writing || there < want) {
			to->wanted = true;
			err = socket_wait(&u->s.writers, io->flags & MSG_DONTWAIT, deadline);
		} else {
			struct unix_msg *m = new_msg(to);
			u32 n = (u32)MIN(io->len - done, (u64)MIN(there, 16 * (u32)PAGE_SIZE));
			err = m ? copy_in(to, io, done, n) : -ENOBUFS;
			if (!err) {
				commit(to, m, n, x, NULL);
				done += n;
				poll_wake(&to->s.readers);
			} else {
				kfree(m);
			}
			if (to->wanted) /* by another, who found `writing` */
				poll_wake(&u->s.writers);
		}
	}
	if (err == -ERESTARTSYS && io->resumable)
		return signal_interrupted(done);
	return done ? (i64)done : err;
}

static i64 send_message(struct unix_sock *u, struct unix_sock *to, struct sock_io *io,
			struct unix_extra *x, u64 deadline)
{
	const u32 len = (u32)io->len;
	bool dgram = unix_is_dgram(u);
	for (;;) {
		if (u->down & DOWN_WRITE)
			return -EPIPE;
		if (to->dead)
			return dgram ? -ECONNREFUSED : -EPIPE;
		if (dgram && to->peer && to->peer != u)
			return -EPERM;
		if (to->down & DOWN_READ)
			return -EPIPE;
		if (!to->writing && to->nmsgs < UNIX_MSGS_MAX &&
		    UNIX_RING - to->count >= MAX(len, 1u))
			break;
		to->wanted = true;
		i64 err = socket_wait(&to->space, io->flags & MSG_DONTWAIT, deadline);
		if (err)
			return err;
	}
	struct unix_msg *m = new_msg(to);
	i64 err = m ? copy_in(to, io, 0, len) : -ENOBUFS;
	if (to->wanted) /* by another, who found `writing` */
		poll_wake(&to->space);
	if (err) {
		kfree(m);
		return err == -EPIPE && dgram ? -ECONNREFUSED : err;
	}
	commit(to, m, len, x, u->name);
	poll_wake(&to->s.readers);
	return len;
}

/* Where it goes, with a reference. */
static i64 destination(struct unix_sock *u, const struct sock_io *io, struct unix_sock **to)
{
	bool dgram = unix_is_dgram(u);
	if (dgram && io->addr.len)
		return unix_lookup(&io->addr, u->s.type, to);
	if (u->s.type == SOCK_STREAM && io->addr.len)
		return u->peer ? -EISCONN : -EOPNOTSUPP;
	if (!u->peer)
		return u->down & DOWN_WRITE ? -EPIPE : -ENOTCONN;
	*to = unix_ref(u->peer);
	return 0;
}

i64 unix_send(struct socket *s, struct sock_io *io)
{
	struct unix_sock *u = unix_of(s), *to;
	u64 done = io->resumable && s->type == SOCK_STREAM ? signal_resumed() : 0;
	u64 deadline = socket_deadline(s->opt.sndtimeo_ns);
	struct unix_extra x;
	if (s->type != SOCK_STREAM && io->len > MIN(UNIX_RING, s->opt.sndbuf - 32))
		return -EMSGSIZE;
	i64 r = destination(u, io, &to);
	if (r)
		return r;
	r = extra_from_user(io, &x);
	if (!r) {
		r = s->type == SOCK_STREAM ? send_stream(u, to, io, &x, done, deadline)
					   : send_message(u, to, io, &x, deadline);
		extra_drop(&x);
	}
	if (r == -ECONNREFUSED && u->peer == to) { /* it will not come back */
		u->peer = NULL;
		unix_put(to);
	}
	unix_put(to);
	return r;
}

/* ---- receiving ---- */

/* Something was taken: who found the queue full looks again. */
static void made_room(struct unix_sock *u)
{
	if (!u->wanted)
		return;
	u->wanted = false;
	poll_wake(&u->space);
	if (!unix_is_dgram(u)) {
		if (u->peer)
			poll_wake(&u->peer->s.writers);
		return;
	}
	list_for_each(v, &unix_all, struct unix_sock, link)
		if (v->peer == u)
			poll_wake(&v->s.writers);
}

/* Wait for a message: 1 there is one, 0 the end, or -errno. */
static i64 await_message(struct unix_sock *u, u32 flags, u64 deadline)
{
	while (u->reading || !u->nmsgs) {
		if (!u->reading && u->s.error)
			return socket_take_error(&u->s);
		if (!u->reading && u->down & DOWN_READ)
			return 0;
		i64 err = socket_wait(&u->s.readers, flags & MSG_DONTWAIT, deadline);
		if (err)
			return err;
	}
	return 1;
}

/* What one pass over the queue gives. x: what came with it, to be given to the user; *more: there may be more for this call. */
static i64 take_stream(struct unix_sock *u, struct sock_io *io, u64 done, struct unix_extra *x,
		       bool *more)
{
	bool peek = io->flags & MSG_PEEK;
	u32 skip = 0;
	u64 begin = done;
	struct unix_msg *m = first(u);
	if (begin && u->s.opt.passcred && !same_cred(&m->extra.cred, &x->cred)) {
		*more = false;
		return 0;
	}
	x->cred = m->extra.cred;
	while (m && done < io->len && *more) {
		if (u->s.opt.passcred && !same_cred(&m->extra.cred, &x->cred)) {
			*more = false;
			break;
		}
		u32 n = (u32)MIN(io->len - done, (u64)m->len);
		if (copy_out(u, skip, io, done, n))
			return done > begin ? (i64)(done - begin) : -EFAULT;
		done += n;
		if (m->extra.fds) {
			*more = false;
			x->fds = m->extra.fds;
			if (!peek) {
				rights_end(&m->extra);
				m->extra.fds = NULL;
			}
		}
		if (peek) {
			skip += m->len;
			m = next(u, m);
			continue;
		}
		m->len -= n;
		consume(u, n);
		if (!m->len)
			remove(u, m);
		m = first(u);
	}
	if (!peek)
		made_room(u);
	*more &= !peek;
	return (i64)(done - begin);
}

static i64 recv_stream(struct unix_sock *u, struct sock_io *io, u64 deadline)
{
	bool more = true, peek = io->flags & MSG_PEEK;
	struct unix_extra x = {0};
	u64 done = 0;
	i64 r = 0;
	if (!u->peer && !u->down && !u->s.error)
		return -EINVAL;
	do {
		r = io->len ? await_message(u, io->flags, deadline) : 0;
		if (r <= 0)
			break;
		r = take_stream(u, io, done, &x, &more);
		done += r > 0 ? (u64)r : 0;
	} while (r > 0 && more && done < io->len && (io->flags & MSG_WAITALL));
	if (!done)
		return r;
	if (u->peer && u->peer->name)
		unix_show_name(u->peer->name, &io->addr);
	return extra_to_user(io, &x, u->s.opt.passcred, peek) ? -EFAULT : (i64)done;
}

static i64 recv_message(struct unix_sock *u, struct sock_io *io, u64 deadline)
{
	bool peek = io->flags & MSG_PEEK;
	if (!unix_is_dgram(u) && !u->peer && !u->down)
		return -ENOTCONN;
	i64 r = await_message(u, io->flags, deadline);
	if (r <= 0)
		return r;
	struct unix_msg *m = first(u);
	u32 len = m->len, n = (u32)MIN(io->len, (u64)len);
	if (copy_out(u, 0, io, 0, n))
		return -EFAULT;
	if (m->from)
		unix_show_name(m->from, &io->addr);
	io->out_flags |= n < len ? MSG_TRUNC : 0;
	struct unix_extra x = m->extra;
	if (!peek) {
		rights_end(&m->extra);
		m->extra.fds = NULL;
		consume(u, len);
		remove(u, m);
		made_room(u);
	}
	r = extra_to_user(io, &x, u->s.opt.passcred, peek);
	return r ? r : io->flags & MSG_TRUNC ? len : n;
}

i64 unix_recv(struct socket *s, struct sock_io *io)
{
	struct unix_sock *u = unix_of(s);
	u64 deadline = socket_deadline(s->opt.rcvtimeo_ns);
	if (s->listening)
		return -EINVAL;
	i64 r = s->type == SOCK_STREAM ? recv_stream(u, io, deadline)
				       : recv_message(u, io, deadline);
	if (u->nmsgs)
		poll_wake(&s->readers); /* who waited for `reading` */
	return r;
}
