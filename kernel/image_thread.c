/* SPDX-License-Identifier: MIT */
/*
 * Threads of a process image. The leader's registers, FPU and signals are parts of their own (image.c, signal.c);
 * WH_P_THREADS holds what else is each thread's, and all of the others. Packed form (version 1): u32 version, u32 n, then
 * per thread, the leader first, {u32 tid, u32 ended, u64 processor time, u64 clear_child_tid, u64 robust list, call}, and for all
 * but the leader {registers, u32 FPU used [, 512 bytes], signals}.
 */
#include "cpu.h"
#include "lib.h"
#include "proc.h"
#include "procctl.h"
#include "signal.h"

#define THREADS_BLOB_VERSION 1
#define USER_HALF	     (1ull << 47)
#define MXCSR_AT	     24 /* in the FXSAVE area */
#define CPU_NS_MAX	     (1ull << 62)

void thread_regs_get(const struct thread *t, struct wh_regs *r)
{
	const struct trapframe *f = t->tf;

	*r = (struct wh_regs){
		.rax = f->rax,
		.rbx = f->rbx,
		.rcx = f->rcx,
		.rdx = f->rdx,
		.rsi = f->rsi,
		.rdi = f->rdi,
		.rbp = f->rbp,
		.rsp = f->rsp,
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rip = f->rip,
		.rflags = f->rflags,
		.fs_base = t->fs_base,
		.gs_base = t->gs_base,
		.selectors = t->selectors,
	};
}

int thread_regs_set(struct thread *t, const struct wh_regs *r)
{
	/* Addresses that the processor itself would refuse while it is still in kernel mode. */
	if (r->rip >= USER_TOP || r->rsp >= USER_HALF || r->fs_base >= USER_HALF ||
	    r->gs_base >= USER_HALF || !cpu_selectors_valid(r->selectors))
		return -EINVAL;
	*t->tf = (struct trapframe){
		.rax = r->rax,
		.rbx = r->rbx,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rbp = r->rbp,
		.rsp = r->rsp,
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rip = r->rip,
		.rflags = (r->rflags & RFLAGS_USER) | RFLAGS_IF | 2,
		.cs = SEL_UCODE,
		.ss = SEL_UDATA,
	};
	t->fs_base = r->fs_base;
	t->gs_base = r->gs_base;
	t->selectors = r->selectors;
	return 0;
}

void thread_fpu_arrived(struct thread *t)
{
	u32 mxcsr;

	memcpy(&mxcsr, t->fpu + MXCSR_AT, sizeof mxcsr);
	mxcsr &= cpu_mxcsr_mask;
	memcpy(t->fpu + MXCSR_AT, &mxcsr, sizeof mxcsr);
	t->fpu_used = true;
	fpu_forget(t);
}

static void put_call(const struct ucall *c, struct blob *b)
{
	blob_put_u64(b, c->nr);
	blob_put(b, c->args, sizeof c->args);
	blob_put_u64(b, (u64)c->error);
	blob_put(b, c->values, sizeof c->values);
	blob_put_u32(b, c->resume_valid);
	blob_put_u64(b, c->resume_nr);
	blob_put(b, c->resume, sizeof c->resume);
}

static void get_call(struct ucall *c, struct blob *b)
{
	c->nr = blob_get_u64(b);
	blob_get(b, c->args, sizeof c->args);
	c->error = (i64)blob_get_u64(b);
	blob_get(b, c->values, sizeof c->values);
	c->resume_valid = blob_get_u32(b) != 0;
	c->resume_nr = blob_get_u64(b);
	blob_get(b, c->resume, sizeof c->resume);
}

static void put_common(const struct thread *t, struct blob *b)
{
	blob_put_u32(b, (u32)t->tid);
	blob_put_u32(b, t->state == THREAD_ENDED);
	blob_put_u64(b, t->u.cpu_ns);
	blob_put_u64(b, t->u.clear_child_tid);
	blob_put_u64(b, t->u.robust_list);
	put_call(&t->u.call, b);
}

/* After the tid. */
static int get_common(struct thread *t, struct blob *b, bool *ended)
{
	u32 flag = blob_get_u32(b);

	t->u.cpu_ns = blob_get_u64(b);
	t->u.clear_child_tid = blob_get_u64(b);
	t->u.robust_list = blob_get_u64(b);
	get_call(&t->u.call, b);
	*ended = flag != 0;
	return b->bad || flag > 1 || t->u.cpu_ns >= CPU_NS_MAX ? -EINVAL : 0;
}

static void put_other(const struct thread *t, struct blob *b)
{
	struct wh_regs r;

	thread_regs_get(t, &r);
	blob_put(b, &r, sizeof r);
	blob_put_u32(b, t->fpu_used);
	if (t->fpu_used)
		blob_put(b, t->fpu, sizeof t->fpu);
	signal_pack_thread(t, b);
}

static int get_other(struct thread *t, struct blob *b)
{
	struct wh_regs r = {0};

	blob_get(b, &r, sizeof r);
	int err = thread_regs_set(t, &r);
	if (blob_get_u32(b)) {
		blob_get(b, t->fpu, sizeof t->fpu);
		thread_fpu_arrived(t);
	}
	return err || b->bad ? -EINVAL : signal_unpack_thread(t, b);
}

int threads_pack(struct proc *p, struct blob *b)
{
	blob_put_u32(b, THREADS_BLOB_VERSION);
	blob_put_u32(b, proc_threads(p));
	put_common(p->leader, b);
	list_for_each(t, &p->threads, struct thread, proc_link) {
		if (t == p->leader)
			continue;
		put_common(t, b);
		put_other(t, b);
	}
	return b->bad ? -ERANGE : 0;
}

/* A number that no other thread or process of this node has. */
static bool tid_free(const struct proc *p, i32 tid)
{
	u32 node = WH_PID_NODE(tid);

	if (tid <= 0 || node < 1 || node > node_id.nodes || proc_find(tid) || thread_find(tid))
		return false;
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->tid == tid)
			return false;
	return true;
}

static int unpack_all(struct proc *p, struct blob *b)
{
	u32 version = blob_get_u32(b), n = blob_get_u32(b);
	bool ended;

	if (version != THREADS_BLOB_VERSION || n < 1 || n > THREADS_MAX + 1 ||
	    (i32)blob_get_u32(b) != p->pid || get_common(p->leader, b, &ended))
		return -EINVAL;
	p->leader->state = ended ? THREAD_ENDED : THREAD_NEW;
	p->live = n - ended;
	if (p->live == 0)
		return -EINVAL;
	while (--n > 0) {
		i32 tid = (i32)blob_get_u32(b);
		if (!tid_free(p, tid))
			return -EINVAL;
		struct thread *t = thread_alloc(p, tid);
		if (!t)
			return -ENOMEM;
		if (get_common(t, b, &ended) || ended || get_other(t, b))
			return -EINVAL;
	}
	return b->pos == b->cap ? 0 : -EINVAL;
}

int threads_unpack(struct proc *p, struct blob *b)
{
	int r = unpack_all(p, b);

	if (r == 0)
		return 0;
	/* As it was: a shell with one thread. */
	list_for_each_safe(t, &p->threads, struct thread, proc_link)
		if (t != p->leader)
			thread_free(t);
	p->leader->state = THREAD_NEW;
	p->live = 1;
	return r;
}
