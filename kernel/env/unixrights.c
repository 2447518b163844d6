/* SPDX-License-Identifier: MIT */
/*
 * Family AF_UNIX: open files and identities that are sent along. A description on its way is held by the queue it is in. Sockets that
 * hold each other this way, and are held by nobody else, would stay for ever: a while after some were sent, and while some are on
 * their way, those that no process can come to are looked for, and their queues are emptied.
 */
#include "env/unix.h"
#include "proc.h"
#include "usercopy.h"

#define SCM_RIGHTS	1
#define SCM_CREDENTIALS 2
#define LOOK_FIRST_NS	(1000 * 1000000ull)
#define LOOK_LATEST_NS	(64 * LOOK_FIRST_NS) /* later and later, while nothing is found */

static u32 sockets_inflight;
static struct timer look_timer;
static u64 look_after = LOOK_FIRST_NS;

struct unix_cred unix_me(bool effective)
{
	const struct unames *n = &current->u->names;
	return (struct unix_cred){.pid = n->pid,
				  .uid = effective ? n->euid : n->uid,
				  .gid = effective ? n->egid : n->gid};
}

static struct unix_sock *unix_socket(const struct ofile *f)
{
	struct socket *s = socket_of(f);
	return s && s->ops == &unix_family ? unix_of(s) : NULL;
}

void extra_drop(struct unix_extra *x)
{
	struct unix_fds *fds = x->fds;
	x->fds = NULL;
	for (u32 i = 0; fds && i < fds->n; i++)
		ofile_put(fds->f[i]);
	kfree(fds);
}

/* ---- from the sender ---- */

static u32 on_their_way(u32 uid)
{
	u32 n = 0;
	list_for_each(u, &unix_all, struct unix_sock, link)
		list_for_each(m, &u->msgs, struct unix_msg, link)
			n += m->extra.fds && m->extra.fds->uid == uid ? m->extra.fds->n : 0;
	return n;
}

static int take_rights(struct unix_extra *x, u64 at, u64 len)
{
	i32 fd[UNIX_FDS_MAX];
	u32 n = (u32)(len / sizeof fd[0]), had = x->fds ? x->fds->n : 0;
	if (n + had > UNIX_FDS_MAX)
		return -EINVAL;
	if (copy_from_user(fd, at, n * sizeof fd[0]))
		return -EFAULT;
	u32 uid = current->u->names.uid;
	if (uid && on_their_way(uid) + n + had > UNIX_FDS_USER)
		return -ETOOMANYREFS;
	struct unix_fds *fds = kmalloc(sizeof *fds + (n + had) * sizeof fds->f[0]);
	if (!fds)
		return -ENOMEM;
	fds->uid = uid;
	for (; fds->n < had; fds->n++)
		fds->f[fds->n] = x->fds->f[fds->n];
	kfree(x->fds);
	x->fds = fds;
	for (u32 i = 0; i < n; i++) {
		struct ofile *f = fd_get(current, fd[i]);
		if (!f)
			return -EBADF;
		ofile_ref(f);
		fds->f[fds->n++] = f;
	}
	return 0;
}

static int take_credentials(struct unix_extra *x, u64 at, u64 len)
{
	const struct unames *n = &current->u->names;
	struct unix_cred c;
	if (len != sizeof c)
		return -EINVAL;
	if (copy_from_user(&c, at, sizeof c))
		return -EFAULT;
	bool own = c.pid == n->pid && (c.uid == n->uid || c.uid == n->euid || c.uid == n->suid) &&
		   (c.gid == n->gid || c.gid == n->egid || c.gid == n->sgid);
	if (n->euid && !own)
		return -EPERM;
	x->cred = c;
	return 0;
}

int extra_from_user(const struct sock_io *io, struct unix_extra *x)
{
	u64 left = io->control ? io->control_len : 0, at = io->control;
	struct linux_cmsghdr h;
	int err = 0;
	*x = (struct unix_extra){.cred = unix_me(false)};
	while (left >= sizeof h && !err) {
		if (copy_from_user(&h, at, sizeof h)) {
			err = -EFAULT;
			break;
		}
		if (h.len < sizeof h || h.len > left) {
			err = -EINVAL;
			break;
		}
		if (h.level == SOL_SOCKET)
			err = h.type == SCM_RIGHTS ? take_rights(x, at + sizeof h, h.len - sizeof h)
			      : h.type == SCM_CREDENTIALS
				      ? take_credentials(x, at + sizeof h, h.len - sizeof h)
				      : -EINVAL;
		u64 step = MIN((h.len + 7) & ~7ull, left);
		at += step;
		left -= step;
	}
	if (err)
		extra_drop(x);
	return err;
}

