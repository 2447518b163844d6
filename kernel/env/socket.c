/* SPDX-License-Identifier: MIT */
/*
 * Class Socket. Whatever a socket is connected to is of this node (its addresses, its ports, the protocol's state in the net
 * server), so a process that holds one stays: rule local. When the last one is closed nothing remains that a program could
 * compare, and what the calls returned binds it no more.
 */
#include "env/socket.h"
#include "env/rows.h"
#include "poll.h"
#include "proc.h"
#include "pseudo.h"
#include "signal.h"
#include "usercopy.h"

static u64 sockets;
static u32 next_inode = 1;

u64 counters_sockets(void)
{
	return sockets;
}

const struct sock_family *socket_family(int family)
{
	static const struct sock_family *const families[] = {&inet_family, &unix_family, NULL};
	for (const struct sock_family *const *f = families; *f; f++)
		if ((*f)->family == family)
			return *f;
	return NULL;
}

/* ---- life ---- */

static struct socket *alloc(const struct sock_family *ops, u16 type, u16 protocol, u32 uid)
{
	struct socket *s = kmalloc(ops->size);
	if (!s)
		return NULL;
	s->ops = ops;
	s->type = type;
	s->protocol = protocol;
	s->inode = next_inode++;
	s->uid = uid;
	waitq_init(&s->readers);
	waitq_init(&s->writers);
	sockets++;
	return s;
}

struct socket *socket_alloc(const struct sock_family *ops, u16 type, u16 protocol)
{
	struct socket *s = alloc(ops, type, protocol, current->u->names.euid);
	if (s)
		s->opt.sndbuf = s->opt.rcvbuf = SOCK_BUF_MAX;
	return s;
}

struct socket *socket_inherit(const struct socket *l)
{
	struct socket *s = alloc(l->ops, l->type, l->protocol, l->uid);
	if (s)
		s->opt = l->opt;
	return s;
}

void socket_free(struct socket *s)
{
	sockets--;
	kfree(s);
}

int socket_take_error(struct socket *s)
{
	int err = s->error;
	s->error = 0;
	return err;
}

/* ---- waiting ---- */

u64 socket_deadline(u64 timeo_ns)
{
	return timeo_ns ? poll_deadline(timeo_ns) : NO_DEADLINE;
}

int socket_wait(struct waitq *q, bool nonblock, u64 deadline)
{
	if (nonblock)
		return -EAGAIN;
	int w = wait_on(q, deadline, true);
	if (w == -EINTR)
		return deadline == NO_DEADLINE ? -ERESTARTSYS : (int)poll_interrupted(deadline);
	return w == -ETIMEDOUT ? -EAGAIN : 0;
}

/* ---- the user's buffers ---- */

u64 sock_at(const struct sock_io *io, u64 off, u64 *n)
{
	const struct linux_iovec *v = io->v;
	while (off >= v->len)
		off -= v++->len;
	*n = v->len - off;
	return v->base + off;
}

int sock_gather(const struct sock_io *io, u64 off, void *dst, size_t n)
{
	for (u64 here; n; n -= here, off += here, dst = (u8 *)dst + here) {
		u64 at = sock_at(io, off, &here);
		here = MIN(here, n);
		if (copy_from_user(dst, at, here))
			return -EFAULT;
	}
	return 0;
}

int sock_scatter(const struct sock_io *io, u64 off, const void *src, size_t n)
{
	for (u64 here; n; n -= here, off += here, src = (const u8 *)src + here) {
		u64 at = sock_at(io, off, &here);
		here = MIN(here, n);
		if (copy_to_user(at, src, here))
			return -EFAULT;
	}
	return 0;
}

int sock_put_cmsg(struct sock_io *io, i32 level, i32 type, const void *data, size_t len)
{
	struct linux_cmsghdr h = {.len = sizeof h + len, .level = level, .type = type};
	u64 at = io->control + io->control_used, room = io->control_len - io->control_used;
	if (!io->control || room < h.len) {
		io->out_flags |= MSG_CTRUNC;
		return 0;
	}
	if (copy_to_user(at, &h, sizeof h) || copy_to_user(at + sizeof h, data, len))
		return -EFAULT;
	io->control_used += MIN((h.len + 7) & ~7ull, room);
	return 0;
}

/* ---- sending and receiving ---- */

static bool never_waits(const struct ofile *f)
{
	return f->flags & O_NONBLOCK;
}

