/* SPDX-License-Identifier: MIT */
/*
 * Class Signal: handlers, masks, pending signals. Its state is the process's own (nothing of the node is observed), so
 * nothing can refuse a migration; it travels as the record WH_P_SIGNALS (signal_pack), apart from the other
 * classes' blob because signals may still arrive for a frozen process after that blob was taken.
 */
#include "env/rows.h"
#include "ipc.h"
#include "proc.h"
#include "siggroup.h"
#include "sigframe.h"
#include "signal.h"
#include "usercopy.h"

#define MASK_BYTES  8 /* sizeof(sigset_t) of the kernel ABI */
#define UNBLOCKABLE (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))

/* struct kernel_sigaction of the Linux x86-64 ABI */
struct user_sigaction {
	u64 handler, flags, restorer, mask;
};
struct user_stack {
	u64 sp;
	i32 flags;
	u32 pad;
	u64 size;
};

i64 sys_rt_sigaction(const u64 *arg)
{
	struct usignal *s = &current->u->sig;
	int sig = (int)arg[0];
	struct user_sigaction act;
	if (sig < 1 || sig >= NSIG || arg[3] != MASK_BYTES)
		return -EINVAL;
	if (arg[1] && (UNBLOCKABLE & SIG_BIT(sig)))
		return -EINVAL;
	if (arg[1] && copy_from_user(&act, arg[1], sizeof act) < 0)
		return -EFAULT;
	struct user_sigaction old = {s->act[sig].handler, s->act[sig].flags, s->act[sig].restorer,
				     s->act[sig].mask};
	if (arg[2] && copy_to_user(arg[2], &old, sizeof old) < 0)
		return -EFAULT;
	if (arg[1]) {
		s->act[sig].handler = act.handler;
		s->act[sig].flags = act.flags;
		s->act[sig].restorer = act.restorer;
		s->act[sig].mask = act.mask & ~UNBLOCKABLE;
		if (act.handler == SIG_IGN) {
			s->pending.set &= ~SIG_BIT(sig);
			list_for_each(t, &current->threads, struct thread, proc_link)
				t->u.sig.pending.set &= ~SIG_BIT(sig);
		}
	}
	return 0;
}

enum { SIG_BLOCK_, SIG_UNBLOCK_, SIG_SETMASK_ };

i64 sys_rt_sigprocmask(const u64 *arg)
{
	struct utsignal *s = &current_thread->u.sig;
	u64 set = 0, old = s->blocked;
	if (arg[3] != MASK_BYTES)
		return -EINVAL;
	if (arg[1] && copy_from_user(&set, arg[1], sizeof set) < 0)
		return -EFAULT;
	if (arg[2] && copy_to_user(arg[2], &old, sizeof old) < 0)
		return -EFAULT;
	if (!arg[1])
		return 0;
	switch (arg[0]) {
	case SIG_BLOCK_:
		s->blocked |= set;
		break;
	case SIG_UNBLOCK_:
		s->blocked &= ~set;
		break;
	case SIG_SETMASK_:
		s->blocked = set;
		break;
	default:
		return -EINVAL;
	}
	s->blocked &= ~UNBLOCKABLE;
	if (current->live > 1)
		signal_retarget(current);
	return 0;
}

i64 sys_rt_sigpending(const u64 *arg)
{
	const struct utsignal *s = &current_thread->u.sig;
	u64 set = (current->u->sig.pending.set | s->pending.set) & s->blocked;
	if (arg[1] != MASK_BYTES)
		return -EINVAL;
	return copy_to_user(arg[0], &set, sizeof set);
}

i64 sys_rt_sigreturn(const u64 *arg)
{
	(void)arg;
	struct thread *t = current_thread;
	if (sigframe_pop(t, t->tf) < 0)
		signal_fault(SIGSEGV, SEGV_MAPERR, t->tf->rsp);
	return (i64)t->tf->rax;
}

