/* SPDX-License-Identifier: MIT */
/*
 * Signals: sending, deciding, stopping, restarting calls. The stack frame a handler gets is
 * sigframe.c's; the system calls are env/signal.c's.
 *
 * A call that was interrupted returns a restart code. signal_deliver rewinds the frame first, so
 * that whatever happens next (nothing, a stop, a freeze and a migration) ends in the re-execution
 * of the call; only a handler that runs at once turns it into EINTR. That is why no kernel stack
 * has to travel (design 3). After a freeze a handler must not run in front of a rewound call (a
 * pause would then wait for a signal that has been): it is deferred until the call, re-executed,
 * has found the signal pending and returned.
 */
#include "signal.h"
#include "sigframe.h"
#include "cpu.h"
#include "ipc.h"
#include "proc.h"

#define SYSCALL_INSN_LEN 2 /* 0f 05 */
#define DEFAULT_IGNORED	 (SIG_BIT(SIGCHLD) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH) | SIG_BIT(SIGCONT))
#define FAULTS                                                                                     \
	(SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGFPE) | SIG_BIT(SIGTRAP))

static bool is_ignored(const struct usignal *s, int sig)
{
	if (UNSTOPPABLE & SIG_BIT(sig))
		return false;
	return s->act[sig].handler == SIG_IGN ||
	       (s->act[sig].handler == SIG_DFL && (DEFAULT_IGNORED & SIG_BIT(sig)));
}

/* The signals that will do something to t, unblocked. */
static u64 deliverable(const struct thread *t)
{
	const struct usignal *s = &t->proc->u->sig;
	u64 set = (t->u.sig.pending.set | s->pending.set) & ~t->u.sig.blocked;
	for (u64 rest = set; rest; rest &= rest - 1) {
		int sig = __builtin_ctzll(rest) + 1;
		if (is_ignored(s, sig))
			set &= ~SIG_BIT(sig);
	}
	return set;
}

/* Is the frame rewound to a call not re-executed yet? A stale record that happens to fit does no
 * harm: a signal that finds a call about to be made may as well come right after its start. */
static bool is_rewound(const struct thread *t)
{
	return t->u.sig.restart_code && t->tf->rip == t->u.sig.restart_rip;
}

static bool has_handler(const struct usignal *s, int sig)
{
	return s->act[sig].handler > SIG_IGN && !(UNSTOPPABLE & SIG_BIT(sig));
}

/* Those of the set that need no handler. */
static u64 without_handlers(const struct usignal *s, u64 set)
{
	for (u64 rest = set; rest; rest &= rest - 1) {
		int sig = __builtin_ctzll(rest) + 1;
		if (has_handler(s, sig))
			set &= ~SIG_BIT(sig);
	}
	return set;
}

bool signal_pending(const struct thread *t)
{
	const struct proc *p = t->proc;
	if (p->freeze_req || p->stop_sig || thread_must_end(t))
		return true;
	if (p->privileged)
		return false;
	u64 set = deliverable(t);
	bool in_call = t->tf->vector == VEC_SYSCALL;
	if (set && !in_call && is_rewound(t))
		set = without_handlers(&p->u->sig, set);
	return set;
}

bool signal_is_deaf(const struct thread *t, int sig)
{
	return (t->u.sig.blocked & SIG_BIT(sig)) || t->proc->u->sig.act[sig].handler == SIG_IGN;
}

bool signal_ignores_child(const struct proc *p)
{
	return p->u && (p->u->sig.act[SIGCHLD].handler == SIG_IGN ||
			(p->u->sig.act[SIGCHLD].flags & SA_NOCLDWAIT));
}

i32 signal_pgid_of(const struct proc *p)
{
	return p->state == PROC_AWAY ? p->away_pgid : p->u ? p->u->names.pgid : 0;
}

bool signal_permitted(const struct unames *sender, const struct proc *p, int sig)
{
	if (sender->euid == 0)
		return true;
	if (p->state == PROC_AWAY)
		return sender->euid == p->away_uid || sender->uid == p->away_uid;
	if (!p->u)
		return false;
	const struct unames *n = &p->u->names;
	if (sender->euid == n->uid || sender->euid == n->suid || sender->uid == n->uid ||
	    sender->uid == n->suid)
		return true;
	return sig == SIGCONT && sender->sid == n->sid;
}

bool signal_group_orphaned(i32 pgid, i32 sid)
{
	list_for_each(p, &all_procs, struct proc, all_link) {
		if (!p->u || p->state == PROC_ZOMBIE || p->u->names.pgid != pgid ||
		    p->u->names.sid != sid)
			continue;
		const struct proc *parent = p->parent;
		if (!parent && p->stub_node)
			return false; /* it has one, on another node */
		if (parent && parent->u && parent->u->names.sid == sid &&
		    parent->u->names.pgid != pgid)
			return false;
	}
	return true;
}

