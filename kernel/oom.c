/* SPDX-License-Identifier: MIT */
/*
 * Memory has run out: who pays. Not whoever touches a page at that moment, but the largest process of the user who
 * has most: a bomb of small processes and one large one are both found, and what another user runs goes on.
 */
#include "oom.h"
#include "frame.h"
#include "lib.h"
#include "proc.h"
#include "shared.h"
#include "signal.h"
#include "signo.h"

#define POLL_NS	    (1000000ull)     /* look again for free frames */
#define PATIENCE_NS (2 * NS_PER_SEC) /* then the one that needs the page ends */
#define ENOUGH	    64		     /* free frames with which the fault is tried again */
/* Kernel stack, U-block, page tables: what a process costs besides its pages. */
#define PROC_PAGES 12

/* Of all memory: 2 MB and 256 kB of a node of 64 MB. */
#define ROOTS_SHARE   32
#define SERVERS_SHARE 256

u64 oom_reserve(void)
{
	if (!current || !current->u || current->privileged)
		return 0;
	return frame_total_count() / (current->u->names.euid ? ROOTS_SHARE : SERVERS_SHARE);
}

static bool may_end(const struct proc *p)
{
	return p->u && p->vm && !p->privileged && p != init_proc && p->state != PROC_ZOMBIE &&
	       p->state != PROC_NEW;
}

static u64 pages_of(const struct proc *p)
{
	return p->vm->private_pages + shared_pages_of(p->vm) + PROC_PAGES;
}

static u64 pages_of_user(u32 uid)
{
	u64 sum = 0;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (may_end(p) && p->u->names.uid == uid)
			sum += pages_of(p);
	return sum;
}

/* The youngest of the largest: of a bomb's equal processes the newest, of a fork the child. */
static struct proc *largest_of(u32 uid)
{
	struct proc *best = NULL;
	list_for_each(p, &all_procs, struct proc, all_link)
		if (may_end(p) && p->u->names.uid == uid &&
		    (!best || pages_of(p) >= pages_of(best)))
			best = p;
	return best;
}

static struct proc *choose(void)
{
	struct proc *owner = NULL;
	u64 most = 0;
	/* A user is summed up once: by the first of its processes that leads. */
	list_for_each(p, &all_procs, struct proc, all_link) {
		if (!may_end(p) || (owner && owner->u->names.uid == p->u->names.uid))
			continue;
		u64 sum = pages_of_user(p->u->names.uid);
		if (sum > most) {
			most = sum;
			owner = p;
		}
	}
	return owner ? largest_of(owner->u->names.uid) : NULL;
}

/* Somebody has ended current meanwhile: it waits for no memory any more, others wait for its. */
static bool is_ended(void)
{
	return thread_must_end(current_thread) || current->u->sig.pending.set & SIG_BIT(SIGKILL);
}

/* Its memory is back, or enough of anybody's is. */
static bool wait_for_end_of(i32 pid)
{
	static struct waitq nobody = WAITQ_INIT(nobody);
	u64 end = now_ns() + PATIENCE_NS;
	while (frame_free_count() < ENOUGH + oom_reserve()) {
		const struct proc *victim = proc_find(pid);
		if (!victim || victim->state == PROC_ZOMBIE)
			return true;
		if (now_ns() > end || is_ended())
			return false;
		wait_on(&nobody, now_ns() + POLL_NS, false);
	}
	return true;
}

bool oom_make_room(void)
{
	struct proc *victim = choose();
	if (!victim || victim == current || is_ended())
		return false;
	static i32 told; /* all that need a page meanwhile come here */
	if (victim->pid != told)
		klog_user(
			"out of memory: ending %d (%s, uid %u, %lu kB), the largest of the user who has most; %d (%s) needs a page",
			victim->pid, victim->u->names.comm, victim->u->names.uid,
			pages_of(victim) * (PAGE_SIZE / 1024), current->pid,
			current->u->names.comm);
	told = victim->pid;
	signal_send(victim, SIGKILL, 0, 0);
	bool outer = current_thread->uninterruptible_call;
	current_thread->uninterruptible_call = true;
	bool room = wait_for_end_of(victim->pid);
	current_thread->uninterruptible_call = outer;
	return room;
}