/* Sleep until a signal comes; what it does decides between EINTR and starting over. */
static i64 wait_for_signal(void)
{
	struct waitq nobody = WAITQ_INIT(nobody);
	while (wait_on(&nobody, NO_DEADLINE, true) == 0)
		;
	return -ERESTARTNOHAND;
}

i64 sys_pause(const u64 *arg)
{
	(void)arg;
	return wait_for_signal();
}

i64 sys_rt_sigsuspend(const u64 *arg)
{
	u64 mask;
	if (arg[1] != MASK_BYTES)
		return -EINVAL;
	if (copy_from_user(&mask, arg[0], sizeof mask) < 0)
		return -EFAULT;
	signal_mask_for_call(mask);
	return wait_for_signal();
}

i64 sys_sigaltstack(const u64 *arg)
{
	struct utsignal *s = &current_thread->u.sig;
	bool active = s->alt_size && current_thread->tf->rsp - s->alt_sp <= s->alt_size;
	struct user_stack new, old = {.sp = s->alt_sp, .size = s->alt_size};
	old.flags = !s->alt_size ? SS_DISABLE : active ? SS_ONSTACK : 0;
	if (arg[0] && copy_from_user(&new, arg[0], sizeof new) < 0)
		return -EFAULT;
	if (arg[0]) {
		if (active)
			return -EPERM;
		if (new.flags & ~(SS_DISABLE | SS_ONSTACK))
			return -EINVAL;
		if (!(new.flags &SS_DISABLE) && new.size < MINSIGSTKSZ)
			return -ENOMEM;
		if (!(new.flags &SS_DISABLE) &&
		    (new.sp >= USER_TOP || new.size > USER_TOP - new.sp))
			return -EFAULT;
	}
	if (arg[1] && copy_to_user(arg[1], &old, sizeof old) < 0)
		return -EFAULT;
	if (arg[0]) {
		bool off = new.flags &SS_DISABLE;
		s->alt_sp = off ? 0 : new.sp;
		s->alt_size = off ? 0 : new.size;
	}
	return 0;
}

/* ---- kill ---- */

/* Signal one process that `me` may signal; sig 0 only asks. */
static i64 send_as(const struct unames *me, struct proc *p, int sig, i32 code)
{
	if (p->privileged && sig)
		return -EPERM;
	if (!signal_permitted(me, p, sig))
		return -EPERM;
	if (sig)
		signal_send(p, sig, code, me->pid);
	return 0;
}

static i64 send_one(struct proc *p, int sig, i32 code)
{
	return send_as(&current->u->names, p, sig, code);
}

/* kill(-1): whoever is here or was born here. */
static i64 send_all(int sig)
{
	i64 result = -ESRCH;
	list_for_each_safe(p, &all_procs, struct proc, all_link) {
		if (p->state == PROC_NEW || p->privileged || p == current)
			continue;
		i64 r = send_one(p, sig, SI_USER);
		if (result != 0)
			result = r;
	}
	return result;
}

/* The node that knows where the target is, if that is not this one; else 0. */
static u32 other_home(i32 target)
{
	u32 home = WH_PID_NODE(target);
	return home == node_id.node || home > node_id.nodes ? 0 : home;
}

static i64 ask_home(u32 home, i32 target, int sig)
{
	const struct unames *me = &current->u->names;
	struct wh_msg m = {.type = FS_SIGNAL};
	*WH_BODY(&m, struct fs_signal) = (struct fs_signal){
		.tree = home,
		.owner = node_id.node,
		.target = target,
		.sig = sig,
		.code = SI_USER,
		.pid = me->pid,
		.sid = me->sid,
		.uid = me->uid,
		.euid = me->euid,
	};
	i64 r = ipc_call(WH_SVC_FILE, &m, NULL, 0, WH_BULK_NONE);
	return r == -EIO ? -ESRCH : r; /* nobody can be asked: it is not to be found */
}