/* ---- sending ---- */

/* To a process that runs elsewhere: its host judges permission and delivers. */
static void forward(struct proc *stub, int sig, i32 sender_pid)
{
	struct wh_msg m = {.type = WH_MSG_K_SIGNAL};
	const struct proc *sender = proc_find(sender_pid);
	*WH_BODY(&m, struct wh_k_signal) = (struct wh_k_signal){
		.uqpid = stub->uqpid,
		.epoch = stub->epoch,
		.node = stub->away_node,
		.sig = sig,
		.sender_pid = (u32)sender_pid,
		.sender_uid = sender && sender->u ? sender->u->names.euid : 0,
	};
	if (ipc_post(WH_SVC_MIGRATE, &m) < 0)
		klog("signal: %d for pid %d on node %u is lost: no migration handler", sig,
		     stub->pid, stub->away_node);
}

/* p's parent is where its stub is. */
static void tell_stub(const struct proc *p, i32 code)
{
	struct wh_msg m = {.type = FS_CHILD};
	*WH_BODY(&m, struct fs_child) = (struct fs_child){.tree = p->stub_node,
							  .owner = node_id.node,
							  .who = p->uqpid,
							  .stop_sig = p->stop_sig,
							  .code = code};
	if (ipc_post(WH_SVC_FILE, &m) < 0)
		klog("signal: the parent of pid %d does not learn that it stopped", p->pid);
}

static void tell_parent(struct proc *p, i32 code)
{
	struct proc *parent = p->parent;
	if (!parent && p->stub_node)
		tell_stub(p, code);
	if (!parent)
		return;
	if (parent->privileged && parent->service)
		ipc_note(parent->service, WH_NOTE_CHILD);
	if (parent->u && !(parent->u->sig.act[SIGCHLD].flags & SA_NOCLDSTOP))
		signal_send(parent, SIGCHLD, code, p->pid);
	wake_all(&parent->child_wait);
}

i64 signal_child_afar(const struct fs_child *q)
{
	struct proc *p = proc_find_uq(&q->who);
	if (!p || p->state == PROC_ZOMBIE || q->stop_sig < 0 || q->stop_sig >= NSIG)
		return -ESRCH;
	if (p->state == PROC_AWAY) /* else it has come home, and brought its stop along */
		p->stop_sig = q->stop_sig;
	p->stopped_unwaited = q->stop_sig;
	p->continued_unwaited = !q->stop_sig;
	tell_parent(p, q->code);
	return 0;
}

/* End a job-control stop, if there is one. A frozen process learns of it when it is thawed. */
static void resume_stopped(struct proc *p)
{
	if (!p->stop_sig)
		return;
	p->stop_sig = 0;
	p->stopped_unwaited = 0;
	p->continued_unwaited = true;
	if (p->parent)
		wake_all(&p->parent->child_wait);
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->state == THREAD_STOPPED)
			sched_add(t);
}

/* The thread that is to notice a signal to the process: one that does not block it. */
static struct thread *receiver(struct proc *p, u64 bit)
{
	if (p->live == 1 && p->leader->state != THREAD_ENDED)
		return p->leader->u.sig.blocked & bit ? NULL : p->leader;
	list_for_each(t, &p->threads, struct thread, proc_link)
		if (t->state != THREAD_ENDED && !(t->u.sig.blocked & bit))
			return t;
	return NULL;
}

struct waitq signal_arrived = WAITQ_INIT(signal_arrived);

void signal_send(struct proc *p, int sig, i32 code, i32 sender_pid)
{
	signal_send_value(p, sig, code, sender_pid, 0);
}

void signal_send_value(struct proc *p, int sig, i32 code, i32 sender_pid, u64 value)
{
	if (p->state == PROC_ZOMBIE || p->privileged || sig < 1 || sig >= NSIG)
		return;
	if (p->state == PROC_AWAY) {
		forward(p, sig, sender_pid);
		return;
	}
	struct usignal *s = &p->u->sig;
	if (sig == SIGCONT || sig == SIGKILL) {
		bool was_stopped = p->stop_sig != 0;
		s->pending.set &= ~STOPS;
		resume_stopped(p);
		if (was_stopped && sig == SIGCONT)
			tell_parent(p, CLD_CONTINUED);
	} else if (STOPS & SIG_BIT(sig)) {
		s->pending.set &= ~SIG_BIT(SIGCONT);
	}
	struct thread *t = receiver(p, SIG_BIT(sig));
	if (is_ignored(s, sig) && t)
		return;
	if (s->pending.set & SIG_BIT(sig))
		return; /* standard signals do not queue: the first one's origin stands */
	s->pending.set |= SIG_BIT(sig);
	s->pending.origin[sig] = (struct sigorigin){code, sender_pid, value};
	wake_all(&signal_arrived);
	if (t)
		interrupt_thread(t);
}

