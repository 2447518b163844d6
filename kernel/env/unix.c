/* SPDX-License-Identifier: MIT */
/* Family AF_UNIX: sockets, and how they come to be connected and are closed. See unix.h. */
#include "env/unix.h"
#include "poll.h"
#include "proc.h"
#include "usercopy.h"

#define BACKLOG_MAX 128
#define POLLRDHUP_  0x2000u

struct list unix_all = LIST_INIT(unix_all);

/* ---- life ---- */

struct unix_sock *unix_ref(struct unix_sock *u)
{
	u->refs++;
	return u;
}

void unix_put(struct unix_sock *u)
{
	if (!u || --u->refs)
		return;
	name_put(u->name);
	kfree(u->spare);
	socket_free(&u->s);
}

void unix_wake(struct unix_sock *u)
{
	poll_wake(&u->s.readers);
	poll_wake(&u->s.writers);
}

static int unix_create(struct socket *s)
{
	struct unix_sock *u = unix_of(s);
	if (s->protocol != 0 && s->protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM && s->type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	s->protocol = 0;
	u->refs = 1;
	list_init(&u->msgs);
	list_init(&u->pending);
	waitq_init(&u->space);
	u->others = (struct unix_cred){.uid = ~0u, .gid = ~0u};
	list_push_back(&unix_all, &u->link);
	return 0;
}

static void join(struct unix_sock *a, struct unix_sock *b)
{
	a->peer = unix_ref(b);
	b->peer = unix_ref(a);
	a->others = b->own;
	b->others = a->own;
}

static int unix_pair(struct socket *a, struct socket *b)
{
	struct unix_sock *x = unix_of(a), *y = unix_of(b);
	x->own = y->own = unix_me(true);
	join(x, y);
	return 0;
}

/* ---- connecting ---- */

static int unix_listen(struct socket *s, int backlog)
{
	struct unix_sock *u = unix_of(s);
	if (unix_is_dgram(u))
		return -EOPNOTSUPP;
	if (!u->name || u->peer)
		return -EINVAL;
	u->backlog = (u32)(backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : backlog);
	u->own = unix_me(true);
	s->listening = true;
	poll_wake(&u->space);
	return 0;
}

static int connect_dgram(struct unix_sock *u, const struct sockaddr_buf *a)
{
	struct unix_sock *to = NULL;
	if (a->len >= sizeof a->family && a->family == AF_UNSPEC) {
		unix_put(u->peer);
		u->peer = NULL;
		return 0;
	}
	int err = unix_lookup(a, u->s.type, &to);
	if (err)
		return err;
	if (to->peer && to->peer != u) {
		unix_put(to);
		return -EPERM;
	}
	unix_put(u->peer);
	u->peer = to;
	poll_wake(&u->s.writers);
	return 0;
}

/* A connection to the listener `to`, for it to accept. 0, -EAGAIN: its queue is full; or -errno. */
static int offer(struct unix_sock *u, struct unix_sock *to)
{
	if (!to->s.listening || to->dead || to->down & DOWN_READ)
		return -ECONNREFUSED;
	if (to->npending > to->backlog)
		return -EAGAIN;
	struct socket *s = socket_alloc(u->s.ops, u->s.type, 0);
	if (!s)
		return -ENOMEM;
	unix_create(s);
	struct unix_sock *c = unix_of(s);
	s->uid = to->s.uid;
	s->opt.passcred = to->s.opt.passcred;
	c->name = to->name;
	c->name->refs++;
	c->own = to->own;
	c->embryo = true;
	u->own = unix_me(true);
	join(u, c);
	list_push_back(&to->pending, &c->pending_link);
	to->npending++;
	poll_wake(&to->s.readers);
	return 0;
}

static int unix_connect(struct socket *s, const struct sockaddr_buf *a, bool nonblock)
{
	struct unix_sock *u = unix_of(s), *to;
	if (unix_is_dgram(u))
		return connect_dgram(u, a);
	u64 deadline = socket_deadline(s->opt.sndtimeo_ns);
	for (;;) {
		int err = unix_lookup(a, s->type, &to);
		if (err)
			return err;
		/* Perhaps another thread has done it meanwhile. */
		err = u->peer ? -EISCONN : s->listening ? -EINVAL : offer(u, to);
		if (err == -EAGAIN) {
			err = socket_wait(&to->space, nonblock, deadline);
			unix_put(to);
			if (err)
				return err;
			continue;
		}
		unix_put(to);
		if (!err)
			unix_wake(u);
		return err;
	}
}

static int unix_accept(struct socket *s, bool nonblock, struct socket **conn,
		       struct sockaddr_buf *a)
{
	struct unix_sock *u = unix_of(s);
	u64 deadline = socket_deadline(s->opt.rcvtimeo_ns);
	if (unix_is_dgram(u))
		return -EOPNOTSUPP;
	while (s->listening && !u->npending && !(u->down & DOWN_READ)) {
		int err = socket_wait(&s->readers, nonblock, deadline);
		if (err)
			return err;
	}
	if (!u->npending)
		return -EINVAL;
	struct unix_sock *c = container_of(list_take(&u->pending), struct unix_sock, pending_link);
	u->npending--;
	c->embryo = false;
	poll_wake(&u->space);
	*conn = &c->s;
	unix_show_name(c->peer ? c->peer->name : NULL, a);
	return 0;
}

static int unix_name(struct socket *s, bool peer, struct sockaddr_buf *a)
{
	struct unix_sock *u = unix_of(s);
	if (peer && !u->peer)
		return -ENOTCONN;
	unix_show_name(peer ? u->peer->name : u->name, a);
	return 0;
}

/* ---- closing ---- */

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_sock *u = unix_of(s);
	u8 mine = (u8)(how + 1);
	u8 theirs = (u8)((mine & DOWN_READ ? DOWN_WRITE : 0) | (mine & DOWN_WRITE ? DOWN_READ : 0));
	u->down |= mine;
	if (u->peer && !unix_is_dgram(u)) {
		u->peer->down |= theirs;
		unix_wake(u->peer);
	}
	poll_wake(&u->space);
	unix_wake(u);
	return 0;
}

