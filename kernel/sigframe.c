/* SPDX-License-Identifier: MIT */
#include "sigframe.h"
#include "signal.h"
#include "cpu.h"
#include "proc.h"
#include "usercopy.h"

#define RED_ZONE     128 /* below rsp, the interrupted function's own */
#define FXSAVE_LEN   512
#define FXSAVE_MXCSR 24	 /* offset of the u32 */
#define FXSAVE_SW    464 /* software-reserved bytes: nonzero would announce an XSAVE area */

struct uc_stack {
	u64 sp;
	i32 flags;
	u32 pad;
	u64 size;
};
struct uc_context {
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 error, vector, oldmask, cr2;
	u64 fpstate; /* user address of the FXSAVE area, or 0: FPU in its initial state */
	u64 reserved[8];
};
struct ucontext {
	u64 flags, link;
	struct uc_stack stack;
	struct uc_context mc;
	u64 mask;
};
struct siginfo {
	i32 signo, err, code, pad;
	union {
		struct {
			i32 pid;
			u32 uid;
			union {
				i32 status;
				u64 value;
			};
		} sender;
		u64 addr;
		u8 all[112];
	};
};
struct rt_sigframe {
	u64 pretcode;
	struct ucontext uc;
	struct siginfo info;
};
_Static_assert(sizeof(struct uc_context) == 256, "struct sigcontext is part of the Linux ABI");
_Static_assert(sizeof(struct siginfo) == 128, "siginfo_t is part of the Linux ABI");
_Static_assert(offsetof(struct rt_sigframe, info) == 312,
	       "struct rt_sigframe is part of the Linux ABI");

static bool on_alt_stack(const struct utsignal *s, u64 sp)
{
	return s->alt_size && sp - s->alt_sp <= s->alt_size;
}

static void fill_info(struct siginfo *info, const struct thread *t, int sig, struct sigorigin from)
{
	info->signo = sig;
	info->code = from.code;
	bool fault = sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL;
	if (fault && info->code > 0) {
		info->addr = t->u.sig.fault_addr;
		return;
	}
	info->sender.pid = from.pid;
	if (from.code < 0)
		info->sender.value = from.value;
	const struct proc *sender = from.pid ? proc_find(from.pid) : NULL;
	if (!sender)
		return;
	if (sender->u)
		info->sender.uid = sender->u->names.uid;
	if (sig != SIGCHLD)
		return;
	i32 status = sender->exit_status;
	if (info->code == CLD_EXITED)
		info->sender.status = status >> 8 & 0xff;
	else if (info->code == CLD_KILLED)
		info->sender.status = status & 0x7f;
	else
		info->sender.status = info->code == CLD_STOPPED ? sender->stop_sig : SIGCONT;
}

static void save_registers(struct uc_context *mc, const struct trapframe *tf)
{
	mc->r8 = tf->r8, mc->r9 = tf->r9, mc->r10 = tf->r10, mc->r11 = tf->r11;
	mc->r12 = tf->r12, mc->r13 = tf->r13, mc->r14 = tf->r14, mc->r15 = tf->r15;
	mc->rdi = tf->rdi, mc->rsi = tf->rsi, mc->rbp = tf->rbp, mc->rbx = tf->rbx;
	mc->rdx = tf->rdx, mc->rax = tf->rax, mc->rcx = tf->rcx, mc->rsp = tf->rsp;
	mc->rip = tf->rip, mc->rflags = tf->rflags;
	mc->cs = (u16)tf->cs, mc->ss = (u16)tf->ss;
	mc->error = tf->error, mc->vector = tf->vector;
}

static void load_registers(struct trapframe *tf, const struct uc_context *mc)
{
	tf->r8 = mc->r8, tf->r9 = mc->r9, tf->r10 = mc->r10, tf->r11 = mc->r11;
	tf->r12 = mc->r12, tf->r13 = mc->r13, tf->r14 = mc->r14, tf->r15 = mc->r15;
	tf->rdi = mc->rdi, tf->rsi = mc->rsi, tf->rbp = mc->rbp, tf->rbx = mc->rbx;
	tf->rdx = mc->rdx, tf->rax = mc->rax, tf->rcx = mc->rcx, tf->rsp = mc->rsp;
	tf->rip = mc->rip;
	tf->rflags = (mc->rflags & RFLAGS_USER) | RFLAGS_IF;
	tf->cs = SEL_UCODE, tf->ss = SEL_UDATA;
}

