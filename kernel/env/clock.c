/* SPDX-License-Identifier: MIT */
/*
 * Class Clock: what a process sees of time. REALTIME (with gettimeofday, time and the coarse clock)
 * is one object with the rule `monotonic`, kept by `larger` (clockview.c). MONOTONIC and its kin
 * are the node's clock plus an offset of the process, chosen at resumption so that they go on at
 * the value at freezing; processor time travels with the process. The zone is `same`. Sleeps and
 * timers are in sleep.c, rdtsc in tsc.c.
 */
#include "clock.h"
#include "check.h"
#include "ipc.h"
#include "msg_clock.h"
#include "proc.h"
#include "usercopy.h"

#define TICK_NS 10000000 /* what times() counts in */

i64 ktime HOT_DATA;
struct kzone kztime;
enum clock_policy clock_policy HOT_DATA = CLOCK_HOLD;
struct waitq clock_set_waiters = WAITQ_INIT(clock_set_waiters);

static u32 settings_in_flight; /* settimeofday calls that the clock server has not answered yet */

static const char *const policy_names[] = {
	[CLOCK_HOLD] = "hold", [CLOCK_BLOCK] = "block", [CLOCK_SLEW] = "slew"};

bool clock_policy_set(const char *name)
{
	for (u32 i = 0; i < ARRAY_LEN(policy_names); i++)
		if (strcmp(name, policy_names[i]) == 0) {
			clock_policy = (enum clock_policy)i;
			return true;
		}
	return false;
}

/* ---- the clocks ---- */

i64 node_realtime(void)
{
	return (i64)now_ns() + ktime;
}

i64 clock_mono(const struct proc *p)
{
	return (i64)now_ns() + p->u->clock_off[CLOCK_MONOTONIC];
}

i64 clock_mono_from_user(const struct proc *p, i64 value)
{
	return views_on ? value : value + p->u->clock_off[CLOCK_MONOTONIC];
}

u64 proc_cpu_ns(const struct proc *p)
{
	return p->u->cpu_ns + (p == current ? now_ns() - current_thread->last_start_ns : 0);
}

/* REALTIME with views off, or behind the duplicate. */
static int realtime_rare(struct proc *p, i64 *value)
{
	struct cview *v = &p->u->cview[CLOCK_REALTIME];

	if (!views_on) {
		*value = node_realtime();
		return 0;
	}
	while (clock_policy == CLOCK_BLOCK) {
		i64 left = v->dup_ns - node_realtime();
		if (!v->marker || v->larger || left <= 0)
			break;
		if (wait_on(&clock_set_waiters, now_ns() + (u64)left, true) == -EINTR)
			return -ERESTARTSYS;
	}
	*value = cview_observe(v, clock_policy, node_realtime());
	return 0;
}

/* REALTIME as p is shown it. -ERESTARTSYS: interrupted while blocked (CLOCK_BLOCK). */
static inline int realtime(struct proc *p, i64 *value)
{
	struct cview *v = &p->u->cview[CLOCK_REALTIME];

	if (UNLIKELY(!(v->larger & views_on)))
		return realtime_rare(p, value);
	cview_shown(v, *value = node_realtime());
	return 0;
}

#define REALTIME_KIN (1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE)
#define MONOTONIC_KIN                                                                              \
	(1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_MONOTONIC_COARSE |        \
	 1u << CLOCK_BOOTTIME)

/* An observation of clock `id`. 0, -EINVAL, -ERESTARTSYS. */
static inline int observe(struct proc *p, u32 id, i64 *value)
{
	int r = 0;

	if (id >= NCLOCK)
		return -EINVAL;
	if (MONOTONIC_KIN & 1u << id)
		*value = views_on ? clock_mono(p) : (i64)now_ns();
	else if (REALTIME_KIN & 1u << id)
		r = realtime(p, value);
	else if (id == CLOCK_PROCESS_CPUTIME_ID)
		*value = (i64)proc_cpu_ns(p);
	else
		*value = (i64)(current_thread->u.cpu_ns + now_ns() - current_thread->last_start_ns);
	if (r == 0 && views_on && id != CLOCK_REALTIME) {
		p->u->cview[id].marker = 1;
		p->u->cview[id].dup_ns = *value;
	}
	return r;
}