static void reset(struct unix_sock *u, bool lost)
{
	u->down = DOWN_BOTH;
	if (lost)
		u->s.error = -ECONNRESET;
	unix_wake(u);
}

static struct list dying = LIST_INIT(dying);

static void unix_release(struct socket *s);

static void end_pending(struct unix_sock *u)
{
	while (!list_empty(&u->pending)) {
		struct unix_sock *c =
			container_of(list_take(&u->pending), struct unix_sock, pending_link);
		u->npending--;
		if (c->peer)
			reset(c->peer, true);
		unix_release(&c->s);
	}
}

static void end(struct unix_sock *u)
{
	struct unix_sock *peer = u->peer;
	u->peer = NULL;
	u->bound = false;
	if (peer && !unix_is_dgram(u))
		reset(peer, u->nmsgs != 0);
	end_pending(u);
	unix_purge(u);
	poll_wake(&u->space);
	if (unix_is_dgram(u)) /* who sends here hears of it */
		list_for_each(v, &unix_all, struct unix_sock, link)
			if (v->peer == u)
				poll_wake(&v->s.writers);
	unix_put(peer);
	unix_put(u);
}

/* A queue may hold sockets whose queues hold sockets: they end one after the other, not one inside the other. */
static void unix_release(struct socket *s)
{
	static bool at_it;
	struct unix_sock *u = unix_of(s);
	u->dead = true;
	list_remove(&u->link);
	list_push_back(&dying, &u->link);
	if (at_it)
		return;
	at_it = true;
	while (!list_empty(&dying))
		end(container_of(list_take(&dying), struct unix_sock, link));
	at_it = false;
}

/* ---- the rest ---- */

static int unix_getopt(struct socket *s, int level, int name, void *val, u32 *len)
{
	if (level != SOL_SOCKET || name != SO_PEERCRED)
		return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
	memcpy(val, &unix_of(s)->others, sizeof(struct unix_cred));
	*len = sizeof(struct unix_cred);
	return 0;
}

static i64 unix_ioctl(struct socket *s, u32 cmd, u64 arg)
{
	const struct unix_sock *u = unix_of(s);
	u32 n = 0;
	if (cmd == FIONREAD && s->listening)
		return -EINVAL;
	if (cmd == FIONREAD && s->type == SOCK_STREAM)
		n = u->count;
	else if (cmd == FIONREAD && u->nmsgs)
		n = container_of(u->msgs.next, struct unix_msg, link)->len;
	else if (cmd == TIOCOUTQ && !unix_is_dgram(u))
		n = u->peer ? u->peer->count : 0;
	else if (cmd != FIONREAD)
		return -ENOTTY;
	return copy_to_user(arg, &n, sizeof n);
}

static u32 unix_poll(struct socket *s)
{
	struct unix_sock *u = unix_of(s);
	u32 ready = 0;
	if (s->listening)
		return u->npending ? POLLIN | POLLRDNORM : 0;
	if (u->nmsgs || u->down & DOWN_READ)
		ready |= POLLIN | POLLRDNORM;
	if (u->down & DOWN_READ)
		ready |= POLLRDHUP_;
	if (u->down == DOWN_BOTH || (!u->peer && !unix_is_dgram(u)))
		ready |= POLLHUP;
	if (!u->peer || u->peer->dead || u->down & DOWN_WRITE || !unix_is_full(u, u->peer))
		ready |= POLLOUT | POLLWRNORM;
	return ready;
}

static void unix_describe(const struct socket *s, struct text *out)
{
	const struct unix_sock *u = container_of(s, const struct unix_sock, s);
	const struct unix_name *n = u->name ? u->name : u->peer ? u->peer->name : NULL;
	text_printf(out, "unix %s",
		    s->type == SOCK_STREAM ? "stream"
		    : unix_is_dgram(u)	   ? "datagrams"
					   : "packets");
	if (n)
		text_printf(out, " %s%s", n->ino ? "" : "@",
			    (const char *)n->addr + (n->ino ? 2 : 3));
}

const struct sock_family unix_family = {
	.family = AF_UNIX,
	.label = "unix",
	.size = sizeof(struct unix_sock),
	.create = unix_create,
	.pair = unix_pair,
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.name = unix_name,
	.send = unix_send,
	.recv = unix_recv,
	.shutdown = unix_shutdown,
	.getopt = unix_getopt,
	.ioctl = unix_ioctl,
	.poll = unix_poll,
	.release = unix_release,
	.describe = unix_describe,
};