void signal_send_thread(struct thread *t, int sig, i32 code, i32 sender_pid)
{
	signal_send_thread_value(t, sig, code, sender_pid, 0);
}

void signal_send_thread_value(struct thread *t, int sig, i32 code, i32 sender_pid, u64 value)
{
	struct proc *p = t->proc;
	/* What all threads obey; and what is late for a frozen process must find it elsewhere, where its
	 * name is that of the process. */
	if ((UNSTOPPABLE | STOPS | SIG_BIT(SIGCONT)) & SIG_BIT(sig) || p->live == 1 ||
	    p->state == PROC_FROZEN) {
		signal_send_value(p, sig, code, sender_pid, value);
		return;
	}
	struct upending *s = &t->u.sig.pending;
	bool blocked = t->u.sig.blocked & SIG_BIT(sig);
	if (p->privileged || (is_ignored(&p->u->sig, sig) && !blocked) || (s->set & SIG_BIT(sig)))
		return;
	s->set |= SIG_BIT(sig);
	s->origin[sig] = (struct sigorigin){code, sender_pid, value};
	wake_all(&signal_arrived);
	if (!blocked)
		interrupt_thread(t);
}

void signal_retarget(struct proc *p)
{
	for (u64 rest = p->u->sig.pending.set; rest; rest &= rest - 1) {
		struct thread *t = receiver(p, rest & -rest);
		if (t)
			interrupt_thread(t);
	}
}

/* The instruction at rip cannot go on: the signal is delivered on this way back to user mode, even
 * if blocked or ignored (then with the default action). A server ends at once. */
void signal_fault(int sig, i32 code, u64 addr)
{
	struct thread *t = current_thread;
	struct proc *p = t->proc;
	(p->privileged ? klog : klog_user)("pid %d (%s): signal %d code %d at %p, rip %p", p->pid,
					   p->u->names.comm, sig, code, (void *)addr,
					   (void *)t->tf->rip);
	if (p->privileged)
		proc_exit(sig);
	struct utsignal *s = &t->u.sig;
	if (code == 0)
		code = sig == SIGFPE ? FPE_INTDIV : sig == SIGILL ? ILL_ILLOPN : SI_KERNEL;
	if (signal_is_deaf(t, sig)) {
		p->u->sig.act[sig].handler = SIG_DFL;
		s->blocked &= ~SIG_BIT(sig);
	}
	s->pending.set |= SIG_BIT(sig);
	s->pending.origin[sig] = (struct sigorigin){code, 0, 0};
	s->fault_addr = addr;
	s->restart_code = 0; /* a rewound call that cannot be made again defers nothing */
}

/* ---- masks that last for one call ---- */

void signal_mask_for_call(u64 mask)
{
	struct utsignal *s = &current_thread->u.sig;
	if (!s->have_saved_mask)
		s->saved_mask = s->blocked;
	s->have_saved_mask = true;
	s->blocked = mask & ~UNSTOPPABLE;
}

void signal_mask_undo(void)
{
	struct utsignal *s = &current_thread->u.sig;
	if (s->have_saved_mask)
		s->blocked = s->saved_mask;
	s->have_saved_mask = false;
}

/* ---- interrupted writes ---- */

/* Calls whose third argument is how much there is to do. */
static bool counts_bytes(const struct ucall *c)
{
	return c->nr == syscall_rows[V_write].nr || c->nr == syscall_rows[V_sendto].nr ||
	       c->nr == syscall_rows[V_recvfrom].nr;
}

i64 signal_interrupted(size_t done)
{
	struct ucall *c = &current_thread->u.call;
	bool only_freeze = current->freeze_req && !deliverable(current_thread);
	if (done == 0)
		return -ERESTARTSYS;
	if (!only_freeze || !counts_bytes(c))
		return (i64)done;
	c->resume_valid = true;
	c->resume_nr = c->nr;
	c->resume[0] = done;
	return -ERESTARTSYS;
}

size_t signal_resumed(void)
{
	const struct ucall *c = &current_thread->u.call;
	bool resumed = c->resume_valid && c->resume_nr == c->nr && counts_bytes(c);
	return resumed && c->resume[0] < c->args[2] ? c->resume[0] : 0;
}

/* ---- delivery ---- */

bool signal_is_restart(i64 value)
{
	return value == -ERESTARTSYS || value == -ERESTARTNOHAND || value == -ERESTARTBLOCK;
}

