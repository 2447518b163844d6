/* SPDX-License-Identifier: MIT */
/* Two queues: servers first, then user processes in turn, a slice each. */
#include "sched.h"
#include "cpu.h"
#include "lib.h"
#include "proc.h"
#include "trace.h"

#define SLICE_NS (10 * 1000000ull)

struct proc *current;
bool need_resched;
u64 switch_count;
static struct list queues[2] = {LIST_INIT(queues[0]), LIST_INIT(queues[1])};

/* Run-queue length of user processes, averaged exponentially over one second (thesis §4.3.4). */
static u64 runnable_users, load_milli, load_seen_ns;

static void load_advance(void)
{
	u64 now = now_ns(), steps = (now - load_seen_ns) / 10000000;
	if (!steps)
		return;
	load_seen_ns += steps * 10000000;
	for (u64 i = 0; i < MIN(steps, 800ul); i++)
		load_milli += ((i64)(runnable_users * 1000000) - (i64)load_milli) / 100;
}

u64 sched_load_milli(void)
{
	load_advance();
	return load_milli / 1000;
}

u64 sched_runnable_users(void)
{
	return runnable_users;
}

static void count_user(const struct proc *p, int delta)
{
	if (p->privileged)
		return;
	load_advance();
	runnable_users += (u64)(i64)delta;
}

void sched_set_privileged(struct proc *p, bool on)
{
	count_user(p, -1);
	p->privileged = on;
	count_user(p, 1);
}

void sched_add(struct proc *p)
{
	ASSERT(list_empty(&p->run_link));
	p->state = PROC_RUN;
	list_push_back(&queues[!p->kernel_priority], &p->run_link);
	count_user(p, 1);
	if (current && (p->kernel_priority > current->kernel_priority ||
			(!current->kernel_priority && current->slice_end_ns == NO_DEADLINE))) {
		if (p->kernel_priority > current->kernel_priority)
			need_resched = true;
		else
			current->slice_end_ns = now_ns() + SLICE_NS;
		timer_slice_changed();
	}
}

static struct proc *pick(void)
{
	for (int q = 0; q < 2; q++)
		if (!list_empty(&queues[q])) {
			struct proc *p = container_of(queues[q].next, struct proc, run_link);
			list_remove(&p->run_link);
			return p;
		}
	return NULL;
}

static void account(struct proc *p)
{
	u64 now = now_ns();
	if (p->u)
		p->u->cpu_ns += now - p->last_start_ns;
	p->last_start_ns = now;
}

static struct list reap_list = LIST_INIT(reap_list);

/* A process that nobody waits for cannot free the stack it stands on; the next one does. */
void sched_reap_later(struct proc *p)
{
	list_push_back(&reap_list, &p->run_link);
}

void schedule(void)
{
	struct proc *prev = current, *next;
	account(prev);
	need_resched = false;
	if (prev->state != PROC_RUN)
		count_user(prev, -1);
	else
		list_push_back(&queues[!prev->kernel_priority], &prev->run_link);
	while (!(next = pick())) {
		current = NULL;
		timer_slice_changed();
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	}
	next->last_start_ns = now_ns();
	/* Alone: no end of slice, so no timer (tickless). */
	next->slice_end_ns = list_empty(&queues[0]) && list_empty(&queues[1])
				     ? NO_DEADLINE
				     : next->last_start_ns + SLICE_NS;
	current = next;
	timer_slice_changed();
	if (next != prev) {
		switch_count++;
		vm_switch(next->vm);
		cpu_set_kstack((u64)next->kstack + KSTACK_SIZE);
		prev->selectors = cpu_selectors();
		if (prev->selectors != next->selectors)
			cpu_load_selectors(next->selectors);
		cpu_set_fs(next->fs_base);
		cpu_set_tsd(!next->privileged);
		context_switch(&prev->ksp, next->ksp);
	}
	sched_finish_switch();
}

void sched_finish_switch(void)
{
	list_for_each_safe(p, &reap_list, struct proc, run_link) {
		list_remove(&p->run_link);
		proc_free(p);
	}
}

void sched_start(struct proc *first)
{
	u64 unused;
	list_remove(&first->run_link);
	current = first;
	first->last_start_ns = now_ns();
	first->slice_end_ns = NO_DEADLINE;
	vm_switch(first->vm);
	cpu_set_kstack((u64)first->kstack + KSTACK_SIZE);
	context_switch(&unused, first->ksp);
	__builtin_unreachable();
}

void sched_yield_now(void)
{
	schedule();
}

static void sleep_expired(struct timer *t)
{
	struct proc *p = container_of(t, struct proc, sleep_timer);
	if (p->state != PROC_WAIT)
		return;
	list_remove(&p->wait_link);
	p->wait_result = -ETIMEDOUT;
	sched_add(p);
}

int wait_on(struct waitq *q, u64 deadline_ns, bool interruptible)
{
	struct proc *p = current;
	if (interruptible && !p->privileged && signal_pending(p))
		return -EINTR;
	if (deadline_ns != NO_DEADLINE) {
		if (deadline_ns <= now_ns())
			return -ETIMEDOUT;
		p->sleep_timer.fire = sleep_expired;
		timer_arm(&p->sleep_timer, deadline_ns);
	}
	p->wait_interruptible = interruptible && !p->privileged;
	p->wait_result = 0;
	p->state = PROC_WAIT;
	p->waiting_on = q;
	list_push_back(&q->waiters, &p->wait_link);
	schedule();
	p->waiting_on = NULL;
	timer_cancel(&p->sleep_timer);
	return p->wait_result;
}

static void end_wait(struct proc *p, int result)
{
	if (p->state != PROC_WAIT)
		return;
	list_remove(&p->wait_link);
	p->wait_result = result;
	sched_add(p);
}

void wake_proc(struct proc *p)
{
	end_wait(p, 0);
}

void wake_all(struct waitq *q)
{
	while (!list_empty(&q->waiters))
		end_wait(container_of(q->waiters.next, struct proc, wait_link), 0);
}

void interrupt_proc(struct proc *p)
{
	if (p->wait_interruptible)
		end_wait(p, -EINTR);
}
