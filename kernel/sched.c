/* SPDX-License-Identifier: MIT */
/* Two queues: servers first, then user processes in turn, a slice each. */
#include "sched.h"
#include "cpu.h"
#include "lib.h"
#include "proc.h"
#include "trace.h"

#define SLICE_NS     (10 * 1000000ull)
#define LOAD_STEP_NS (10 * 1000000ull)

struct proc *current HOT_DATA;
struct thread *current_thread HOT_DATA;
bool need_resched HOT_DATA;
u64 switch_count HOT_DATA;
static struct list queues[2] HOT_DATA = {LIST_INIT(queues[0]), LIST_INIT(queues[1])};

/* Run-queue length of user processes, averaged exponentially over one second (thesis §4.3.4). */
static u64 runnable_users HOT_DATA, load_milli HOT_DATA, load_seen_ns HOT_DATA;

static void load_advance(u64 now)
{
	if (LIKELY(now - load_seen_ns < LOAD_STEP_NS))
		return;
	u64 steps = (now - load_seen_ns) / LOAD_STEP_NS;
	load_seen_ns += steps * LOAD_STEP_NS;
	for (u64 i = 0; i < MIN(steps, 800ul); i++)
		load_milli += ((i64)(runnable_users * 1000000) - (i64)load_milli) / 100;
}

u64 sched_load_milli(void)
{
	load_advance(now_ns());
	return load_milli / 1000;
}

u64 sched_runnable_users(void)
{
	return runnable_users;
}

static void count_user(const struct proc *p, int delta, u64 now)
{
	if (p->privileged)
		return;
	load_advance(now);
	runnable_users += (u64)(i64)delta;
}

void sched_set_privileged(struct proc *p, bool on)
{
	u64 now = now_ns();
	count_user(p, -1, now);
	p->privileged = on;
	count_user(p, 1, now);
}

HOT void sched_add(struct thread *t)
{
	struct proc *p = t->proc;
	u64 now = now_ns();
	ASSERT(list_empty(&t->run_link));
	t->state = THREAD_RUN;
	list_push_back(&queues[!p->kernel_priority], &t->run_link);
	count_user(p, 1, now);
	if (current &&
	    (p->kernel_priority > current->kernel_priority ||
	     (!current->kernel_priority && current_thread->slice_end_ns == NO_DEADLINE))) {
		if (p->kernel_priority > current->kernel_priority)
			need_resched = true;
		else
			timer_slice(current_thread->slice_end_ns = now + SLICE_NS);
	}
}

static struct thread *pick(void)
{
	for (int q = 0; q < 2; q++)
		if (!list_empty(&queues[q])) {
			struct thread *t = container_of(queues[q].next, struct thread, run_link);
			list_remove(&t->run_link);
			return t;
		}
	return NULL;
}

static void account(struct thread *t, u64 now)
{
	u64 used = now - t->last_start_ns;
	t->u.cpu_ns += used;
	if (t->proc->u)
		t->proc->u->cpu_ns += used;
	t->last_start_ns = now;
}

static struct list reap_list HOT_DATA = LIST_INIT(reap_list);
static struct list reap_threads HOT_DATA = LIST_INIT(reap_threads);

/* A process that nobody waits for cannot free the stack it stands on; the next one does. */
void sched_reap_later(struct proc *p)
{
	list_push_back(&reap_list, &p->reap_link);
}

void sched_reap_thread_later(struct thread *t)
{
	list_push_back(&reap_threads, &t->run_link);
}

/* What can be done before the address space is switched comes before: behind it TCG knows no page and no jump. */
HOT void schedule(void)
{
	struct thread *prev = current_thread, *next;
	u64 now = now_ns();
	account(prev, now);
	need_resched = false;
	if (prev->state != THREAD_RUN)
		count_user(prev->proc, -1, now);
	else
		list_push_back(&queues[!prev->proc->kernel_priority], &prev->run_link);
	while (!(next = pick())) {
		current = NULL;
		current_thread = NULL;
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		now = now_ns();
	}
	next->last_start_ns = now;
	/* Alone: no end of slice, so no timer (tickless). */
	next->slice_end_ns =
		list_empty(&queues[0]) && list_empty(&queues[1]) ? NO_DEADLINE : now + SLICE_NS;
	prev->tsd = !prev->proc->privileged;
	current_thread = next;
	current = next->proc;
	timer_slice(next->slice_end_ns);
	if (next != prev) {
		switch_count++;
		cpu_set_kstack(thread_stack_top(next));
		prev->selectors = cpu_selectors();
		if (prev->selectors != next->selectors)
			cpu_load_selectors(next->selectors);
		cpu_set_fs(next->fs_base);
		/* From its own page: its process's and address space's are not needed before CR3. */
		prev->cr3 = vm_loaded_cr3;
		if (LIKELY(next->cr3)) {
			cpu_set_tsd(next->tsd);
			vm_load(next->cr3);
		} else { /* it has never run */
			cpu_set_tsd(!current->privileged);
			vm_switch(current->vm);
		}
		context_switch(&prev->ksp, next->ksp);
	}
	if (UNLIKELY(!list_empty(&reap_list) | !list_empty(&reap_threads)))
		sched_finish_switch();
}

void sched_finish_switch(void)
{
	list_for_each_safe(t, &reap_threads, struct thread, run_link)
		thread_free(t);
	list_for_each_safe(p, &reap_list, struct proc, reap_link) {
		list_remove(&p->reap_link);
		proc_free(p);
	}
}

void sched_start(struct thread *first)
{
	u64 unused;
	list_remove(&first->run_link);
	current_thread = first;
	current = first->proc;
	first->last_start_ns = now_ns();
	first->slice_end_ns = NO_DEADLINE;
	vm_switch(current->vm);
	cpu_set_kstack(thread_stack_top(first));
	context_switch(&unused, first->ksp);
	__builtin_unreachable();
}

static void end_wait(struct thread *t, int result)
{
	if (t->state != THREAD_WAIT)
		return;
	list_remove(&t->wait_link);
	t->wait_result = result;
	sched_add(t);
}

static void sleep_expired(struct timer *timer)
{
	end_wait(container_of(timer, struct thread, sleep_timer), -ETIMEDOUT);
}

int wait_on(struct waitq *q, u64 deadline_ns, bool interruptible)
{
	struct thread *t = current_thread;
	interruptible = interruptible && !current->privileged;
	if (interruptible && signal_pending(t))
		return -EINTR;
	if (deadline_ns != NO_DEADLINE) {
		if (deadline_ns <= now_ns())
			return -ETIMEDOUT;
		t->sleep_timer.fire = sleep_expired;
		timer_arm(&t->sleep_timer, deadline_ns);
	}
	t->wait_interruptible = interruptible;
	t->wait_result = 0;
	t->state = THREAD_WAIT;
	t->waiting_on = q;
	list_push_back(&q->waiters, &t->wait_link);
	schedule();
	t->waiting_on = NULL;
	timer_cancel(&t->sleep_timer);
	return t->wait_result;
}

void wake_thread(struct thread *t)
{
	end_wait(t, 0);
}

void wake_all(struct waitq *q)
{
	while (!list_empty(&q->waiters))
		end_wait(container_of(q->waiters.next, struct thread, wait_link), 0);
}

void interrupt_thread(struct thread *t)
{
	if (t->wait_interruptible)
		end_wait(t, -EINTR);
}
