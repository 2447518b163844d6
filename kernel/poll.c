/* SPDX-License-Identifier: MIT */
/*
 * poll, ppoll, select, pselect6. A caller asks each open file whether it is ready; on the first
 * round each file names the queues (poll_register) whose waking may change the answer, then the
 * caller sleeps on a queue of its own. There are few callers at a time, so poll_wake simply looks
 * through all of them: nothing is linked into the queues, and a queue may go away while somebody
 * remembers its address.
 *
 * Restart state: the deadline, in the process's own MONOTONIC clock, so that a poll of 10 s that
 * migrates after 4 s waits 6 s more.
 */
#include "poll.h"
#include "file.h"
#include "ipc.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

#define CLOCK_MONOTONIC_ 1
#define QUEUES_PER_FILE	 2
#define FDSET_WORDS	 ((NOFILE + 63) / 64)

struct user_pollfd {
	i32 fd;
	u16 events, revents;
};

struct pollreq {
	struct list link; /* in pollers */
	struct waitq self;
	struct waitq *to; /* is woken: self, or an epoll's queue */
	bool woken;
	u64 wave; /* in which it was woken last */
	u32 count, room;
	struct waitq *queue[];
};

static struct list pollers HOT_DATA = LIST_INIT(pollers);

void poll_register(struct pollreq *pr, struct waitq *q)
{
	ASSERT(pr->count < pr->room);
	pr->queue[pr->count++] = q;
}

/* Each listener once a wave: many of them may pass it on to the same epoll. */
static void wake(struct waitq *q, u64 wave)
{
	wake_all(q);
	list_for_each(pr, &pollers, struct pollreq, link) {
		bool hit = false;
		for (u32 i = 0; i < pr->count && !hit; i++)
			hit = pr->queue[i] == q;
		if (!hit || pr->wave == wave)
			continue;
		pr->woken = true;
		pr->wave = wave;
		if (pr->to == &pr->self)
			wake_all(pr->to);
		else
			wake(pr->to, wave); /* which may be listened to, too */
	}
}

void poll_wake(struct waitq *q)
{
	static u64 wave;
	wake(q, ++wave);
}

static struct pollreq *listen(u32 files, struct waitq *to)
{
	u32 room = files * QUEUES_PER_FILE;
	struct pollreq *pr = kmalloc(sizeof *pr + room * sizeof pr->queue[0]);
	if (!pr)
		return NULL;
	pr->room = room;
	waitq_init(&pr->self);
	pr->to = to ? to : &pr->self;
	list_push_back(&pollers, &pr->link);
	return pr;
}

struct pollreq *poll_listen(struct waitq *to)
{
	struct pollreq *pr = listen(1, to);
	if (pr)
		pr->woken = true; /* nobody has looked yet */
	return pr;
}

void poll_end(struct pollreq *pr)
{
	list_remove(&pr->link);
	kfree(pr);
}

bool poll_woken(const struct pollreq *pr)
{
	return pr->woken;
}

void poll_set_woken(struct pollreq *pr)
{
	pr->woken = true;
}

void poll_again(struct pollreq *pr)
{
	pr->woken = false;
	pr->count = 0;
}

void poll_note_servers(u32 services)
{
	for (; services; services &= services - 1)
		ipc_note((u32)__builtin_ctz(services), WH_NOTE_POLL);
}

/* ---- the wait ---- */

static u32 file_ready(struct ofile *f, struct pollreq *pr)
{
	if (!f->ops->poll)
		return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	return f->ops->poll(f, pr);
}

static u32 ask_all(struct user_pollfd *fds, u32 n, struct pollreq *pr)
{
	u32 ready = 0;
	for (u32 i = 0; i < n; i++) {
		fds[i].revents = 0;
		if (fds[i].fd < 0)
			continue;
		struct ofile *f = fd_get(current, fds[i].fd);
		u32 r = f ? file_ready(f, pr) : POLLNVAL;
		fds[i].revents = (u16)(r & (fds[i].events | POLLERR | POLLHUP | POLLNVAL));
		ready += fds[i].revents != 0;
	}
	return ready;
}

/* The deadline of this call (node time): the caller's time-out, or what an interrupted first
 * attempt left. */
