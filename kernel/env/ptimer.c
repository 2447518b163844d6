/* SPDX-License-Identifier: MIT */
/*
 * Class Ptimer: the timers of timer_create. As with the alarm, a deadline is in the process's own MONOTONIC clock, so it
 * is as far away after a move as it was before.
 */
#include "env/clock.h"
#include "env/ptimer.h"
#include "env/rows.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

#define PTIMERS	      32
#define TIMER_ABSTIME 1u
#define FOREVER_NS    (1ll << 61)
#define EVERY_MIN_NS  100000 /* a shorter interval would leave the node no time for anything else */
#define SI_TIMER      (-2)

enum { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD_ID = 4 };

struct ptimer {
	bool used;
	u8 clock, notify;
	i32 tid;	  /* SIGEV_THREAD_ID */
	i32 sig, overrun; /* ticks while the last signal was pending */
	u64 value;
	i64 deadline, interval; /* deadline 0: off */
	struct timer timer;
	struct proc *p;
};
struct ptimers {
	struct ptimer t[PTIMERS];
};

struct user_sigevent {
	u64 value;
	i32 signo, notify, tid, pad[11];
};
struct user_timerspec {
	i64 interval[2], value[2]; /* s, ns */
};

static void arm(struct ptimer *t);

static void fire(struct timer *timer)
{
	struct ptimer *t = container_of(timer, struct ptimer, timer);
	struct proc *p = t->p;
	i64 missed = 0;
	if (t->interval) {
		missed = MAX(clock_mono(p) - t->deadline, 0l) / t->interval;
		t->deadline += (missed + 1) * t->interval;
		arm(t);
	} else {
		t->deadline = 0;
	}
	struct thread *to = t->notify == SIGEV_THREAD_ID ? thread_find(t->tid) : NULL;
	if (t->notify == SIGEV_NONE || (t->notify == SIGEV_THREAD_ID && (!to || to->proc != p)))
		return;
	u64 pending = p->u->sig.pending.set | (to ? to->u.sig.pending.set : 0);
	if (pending & SIG_BIT(t->sig)) {
		t->overrun += (i32)missed + 1;
		return;
	}
	t->overrun = (i32)missed;
	i32 id = (i32)(t - p->u->ptimers->t);
	if (to)
		signal_send_thread_value(to, t->sig, SI_TIMER, id, t->value);
	else
		signal_send_value(p, t->sig, SI_TIMER, id, t->value);
}

static void arm(struct ptimer *t)
{
	i64 left = t->deadline - clock_mono(t->p);
	t->timer.fire = fire;
	timer_arm(&t->timer, now_ns() + (u64)MAX(left, t->interval ? EVERY_MIN_NS : 0l));
}

void ptimer_suspend(struct proc *p)
{
	for (u32 i = 0; p->u->ptimers && i < PTIMERS; i++)
		timer_cancel(&p->u->ptimers->t[i].timer);
}

void ptimer_resume(struct proc *p)
{
	for (u32 i = 0; p->u->ptimers && i < PTIMERS; i++) {
		struct ptimer *t = &p->u->ptimers->t[i];
		if (t->used && t->deadline && !t->timer.armed)
			arm(t);
	}
}

/* ---- system calls ---- */

static struct ptimer *find(u64 id)
{
	struct ptimers *s = current->u->ptimers;
	return s && id < PTIMERS && s->t[id].used ? &s->t[id] : NULL;
}

static bool own_thread(i32 tid)
{
	const struct thread *t = thread_find(tid);
	return t && t->proc == current;
}

i64 sys_timer_create(const u64 *arg)
{
	struct ublock *u = current->u;
	u32 clock = (u32)arg[0];
	struct user_sigevent e = {.signo = SIGALRM};
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
		return -EINVAL;
	if (arg[1] && copy_from_user(&e, arg[1], sizeof e))
		return -EFAULT;
	if (e.notify != SIGEV_SIGNAL && e.notify != SIGEV_NONE &&
	    !(e.notify == SIGEV_THREAD_ID && own_thread(e.tid)))
		return -EINVAL;
	if (e.notify != SIGEV_NONE && (e.signo < 1 || e.signo >= NSIG))
		return -EINVAL;
	if (!u->ptimers && !(u->ptimers = kmalloc(sizeof *u->ptimers)))
		return -EAGAIN;
	i32 id = 0;
	while (id < PTIMERS && u->ptimers->t[id].used)
		id++;
	if (id == PTIMERS)
		return -EAGAIN;
	/* Taken before its number is told: that may block, and another thread make one meanwhile. */
	struct ptimer *t = &u->ptimers->t[id];
	*t = (struct ptimer){.used = true,
			     .clock = (u8)clock,
			     .notify = (u8)e.notify,
			     .tid = e.tid,
			     .sig = e.signo,
			     .value = arg[1] ? e.value : (u64)id,
			     .p = current};
	if (copy_to_user(arg[2], &id, sizeof id)) {
		timer_cancel(&t->timer);
		t->used = false;
		return -EFAULT;
	}
	return 0;
}

static bool ns_of(const i64 *t, i64 *ns)
{
	if (t[0] < 0 || t[1] < 0 || t[1] >= (i64)NS_PER_SEC)
		return false;
	*ns = t[0] >= FOREVER_NS / (i64)NS_PER_SEC ? FOREVER_NS : t[0] * (i64)NS_PER_SEC + t[1];
	return true;
}