/* ---- V-functions ---- */

struct user_timespec {
	i64 sec, nsec;
};
struct user_timeval {
	i64 sec, usec;
};

static struct user_timeval to_timeval(i64 ns)
{
	return (struct user_timeval){ns / (i64)NS_PER_SEC, ns % (i64)NS_PER_SEC / 1000};
}

HOT i64 sys_clock_gettime(const u64 *arg)
{
	i64 ns;
	int r = observe(current, (u32)arg[0], &ns);

	if (r)
		return r;
	i64 sec = ns / (i64)NS_PER_SEC;
	if (put_pair_to_user(arg[1], (u64)sec, (u64)(ns - sec * (i64)NS_PER_SEC)) < 0)
		return -EFAULT;
	/* The checker's record is the process's: of threads it follows the leader. */
	if (arg[0] != CLOCK_THREAD_CPUTIME_ID || current_thread == current->leader)
		check_clock(current, (u32)arg[0], ns, 1);
	return 0;
}

i64 sys_clock_getres(const u64 *arg)
{
	struct user_timespec ts = {0, 1};

	if ((i32)arg[0] < 0 || (i32)arg[0] >= NCLOCK)
		return -EINVAL;
	return arg[1] ? copy_to_user(arg[1], &ts, sizeof ts) : 0;
}

/* The zone is `same`: what was seen once is seen for ever, unless the process or its node changes
 * it. */
static void observe_zone(struct proc *p, struct kzone *z)
{
	struct ublock *u = p->u;

	*z = kztime;
	if (!views_on)
		return;
	if (u->zone_held) {
		z->minuteswest = u->zone_minuteswest;
		z->dsttime = u->zone_dsttime;
	}
	u->zone_marker = 1;
	u->zone_minuteswest = z->minuteswest;
	u->zone_dsttime = z->dsttime;
}

HOT i64 sys_gettimeofday(const u64 *arg)
{
	if (arg[0]) {
		i64 ns;
		int r = observe(current, CLOCK_REALTIME, &ns);
		if (r)
			return r;
		struct user_timeval tv = to_timeval(ns);
		if (put_pair_to_user(arg[0], (u64)tv.sec, (u64)tv.usec) < 0)
			return -EFAULT;
		check_clock(current, CLOCK_REALTIME, ns - ns % 1000, 1000);
	}
	if (arg[1]) {
		struct kzone z;
		observe_zone(current, &z);
		if (copy_to_user(arg[1], &z, sizeof z) < 0)
			return -EFAULT;
	}
	return 0;
}

i64 sys_time(const u64 *arg)
{
	i64 ns;
	int r = observe(current, CLOCK_REALTIME, &ns);

	if (r)
		return r;
	i64 sec = ns / (i64)NS_PER_SEC;
	if (arg[0] && copy_to_user(arg[0], &sec, sizeof sec) < 0)
		return -EFAULT;
	check_clock(current, CLOCK_REALTIME, sec * (i64)NS_PER_SEC, (i64)NS_PER_SEC);
	return sec;
}

i64 sys_times(const u64 *arg)
{
	i64 now, cpu;

	observe(current, CLOCK_PROCESS_CPUTIME_ID, &cpu);
	if (arg[0]) {
		/* user, system, children's user, children's system: all is counted as the user's */
		i64 tms[4] = {cpu / TICK_NS, 0, (i64)current->u->child_cpu_ns / TICK_NS, 0};
		if (copy_to_user(arg[0], tms, sizeof tms) < 0)
			return -EFAULT;
		check_clock(current, CLOCK_PROCESS_CPUTIME_ID, cpu - cpu % TICK_NS, TICK_NS);
	}
	observe(current, CLOCK_MONOTONIC, &now);
	check_clock(current, CLOCK_MONOTONIC, now - now % TICK_NS, TICK_NS);
	return now / TICK_NS;
}

struct user_rusage {
	struct user_timeval utime, stime;
	i64 counts[14]; /* memory and I/O: not counted */
};