i64 signal_from_afar(const struct fs_signal *q)
{
	struct unames sender = {.pid = q->pid, .sid = q->sid, .uid = q->uid, .euid = q->euid};
	if (q->sig < 0 || q->sig >= NSIG || q->target == 0 || q->target == -1)
		return -EINVAL;
	if (q->target < 0)
		return group_from_afar(q);
	struct proc *p = proc_find(q->target);
	return p ? send_as(&sender, p, q->sig, q->code) : -ESRCH;
}

i64 sys_kill(const u64 *arg)
{
	i32 pid = (i32)arg[0];
	int sig = (int)arg[1];
	const struct unames *me = &current->u->names;
	if (sig < 0 || sig >= NSIG)
		return -EINVAL;
	if (pid == -1)
		return send_all(sig);
	if (pid <= 0)
		return group_kill(me, pid ? -pid : me->pgid, sig);
	struct proc *p = proc_find(pid);
	if (p)
		return send_one(p, sig, SI_USER);
	u32 home = other_home(pid);
	return home ? ask_home(home, pid, sig) : -ESRCH;
}

/* tgid 0: of whatever process. */
static i64 send_thread(i32 tgid, i32 tid, int sig)
{
	if (tid <= 0 || tgid < 0 || sig < 0 || sig >= NSIG)
		return -EINVAL;
	struct thread *t = thread_find(tid);
	struct proc *p = t ? t->proc : proc_find(tid); /* a stub, or a leader that has ended */
	if (!p || (tgid && p->pid != tgid))
		return -ESRCH;
	if (!t || p->live == 1)
		return send_one(p, sig, SI_TKILL);
	if (!signal_permitted(&current->u->names, p, sig))
		return -EPERM;
	if (sig)
		signal_send_thread(t, sig, SI_TKILL, current->pid);
	return 0;
}

i64 sys_tkill(const u64 *arg)
{
	return send_thread(0, (i32)arg[0], (int)arg[1]);
}

i64 sys_tgkill(const u64 *arg)
{
	return (i32)arg[0] <= 0 ? -EINVAL : send_thread((i32)arg[0], (i32)arg[1], (int)arg[2]);
}

/* ---- the class ---- */

static int signal_fork(struct proc *child, const struct proc *parent)
{
	struct utsignal *t = &child->leader->u.sig;
	const struct utsignal *caller = &current_thread->u.sig;
	memcpy(child->u->sig.act, parent->u->sig.act, sizeof child->u->sig.act);
	memcpy(child->u->sig.heard, parent->u->sig.heard, sizeof child->u->sig.heard);
	t->blocked = caller->blocked;
	t->alt_sp = caller->alt_sp;
	t->alt_size = caller->alt_size;
	return 0;
}

/* Handlers lay in the old program; what was ignored stays ignored. */
static void signal_exec(struct proc *p)
{
	struct usignal *s = &p->u->sig;
	for (int sig = 1; sig < NSIG; sig++) {
		if (s->act[sig].handler != SIG_IGN)
			s->act[sig].handler = SIG_DFL;
		s->act[sig].flags = s->act[sig].restorer = s->act[sig].mask = 0;
	}
	struct utsignal *t = &p->leader->u.sig;
	t->alt_sp = t->alt_size = 0;
	t->restart_code = 0;
}

static void signal_view(const struct proc *p, struct text *out)
{
	const struct usignal *s = &p->u->sig;
	u64 handled = 0, ignored = 0;
	for (int sig = 1; sig < NSIG; sig++) {
		if (s->act[sig].handler == SIG_IGN)
			ignored |= SIG_BIT(sig);
		else if (s->act[sig].handler != SIG_DFL)
			handled |= SIG_BIT(sig);
	}
	const struct utsignal *t = &p->leader->u.sig;
	text_printf(out, "  blocked %lx pending %lx handled %lx ignored %lx%s\n", t->blocked,
		    s->pending.set | t->pending.set, handled, ignored,
		    p->stop_sig ? " (stopped)" : "");
	rows_view(p, CLASS_SIGNAL, out);
}

const struct env_class env_signal = {
	.name = "signal",
	.version = 1,
	.fork = signal_fork,
	.exec = signal_exec,
	.view = signal_view,
};
