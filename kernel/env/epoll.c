/* SPDX-License-Identifier: MIT */
/*
 * epoll: a set of open files of which those that are ready are told. Each member listens (poll.h) all the time, so that
 * an edge that nobody was waiting for is not lost; whether it is ready is asked when somebody wants to know. A member
 * does not keep its file open: with the last descriptor it goes (epoll_forget). An epoll may be in another one, but no
 * deeper: each level multiplies what a wake-up costs, and is one more call on the kernel stack.
 */
#include "env/event.h"
#include "linux_file.h"
#include "poll.h"
#include "proc.h"
#include "pseudo.h"
#include "signal.h"
#include "usercopy.h"

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
#define EPOLLEXCLUSIVE (1u << 28)
#define EPOLLONESHOT   (1u << 30)
#define EPOLLET	       (1u << 31)
#define MEMBERS_MAX    1024u
#define USERS_MAX      2048u /* members of all epolls of one user: each wake-up looks through them */

struct user_event {
	u32 events;
	u64 data;
} __attribute__((packed));

struct member {
	struct list link;
	struct ofile *f; /* no reference */
	int fd;
	struct user_event want;
	bool off; /* EPOLLONESHOT has told */
	struct pollreq *pr;
	u32 busy;  /* how many are asking it, which may wait for another node */
	bool gone; /* meanwhile; the last of them frees it */
};
struct epoll {
	struct list link; /* of all */
	struct list members;
	u32 count;
	u32 uid; /* who made it */
	struct waitq wait;
};
static struct list epolls = LIST_INIT(epolls);

static void member_free(struct member *m)
{
	poll_end(m->pr);
	kfree(m);
}

static void member_drop(struct epoll *e, struct member *m)
{
	list_remove(&m->link);
	e->count--;
	m->gone = true;
	if (!m->busy)
		member_free(m);
}

void epoll_forget(struct ofile *f)
{
	list_for_each(e, &epolls, struct epoll, link)
		list_for_each_safe(m, &e->members, struct member, link)
			if (m->f == f)
				member_drop(e, m);
}

/* What m is ready for. false: it has gone meanwhile. */
static bool ask(struct member *m, struct pollreq *pr, u32 *r)
{
	struct ofile *f = m->f;
	ofile_ref(f);
	m->busy++;
	*r = f->ops->poll(f, pr) & (m->want.events | POLLERR | POLLHUP);
	ofile_put(f); /* perhaps the last */
	m->busy--;
	if (!m->gone)
		return true;
	if (!m->busy)
		member_free(m);
	return false;
}

/* What m is to be told of now; the queues are named anew, for a file may have changed them. false: it has gone. */
static bool ready(struct member *m, u32 *r)
{
	struct pollreq *pr = m->busy ? NULL : m->pr;
	bool edge = poll_woken(m->pr);
	if (pr)
		poll_again(pr);
	if (!ask(m, pr, r))
		return false;
	if (m->off || (m->want.events & EPOLLET && !edge))
		*r = 0;
	return true;
}

/* An epoll in another one. Asking takes no edge away. */
static u32 epoll_poll(struct ofile *f, struct pollreq *pr)
{
	struct epoll *e = f->data;
	u32 r;
	if (pr)
		poll_register(pr, &e->wait);
again:
	list_for_each(m, &e->members, struct member, link) {
		if (m->off)
			continue;
		if (!ask(m, NULL, &r))
			goto again;
		if (r)
			return POLLIN | POLLRDNORM;
	}
	return 0;
}

static int epoll_stat(struct ofile *f, struct fs_attr *a)
{
	pseudo_attr(a, f->ops->kind, 0600);
	return 0;
}

static void epoll_release(struct ofile *f)
{
	struct epoll *e = f->data;
	list_for_each_safe(m, &e->members, struct member, link)
		member_drop(e, m);
	list_remove(&e->link);
	kfree(e);
}

static const struct ofile_ops epoll_ops = {
	.kind = "epoll",
	.cls = CLASS_EVENT,
	.movable = false,
	.poll = epoll_poll,
	.stat = epoll_stat,
	.release = epoll_release,
};

static i64 new_epoll(u32 flags)
{
	struct epoll *e = kmalloc(sizeof *e);
	struct ofile *f = e ? ofile_new(&epoll_ops, O_RDWR) : NULL;
	if (!f) {
		kfree(e);
		return -ENOMEM;
	}
	list_init(&e->members);
	waitq_init(&e->wait);
	e->uid = current->u->names.uid;
	list_push_back(&epolls, &e->link);
	f->data = e;
	return event_install(f, flags);
}

i64 sys_epoll_create(const u64 *arg)
{
	return (i32)arg[0] > 0 ? new_epoll(0) : -EINVAL;
}

i64 sys_epoll_create1(const u64 *arg)
{
	return (u32)arg[0] & ~O_CLOEXEC ? -EINVAL : new_epoll((u32)arg[0]);
}

static bool has_epolls(const struct epoll *e)
{
	list_for_each(m, &e->members, struct member, link)
		if (m->f->ops == &epoll_ops)
			return true;
	return false;
}