i64 sys_getrusage(const u64 *arg)
{
	struct user_rusage ru = {0};
	i32 who = (i32)arg[0];
	i64 cpu;

	if (who < -1 || who > 1)
		return -EINVAL;
	if (who == -1)
		cpu = (i64)current->u->child_cpu_ns;
	else
		observe(current, CLOCK_PROCESS_CPUTIME_ID, &cpu);
	ru.utime = to_timeval(cpu);
	if (copy_to_user(arg[1], &ru, sizeof ru) < 0)
		return -EFAULT;
	if (who != -1)
		check_clock(current, CLOCK_PROCESS_CPUTIME_ID, cpu - cpu % 1000, 1000);
	return 0;
}

/* ---- O-functions ---- */

static i64 set_clock(const struct clock_settime_msg *set)
{
	struct ublock *u = current->u;
	struct wh_msg m = {.type = CLOCK_SETTIME};

	if (u->names.euid != 0)
		return -EPERM;
	*WH_BODY(&m, struct clock_settime_msg) = *set;
	settings_in_flight++;
	i64 r = ipc_call(WH_SVC_CLOCK, &m, NULL, 0, WH_BULK_NONE);
	settings_in_flight--;
	if (r < 0)
		return r;
	if (set->set_time) {
		cview_set(&u->cview[CLOCK_REALTIME], set->real_ns);
		check_clock_was_set(current, set->real_ns);
	}
	if (set->set_zone) {
		u->zone_marker = 1;
		u->zone_held = 0;
		u->zone_minuteswest = set->minuteswest;
		u->zone_dsttime = set->dsttime;
	}
	return 0;
}

/* Seconds that leave room for arithmetic in nanoseconds. */
static bool valid_time(i64 sec, i64 fraction, i64 unit)
{
	return sec >= 0 && sec < 1ll << 32 && fraction >= 0 && fraction < unit;
}

i64 sys_settimeofday(const u64 *arg)
{
	struct clock_settime_msg set = {0};
	struct user_timeval tv;
	struct kzone z;

	if (arg[0]) {
		if (copy_from_user(&tv, arg[0], sizeof tv) < 0)
			return -EFAULT;
		if (!valid_time(tv.sec, tv.usec, 1000000))
			return -EINVAL;
		set.set_time = 1;
		set.real_ns = tv.sec * (i64)NS_PER_SEC + tv.usec * 1000;
	}
	if (arg[1]) {
		if (copy_from_user(&z, arg[1], sizeof z) < 0)
			return -EFAULT;
		set.set_zone = 1;
		set.minuteswest = z.minuteswest;
		set.dsttime = z.dsttime;
	}
	return set_clock(&set);
}

i64 sys_clock_settime(const u64 *arg)
{
	struct clock_settime_msg set = {.set_time = 1};
	struct user_timespec ts;

	if ((i32)arg[0] != CLOCK_REALTIME)
		return -EINVAL;
	if (copy_from_user(&ts, arg[1], sizeof ts) < 0)
		return -EFAULT;
	if (!valid_time(ts.sec, ts.nsec, (i64)NS_PER_SEC))
		return -EINVAL;
	set.real_ns = ts.sec * (i64)NS_PER_SEC + ts.nsec;
	return set_clock(&set);
}

/* ---- our own calls ---- */

i64 wh_sys_now(const u64 *arg)
{
	(void)arg;
	return current->privileged ? (i64)now_ns() : -EPERM;
}

/*
 * The node's clock was stepped. Who already follows it sees what its operator has set, also
 * backwards: that is the normal result. Who is still held back stays so, and a backward step that
 * nobody asked for holds everybody.
 */
static void follow_step(struct proc *p, i64 step, i64 now)
{
	struct cview *v = &p->u->cview[CLOCK_REALTIME];

	if (settings_in_flight && step < 0 && v->larger) {
		if (v->marker)
			cview_set(v, now);
		check_clock_forget(p);
	} else {
		cview_bind(v, now);
	}
}