/* ---- to the receiver ---- */

static int give_rights(struct sock_io *io, const struct unix_fds *fds)
{
	i32 fd[UNIX_FDS_MAX];
	u64 room = io->control ? io->control_len - io->control_used : 0;
	u64 fit = room > sizeof(struct linux_cmsghdr)
			  ? (room - sizeof(struct linux_cmsghdr)) / sizeof fd[0]
			  : 0;
	u32 n = 0;
	while (n < fds->n && n < fit) {
		fd[n] = fd_install(current, fds->f[n], 0, io->flags & MSG_CMSG_CLOEXEC);
		if (fd[n] < 0)
			break;
		ofile_ref(fds->f[n++]);
	}
	if (n < fds->n)
		io->out_flags |= MSG_CTRUNC;
	return n ? sock_put_cmsg(io, SOL_SOCKET, SCM_RIGHTS, fd, n * sizeof fd[0]) : 0;
}

int extra_to_user(struct sock_io *io, struct unix_extra *x, bool creds, bool keep)
{
	int err = 0;
	if (creds)
		err = sock_put_cmsg(io, SOL_SOCKET, SCM_CREDENTIALS, &x->cred, sizeof x->cred);
	if (!err && x->fds)
		err = give_rights(io, x->fds);
	if (keep)
		x->fds = NULL;
	extra_drop(x);
	return err;
}

/* ---- those that nobody can come to ---- */

static void look(struct timer *t)
{
	u32 found = rights_collect();
	look_after = found ? LOOK_FIRST_NS : MIN(2 * look_after, LOOK_LATEST_NS);
	if (sockets_inflight)
		timer_arm(t, now_ns() + look_after);
}

void rights_begin(const struct unix_extra *x)
{
	for (u32 i = 0; x->fds && i < x->fds->n; i++) {
		struct unix_sock *u = unix_socket(x->fds->f[i]);
		if (!u)
			continue;
		u->file = x->fds->f[i];
		u->inflight++;
		sockets_inflight++;
		look_after = LOOK_FIRST_NS;
		look_timer.fire = look;
		if (!look_timer.armed)
			timer_arm(&look_timer, now_ns() + look_after);
	}
}

void rights_end(const struct unix_extra *x)
{
	for (u32 i = 0; x->fds && i < x->fds->n; i++) {
		struct unix_sock *u = unix_socket(x->fds->f[i]);
		if (u) {
			u->inflight--;
			sockets_inflight--;
		}
	}
}

static void reach(struct unix_sock *u, struct list *work)
{
	if (u->reached)
		return;
	u->reached = true;
	list_push_back(work, &u->reach_link);
}

static void reach_from(struct unix_sock *u, struct list *work)
{
	list_for_each(m, &u->msgs, struct unix_msg, link)
		for (u32 i = 0; m->extra.fds && i < m->extra.fds->n; i++) {
			struct unix_sock *v = unix_socket(m->extra.fds->f[i]);
			if (v)
				reach(v, work);
		}
	list_for_each(c, &u->pending, struct unix_sock, pending_link)
		reach(c, work);
}

/* Emptying a queue may end sockets, and so change the list: one at a time. */
static struct unix_sock *unreached(void)
{
	list_for_each(u, &unix_all, struct unix_sock, link)
		if (!u->reached && u->nmsgs)
			return u;
	return NULL;
}

u32 rights_collect(void)
{
	struct list work = LIST_INIT(work);
	struct unix_sock *u;
	u32 found = 0;
	list_for_each(v, &unix_all, struct unix_sock, link)
		v->reached = false;
	list_for_each(v, &unix_all, struct unix_sock, link)
		if (!v->embryo && (!v->inflight || v->file->refs > v->inflight))
			reach(v, &work);
	while (!list_empty(&work))
		reach_from(container_of(list_take(&work), struct unix_sock, reach_link), &work);
	while ((u = unreached())) {
		unix_ref(u); /* the last description of it may be in its own queue */
		unix_purge(u);
		unix_put(u);
		found++;
	}
	return found;
}
