/* SPDX-License-Identifier: MIT */
/*
 * futex: threads wait for a word of memory to be changed. Nothing of the
 * node is observed but the clock of a deadline, which is the process's own: a relative one is
 * remembered in its MONOTONIC while the call is interrupted (a freeze, a signal without handler),
 * so that half a wait remains half a wait. An interrupted call looks at the word again when it is
 * re-executed, so a wake-up that came meanwhile is not lost.
 */
#include "env/clock.h"
#include "file.h"
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "usercopy.h"

enum {
	FUTEX_WAIT,
	FUTEX_WAKE,
	FUTEX_REQUEUE = 3,
	FUTEX_CMP_REQUEUE,
	FUTEX_WAIT_BITSET = 9,
	FUTEX_WAKE_BITSET,
	FUTEX_PRIVATE_FLAG = 128,
	FUTEX_CLOCK_REALTIME = 256,
};
#define ANY_BIT		 0xffffffffu
#define FUTEX_WAITERS	 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID	 0x3fffffffu
#define ROBUST_MAX	 2048 /* locks of a list that may be a ring */
#define ROBUST_HEAD_LEN	 24
#define BUCKETS		 64
#define FOREVER_NS	 (1ll << 61)

/* A word: of an address space, or, where memory is shared with other processes, of that memory. */
struct word {
	const void *space;
	u64 at;
};

/* On the kernel stack of the waiting thread. */
struct waiter {
	struct list link; /* in its bucket; first come, first woken */
	struct word word;
	u32 bits;
	bool woken;
	struct waitq self;
};

static struct list buckets[BUCKETS];

static struct word word_at(u64 uaddr, u64 op)
{
	const struct region *r = op & FUTEX_PRIVATE_FLAG ? NULL : vm_find(current->vm, uaddr);
	if (!r || !(r->flags & VM_RG_SHARED))
		return (struct word){current->vm, uaddr};
	const void *space = r->shm ? (const void *)r->shm : (const void *)r->file->vnode;
	return (struct word){space, r->file_off + uaddr - r->start};
}

static struct list *bucket(struct word w)
{
	struct list *b = &buckets[((u64)w.space / 64 + w.at / 4) % BUCKETS];
	if (!b->next)
		list_init(b);
	return b;
}

static bool matches(const struct waiter *w, struct word word, u32 bits)
{
	return w->word.space == word.space && w->word.at == word.at && (w->bits & bits);
}

static u32 wake(struct word word, u32 max, u32 bits)
{
	u32 n = 0;
	list_for_each_safe(w, bucket(word), struct waiter, link) {
		if (n == max)
			break;
		if (!matches(w, word, bits))
			continue;
		list_remove(&w->link);
		w->woken = true;
		wake_all(&w->self);
		n++;
	}
	return n;
}

static u32 requeue(struct word from, struct word to, u32 max)
{
	u32 n = 0;
	if (from.space == to.space && from.at == to.at)
		return 0;
	list_for_each_safe(w, bucket(from), struct waiter, link) {
		if (n == max)
			break;
		if (!matches(w, from, ANY_BIT))
			continue;
		list_remove(&w->link);
		w->word = to;
		list_push_back(bucket(to), &w->link);
		n++;
	}
	return n;
}

void futex_clock_set(void)
{
	for (u32 i = 0; i < BUCKETS; i++) {
		if (!buckets[i].next)
			continue;
		list_for_each(w, &buckets[i], struct waiter, link)
			wake_all(&w->self);
	}
}

/* ---- waiting ---- */

/* Until when. */
struct patience {
	bool forever, real; /* real: REALTIME as the process is shown it, else its MONOTONIC */
	i64 until;
};

struct user_timespec {
	i64 sec, nsec;
};

static int get_patience(u64 op, u64 utime, struct patience *out)
{
	const struct ucall *c = &current_thread->u.call;
	bool absolute = (op & 127) == FUTEX_WAIT_BITSET;
	struct user_timespec ts;

	*out = (struct patience){.forever = !utime, .real = op & FUTEX_CLOCK_REALTIME};
	if (out->forever)
		return 0;
	if (copy_from_user(&ts, utime, sizeof ts) < 0)
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (i64)NS_PER_SEC)
		return -EINVAL;
	i64 ns = ts.sec >= FOREVER_NS / (i64)NS_PER_SEC ? FOREVER_NS
							: ts.sec * (i64)NS_PER_SEC + ts.nsec;
	if (absolute)
		out->until = out->real ? ns : clock_mono_from_user(current, ns);
	else if (c->resume_valid && c->resume_nr == c->nr)
		out->until = (i64)MIN(c->resume[0], (u64)(2 * FOREVER_NS - 1));
	else
		out->until = clock_mono(current) + ns;
	return 0;
}

/* Nanoseconds of the node's clock until then; 0 or less: it has come. */
static i64 left_of(const struct patience *p)
{
	if (!p->real)
		return p->until - clock_mono(current);
	i64 now = node_realtime();
	return views_on
		       ? cview_wait(&current->u->cview[CLOCK_REALTIME], clock_policy, now, p->until)
		       : p->until - now;
}

/* 0: woken; -ETIMEDOUT, -EINTR. */
static int sleep_in(struct waiter *w, const struct patience *p)
{
	while (!w->woken) {
		u64 deadline = NO_DEADLINE;
		if (!p->forever) {
			i64 left = left_of(p);
			if (left <= 0)
				return -ETIMEDOUT;
			deadline = now_ns() + (u64)left;
		}
		int r = wait_on(&w->self, deadline, true);
		if (r == -EINTR && !w->woken)
			return r;
	}
	return 0;
}

