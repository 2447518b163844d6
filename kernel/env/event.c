/* SPDX-License-Identifier: MIT */
/*
 * Class Event: eventfd (a counter that can be waited for), timerfd (a timer that can), and epoll (epoll.c). Each is
 * memory of this node between those who share it, and a process that holds one stays (rule local): the file class
 * judges descriptor by descriptor.
 */
#include "env/event.h"
#include "env/clock.h"
#include "env/rows.h"
#include "linux_file.h"
#include "poll.h"
#include "proc.h"
#include "pseudo.h"
#include "usercopy.h"

/* ---- eventfd ---- */

#define EFD_SEMAPHORE 1u
#define EVENT_MAX     0xfffffffffffffffeull

struct event {
	u64 count;
	bool semaphore;
	struct waitq readers, writers;
};

i64 event_install(struct ofile *f, u32 flags)
{
	int fd = fd_install(current, f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		ofile_put(f);
	return fd;
}

static i64 event_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct event *e = f->data;
	if (len < sizeof(u64))
		return -EINVAL;
	while (!e->count) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_on(&e->readers, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
	u64 value = e->semaphore ? 1 : e->count;
	e->count -= value;
	poll_wake(&e->writers);
	return copy_to_user(ubuf, &value, sizeof value) ? -EFAULT : (i64)sizeof value;
}

static i64 event_write(struct ofile *f, u64 ubuf, size_t len)
{
	struct event *e = f->data;
	u64 value;
	if (len < sizeof value)
		return -EINVAL;
	if (copy_from_user(&value, ubuf, sizeof value))
		return -EFAULT;
	if (value == ~0ull)
		return -EINVAL;
	while (value > EVENT_MAX - e->count) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_on(&e->writers, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
	e->count += value;
	if (e->count)
		poll_wake(&e->readers);
	return sizeof value;
}

static u32 event_poll(struct ofile *f, struct pollreq *pr)
{
	struct event *e = f->data;
	if (pr) {
		poll_register(pr, &e->readers);
		poll_register(pr, &e->writers);
	}
	return (e->count ? POLLIN | POLLRDNORM : 0) |
	       (e->count < EVENT_MAX ? POLLOUT | POLLWRNORM : 0);
}

static int event_stat(struct ofile *f, struct fs_attr *a)
{
	pseudo_attr(a, f->ops->kind, 0600);
	return 0;
}

static void event_release(struct ofile *f)
{
	kfree(f->data);
}

static const struct ofile_ops event_ops = {
	.kind = "eventfd",
	.cls = CLASS_EVENT,
	.movable = false,
	.read = event_read,
	.write = event_write,
	.poll = event_poll,
	.stat = event_stat,
	.release = event_release,
};

static i64 new_event(u32 count, u32 flags)
{
	if (flags & ~(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct event *e = kmalloc(sizeof *e);
	struct ofile *f = e ? ofile_new(&event_ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
	if (!f) {
		kfree(e);
		return -ENOMEM;
	}
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	waitq_init(&e->readers);
	waitq_init(&e->writers);
	f->data = e;
	return event_install(f, flags);
}

i64 sys_eventfd(const u64 *arg)
{
	return new_event((u32)arg[0], 0);
}

i64 sys_eventfd2(const u64 *arg)
{
	return new_event((u32)arg[0], (u32)arg[1]);
}

/* ---- timerfd: on the process's MONOTONIC, whoever reads it; REALTIME ones do not follow a clock that is set ---- */

#define TFD_TIMER_ABSTIME 1u
#define FOREVER_NS	  (1ll << 61)

struct timerfd {
	struct timer timer;
	struct waitq readers;
	u64 expired;
	u64 deadline, interval; /* ns, node's clock; deadline 0: not armed */
	u32 clock;
};
struct user_itimerspec {
	struct {
		i64 sec, nsec;
	} interval, value;
};

static void timerfd_fire(struct timer *t)
{
	struct timerfd *e = container_of(t, struct timerfd, timer);
	u64 now = now_ns();
	e->expired++;
	if (e->interval) {
		u64 missed = (MAX(now, e->deadline) - e->deadline) / e->interval;
		e->expired += missed;
		e->deadline += (missed + 1) * e->interval;
		timer_arm(t, MAX(e->deadline, now + 100000));
	} else {
		e->deadline = 0;
	}
	poll_wake(&e->readers);
}

static i64 timerfd_read(struct ofile *f, u64 ubuf, size_t len)
{
	struct timerfd *e = f->data;
	if (len < sizeof(u64))
		return -EINVAL;
	while (!e->expired) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_on(&e->readers, NO_DEADLINE, true) == -EINTR)
			return -ERESTARTSYS;
	}
	u64 value = e->expired;
	e->expired = 0;
	return copy_to_user(ubuf, &value, sizeof value) ? -EFAULT : (i64)sizeof value;
}

static u32 timerfd_poll(struct ofile *f, struct pollreq *pr)
{
	struct timerfd *e = f->data;
	if (pr)
		poll_register(pr, &e->readers);
	return e->expired ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct ofile *f)
{
	timer_cancel(&((struct timerfd *)f->data)->timer);
	kfree(f->data);
}

static const struct ofile_ops timerfd_ops = {
	.kind = "timerfd",
	.cls = CLASS_EVENT,
	.movable = false,
	.read = timerfd_read,
	.poll = timerfd_poll,
	.stat = event_stat,
	.release = timerfd_release,
};

i64 sys_timerfd_create(const u64 *arg)
{
	u32 clock = (u32)arg[0], flags = (u32)arg[1];
	if ((clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME) ||
	    flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct timerfd *e = kmalloc(sizeof *e);
	struct ofile *f = e ? ofile_new(&timerfd_ops, O_RDWR | (flags & O_NONBLOCK)) : NULL;
	if (!f) {
		kfree(e);
		return -ENOMEM;
	}
	e->clock = clock;
	e->timer.fire = timerfd_fire;
	waitq_init(&e->readers);
	f->data = e;
	return event_install(f, flags);
}

static i64 timerfd_get(int fd, struct timerfd **e)
{
	struct ofile *f = fd_get(current, fd);
	if (!f)
		return -EBADF;
	*e = f->data;
	return f->ops == &timerfd_ops ? 0 : -EINVAL;
}

static void remaining(const struct timerfd *e, struct user_itimerspec *s)
{
	u64 now = now_ns(), left = e->deadline ? MAX(e->deadline, now + 1) - now : 0;
	*s = (struct user_itimerspec){
		.value = {(i64)(left / NS_PER_SEC), (i64)(left % NS_PER_SEC)},
		.interval = {(i64)(e->interval / NS_PER_SEC), (i64)(e->interval % NS_PER_SEC)}};
}

static bool spec_ns(i64 sec, i64 nsec, i64 *ns)
{
	if (sec < 0 || nsec < 0 || nsec >= (i64)NS_PER_SEC)
		return false;
	*ns = sec >= FOREVER_NS / (i64)NS_PER_SEC ? FOREVER_NS : sec * (i64)NS_PER_SEC + nsec;
	return true;
}

i64 sys_timerfd_settime(const u64 *arg)
{
	struct user_itimerspec s, old;
	struct timerfd *e;
	i64 value, interval, r = timerfd_get((int)arg[0], &e);
	if (r)
		return r;
	if (copy_from_user(&s, arg[2], sizeof s))
		return -EFAULT;
	if ((u32)arg[1] & ~TFD_TIMER_ABSTIME || !spec_ns(s.value.sec, s.value.nsec, &value) ||
	    !spec_ns(s.interval.sec, s.interval.nsec, &interval))
		return -EINVAL;
	remaining(e, &old);
	if (arg[3] && copy_to_user(arg[3], &old, sizeof old))
		return -EFAULT;
	if (value && (u32)arg[1] & TFD_TIMER_ABSTIME) {
		value = e->clock == CLOCK_REALTIME
				? value - node_realtime()
				: clock_mono_from_user(current, value) - clock_mono(current);
		value = MAX(value, 1l);
	}
	timer_cancel(&e->timer);
	e->expired = 0;
	e->interval = value ? (u64)interval : 0;
	e->deadline = value ? now_ns() + (u64)value : 0;
	if (e->deadline)
		timer_arm(&e->timer, e->deadline);
	return 0;
}

i64 sys_timerfd_gettime(const u64 *arg)
{
	struct user_itimerspec s;
	struct timerfd *e;
	i64 r = timerfd_get((int)arg[0], &e);
	if (r)
		return r;
	remaining(e, &s);
	return copy_to_user(arg[1], &s, sizeof s) ? -EFAULT : 0;
}

/* ---- the class ---- */

static u32 held(const struct proc *p)
{
	u32 n = 0;
	for (u32 fd = 0; fd < NOFILE; fd++)
		n += p->u->ofile[fd] && p->u->ofile[fd]->ops->cls == CLASS_EVENT;
	return n;
}

/* What remains of them after the last close is nothing: not even what the calls returned. */
static int event_verdict(struct proc *p, u32 node, struct text *why)
{
	(void)node, (void)why;
	for (u32 row = 0; row < V_ROWS && held(p) == 0; row++)
		if (syscall_rows[row].cls == CLASS_EVENT)
			p->u->vrec[row].marker = 0;
	return 0;
}

static void event_view(const struct proc *p, struct text *out)
{
	text_printf(out, "  eventfd, timerfd, epoll: %u\n", held(p));
	rows_view(p, CLASS_EVENT, out);
}

const struct env_class env_event = {
	.name = "event",
	.version = 1,
	.verdict = event_verdict,
	.view = event_view,
};
