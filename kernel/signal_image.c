/* SPDX-License-Identifier: MIT */
/* Signals in the image of a process (WH_P_SIGNALS) and of its threads: what has to travel, and what may arrive. */
#include "signal.h"
#include "ipc.h"
#include "proc.h"

#define SIGNAL_BLOB_VERSION 3

int signal_pack(struct proc *p, struct blob *b)
{
	const struct utsignal *ts = &p->leader->u.sig;
	blob_put_u32(b, SIGNAL_BLOB_VERSION);
	blob_put_u32(b, (u32)p->stop_sig);
	blob_put_u32(b, sizeof p->u->sig + sizeof *ts);
	blob_put(b, &p->u->sig, sizeof p->u->sig);
	blob_put(b, ts, sizeof *ts);
	return b->bad ? -EINVAL : 0;
}

/* The process's state, and its leader's. */
struct signal_blob {
	struct usignal proc;
	struct utsignal thread;
};

static bool thread_signals_valid(const struct utsignal *s)
{
	/* have_saved_mask must be a bool before anything reads it as one. */
	u8 flag;
	memcpy(&flag, &s->have_saved_mask, 1);
	return flag <= 1 && !((s->blocked | s->saved_mask) & UNSTOPPABLE) && s->alt_sp < USER_TOP &&
	       s->alt_size <= USER_TOP;
}

/* The threads but the first: of their pending signals' origins, only those that are. */
void signal_pack_thread(const struct thread *t, struct blob *b)
{
	const struct utsignal *s = &t->u.sig;
	blob_put_u64(b, s->blocked);
	blob_put_u64(b, s->saved_mask);
	blob_put_u32(b, s->have_saved_mask);
	blob_put_u64(b, s->alt_sp);
	blob_put_u64(b, s->alt_size);
	blob_put_u64(b, s->fault_addr);
	blob_put_u32(b, s->restart_code);
	blob_put_u64(b, s->restart_rip);
	blob_put_u64(b, s->pending.set);
	for (u64 rest = s->pending.set; rest; rest &= rest - 1)
		blob_put(b, &s->pending.origin[__builtin_ctzll(rest) + 1],
			 sizeof s->pending.origin[0]);
}

int signal_unpack_thread(struct thread *t, struct blob *b)
{
	struct utsignal *s = &t->u.sig;
	s->blocked = blob_get_u64(b);
	s->saved_mask = blob_get_u64(b);
	s->have_saved_mask = blob_get_u32(b) != 0;
	s->alt_sp = blob_get_u64(b);
	s->alt_size = blob_get_u64(b);
	s->fault_addr = blob_get_u64(b);
	s->restart_code = blob_get_u32(b);
	s->restart_rip = blob_get_u64(b);
	s->pending.set = blob_get_u64(b);
	for (u64 rest = s->pending.set; rest; rest &= rest - 1)
		blob_get(b, &s->pending.origin[__builtin_ctzll(rest) + 1],
			 sizeof s->pending.origin[0]);
	return b->bad || !thread_signals_valid(s) ? -EINVAL : 0;
}

int signal_unpack(struct proc *p, struct blob *b)
{
	u32 version = blob_get_u32(b), stop_sig = blob_get_u32(b), size = blob_get_u32(b);
	if (version != SIGNAL_BLOB_VERSION ||
	    size != sizeof(struct usignal) + sizeof(struct utsignal) ||
	    (stop_sig && (stop_sig >= NSIG || !(STOPS & SIG_BIT(stop_sig)))))
		return -EINVAL;
	struct signal_blob *s = kmalloc(sizeof *s);
	if (!s)
		return -ENOMEM;
	blob_get(b, &s->proc, sizeof s->proc);
	blob_get(b, &s->thread, sizeof s->thread);
	bool good = !b->bad && thread_signals_valid(&s->thread);
	if (good) {
		u64 arrived_here = p->u->sig.pending.set;
		p->u->sig = s->proc;
		p->u->sig.pending.set |= arrived_here;
		p->leader->u.sig = s->thread;
		p->stop_sig = (i32)stop_sig;
	}
	kfree(s);
	return good ? 0 : -EINVAL;
}