/* The clock server publishes *ktime and *kztime. */
i64 wh_sys_clock_set(const u64 *arg)
{
	struct wh_clock_params params;

	if (current->service != WH_SVC_CLOCK)
		return -EPERM;
	if (copy_from_user(&params, arg[0], sizeof params) < 0)
		return -EFAULT;
	i64 step = params.real_minus_mono_ns - ktime;
	ktime = params.real_minus_mono_ns;
	kztime.minuteswest = params.minuteswest;
	kztime.dsttime = params.dsttime;
	i64 now = node_realtime();
	list_for_each(p, &all_procs, struct proc, all_link)
		if (p->u)
			follow_step(p, step, now);
	wake_all(&clock_set_waiters);
	futex_clock_set();
	return 0;
}

/* ---- the class ---- */

void clock_learn(struct proc *to, const struct proc *from)
{
	if (views_on && to->u && from->u)
		cview_learn(&to->u->cview[CLOCK_REALTIME], &from->u->cview[CLOCK_REALTIME],
			    node_realtime());
}

void clock_leave(struct cview *in_pipe, const struct proc *writer)
{
	const struct cview *v = &writer->u->cview[CLOCK_REALTIME];

	if (v->marker & !writer->privileged && v->dup_ns > in_pipe->dup_ns)
		*in_pipe = *v;
}

void clock_take(struct proc *reader, const struct cview *in_pipe)
{
	struct cview *v = &reader->u->cview[CLOCK_REALTIME];

	if (in_pipe->dup_ns > v->dup_ns && views_on && !reader->privileged)
		cview_learn(v, in_pipe, node_realtime());
}

static int clock_init(struct proc *p)
{
	p->u->cview[CLOCK_REALTIME].larger = 1;
	return 0;
}

static int clock_fork(struct proc *child, const struct proc *parent)
{
	struct ublock *c = child->u;
	const struct ublock *u = parent->u;

	memcpy(c->cview, u->cview, sizeof c->cview);
	memcpy(c->clock_off, u->clock_off, sizeof c->clock_off);
	c->tsc_off = u->tsc_off;
	c->tsc_dup = u->tsc_dup;
	c->zone_marker = u->zone_marker;
	c->zone_held = u->zone_held;
	c->zone_minuteswest = u->zone_minuteswest;
	c->zone_dsttime = u->zone_dsttime;
	c->cview[CLOCK_PROCESS_CPUTIME_ID] = c->cview[CLOCK_THREAD_CPUTIME_ID] = (struct cview){0};
	return 0;
}

static void clock_release(struct proc *p, bool away)
{
	(void)away;
	timer_cancel(&p->alarm_timer);
}

#define MAX_NS (1ll << 62) /* beyond this, sums could overflow */

static int clock_pack(struct proc *p, struct blob *b)
{
	const struct ublock *u = p->u;
	u64 pause = p->state == PROC_FROZEN ? now_ns() - p->frozen_ns : 0;

	for (u32 i = 0; i < NCLOCK; i++) {
		blob_put_u32(b, u->cview[i].marker);
		blob_put_u64(b, (u64)u->cview[i].dup_ns);
	}
	blob_put_u64(b, (u64)clock_mono(p) - pause); /* its value at freezing */
	blob_put_u64(b, rdtsc_raw() + u->tsc_off);
	blob_put_u64(b, u->tsc_dup);
	blob_put_u64(b, u->itimer_deadline_ns);
	blob_put_u64(b, u->itimer_interval_ns);
	blob_put_u64(b, u->cpu_ns);
	blob_put_u64(b, u->child_cpu_ns);
	blob_put_u32(b, u->zone_marker);
	blob_put_u32(b, (u32)u->zone_minuteswest);
	blob_put_u32(b, (u32)u->zone_dsttime);
	return b->bad ? -ENOMEM : 0;
}

static bool get_ns(struct blob *b, i64 *v)
{
	*v = (i64)blob_get_u64(b);
	return *v > -MAX_NS && *v < MAX_NS;
}

