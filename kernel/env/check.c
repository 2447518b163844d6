/* SPDX-License-Identifier: MIT */
/*
 * The online checker: judges every V-function result after it was computed and just as user mode
 * will see it, with a record of its own, so that a fault in the views cannot hide itself. It also
 * runs with views off. The record is part of the U-block and travels with it.
 */
#include "check.h"
#include "clock.h"

#define LOUD 3 /* violations of one process that get a log line of their own */

u64 check_observations HOT_DATA, check_violations;

static const char *const clock_name[CHECK_CLOCKS] = {
	[CLOCK_REALTIME] = "REALTIME",
	[CLOCK_MONOTONIC] = "MONOTONIC",
	[CLOCK_PROCESS_CPUTIME_ID] = "PROCESS_CPUTIME",
	[CLOCK_THREAD_CPUTIME_ID] = "THREAD_CPUTIME",
	[CLOCK_MONOTONIC_RAW] = "MONOTONIC_RAW",
	[CLOCK_REALTIME_COARSE] = "REALTIME_COARSE",
	[CLOCK_MONOTONIC_COARSE] = "MONOTONIC_COARSE",
	[CLOCK_BOOTTIME] = "BOOTTIME",
	[CLOCK_TSC] = "rdtsc",
};

static void violated(struct proc *p, const char *words)
{
	struct check_state *c = &p->u->check;

	if (c->violations == 0)
		strlcpy(c->first, words, sizeof c->first);
	c->violations++;
	check_violations++;
	if (c->violations <= LOUD)
		klog("check: pid %d on node %u: %s", p->pid, node_id.node, words);
}

void check_clock_backwards(struct proc *p, u32 which, i64 value_ns, i64 unit_ns)
{
	struct check_state *c = &p->u->check;
	/* Functions of different resolution show the same clock: compare in the coarser one. */
	i64 last = c->last[which] - c->last[which] % unit_ns;

	if (value_ns >= last)
		return;
	char words[sizeof c->first];
	struct text t = TEXT(words, sizeof words);
	text_printf(&t, "%s ran backwards by %ld ns, from %ld to %ld", clock_name[which],
		    last - value_ns, last, value_ns);
	violated(p, words);
	c->last[which] = value_ns;
}

static void set_real(struct check_state *c, u8 seen, i64 value)
{
	c->seen[CLOCK_REALTIME] = c->seen[CLOCK_REALTIME_COARSE] = seen;
	c->last[CLOCK_REALTIME] = c->last[CLOCK_REALTIME_COARSE] = value;
}

void check_clock_was_set(struct proc *p, i64 value_ns)
{
	set_real(&p->u->check, 1, value_ns);
}

void check_clock_forget(struct proc *p)
{
	set_real(&p->u->check, 0, 0);
}

void check_same(struct proc *p, const char *what, i32 *first_seen, i32 value)
{
	struct check_state *c = &p->u->check;

	if (p->privileged)
		return;
	check_observed(c);
	if (*first_seen == 0)
		*first_seen = value;
	if (*first_seen == value)
		return;
	char words[sizeof c->first];
	struct text t = TEXT(words, sizeof words);
	text_printf(&t, "%s was %d and is %d", what, *first_seen, value);
	violated(p, words);
	*first_seen = value;
}

void check_fork(struct proc *child, const struct proc *parent)
{
	struct check_state *c = &child->u->check;

	*c = parent->u->check;
	c->observations = c->violations = 0;
	c->pid = c->ppid = 0;
	c->first[0] = 0;
	/* The child's own processor time starts at nothing. */
	c->seen[CLOCK_PROCESS_CPUTIME_ID] = c->seen[CLOCK_THREAD_CPUTIME_ID] = 0;
}

void check_ended(struct proc *p)
{
	const struct check_state *c = &p->u->check;

	if (c->violations)
		klog("check: pid %d (%s) ended: %lu of %lu observations inconsistent; first: %s",
		     p->pid, p->u->names.comm, c->violations, c->observations, c->first);
}

void check_view(const struct proc *p, struct text *out)
{
	const struct check_state *c = &p->u->check;

	text_printf(out, "checker: %lu observations, %lu inconsistent\n", c->observations,
		    c->violations);
	if (c->violations)
		text_printf(out, "  first: %s\n", c->first);
}

int check_pack(const struct proc *p, struct blob *b)
{
	const struct check_state *c = &p->u->check;

	blob_put_u64(b, c->observations);
	blob_put_u64(b, c->violations);
	for (u32 i = 0; i < CHECK_CLOCKS; i++) {
		blob_put_u32(b, c->seen[i]);
		blob_put_u64(b, (u64)c->last[i]);
	}
	blob_put_u32(b, (u32)c->pid);
	blob_put_u32(b, (u32)c->ppid);
	blob_put_str(b, c->first);
	return 0;
}

int check_unpack(struct proc *p, struct blob *b)
{
	struct check_state c = {0};

	c.observations = blob_get_u64(b);
	c.violations = blob_get_u64(b);
	for (u32 i = 0; i < CHECK_CLOCKS; i++) {
		c.seen[i] = blob_get_u32(b) != 0;
		c.last[i] = (i64)blob_get_u64(b);
	}
	c.pid = (i32)blob_get_u32(b);
	c.ppid = (i32)blob_get_u32(b);
	blob_get_str(b, c.first, sizeof c.first);
	if (b->bad)
		return -EINVAL;
	p->u->check = c;
	return 0;
}
