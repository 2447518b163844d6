/* SPDX-License-Identifier: MIT */
/* System calls on sockets: users' arguments into kernel memory and back. What they do lies in env/socket.c and the families. */
#include "env/socket.h"
#include "fs.h"
#include "lib.h"
#include "poll.h"
#include "proc.h"
#include "sys_file.h"
#include "usercopy.h"

#define MMSG_MAX 1024u

/* The socket behind a descriptor of the caller; *r = -EBADF, -ENOTSOCK if NULL. */
static struct socket *get(u64 fd, struct ofile **f, i64 *r)
{
	*f = fd_get(current, (int)fd);
	struct socket *s = *f ? socket_of(*f) : NULL;
	*r = *f ? -ENOTSOCK : -EBADF;
	return s;
}

/* ---- addresses ---- */

static i64 addr_from_user(struct sockaddr_buf *a, u64 uaddr, u64 len)
{
	a->len = (u32)len;
	if (len > SOCK_ADDR_MAX)
		return -EINVAL;
	return copy_from_user(a->bytes, uaddr, len);
}

/* As much as there is room for; the user learns how long it is. uaddr 0: not wanted. */
static i64 addr_to_user(const struct sockaddr_buf *a, u64 uaddr, u64 ulen)
{
	i32 room;
	if (!uaddr)
		return 0;
	if (copy_from_user(&room, ulen, sizeof room))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (copy_to_user(uaddr, a->bytes, MIN((u32)room, a->len)))
		return -EFAULT;
	return copy_to_user(ulen, &a->len, sizeof a->len);
}

/* ---- making and connecting ---- */

static i64 make(int family, u32 type, int protocol, struct socket **out)
{
	u32 flags = type & ~SOCK_TYPE_MASK;
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	type &= SOCK_TYPE_MASK;
	if (type == 0 || type > 10)
		return -EINVAL;
	const struct sock_family *ops = socket_family(family);
	if (!ops)
		return -EAFNOSUPPORT;
	if (protocol < 0 || protocol > 255)
		return ops->family == AF_INET ? -EINVAL : -EPROTONOSUPPORT;
	struct socket *s = socket_alloc(ops, (u16)type, (u16)protocol);
	if (!s)
		return -ENOMEM;
	int err = ops->create(s);
	if (err) {
		socket_free(s);
		return err;
	}
	*out = s;
	return 0;
}

static i64 noted(i64 fd, u32 row)
{
	if (fd >= 0)
		fview_note((int)fd, row, fd);
	return fd;
}

i64 sys_socket(const u64 *arg)
{
	struct socket *s;
	i64 r = make((int)arg[0], (u32)arg[1], (int)arg[2], &s);
	return r ? r : noted(socket_install(s, (u32)arg[1]), V_socket);
}

i64 sys_socketpair(const u64 *arg)
{
	struct socket *s[2];
	i32 fd[2];
	i64 r = make((int)arg[0], (u32)arg[1], (int)arg[2], &s[0]);
	if (r)
		return r;
	r = make((int)arg[0], (u32)arg[1], (int)arg[2], &s[1]);
	if (r) {
		s[0]->ops->release(s[0]);
		return r;
	}
	r = s[0]->ops->pair ? s[0]->ops->pair(s[0], s[1]) : -EOPNOTSUPP;
	if (r) {
		s[0]->ops->release(s[0]);
		s[1]->ops->release(s[1]);
		return r;
	}
	r = fd[0] = (i32)noted(socket_install(s[0], (u32)arg[1]), V_socketpair);
	if (r < 0) {
		s[1]->ops->release(s[1]);
		return r;
	}
	r = fd[1] = (i32)noted(socket_install(s[1], (u32)arg[1]), V_socketpair);
	if (r >= 0 && copy_to_user(arg[3], fd, sizeof fd) == 0)
		return 0;
	if (r >= 0) {
		fd_close(current, fd[1]);
		r = -EFAULT;
	}
	fd_close(current, fd[0]);
	return r;
}

i64 sys_bind(const u64 *arg)
{
	struct sockaddr_buf a;
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	r = (i32)arg[2] < 0 ? -EINVAL : addr_from_user(&a, arg[1], (u32)arg[2]);
	return r ? r : s->ops->bind(s, &a);
}