void sigframe_info(void *info, const struct thread *t, int sig, struct sigorigin from)
{
	fill_info(info, t, sig, from);
}

int sigframe_push(struct thread *t, struct trapframe *tf, int sig, struct sigorigin from, u64 mask)
{
	struct utsignal *s = &t->u.sig;
	const struct usignal *ps = &t->proc->u->sig;
	u64 flags = ps->act[sig].flags;
	if (!(flags & SA_RESTORER) || ps->act[sig].handler >= USER_TOP)
		return -EFAULT;

	struct rt_sigframe f = {.pretcode = ps->act[sig].restorer};
	f.uc.stack = (struct uc_stack){.sp = s->alt_sp, .size = s->alt_size};
	if (!s->alt_size)
		f.uc.stack.flags = SS_DISABLE;
	else if (on_alt_stack(s, tf->rsp))
		f.uc.stack.flags = SS_ONSTACK;
	f.uc.mask = mask;
	save_registers(&f.uc.mc, tf);
	f.uc.mc.cr2 = s->fault_addr;
	fill_info(&f.info, t, sig, from);

	u64 sp = tf->rsp - RED_ZONE;
	if ((flags & SA_ONSTACK) && s->alt_size && !on_alt_stack(s, tf->rsp))
		sp = s->alt_sp + s->alt_size;
	if (t->fpu_used) {
		/* The handler begins with a fresh FPU: its ABI wants an empty x87 stack. */
		fpu_save(t);
		memset(t->fpu + FXSAVE_SW, 0, FXSAVE_LEN - FXSAVE_SW);
		sp = (sp - FXSAVE_LEN) & ~63ull;
		f.uc.mc.fpstate = sp;
		if (sp >= USER_TOP || copy_to_user(sp, t->fpu, FXSAVE_LEN) < 0)
			return -EFAULT;
		t->fpu_used = false;
		fpu_forget(t);
	}
	/* At a function's first instruction rsp + 8 is a multiple of 16. */
	sp = ((sp - sizeof f) & ~15ull) - 8;
	if (sp >= USER_TOP || copy_to_user(sp, &f, sizeof f) < 0)
		return -EFAULT;

	tf->rip = ps->act[sig].handler;
	tf->rsp = sp;
	tf->rdi = (u64)sig;
	tf->rsi = sp + offsetof(struct rt_sigframe, info);
	tf->rdx = sp + offsetof(struct rt_sigframe, uc);
	tf->rax = 0;
	tf->rflags = RFLAGS_IF;
	tf->cs = SEL_UCODE, tf->ss = SEL_UDATA;
	return 0;
}

int sigframe_pop(struct thread *t, struct trapframe *tf)
{
	struct utsignal *s = &t->u.sig;
	struct ucontext uc;
	u64 frame = tf->rsp - sizeof(u64); /* the handler's ret took pretcode */
	if (copy_from_user(&uc, frame + offsetof(struct rt_sigframe, uc), sizeof uc) < 0)
		return -EFAULT;
	/* The way back to user mode relies on a canonical rip. */
	if (uc.mc.rip >= USER_TOP)
		return -EFAULT;
	fpu_forget(t);
	t->fpu_used = false;
	if (uc.mc.fpstate) {
		if (copy_from_user(t->fpu, uc.mc.fpstate, FXSAVE_LEN) < 0)
			return -EFAULT;
		u32 mxcsr;
		memcpy(&mxcsr, t->fpu + FXSAVE_MXCSR, sizeof mxcsr);
		mxcsr &= cpu_mxcsr_mask;
		memcpy(t->fpu + FXSAVE_MXCSR, &mxcsr, sizeof mxcsr);
		t->fpu_used = true;
	}
	load_registers(tf, &uc.mc);
	s->blocked = uc.mask & ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	if (!on_alt_stack(s, tf->rsp) && !(uc.stack.flags & SS_DISABLE) && uc.stack.sp < USER_TOP &&
	    uc.stack.size <= USER_TOP) {
		s->alt_sp = uc.stack.sp;
		s->alt_size = uc.stack.size;
	}
	return 0;
}