static i64 wait_for(u64 uaddr, u64 op, u32 expected, u64 utime, u32 bits)
{
	struct ucall *c = &current_thread->u.call;
	struct patience p;
	u32 value;
	int r = bits ? get_patience(op, utime, &p) : -EINVAL;
	if (r)
		return r;
	if (copy_from_user(&value, uaddr, sizeof value) < 0)
		return -EFAULT;
	/* Nothing blocks between this look and the queue. */
	if (value != expected)
		return -EAGAIN;
	struct waiter w = {.word = word_at(uaddr, op), .bits = bits};
	waitq_init(&w.self);
	list_push_back(bucket(w.word), &w.link);
	r = sleep_in(&w, &p);
	list_remove(&w.link);
	if (r != -EINTR)
		return r;
	if (p.forever || (op & 127) == FUTEX_WAIT_BITSET)
		return -ERESTARTSYS;
	c->resume_valid = true;
	c->resume_nr = c->nr;
	c->resume[0] = (u64)p.until;
	return -ERESTARTBLOCK;
}

/* uaddr, op, value, timeout or second value, uaddr2, value3 */
i64 sys_futex(const u64 *arg)
{
	u64 uaddr = arg[0], op = arg[1], uaddr2 = arg[4];
	i32 count = (i32)arg[2], count2 = (i32)arg[3];
	u32 value, command = op & ~(u64)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);

	if ((op & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT_BITSET && command != FUTEX_WAIT)
		return -ENOSYS;
	if ((uaddr & 3) || uaddr >= USER_TOP)
		return uaddr & 3 ? -EINVAL : -EFAULT;
	switch (command) {
	case FUTEX_WAIT:
		return wait_for(uaddr, op & ~(u64)FUTEX_CLOCK_REALTIME, (u32)arg[2], arg[3],
				ANY_BIT);
	case FUTEX_WAIT_BITSET:
		return wait_for(uaddr, op, (u32)arg[2], arg[3], (u32)arg[5]);
	case FUTEX_WAKE:
		return wake(word_at(uaddr, op), (u32)MAX(count, 1), ANY_BIT);
	case FUTEX_WAKE_BITSET:
		if (!(u32)arg[5])
			return -EINVAL;
		return wake(word_at(uaddr, op), (u32)MAX(count, 1), (u32)arg[5]);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		if ((uaddr2 & 3) || count < 0 || count2 < 0)
			return -EINVAL;
		if (uaddr2 >= USER_TOP || copy_from_user(&value, uaddr, sizeof value) < 0)
			return -EFAULT;
		if (command == FUTEX_CMP_REQUEUE && value != (u32)arg[5])
			return -EAGAIN;
		value = wake(word_at(uaddr, op), (u32)count, ANY_BIT);
		return value + requeue(word_at(uaddr, op), word_at(uaddr2, op), (u32)count2);
	default:
		return -ENOSYS;
	}
}

/* ---- the end of a thread ---- */

void futex_store_and_wake(u64 uaddr, u32 value)
{
	if (!(uaddr & 3) && copy_to_user(uaddr, &value, sizeof value) == 0)
		wake(word_at(uaddr, 0), 1, ANY_BIT);
}

/* The lock at uaddr, if it is t's. */
static void lock_died(const struct thread *t, u64 uaddr)
{
	u32 value;
	if ((uaddr & 3) || copy_from_user(&value, uaddr, sizeof value) < 0 ||
	    (value & FUTEX_TID) != (u32)t->tid)
		return;
	u32 now = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	if (copy_to_user(uaddr, &now, sizeof now) == 0 && (value & FUTEX_WAITERS))
		wake(word_at(uaddr, 0), 1, ANY_BIT);
}

/* struct robust_list_head: first entry, offset of the lock word from an entry, entry being locked or
 * unlocked. */
void futex_thread_ended(struct thread *t)
{
	struct {
		u64 entry, offset, pending;
	} head;
	_Static_assert(sizeof head == ROBUST_HEAD_LEN, "Linux ABI");
	if (!t->u.robust_list || copy_from_user(&head, t->u.robust_list, sizeof head) < 0)
		return;
	u64 entry = head.entry & ~1ull, next;
	for (u32 n = 0; n < ROBUST_MAX && entry != t->u.robust_list; n++) {
		/* The lock's next owner may overwrite the link. */
		if (copy_from_user(&next, entry, sizeof next) < 0)
			return;
		if (entry != (head.pending & ~1ull))
			lock_died(t, entry + head.offset);
		entry = next & ~1ull;
	}
	if (head.pending)
		lock_died(t, (head.pending & ~1ull) + head.offset);
}

i64 sys_set_robust_list(const u64 *arg)
{
	if (arg[1] != ROBUST_HEAD_LEN)
		return -EINVAL;
	current_thread->u.robust_list = arg[0];
	return 0;
}

/* tid, where its head goes, where the head's length goes. Of one's own process only. */
i64 sys_get_robust_list(const u64 *arg)
{
	const struct thread *t = arg[0] ? thread_find((i32)arg[0]) : current_thread;
	u64 len = ROBUST_HEAD_LEN;

	if (!t)
		return -ESRCH;
	if (t->proc != current)
		return -EPERM;
	u64 head = t->u.robust_list;
	return copy_to_user(arg[2], &len, sizeof len) < 0
		       ? -EFAULT
		       : copy_to_user(arg[1], &head, sizeof head);
}