i64 sys_connect(const u64 *arg)
{
	struct sockaddr_buf a;
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	r = (i32)arg[2] < 0 ? -EINVAL : addr_from_user(&a, arg[1], (u32)arg[2]);
	return r ? r : s->ops->connect(s, &a, f->flags & O_NONBLOCK);
}

i64 sys_listen(const u64 *arg)
{
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	return s->ops->listen ? s->ops->listen(s, (int)arg[1]) : -EOPNOTSUPP;
}

static i64 accept_common(const u64 *arg, u32 flags, u32 row)
{
	struct sockaddr_buf a = {0};
	struct socket *conn;
	struct ofile *f;
	i64 r;
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
		return -EINVAL;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	r = s->ops->accept ? s->ops->accept(s, f->flags & O_NONBLOCK, &conn, &a) : -EOPNOTSUPP;
	if (r)
		return r;
	i64 fd = noted(socket_install(conn, flags), row);
	if (fd < 0)
		return fd;
	r = addr_to_user(&a, arg[1], arg[2]);
	if (r)
		fd_close(current, (int)fd);
	return r ? r : fd;
}

i64 sys_accept(const u64 *arg)
{
	return accept_common(arg, 0, V_accept);
}

i64 sys_accept4(const u64 *arg)
{
	return accept_common(arg, (u32)arg[3], V_accept4);
}

static i64 name(const u64 *arg, bool peer)
{
	struct sockaddr_buf a = {0};
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	r = s->ops->name(s, peer, &a);
	if (r)
		return r;
	return arg[1] ? addr_to_user(&a, arg[1], arg[2]) : -EFAULT;
}

i64 sys_getsockname(const u64 *arg)
{
	return name(arg, false);
}

i64 sys_getpeername(const u64 *arg)
{
	return name(arg, true);
}

i64 sys_shutdown(const u64 *arg)
{
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	if (arg[1] > SHUT_RDWR)
		return -EINVAL;
	return s->ops->shutdown(s, (int)arg[1]);
}

i64 sys_setsockopt(const u64 *arg)
{
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	return s ? socket_setopt(s, (int)arg[1], (int)arg[2], arg[3], (u32)arg[4]) : r;
}

i64 sys_getsockopt(const u64 *arg)
{
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	return s ? socket_getopt(s, (int)arg[1], (int)arg[2], arg[3], arg[4]) : r;
}

/* ---- messages ---- */

i64 sys_sendto(const u64 *arg)
{
	struct linux_iovec v = {arg[1], MIN(arg[2], RW_MAX)};
	struct sock_io io = {.v = &v, .n = 1, .len = v.len, .flags = (u32)arg[3]};
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	if (arg[4]) {
		r = (i32)arg[5] < 0 ? -EINVAL : addr_from_user(&io.addr, arg[4], (u32)arg[5]);
		if (r)
			return r;
	}
	return socket_send(f, &io);
}

i64 sys_recvfrom(const u64 *arg)
{
	struct linux_iovec v = {arg[1], MIN(arg[2], RW_MAX)};
	struct sock_io io = {.v = &v, .n = 1, .len = v.len, .flags = (u32)arg[3]};
	struct ofile *f;
	i64 r;
	struct socket *s = get(arg[0], &f, &r);
	if (!s)
		return r;
	r = socket_recv(f, &io);
	if (r >= 0 && addr_to_user(&io.addr, arg[4], arg[5]))
		return -EFAULT;
	return r;
}

/* A message header and its vector, in kernel memory while the message is sent or received. */
struct message {
	struct linux_msghdr h;
	struct linux_iovec few[8], *v;
	struct sock_io io;
};

static void message_end(struct message *m)
{
	if (m->v != m->few)
		kfree(m->v);
}

