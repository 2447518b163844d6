/* SPDX-License-Identifier: MIT */
/*
 * A system call's way through the kernel: number -> row -> U-block -> handler -> marker and
 * duplicate -> user (docs/way-of-a-call.md).
 */
#include "boundary.h"
#include "cpu.h"
#include "lib.h"
#include "signal.h"
#include "trace.h"
#include "trap.h"

static i64 unknown_call(const u64 *arg);

const struct syscall_row syscall_rows[V_ROWS + 1] = {
#define SYSCALL(nr_, name_, cls_, kind_, rule_)                                                    \
	[V_##name_] = {.nr = nr_,                                                                  \
		       .name = #name_,                                                             \
		       .cls = CLASS_##cls_,                                                        \
		       .kind = KIND_##kind_,                                                       \
		       .rule = RULE_##rule_,                                                       \
		       .fn = sys_##name_},
#define WHCALL(nr_, name_, cls_, kind_, rule_)                                                     \
	[V_wh_##name_] = {.nr = nr_,                                                               \
			  .name = "wh_" #name_,                                                    \
			  .cls = CLASS_##cls_,                                                     \
			  .kind = KIND_##kind_,                                                    \
			  .rule = RULE_##rule_,                                                    \
			  .fn = wh_sys_##name_},
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL
	[V_ROWS] = {.name = "none", .kind = KIND_N, .fn = unknown_call},
};

#define LINUX_MAX 512
#define OURS_MAX  64
/* Row by number; the last one: no such call. */
static u16 linux_row[LINUX_MAX] HOT_DATA, our_row[OURS_MAX] HOT_DATA;
/* What each call needs of its row, small enough for the page of hot data. */
static struct brief {
	u32 fn; /* the address's low half: the kernel lies in the last 2 GB */
	u8 observes, new_frame;
	u16 row;
} brief[V_ROWS + 1] HOT_DATA;
u64 syscall_count HOT_DATA;

/* Aligned so that its beginning and the handler's return never share a slot (HOT, types.h). */
int syscall_dispatch(struct trapframe *tf) __attribute__((aligned(64)));
void syscall_init(void);

void syscall_init(void)
{
	for (u32 nr = 0; nr < LINUX_MAX; nr++)
		linux_row[nr] = V_ROWS;
	for (u32 nr = 0; nr < OURS_MAX; nr++)
		our_row[nr] = V_ROWS;
	for (u32 i = 0; i <= V_ROWS; i++) {
		const struct syscall_row *r = &syscall_rows[i];
		brief[i] = (struct brief){.fn = (u32)(u64)r->fn,
					  .observes = r->kind == KIND_V || r->kind == KIND_OV,
					  .new_frame = i == V_execve || i == V_rt_sigreturn,
					  .row = (u16)i};
		if (i == V_ROWS)
			break;
		if (r->nr >= WH_SYSCALL_BASE)
			our_row[r->nr - WH_SYSCALL_BASE] = (u16)i;
		else
			linux_row[r->nr] = (u16)i;
	}
}

static inline const struct brief *find_row(u64 nr)
{
	u32 row = V_ROWS;
	if (LIKELY(nr < LINUX_MAX))
		row = linux_row[nr];
	else if (nr >= WH_SYSCALL_BASE && nr < WH_SYSCALL_BASE + OURS_MAX)
		row = our_row[nr - WH_SYSCALL_BASE];
	return &brief[row];
}

/* By number; made at build time of the host's header (module.mk). NULL: Linux has none either. */
extern const char *const linux_names[LINUX_MAX];

/* ENOSYS, and one log line per number that names it. */
static i64 unknown_call(const u64 *arg)
{
	u64 nr = current_thread->u.call.nr;
	(void)arg;
	static u64 told[LINUX_MAX / 64];
	if (nr < LINUX_MAX && !(told[nr / 64] >> (nr % 64) & 1)) {
		told[nr / 64] |= 1ull << (nr % 64);
		klog("pid %d (%s): system call %lu (%s) is not supported (ENOSYS)", current->pid,
		     current->u->names.comm, nr, linux_names[nr] ? linux_names[nr] : "no name");
	}
	return -ENOSYS;
}

/* After a V or OV call: set the marker, keep the value. */
static inline void note(struct proc *p, u32 row, i64 value)
{
	struct vrec *v = &p->u->vrec[row];

	if (!views_on)
		return;
	v->marker = 1;
	v->count++;
	v->dup = value;
}

/* The end of a call that failed, was re-executed, or has put a whole new frame in place. */
static void end_rare(struct thread *t, const struct brief *b, i64 value)
{
	struct ucall *call = &t->u.call;

	/* In a new frame (execve, rt_sigreturn) rax is part of it. */
	if (!b->new_frame || (b->row == V_execve && value != 0))
		t->tf->rax = (u64)value;
	call->error = value < 0 && value > -4096 ? value : 0;
	if (!signal_is_restart(value))
		call->resume_valid = false;
}

/* Returns 1 if there is nothing to do before user mode and the frame is as the entry left it. */
HOT int syscall_dispatch(struct trapframe *tf)
{
	struct thread *t = current_thread;
	struct proc *p = current;
	struct ucall *call = &t->u.call;
	u64 nr = tf->rax;
	t->tf = tf;
	syscall_count++;
	call->nr = nr;
	call->args[0] = tf->rdi;
	call->args[1] = tf->rsi;
	call->args[2] = tf->rdx;
	call->args[3] = tf->r10;
	call->args[4] = tf->r8;
	call->args[5] = tf->r9;
	if (call->resume_valid && call->resume_nr != nr)
		call->resume_valid = false;
	const struct brief *b = find_row(nr);
	i64 value = ((i64(*)(const u64 *))(i64)(i32)b->fn)(call->args);
	call->values[0] = (u64)value;
	u64 rare = (u64)value >> 63 | call->resume_valid | b->new_frame;
	if (UNLIKELY(rare)) {
		end_rare(t, b, value);
	} else {
		tf->rax = (u64)value;
		call->error = 0;
	}
	if (b->observes && LIKELY(value >= 0))
		note(p, b->row, value);
	if (UNLIKELY(rare | attention(p, t)))
		return 0;
	fpu_switch_to(t);
	return 1;
}
