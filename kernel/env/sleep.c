/* SPDX-License-Identifier: MIT */
/*
 * Class Clock, sleeps and the alarm: deadlines in the process's own MONOTONIC (or, for absolute
 * REALTIME sleeps, in its view of REALTIME), so half a sleep remains half a sleep wherever the
 * process is frozen and thawed. A relative sleep that is interrupted keeps its deadline in
 * ublock.call.resume.
 */
#include "clock.h"
#include "ptimer.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

#define TIMER_ABSTIME 1
#define ITIMER_REAL   0
#define FOREVER_NS    (1ll << 61)
#define ALARM_MIN_NS                                                                               \
	100000u /* between two ticks: a shorter interval would leave the node no time for anything else */

static struct waitq nobody = WAITQ_INIT(nobody); /* is never woken */

struct user_timespec {
	i64 sec, nsec;
};
struct user_timeval {
	i64 sec, usec;
};
struct user_itimerval {
	struct user_timeval interval, value;
};

/* ns of a user's timespec; times too far away become FOREVER_NS. -EFAULT, -EINVAL. */
static int get_timespec(u64 uaddr, i64 *ns)
{
	struct user_timespec ts;

	if (copy_from_user(&ts, uaddr, sizeof ts) < 0)
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (i64)NS_PER_SEC)
		return -EINVAL;
	*ns = ts.sec >= FOREVER_NS / (i64)NS_PER_SEC ? FOREVER_NS
						     : ts.sec * (i64)NS_PER_SEC + ts.nsec;
	return 0;
}

/* A signal, not only a freeze, ended the wait. */
static bool signalled(void)
{
	const struct utsignal *s = &current_thread->u.sig;

	return (s->pending.set | current->u->sig.pending.set) & ~s->blocked;
}

/* Sleep until p's MONOTONIC is past `deadline`. 0 or -EINTR. */
static int sleep_mono(i64 deadline)
{
	i64 left;

	while ((left = deadline - clock_mono(current)) > 0)
		if (wait_on(&nobody, now_ns() + (u64)left, true) == -EINTR)
			return deadline > clock_mono(current) ? -EINTR : 0;
	return 0;
}

static i64 sleep_relative(u64 nr, u64 ureq, u64 urem)
{
	struct ucall *c = &current_thread->u.call;
	i64 deadline, ns;

	if (c->resume_valid && c->resume_nr == nr) {
		deadline = MIN((i64)c->resume[0], 2 * FOREVER_NS - 1);
	} else {
		int r = get_timespec(ureq, &ns);
		if (r)
			return r;
		deadline = clock_mono(current) + ns;
	}
	c->resume_valid = false;
	if (sleep_mono(deadline) == 0)
		return 0;
	ns = MAX(deadline - clock_mono(current), 1l);
	struct user_timespec rem = {ns / (i64)NS_PER_SEC, ns % (i64)NS_PER_SEC};
	if (urem && signalled() && copy_to_user(urem, &rem, sizeof rem) < 0)
		return -EFAULT;
	c->resume_valid = true;
	c->resume_nr = nr;
	c->resume[0] = (u64)deadline;
	return -ERESTARTBLOCK;
}

/* Until p would be shown `target` by its REALTIME. */
static i64 sleep_until_real(i64 target)
{
	struct proc *p = current;

	for (;;) {
		i64 now = node_realtime(), left = target - now;
		if (views_on)
			left = cview_wait(&p->u->cview[CLOCK_REALTIME], clock_policy, now, target);
		if (left <= 0)
			return 0;
		if (wait_on(&clock_set_waiters, now_ns() + (u64)left, true) == -EINTR)
			return -ERESTARTNOHAND;
	}
}

i64 sys_nanosleep(const u64 *arg)
{
	return sleep_relative(current_thread->u.call.nr, arg[0], arg[1]);
}

i64 sys_clock_nanosleep(const u64 *arg)
{
	i32 id = (i32)arg[0];
	i64 target;

	if (id == CLOCK_THREAD_CPUTIME_ID || id < 0 || id >= NCLOCK)
		return -EINVAL;
	if (id != CLOCK_REALTIME && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME)
		return -EOPNOTSUPP;
	if (!(arg[1] & TIMER_ABSTIME))
		return sleep_relative(current_thread->u.call.nr, arg[2], arg[3]);
	int r = get_timespec(arg[2], &target);
	if (r)
		return r;
	if (id == CLOCK_REALTIME)
		return sleep_until_real(target);
	return sleep_mono(clock_mono_from_user(current, target)) ? -ERESTARTNOHAND : 0;
}