static i64 message_begin(struct message *m, u64 uhdr, u32 flags)
{
	i64 r = 0;
	if (copy_from_user(&m->h, uhdr, sizeof m->h))
		return -EFAULT;
	if (m->h.iovlen > IOV_MAX)
		return -EMSGSIZE;
	if ((i32)m->h.namelen < 0)
		return -EINVAL;
	m->v = m->few;
	u32 n = (u32)m->h.iovlen;
	if (n > ARRAY_LEN(m->few) && !(m->v = kmalloc(n * sizeof *m->v)))
		return -ENOMEM;
	r = iovec_from_user(m->v, m->h.iov, n);
	m->io = (struct sock_io){.v = m->v, .n = n, .flags = flags};
	for (u32 i = 0; i < n; i++)
		m->io.len += m->v[i].len;
	if (!r && m->io.len > RW_MAX)
		r = -EMSGSIZE;
	m->io.control = m->h.controllen ? m->h.control : 0;
	m->io.control_len = m->h.controllen;
	if (r)
		message_end(m);
	return r;
}

static i64 send_message(u64 fd, u64 uhdr, u32 flags)
{
	struct message m;
	struct ofile *f;
	i64 r;
	if (!get(fd, &f, &r))
		return r;
	r = message_begin(&m, uhdr, flags);
	if (r)
		return r;
	if (m.h.name && m.h.namelen)
		r = addr_from_user(&m.io.addr, m.h.name, MIN(m.h.namelen, SOCK_ADDR_MAX));
	if (!r && m.io.control_len > 65536)
		r = -ENOBUFS;
	if (!r)
		r = socket_send(f, &m.io);
	message_end(&m);
	return r;
}

static i64 recv_message(u64 fd, u64 uhdr, u32 flags)
{
	struct message m;
	struct ofile *f;
	i64 r;
	if (!get(fd, &f, &r))
		return r;
	r = message_begin(&m, uhdr, flags);
	if (r)
		return r;
	r = socket_recv(f, &m.io);
	if (r >= 0) {
		const struct sockaddr_buf *a = &m.io.addr;
		bool bad = m.h.name && copy_to_user(m.h.name, a->bytes, MIN(m.h.namelen, a->len));
		struct linux_msghdr *h = &m.h;
		h->namelen = m.h.name ? a->len : h->namelen;
		h->controllen = m.io.control_used;
		h->flags = (i32)(m.io.out_flags | (flags & MSG_CMSG_CLOEXEC));
		if (bad || copy_to_user(uhdr, h, sizeof *h))
			r = -EFAULT;
	}
	message_end(&m);
	return r;
}

i64 sys_sendmsg(const u64 *arg)
{
	return send_message(arg[0], arg[1], (u32)arg[2]);
}

i64 sys_recvmsg(const u64 *arg)
{
	return recv_message(arg[0], arg[1], (u32)arg[2]);
}

/* One header after the other until one fails; that error is only told if it was the first. */
static i64 each_message(u64 fd, u64 uvec, u64 count, u32 flags, u64 deadline,
			i64 (*fn)(u64 fd, u64 uhdr, u32 flags))
{
	i64 r = 0;
	u32 done = 0, n = (u32)MIN(count, (u64)MMSG_MAX);
	while (done < n) {
		u64 at = uvec + done * sizeof(struct linux_mmsghdr);
		r = fn(fd, at, flags & ~MSG_WAITFORONE);
		u32 len = (u32)r;
		if (r >= 0 &&
		    copy_to_user(at + offsetof(struct linux_mmsghdr, len), &len, sizeof len))
			r = -EFAULT;
		if (r < 0)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (deadline <= now_ns())
			break;
	}
	return done ? done : MIN(r, 0l);
}

i64 sys_sendmmsg(const u64 *arg)
{
	struct ofile *f;
	i64 r;
	return get(arg[0], &f, &r) ? each_message(arg[0], arg[1], (u32)arg[2], (u32)arg[3],
						  NO_DEADLINE, send_message)
				   : r;
}

i64 sys_recvmmsg(const u64 *arg)
{
	struct ofile *f;
	i64 r, t[2];
	u64 deadline = NO_DEADLINE;
	if (!get(arg[0], &f, &r))
		return r;
	if (arg[4]) { /* looked at between messages only, as by Linux */
		if (copy_from_user(t, arg[4], sizeof t))
			return -EFAULT;
		if (t[0] < 0 || t[1] < 0 || t[1] >= (i64)NS_PER_SEC)
			return -EINVAL;
		deadline = now_ns() + MIN((u64)t[0], 1ul << 32) * NS_PER_SEC + (u64)t[1];
	}
	return each_message(arg[0], arg[1], (u32)arg[2], (u32)arg[3], deadline, recv_message);
}
