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

#define OBSERVES(kind) (KIND_##kind == KIND_V || KIND_##kind == KIND_OV)

static i64 unknown_call(const u64 *arg);

const struct syscall_row syscall_rows[V_ROWS + 1] = {
#define SYSCALL(nr_, name_, cls_, kind_, rule_)                                                    \
	[V_##name_] = {.nr = nr_,                                                                  \
		       .name = #name_,                                                             \
		       .cls = CLASS_##cls_,                                                        \
		       .kind = KIND_##kind_,                                                       \
		       .rule = RULE_##rule_,                                                       \
		       .observes = OBSERVES(kind_),                                                \
		       .new_frame = V_##name_ == V_execve || V_##name_ == V_rt_sigreturn,          \
		       .fn = sys_##name_},
#define WHCALL(nr_, name_, cls_, kind_, rule_)                                                     \
	[V_wh_##name_] = {.nr = nr_,                                                               \
			  .name = "wh_" #name_,                                                    \
			  .cls = CLASS_##cls_,                                                     \
			  .kind = KIND_##kind_,                                                    \
			  .rule = RULE_##rule_,                                                    \
			  .observes = OBSERVES(kind_),                                             \
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
u64 syscall_count HOT_DATA;

int syscall_dispatch(struct trapframe *tf);
void syscall_init(void);

void syscall_init(void)
{
	for (u32 nr = 0; nr < LINUX_MAX; nr++)
		linux_row[nr] = V_ROWS;
	for (u32 nr = 0; nr < OURS_MAX; nr++)
		our_row[nr] = V_ROWS;
	for (u32 i = 0; i < V_ROWS; i++) {
		u32 nr = syscall_rows[i].nr;
		if (nr >= WH_SYSCALL_BASE)
			our_row[nr - WH_SYSCALL_BASE] = (u16)i;
		else
			linux_row[nr] = (u16)i;
	}
}

static inline const struct syscall_row *find_row(u64 nr)
{
	u32 row = V_ROWS;
	if (LIKELY(nr < LINUX_MAX))
		row = linux_row[nr];
	else if (nr >= WH_SYSCALL_BASE && nr < WH_SYSCALL_BASE + OURS_MAX)
		row = our_row[nr - WH_SYSCALL_BASE];
	return &syscall_rows[row];
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
static inline void note(struct proc *p, const struct syscall_row *r, i64 value)
{
	struct vrec *v = &p->u->vrec[r - syscall_rows];

	if (!views_on)
		return;
	v->marker = 1;
	v->count++;
	v->dup = value;
}

/* The end of a call that failed, was re-executed, or has put a whole new frame in place. */
static void end_rare(struct thread *t, const struct syscall_row *r, i64 value)
{
	struct ucall *call = &t->u.call;

	/* In a new frame (execve, rt_sigreturn) rax is part of it. */
	if (!r->new_frame || (r->fn == sys_execve && value != 0))
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
	const struct syscall_row *r = find_row(nr);
	i64 value = r->fn(call->args);
	call->values[0] = (u64)value;
	u64 rare = (u64)value >> 63 | call->resume_valid | r->new_frame;
	if (UNLIKELY(rare)) {
		end_rare(t, r, value);
	} else {
		tf->rax = (u64)value;
		call->error = 0;
	}
	if (r->observes && LIKELY(value >= 0))
		note(p, r, value);
	if (UNLIKELY(rare | attention(p, t)))
		return 0;
	fpu_switch_to(t);
	return 1;
}
