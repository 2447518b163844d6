/* SPDX-License-Identifier: MIT */
/*
 * A system call's way through the kernel: number -> row -> U-block -> handler -> marker and
 * duplicate -> user (docs/way-of-a-call.md).
 */
#include "lib.h"
#include "proc.h"
#include "signal.h"
#include "trace.h"
#include "trap.h"

const struct syscall_row syscall_rows[V_ROWS] = {
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
};

#define LINUX_MAX 512
#define OURS_MAX  64
/* Row + 1 by number; 0: no such call. */
static u16 linux_row[LINUX_MAX], our_row[OURS_MAX];
u64 syscall_count;

void syscall_dispatch(struct trapframe *tf);
void syscall_init(void);

void syscall_init(void)
{
	for (u32 i = 0; i < V_ROWS; i++) {
		u32 nr = syscall_rows[i].nr;
		if (nr >= WH_SYSCALL_BASE)
			our_row[nr - WH_SYSCALL_BASE] = (u16)(i + 1);
		else
			linux_row[nr] = (u16)(i + 1);
	}
}

static u32 find_row(u64 nr)
{
	if (nr < LINUX_MAX)
		return linux_row[nr];
	if (nr >= WH_SYSCALL_BASE && nr < WH_SYSCALL_BASE + OURS_MAX)
		return our_row[nr - WH_SYSCALL_BASE];
	return 0;
}

/* By number; made at build time of the host's header (module.mk). NULL: Linux has none either. */
extern const char *const linux_names[LINUX_MAX];

/* ENOSYS, and one log line per number that names it. */
static i64 unknown_call(u64 nr)
{
	static u64 told[LINUX_MAX / 64];
	if (nr < LINUX_MAX && !(told[nr / 64] >> (nr % 64) & 1)) {
		told[nr / 64] |= 1ull << (nr % 64);
		klog("pid %d (%s): system call %lu (%s) is not supported (ENOSYS)", current->pid,
		     current->u->names.comm, nr, linux_names[nr] ? linux_names[nr] : "no name");
	}
	return -ENOSYS;
}

void syscall_dispatch(struct trapframe *tf)
{
	struct proc *p = current;
	struct thread *t = current_thread;
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
	u32 row = find_row(nr);
	if (!row) {
		tf->rax = (u64)unknown_call(nr);
		return;
	}
	const struct syscall_row *r = &syscall_rows[row - 1];
	i64 value = r->fn(call->args);
	/* execve and rt_sigreturn have put a whole new frame in place; rax is part of it. */
	tf = t->tf;
	if (!(row - 1 == V_rt_sigreturn || (row - 1 == V_execve && value == 0)))
		tf->rax = (u64)value;
	call->error = value < 0 && value > -4096 ? (i64)value : 0;
	call->values[0] = (u64)value;
	if (!signal_is_restart(value))
		call->resume_valid = false;
	if ((r->kind == KIND_V || r->kind == KIND_OV) && value >= 0)
		env_note(p, row - 1, value);
}