static struct user_timerspec left_of(const struct ptimer *t)
{
	const i64 s = NS_PER_SEC;
	i64 left = t->deadline ? MAX(t->deadline - clock_mono(current), 1l) : 0;
	return (struct user_timerspec){.interval = {t->interval / s, t->interval % s},
				       .value = {left / s, left % s}};
}

/* id, flags, new, old */
i64 sys_timer_settime(const u64 *arg)
{
	struct user_timerspec new, old;
	i64 value, interval;
	if (copy_from_user(&new, arg[2], sizeof new))
		return -EFAULT;
	struct ptimer *t = find(arg[0]);
	if (!t || !ns_of(new.value, &value) || !ns_of(new.interval, &interval))
		return -EINVAL;
	old = left_of(t);
	if (arg[3] && copy_to_user(arg[3], &old, sizeof old))
		return -EFAULT;
	if (!t->used) /* another thread has deleted it while the old value was told */
		return -EINVAL;
	i64 now = clock_mono(current);
	timer_cancel(&t->timer);
	if (value && (u32)arg[1] & TIMER_ABSTIME)
		value = t->clock == CLOCK_REALTIME ? value - node_realtime()
						   : clock_mono_from_user(current, value) - now;
	else if (!value)
		now = 0;
	t->deadline = now ? MAX(now + value, 1l) : 0;
	t->interval = now && interval ? MAX(interval, (i64)EVERY_MIN_NS) : 0;
	t->overrun = 0;
	if (t->deadline)
		arm(t);
	return 0;
}

i64 sys_timer_gettime(const u64 *arg)
{
	const struct ptimer *t = find(arg[0]);
	if (!t)
		return -EINVAL;
	struct user_timerspec s = left_of(t);
	return copy_to_user(arg[1], &s, sizeof s) ? -EFAULT : 0;
}

i64 sys_timer_getoverrun(const u64 *arg)
{
	const struct ptimer *t = find(arg[0]);
	return t ? t->overrun : -EINVAL;
}

i64 sys_timer_delete(const u64 *arg)
{
	struct ptimer *t = find(arg[0]);
	if (!t)
		return -EINVAL;
	timer_cancel(&t->timer);
	t->used = false;
	return 0;
}

/* ---- the class ---- */

static void drop(struct proc *p)
{
	if (!p->u || !p->u->ptimers)
		return;
	ptimer_suspend(p);
	kfree(p->u->ptimers);
	p->u->ptimers = NULL;
}

static void ptimer_release(struct proc *p, bool away)
{
	(void)away;
	drop(p);
}

static int ptimer_pack(struct proc *p, struct blob *b)
{
	const struct ptimers *s = p->u->ptimers;
	u32 n = 0;
	for (u32 i = 0; s && i < PTIMERS; i++)
		n += s->t[i].used;
	blob_put_u32(b, n);
	for (u32 i = 0; s && i < PTIMERS; i++) {
		const struct ptimer *t = &s->t[i];
		if (!t->used)
			continue;
		blob_put_u32(b, i);
		blob_put_u32(b, t->clock);
		blob_put_u32(b, t->notify);
		blob_put_u32(b, (u32)t->tid);
		blob_put_u32(b, (u32)t->sig);
		blob_put_u32(b, (u32)t->overrun);
		blob_put_u64(b, t->value);
		blob_put_u64(b, (u64)t->deadline);
		blob_put_u64(b, (u64)t->interval);
	}
	return 0;
}

static int ptimer_unpack(struct proc *p, struct blob *b)
{
	u32 n = blob_get_u32(b);
	if (n > PTIMERS || p->u->ptimers)
		return -EINVAL;
	if (n && !(p->u->ptimers = kmalloc(sizeof *p->u->ptimers)))
		return -ENOMEM;
	while (n--) {
		u32 i = blob_get_u32(b), clock = blob_get_u32(b), notify = blob_get_u32(b);
		struct ptimer t = {.used = true, .clock = (u8)clock, .notify = (u8)notify, .p = p};
		t.tid = (i32)blob_get_u32(b);
		t.sig = (i32)blob_get_u32(b);
		t.overrun = (i32)blob_get_u32(b);
		t.value = blob_get_u64(b);
		t.deadline = (i64)blob_get_u64(b);
		t.interval = (i64)blob_get_u64(b);
		bool times = t.deadline >= 0 && t.deadline < 2 * FOREVER_NS &&
			     t.interval <= FOREVER_NS &&
			     (t.interval == 0 || t.interval >= EVERY_MIN_NS);
		/* One that tells nobody may have any number. */
		bool signal = notify == SIGEV_NONE || (t.sig >= 1 && t.sig < NSIG);
		if (b->bad || i >= PTIMERS || p->u->ptimers->t[i].used || clock > CLOCK_BOOTTIME ||
		    notify > SIGEV_THREAD_ID || !signal || !times)
			return -EINVAL;
		p->u->ptimers->t[i] = t;
	}
	return 0;
}

static void ptimer_view(const struct proc *p, struct text *out)
{
	for (u32 i = 0; p->u->ptimers && i < PTIMERS; i++) {
		const struct ptimer *t = &p->u->ptimers->t[i];
		if (t->used)
			text_printf(out, "  timer %u: signal %d at %ld, every %ld ns\n", i, t->sig,
				    t->deadline, t->interval);
	}
	rows_view(p, CLASS_PTIMER, out);
}

const struct env_class env_ptimer = {
	.name = "ptimer",
	.version = 1,
	.exec = drop,
	.release = ptimer_release,
	.pack = ptimer_pack,
	.unpack = ptimer_unpack,
	.bind = ptimer_resume,
	.view = ptimer_view,
};