u64 poll_deadline(u64 timeout_ns)
{
	const struct ucall *c = &current_thread->u.call;
	if (c->resume_valid && c->resume_nr == c->nr)
		return c->resume[0] == NO_DEADLINE
			       ? NO_DEADLINE
			       : c->resume[0] - (u64)current->u->clock_off[CLOCK_MONOTONIC_];
	u64 now = now_ns();
	return timeout_ns >= NO_DEADLINE - now ? NO_DEADLINE : now + timeout_ns;
}

i64 poll_interrupted(u64 deadline)
{
	struct ucall *c = &current_thread->u.call;
	c->resume_valid = true;
	c->resume_nr = c->nr;
	c->resume[0] = deadline == NO_DEADLINE
			       ? NO_DEADLINE
			       : deadline + (u64)current->u->clock_off[CLOCK_MONOTONIC_];
	return -ERESTARTNOHAND;
}

/* Number of ready files (0: time is up), or -ERESTARTNOHAND, -ENOMEM. */
static i64 wait_ready(struct user_pollfd *fds, u32 n, u64 deadline)
{
	struct pollreq *pr = listen(n, NULL);
	if (!pr)
		return -ENOMEM;
	i64 ready = ask_all(fds, n, pr);
	bool time_up = false;
	while (ready == 0 && !time_up) {
		time_up = deadline <= now_ns();
		int w = time_up || pr->woken ? 0 : wait_on(&pr->self, deadline, true);
		if (w == -EINTR) {
			ready = poll_interrupted(deadline);
			break;
		}
		pr->woken = false;
		ready = ask_all(fds, n, NULL);
	}
	poll_end(pr);
	if (ready >= 0)
		current_thread->u.call.resume_valid = false;
	return ready;
}

/* ---- poll and ppoll ---- */

static i64 poll_common(u64 ufds, u64 n, u64 deadline)
{
	if (n > NOFILE)
		return -EINVAL;
	size_t bytes = n * sizeof(struct user_pollfd);
	struct user_pollfd *fds = kmalloc(bytes + 1);
	if (!fds)
		return -ENOMEM;
	i64 r = copy_from_user(fds, ufds, bytes);
	if (r == 0)
		r = wait_ready(fds, (u32)n, deadline);
	if (r >= 0 && copy_to_user(ufds, fds, bytes) < 0)
		r = -EFAULT;
	kfree(fds);
	return r;
}

i64 sys_poll(const u64 *arg)
{
	i32 ms = (i32)arg[2];
	return poll_common(arg[0], arg[1], poll_deadline(ms < 0 ? NO_DEADLINE : (u64)ms * 1000000));
}

struct user_time {
	i64 sec, frac; /* ns in a timespec, us in a timeval */
};

/* User time at uaddr (0: for ever) in ns. */
static i64 get_timeout(u64 uaddr, u64 frac_per_sec, u64 *ns)
{
	struct user_time t;
	*ns = NO_DEADLINE;
	if (!uaddr)
		return 0;
	if (copy_from_user(&t, uaddr, sizeof t) < 0)
		return -EFAULT;
	if (t.sec < 0 || t.frac < 0 || (u64)t.frac >= frac_per_sec)
		return -EINVAL;
	if ((u64)t.sec < NO_DEADLINE / NS_PER_SEC / 2)
		*ns = (u64)t.sec * NS_PER_SEC + (u64)t.frac * (NS_PER_SEC / frac_per_sec);
	return 0;
}

/* Linux tells the caller how much of the time-out was left. */
static void put_timeout(u64 uaddr, u64 frac_per_sec, u64 deadline)
{
	if (!uaddr || deadline == NO_DEADLINE)
		return;
	u64 now = now_ns(), left = deadline > now ? deadline - now : 0;
	struct user_time t = {(i64)(left / NS_PER_SEC),
			      (i64)(left % NS_PER_SEC / (NS_PER_SEC / frac_per_sec))};
	copy_to_user(uaddr, &t, sizeof t); /* a read-only time-out is not an error */
}

/* The mask argument of ppoll and pselect6, in force during the call. */
i64 poll_mask(u64 umask, u64 size)
{
	u64 mask;
	if (!umask)
		return 0;
	if (size != sizeof mask)
		return -EINVAL;
	if (copy_from_user(&mask, umask, sizeof mask) < 0)
		return -EFAULT;
	signal_mask_for_call(mask);
	return 0;
}