static void rewind_call(struct thread *t, struct trapframe *tf)
{
	struct utsignal *s = &t->u.sig;
	s->restart_code = (u32) - (i64)tf->rax;
	tf->rip -= SYSCALL_INSN_LEN;
	tf->rax = t->u.call.nr;
	s->restart_rip = tf->rip;
}

/* A handler is going to run because the call was interrupted: may the call be re-executed
 * afterwards? */
static void settle_rewound(struct thread *t, struct trapframe *tf, u64 flags)
{
	struct utsignal *s = &t->u.sig;
	if (!(s->restart_code == ERESTARTSYS && (flags & SA_RESTART))) {
		tf->rip += SYSCALL_INSN_LEN;
		tf->rax = (u64)-EINTR;
		t->u.call.resume_valid = false;
	}
	s->restart_code = 0;
}

static void run_handler(struct thread *t, struct trapframe *tf, int sig, struct sigorigin from)
{
	struct proc *p = t->proc;
	struct usignal *ps = &p->u->sig;
	struct utsignal *s = &t->u.sig;
	u64 mask = s->have_saved_mask ? s->saved_mask : s->blocked;
	u64 flags = ps->act[sig].flags;
	if (is_rewound(t))
		settle_rewound(t, tf, flags);
	s->have_saved_mask = false;
	if (sigframe_push(t, tf, sig, from, mask) < 0) {
		klog_user("pid %d (%s): no stack for the handler of signal %d", p->pid,
			  p->u->names.comm, sig);
		proc_exit(SIGSEGV);
	}
	s->blocked |= ps->act[sig].mask;
	if (!(flags & SA_NODEFER))
		s->blocked |= SIG_BIT(sig);
	s->blocked &= ~UNSTOPPABLE;
	if (flags & SA_RESETHAND)
		ps->act[sig].handler = SIG_DFL;
}

static void default_action(struct proc *p, int sig)
{
	if (DEFAULT_IGNORED & SIG_BIT(sig))
		return;
	if (!(STOPS & SIG_BIT(sig)))
		proc_exit(sig);
	if (sig != SIGSTOP && signal_group_orphaned(p->u->names.pgid, p->u->names.sid))
		return; /* nobody could continue it */
	p->stop_sig = sig;
	list_for_each(t, &p->threads, struct thread, proc_link)
		interrupt_thread(t);
	p->stopped_unwaited = sig;
	p->continued_unwaited = false;
	tell_parent(p, CLD_STOPPED);
}

/* Faults first: they belong to the instruction at rip, which a handler's frame would hide. */
static int next_signal(const struct thread *t, bool defer_handlers)
{
	u64 set = deliverable(t);
	if (defer_handlers)
		set = without_handlers(&t->proc->u->sig, set);
	if (set & SIG_BIT(SIGKILL))
		return SIGKILL;
	if (set & FAULTS)
		set &= FAULTS;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

/* The thread's own first. */
struct sigorigin signal_take(struct thread *t, int sig)
{
	bool own = t->u.sig.pending.set & SIG_BIT(sig);
	struct upending *from = own ? &t->u.sig.pending : &t->proc->u->sig.pending;
	from->set &= ~SIG_BIT(sig);
	return from->origin[sig];
}

void signal_deliver(struct trapframe *tf, bool from_syscall)
{
	struct thread *t = current_thread;
	struct proc *p = t->proc;
	if (p->privileged)
		return;
	bool just_interrupted = false;
	if (from_syscall) {
		t->u.sig.restart_code = 0;
		just_interrupted = signal_is_restart((i64)tf->rax);
		if (just_interrupted)
			rewind_call(t, tf);
	}
	for (;;) {
		if (thread_must_end(t))
			thread_end(0);
		if (p->freeze_req) {
			freeze_point();
			just_interrupted = false;
			continue;
		}
		if (p->stop_sig) {
			t->state = THREAD_STOPPED;
			schedule();
			continue;
		}
		int sig = next_signal(t, is_rewound(t) && !just_interrupted);
		if (!sig)
			break;
		struct sigorigin from = signal_take(t, sig);
		if (has_handler(&p->u->sig, sig))
			run_handler(t, tf, sig, from);
		else
			default_action(p, sig);
	}
	/* The rest is ignored. */
	u64 keep = t->u.sig.blocked | deliverable(t);
	t->u.sig.pending.set &= keep;
	p->u->sig.pending.set &= keep;
	/* No handler took over the mask of a sigsuspend or ppoll that is going to be re-executed. */
	signal_mask_undo();
	if (p->live > 1)
		signal_retarget(p); /* what this thread blocks now, in a handler */
}