/* ---- the alarm ---- */

static void alarm_arm(struct proc *p);

static void alarm_fire(struct timer *t)
{
	struct proc *p = container_of(t, struct proc, alarm_timer);
	struct ublock *u = p->u;
	u64 deadline = u->itimer_deadline_ns;

	u->itimer_deadline_ns = 0;
	if (u->itimer_interval_ns) {
		/* Missed ticks are one signal. */
		u64 late = (u64)MAX(clock_mono(p) - (i64)deadline, 0l) + ALARM_MIN_NS;
		u->itimer_deadline_ns =
			deadline + (late / u->itimer_interval_ns + 1) * u->itimer_interval_ns;
		alarm_arm(p);
	}
	signal_send(p, SIGALRM, SI_KERNEL, 0);
}

static void alarm_arm(struct proc *p)
{
	i64 left = (i64)p->u->itimer_deadline_ns - clock_mono(p);

	p->alarm_timer.fire = alarm_fire;
	timer_arm(&p->alarm_timer, now_ns() + (u64)MAX(left, 0l));
}

void clock_suspend(struct proc *p)
{
	timer_cancel(&p->alarm_timer);
	ptimer_suspend(p);
}

void clock_resume(struct proc *p)
{
	ptimer_resume(p);
	if (p->u->itimer_deadline_ns)
		alarm_arm(p);
}

static i64 alarm_left(const struct proc *p)
{
	if (!p->u->itimer_deadline_ns)
		return 0;
	return MAX((i64)p->u->itimer_deadline_ns - clock_mono(p), 1000l);
}

/* value_ns 0: off */
static void alarm_set(struct proc *p, i64 value_ns, i64 interval_ns)
{
	timer_cancel(&p->alarm_timer);
	p->u->itimer_interval_ns = value_ns ? (u64)interval_ns : 0;
	/* 0 means off: the process's clock starts with its node, so no real deadline is 0 or
	 * before. */
	p->u->itimer_deadline_ns = value_ns ? (u64)MAX(clock_mono(p) + value_ns, 1l) : 0;
	clock_resume(p);
}

i64 sys_alarm(const u64 *arg)
{
	i64 left = alarm_left(current);

	alarm_set(current, (i64)(u32)arg[0] * (i64)NS_PER_SEC, 0);
	/* Never 0 for an alarm that was still to come. */
	return left ? MAX((left + (i64)NS_PER_SEC / 2) / (i64)NS_PER_SEC, 1l) : 0;
}

static void current_itimer(struct user_itimerval *v)
{
	i64 left = alarm_left(current), every = (i64)current->u->itimer_interval_ns;

	v->value = (struct user_timeval){left / (i64)NS_PER_SEC, left % (i64)NS_PER_SEC / 1000};
	v->interval =
		(struct user_timeval){every / (i64)NS_PER_SEC, every % (i64)NS_PER_SEC / 1000};
}

i64 sys_getitimer(const u64 *arg)
{
	struct user_itimerval v;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	current_itimer(&v);
	return copy_to_user(arg[1], &v, sizeof v);
}

static bool timeval_ns(const struct user_timeval *tv, i64 *ns)
{
	if (tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000)
		return false;
	*ns = tv->sec >= FOREVER_NS / (i64)NS_PER_SEC ? FOREVER_NS
						      : tv->sec * (i64)NS_PER_SEC + tv->usec * 1000;
	return true;
}

i64 sys_setitimer(const u64 *arg)
{
	struct user_itimerval new = {0}, old;
	i64 value, interval;

	if (arg[0] != ITIMER_REAL)
		return -EINVAL;
	if (arg[1] && copy_from_user(&new, arg[1], sizeof new) < 0)
		return -EFAULT;
	if (!timeval_ns(&new.value, &value) || !timeval_ns(&new.interval, &interval))
		return -EINVAL;
	current_itimer(&old);
	if (arg[2] && copy_to_user(arg[2], &old, sizeof old) < 0)
		return -EFAULT;
	alarm_set(current, value, interval);
	return 0;
}