static bool is_in_another(const struct epoll *e)
{
	list_for_each(x, &epolls, struct epoll, link)
		list_for_each(m, &x->members, struct member, link)
			if (m->f->ops == &epoll_ops && m->f->data == e)
				return true;
	return false;
}

static u32 members_of(u32 uid)
{
	u32 n = 0;
	list_for_each(e, &epolls, struct epoll, link)
		n += e->uid == uid ? e->count : 0;
	return n;
}

static i64 add(struct epoll *e, struct ofile *f, int fd, const struct user_event *want)
{
	u32 ignored;
	if (f->ops == &epoll_ops && (has_epolls(f->data) || is_in_another(e)))
		return -ELOOP;
	if (e->count == MEMBERS_MAX || members_of(e->uid) >= USERS_MAX)
		return -ENOSPC;
	struct member *m = kmalloc(sizeof *m);
	struct pollreq *pr = m ? poll_listen(&e->wait) : NULL;
	if (!pr) {
		kfree(m);
		return -ENOMEM;
	}
	*m = (struct member){.f = f, .fd = fd, .want = *want, .pr = pr};
	list_push_back(&e->members, &m->link);
	e->count++;
	f->watched = true;
	ask(m, pr, &ignored);
	return 0;
}

i64 sys_epoll_ctl(const u64 *arg)
{
	struct user_event want = {0};
	u32 op = (u32)arg[1];
	int fd = (int)arg[2];
	struct ofile *ep = fd_get(current, (int)arg[0]), *f = fd_get(current, fd);
	if (op != EPOLL_CTL_DEL && copy_from_user(&want, arg[3], sizeof want))
		return -EFAULT;
	if (!ep || !f)
		return -EBADF;
	if (!f->ops->poll)
		return -EPERM;
	if (ep->ops != &epoll_ops || ep == f || want.events & EPOLLEXCLUSIVE)
		return -EINVAL;
	struct epoll *e = ep->data;
	struct member *found = NULL;
	list_for_each(m, &e->members, struct member, link)
		if (m->f == f && m->fd == fd)
			found = m;
	if (op == EPOLL_CTL_ADD) {
		i64 r = found ? -EEXIST : add(e, f, fd, &want);
		if (!r)
			poll_wake(&e->wait);
		return r;
	}
	if (op != EPOLL_CTL_DEL && op != EPOLL_CTL_MOD)
		return -EINVAL;
	if (!found)
		return -ENOENT;
	if (op == EPOLL_CTL_DEL) {
		member_drop(e, found);
		return 0;
	}
	found->want = want;
	found->off = false;
	poll_set_woken(found->pr);
	poll_wake(&e->wait);
	return 0;
}

static bool woken(const struct epoll *e)
{
	list_for_each(m, &e->members, struct member, link)
		if (poll_woken(m->pr))
			return true;
	return false;
}

/* Up to max events into *out; those that were told go behind the others, so that each has its turn. */
static u32 collect(struct epoll *e, struct user_event *out, u32 max)
{
	u32 n = 0, look = e->count;
	while (look-- && n < max && !list_empty(&e->members)) {
		struct member *m = container_of(e->members.next, struct member, link);
		u32 r;
		if (!ready(m, &r))
			continue;
		list_remove(&m->link);
		list_push_back(&e->members, &m->link);
		if (!r)
			continue;
		out[n++] = (struct user_event){r, m->want.data};
		m->off = m->want.events & EPOLLONESHOT;
	}
	return n;
}

static i64 wait_events(struct ofile *f, u64 uevents, u32 max, u64 deadline)
{
	struct epoll *e = f->data;
	max = MIN(max, MEMBERS_MAX);
	struct user_event *out = kmalloc(max * sizeof *out);
	i64 r = 0;
	if (!out)
		return -ENOMEM;
	ofile_ref(f);
	while (!(r = collect(e, out, max)) && deadline > now_ns())
		/* Asking may have waited for another node. */
		if (!woken(e) && wait_on(&e->wait, deadline, true) == -EINTR) {
			r = poll_interrupted(deadline);
			break;
		}
	if (r > 0 && copy_to_user(uevents, out, (size_t)r * sizeof *out))
		r = -EFAULT;
	if (r != -ERESTARTNOHAND)
		current_thread->u.call.resume_valid = false;
	ofile_put(f);
	kfree(out);
	return r;
}

static i64 do_wait(const u64 *arg)
{
	struct ofile *f = fd_get(current, (int)arg[0]);
	i32 ms = (i32)arg[3];
	if ((i32)arg[2] <= 0 || (u32)arg[2] > 0x7fffffffu / sizeof(struct user_event))
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (f->ops != &epoll_ops)
		return -EINVAL;
	return wait_events(f, arg[1], (u32)arg[2],
			   poll_deadline(ms < 0 ? NO_DEADLINE : (u64)ms * 1000000));
}

i64 sys_epoll_wait(const u64 *arg)
{
	return do_wait(arg);
}

i64 sys_epoll_pwait(const u64 *arg)
{
	i64 r = poll_mask(arg[4], arg[5]);
	if (r)
		return r;
	r = do_wait(arg);
	if (r != -ERESTARTNOHAND)
		signal_mask_undo();
	return r;
}