i64 sys_ppoll(const u64 *arg)
{
	u64 timeout;
	i64 r = get_timeout(arg[2], NS_PER_SEC, &timeout);
	if (r == 0)
		r = poll_mask(arg[3], arg[4]);
	if (r < 0)
		return r;
	u64 deadline = poll_deadline(timeout);
	r = poll_common(arg[0], arg[1], deadline);
	if (r == -ERESTARTNOHAND)
		return r; /* signal_deliver decides the fate of the mask */
	signal_mask_undo();
	put_timeout(arg[2], NS_PER_SEC, deadline);
	return r;
}

/* ---- select and pselect6 ---- */

#define SET_IN	(POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define SET_OUT (POLLOUT | POLLWRNORM | POLLERR)
#define SET_EXC POLLPRI

struct fd_sets {
	u64 set[3][FDSET_WORDS]; /* read, write, exceptional */
	struct user_pollfd fds[NOFILE];
};
static const u32 set_events[3] = {SET_IN, SET_OUT, SET_EXC};

static bool in_set(const u64 *set, u32 fd)
{
	return set[fd / 64] >> (fd % 64) & 1;
}

/* fd_sets to pollfds; their number, or -EBADF. */
static i64 gather(struct fd_sets *s, u32 n)
{
	u32 count = 0;
	for (u32 fd = 0; fd < n; fd++) {
		u32 events = 0;
		for (u32 i = 0; i < 3; i++)
			events |= in_set(s->set[i], fd) ? set_events[i] : 0;
		if (!events)
			continue;
		if (!fd_get(current, (int)fd))
			return -EBADF;
		s->fds[count++] = (struct user_pollfd){.fd = (i32)fd, .events = (u16)events};
	}
	return count;
}

/* Results back to fd_sets; the number of bits set. */
static i64 scatter(struct fd_sets *s, u32 count)
{
	i64 bits = 0;
	u64 out[3][FDSET_WORDS] = {0};
	for (u32 k = 0; k < count; k++)
		for (u32 i = 0; i < 3; i++)
			if (in_set(s->set[i], (u32)s->fds[k].fd) &&
			    (s->fds[k].revents & set_events[i])) {
				out[i][s->fds[k].fd / 64] |= 1ull << (s->fds[k].fd % 64);
				bits++;
			}
	memcpy(s->set, out, sizeof out);
	return bits;
}

static i64 select_common(u64 n, const u64 *usets, u64 deadline)
{
	if ((i32)n < 0)
		return -EINVAL;
	n = MIN(n, (u64)NOFILE);
	size_t bytes = (n + 63) / 64 * 8;
	struct fd_sets *s = kmalloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	i64 r = 0;
	for (u32 i = 0; i < 3 && r == 0; i++)
		if (usets[i])
			r = copy_from_user(s->set[i], usets[i], bytes);
	if (r == 0)
		r = gather(s, (u32)n);
	u32 count = (u32)r;
	if (r >= 0)
		r = wait_ready(s->fds, count, deadline);
	if (r >= 0) {
		r = scatter(s, count);
		for (u32 i = 0; i < 3; i++)
			if (usets[i] && copy_to_user(usets[i], s->set[i], bytes) < 0)
				r = -EFAULT;
	}
	kfree(s);
	return r;
}

i64 sys_select(const u64 *arg)
{
	u64 timeout;
	i64 r = get_timeout(arg[4], 1000000, &timeout);
	if (r < 0)
		return r;
	u64 deadline = poll_deadline(timeout);
	r = select_common(arg[0], arg + 1, deadline);
	if (r != -ERESTARTNOHAND)
		put_timeout(arg[4], 1000000, deadline);
	return r;
}

i64 sys_pselect6(const u64 *arg)
{
	u64 timeout, mask[2] = {0}; /* address and size of the mask */
	i64 r = get_timeout(arg[4], NS_PER_SEC, &timeout);
	if (r == 0 && arg[5])
		r = copy_from_user(mask, arg[5], sizeof mask);
	if (r == 0)
		r = poll_mask(mask[0], mask[1]);
	if (r < 0)
		return r;
	u64 deadline = poll_deadline(timeout);
	r = select_common(arg[0], arg + 1, deadline);
	if (r == -ERESTARTNOHAND)
		return r;
	signal_mask_undo();
	put_timeout(arg[4], NS_PER_SEC, deadline);
	return r;
}
