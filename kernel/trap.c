/* SPDX-License-Identifier: MIT */
/* What to do with each trap, and the way back to user mode. */
#include "trap.h"
#include "boundary.h"
#include "cpu.h"
#include "lib.h"
#include "oom.h"
#include "proc.h"
#include "restless.h"
#include "signal.h"
#include "trace.h"
#include "trap_asm.h"
#include "usercopy.h"

_Static_assert(SEL_UDATA_ == SEL_UDATA && SEL_UCODE_ == SEL_UCODE, "trap_asm.h must equal trap.h");
#define AT(reg, n) _Static_assert(offsetof(struct trapframe, reg) == (n), "trap_asm.h: " #reg)
AT(r10, FRAME_R10);
AT(r9, FRAME_R9);
AT(r8, FRAME_R8);
AT(rbp, FRAME_RBP);
AT(rdi, FRAME_RDI);
AT(rsi, FRAME_RSI);
AT(rdx, FRAME_RDX);
AT(rax, FRAME_RAX);
AT(rip, FRAME_RIP);
AT(rflags, FRAME_RFLAGS);
AT(rsp, FRAME_RSP);

u64 fault_count HOT_DATA;
void trap_dispatch(struct trapframe *tf);

static const struct {
	const char *name;
	int sig; /* what a user process gets */
} exceptions[32] = {
	[0] = {"divide error", SIGFPE},
	[1] = {"debug", SIGTRAP},
	[2] = {"NMI", 0},
	[3] = {"breakpoint", SIGTRAP},
	[4] = {"overflow", SIGSEGV},
	[5] = {"bound", SIGSEGV},
	[6] = {"invalid opcode", SIGILL},
	[8] = {"double fault", 0},
	[11] = {"segment not present", SIGBUS},
	[12] = {"stack fault", SIGBUS},
	[13] = {"general protection", SIGSEGV},
	[14] = {"page fault", SIGSEGV},
	[16] = {"x87 error", SIGFPE},
	[17] = {"alignment", SIGBUS},
	[19] = {"SIMD error", SIGFPE},
};

HOT static void page_fault(struct trapframe *tf)
{
	u64 addr = read_cr2();
	bool user = tf->cs & 3;
	fault_count++;
	/* In kernel mode only usercopy_asm.S touches user addresses. */
	bool copying = tf->rip >= (u64)user_copy_code && tf->rip < (u64)user_copy_failed;
	if (!current || (!user && !(copying && addr < USER_TOP)))
		panic("page fault at %lx (error %lx), rip %lx", addr, tf->error, tf->rip);
	int r = -EFAULT;
	if (current->vm && addr >= USER_MIN && addr < USER_TOP) {
		do
			r = vm_fault(current->vm, addr, tf->error & 2, tf->error & 16);
		while (r == -ENOMEM && oom_make_room());
	}
	if (r == 0)
		return;
	if (!user) {
		tf->rip = (u64)user_copy_failed;
		tf->rflags &= ~RFLAGS_AC; /* SMAP's permission ends */
		return;
	}
	trace(TRACE_FAULT, addr, tf->rip, (u64)(-r));
	if (r == -ENOMEM) {
		klog_user("out of memory: killing %d (%s)", current->pid, current->u->names.comm);
		signal_fault(SIGKILL, 0, addr);
	} else {
		signal_fault(r == -EIO ? SIGBUS : SIGSEGV, r == -EFAULT ? 1 : 2, addr);
	}
}

static void exception(struct trapframe *tf)
{
	u32 v = (u32)tf->vector;
	const char *name = exceptions[v].name ? exceptions[v].name : "exception";
	if (!(tf->cs & 3))
		panic("%s (vector %u, error %lx) at rip %lx", name, v, tf->error, tf->rip);
	if (v == 13 && clock_emulate_rdtsc(current, tf))
		return;
	signal_fault(exceptions[v].sig ? exceptions[v].sig : SIGSEGV, 0, tf->rip);
}

HOT void trap_dispatch(struct trapframe *tf)
{
	user_access_end(); /* the processor leaves AC as the program had it; the way back restores it */
	if (current && (tf->cs & 3))
		current_thread->tf = tf;
	switch (tf->vector) {
	case 14:
		page_fault(tf);
		break;
	case 7:
		fpu_trap();
		break;
	case VEC_TIMER:
		timer_interrupt();
		break;
	case VEC_SPURIOUS:
		break;
	default:
		if (tf->vector >= VEC_IRQ0 && tf->vector < VEC_IRQ0 + 16)
			irq_dispatch((u32)tf->vector - VEC_IRQ0);
		else if (tf->vector < 32)
			exception(tf);
		else
			klog("unexpected interrupt %lu", tf->vector);
	}
}

static void before_user_mode(struct proc *p, struct trapframe *tf)
{
	if (current_thread->holds)
		thread_drop_held(current_thread);
	if (p->restless_left && tf->vector == VEC_SYSCALL && !signal_is_restart((i64)tf->rax))
		restless_called(p);
	for (;;) {
		if (need_resched)
			schedule();
		else if (!p->privileged &&
			 (signal_pending(current_thread) ||
			  (tf->vector == VEC_SYSCALL && signal_is_restart((i64)tf->rax)))) {
			signal_deliver(tf, tf->vector == VEC_SYSCALL);
			tf->vector = 0; /* a call is restarted at most once */
		} else
			break;
	}
}

HOT int user_return(struct trapframe *tf)
{
	struct proc *p = current;
	/* A negative rax may be a restart code. */
	if (attention(p, current_thread) | tf->rax >> 63)
		before_user_mode(p, tf);
	p->started = true;
	fpu_switch_to(current_thread);
	return !((tf->rcx ^ tf->rip) | (tf->r11 ^ tf->rflags) | (tf->cs ^ SEL_UCODE) |
		 (tf->rip >> 47) | (tf->rflags & 0x10100));
}