static int clock_unpack(struct proc *p, struct blob *b)
{
	struct ublock *u = p->u;
	bool good = true;
	i64 v;

	for (u32 i = 0; i < NCLOCK; i++) {
		u->cview[i].marker = blob_get_u32(b) != 0;
		good &= get_ns(b, &v);
		u->cview[i].dup_ns = v;
	}
	good &= get_ns(b, &u->clock_off[CLOCK_MONOTONIC]); /* becomes an offset in clock_bind */
	u->tsc_off = blob_get_u64(b);			   /* likewise */
	u->tsc_dup = blob_get_u64(b);
	good &= get_ns(b, &v) && v >= 0;
	u->itimer_deadline_ns = (u64)v;
	good &= get_ns(b, &v) && v >= 0;
	u->itimer_interval_ns = (u64)v;
	good &= get_ns(b, &v) && v >= 0;
	u->cpu_ns = (u64)v;
	good &= get_ns(b, &v) && v >= 0;
	u->child_cpu_ns = (u64)v;
	u->zone_marker = blob_get_u32(b) != 0;
	u->zone_minuteswest = (i32)blob_get_u32(b);
	u->zone_dsttime = (i32)blob_get_u32(b);
	return good && !b->bad ? 0 : -EINVAL;
}

/* Static instantiation (Lu & Liu §IV.3): bind *ktime and *kztime (they are this node's variables),
 * probe them without effect, compare with the duplicates. */
static void clock_bind(struct proc *p)
{
	struct ublock *u = p->u;

	cview_bind(&u->cview[CLOCK_REALTIME], node_realtime());
	u->zone_held = u->zone_marker && (u->zone_minuteswest != kztime.minuteswest ||
					  u->zone_dsttime != kztime.dsttime);
	u->clock_off[CLOCK_MONOTONIC] -= (i64)now_ns();
	u->tsc_off -= rdtsc_raw();
	clock_resume(p);
}

static void view_one(const struct proc *p, struct text *out, u32 id, const char *name,
		     const char *rule)
{
	const struct cview *v = &p->u->cview[id];

	if (v->marker)
		text_printf(out, "  %s marked, duplicate %ld.%09ld s, %s\n", name,
			    v->dup_ns / (i64)NS_PER_SEC, v->dup_ns % (i64)NS_PER_SEC, rule);
}

static void clock_view(const struct proc *p, struct text *out)
{
	const struct ublock *u = p->u;
	i64 off = u->clock_off[CLOCK_MONOTONIC];

	view_one(p, out, CLOCK_REALTIME, "REALTIME", "rule monotonic");
	if (u->cview[CLOCK_REALTIME].marker && !u->cview[CLOCK_REALTIME].larger)
		text_printf(out,
			    "    larger 0: this node's clock is %ld ms behind the duplicate (%s)\n",
			    (u->cview[CLOCK_REALTIME].dup_ns - node_realtime()) / 1000000,
			    policy_names[clock_policy]);
	view_one(p, out, CLOCK_MONOTONIC, "MONOTONIC", "rule monotonic");
	view_one(p, out, CLOCK_BOOTTIME, "BOOTTIME", "rule monotonic");
	view_one(p, out, CLOCK_PROCESS_CPUTIME_ID, "PROCESS_CPUTIME", "rule monotonic");
	if (u->tsc_dup)
		text_printf(out, "  rdtsc marked, duplicate %lu, rule monotonic\n", u->tsc_dup);
	if (u->zone_marker)
		text_printf(out, "  zone marked, duplicate %d min west, dst %d, rule same%s\n",
			    u->zone_minuteswest, u->zone_dsttime,
			    u->zone_held ? " (this node's differs)" : "");
	if (off)
		text_printf(out, "  process's MONOTONIC is the node's %s %ld ms\n",
			    off < 0 ? "minus" : "plus", (off < 0 ? -off : off) / 1000000);
	if (u->itimer_deadline_ns)
		text_printf(out, "  alarm in %ld ms\n",
			    ((i64)u->itimer_deadline_ns - clock_mono(p)) / 1000000);
}

const struct env_class env_clock = {
	.name = "clock",
	.version = 1,
	.init = clock_init,
	.fork = clock_fork,
	.release = clock_release,
	.pack = clock_pack,
	.unpack = clock_unpack,
	.bind = clock_bind,
	.view = clock_view,
};