i64 socket_send(struct ofile *f, struct sock_io *io)
{
	struct socket *s = f->data;
	if (never_waits(f))
		io->flags |= MSG_DONTWAIT;
	if (io->flags & MSG_OOB)
		return -EOPNOTSUPP;
	io->resumable = !s->opt.sndtimeo_ns;
	i64 r = s->ops->send(s, io);
	if (r == -EPIPE && s->type == SOCK_STREAM && !(io->flags & MSG_NOSIGNAL))
		signal_send(current, SIGPIPE, SI_USER, current->pid);
	return r;
}

i64 socket_recv(struct ofile *f, struct sock_io *io)
{
	struct socket *s = f->data;
	if (never_waits(f))
		io->flags |= MSG_DONTWAIT;
	if (io->flags & MSG_OOB)
		return -EINVAL; /* as Linux, when there is none */
	return s->ops->recv(s, io);
}

static u64 total(const struct linux_iovec *v, u32 n)
{
	u64 len = 0;
	for (u32 i = 0; i < n; i++)
		len += v[i].len;
	return len;
}

static i64 vector(struct ofile *f, const struct linux_iovec *v, u32 n, bool write)
{
	struct sock_io io = {.v = v, .n = n, .len = total(v, n)};
	if (io.len > RW_MAX)
		return -EINVAL;
	return write ? socket_send(f, &io) : socket_recv(f, &io);
}

static i64 read(struct ofile *f, u64 ubuf, size_t len)
{
	struct linux_iovec v = {ubuf, len};
	return vector(f, &v, 1, false);
}

static i64 write(struct ofile *f, u64 ubuf, size_t len)
{
	struct linux_iovec v = {ubuf, len};
	return vector(f, &v, 1, true);
}

/* ---- the rest of an open file ---- */

static i64 ioctl(struct ofile *f, u32 cmd, u64 arg)
{
	struct socket *s = f->data;
	return s->ops->ioctl ? s->ops->ioctl(s, cmd, arg) : -ENOTTY;
}

static u32 poll(struct ofile *f, struct pollreq *pr)
{
	struct socket *s = f->data;
	if (pr) {
		poll_register(pr, &s->readers);
		poll_register(pr, &s->writers);
	}
	return s->ops->poll(s) | (s->error ? POLLERR : 0);
}

static int stat(struct ofile *f, struct fs_attr *a)
{
	struct socket *s = f->data;
	*a = (struct fs_attr){.ino = s->inode, .mode = S_IFSOCK | 0777, .nlink = 1, .uid = s->uid};
	return s->ops->stat ? s->ops->stat(s, a) : 0;
}

static void release(struct ofile *f)
{
	struct socket *s = f->data;
	s->ops->release(s);
}

static void describe(const struct ofile *f, struct text *out)
{
	const struct socket *s = f->data;
	s->ops->describe(s, out);
}

static const struct ofile_ops socket_ops = {
	.kind = "socket",
	.cls = CLASS_SOCKET,
	.movable = false,
	.read = read,
	.write = write,
	.vector = vector,
	.ioctl = ioctl,
	.poll = poll,
	.stat = stat,
	.release = release,
	.describe = describe,
};

struct socket *socket_of(const struct ofile *f)
{
	return f->ops == &socket_ops ? f->data : NULL;
}

i64 socket_install(struct socket *s, u32 flags)
{
	struct ofile *f = ofile_new(&socket_ops, O_RDWR | (flags & SOCK_NONBLOCK));
	if (!f) {
		s->ops->release(s);
		return -ENOMEM;
	}
	f->data = s;
	int fd = fd_install(current, f, 0, flags & SOCK_CLOEXEC);
	if (fd < 0)
		ofile_put(f);
	return fd;
}

/* ---- the class ---- */

static u32 held(const struct proc *p)
{
	u32 n = 0;
	for (u32 fd = 0; fd < NOFILE; fd++)
		n += p->u->ofile[fd] && p->u->ofile[fd]->ops->cls == CLASS_SOCKET;
	return n;
}

/* Possession is judged descriptor by descriptor in the file class. */
static int socket_verdict(struct proc *p, u32 node, struct text *why)
{
	(void)node, (void)why;
	for (u32 row = 0; row < V_ROWS && held(p) == 0; row++)
		if (syscall_rows[row].cls == CLASS_SOCKET)
			p->u->vrec[row].marker = 0;
	return 0;
}

static void socket_view(const struct proc *p, struct text *out)
{
	text_printf(out, "  sockets: %u\n", held(p));
	rows_view(p, CLASS_SOCKET, out);
}

const struct env_class env_socket = {
	.name = "socket",
	.version = 1,
	.verdict = socket_verdict,
	.view = socket_view,
};
