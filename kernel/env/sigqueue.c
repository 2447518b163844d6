/* SPDX-License-Identifier: MIT */
/* Class Signal: signals with a value, and taking signals without a handler. */
#include "poll.h"
#include "proc.h"
#include "sigframe.h"
#include "signal.h"
#include "usercopy.h"

#define MASK_BYTES   8
#define CODE_AT	     8 /* in siginfo_t */
#define VALUE_AT     24
#define INFO_BYTES   128
#define NS_IN_SECOND 1000000000ll

/* The first signal of `set` that is pending, or 0. */
static int pending_of(u64 set)
{
	set &= current_thread->u.sig.pending.set | current->u->sig.pending.set;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

static i64 wait_for(u64 set, u64 deadline, struct sigorigin *from)
{
	for (;;) {
		int sig = pending_of(set);
		if (sig) {
			*from = signal_take(current_thread, sig);
			return sig;
		}
		int r = deadline <= now_ns() ? -ETIMEDOUT
					     : wait_on(&signal_arrived, deadline, true);
		if (r == -EINTR) /* a handler will run, or it was a freeze: then it goes on */
			return pending_of(set) ? wait_for(set, deadline, from)
					       : poll_interrupted(deadline);
		if (r == -ETIMEDOUT && !pending_of(set))
			return -EAGAIN;
	}
}

/* set, siginfo, timeout, size */
i64 sys_rt_sigtimedwait(const u64 *arg)
{
	u64 set, timeout = NO_DEADLINE;
	struct sigorigin from;
	if (arg[3] != MASK_BYTES)
		return -EINVAL;
	if (copy_from_user(&set, arg[0], sizeof set))
		return -EFAULT;
	if (arg[2]) {
		i64 t[2];
		if (copy_from_user(t, arg[2], sizeof t))
			return -EFAULT;
		if (t[0] < 0 || t[1] < 0 || t[1] >= NS_IN_SECOND)
			return -EINVAL;
		if (t[0] < (1ll << 62) / NS_IN_SECOND)
			timeout = (u64)(t[0] * NS_IN_SECOND + t[1]);
	}
	set &= ~(SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP));
	i64 sig = wait_for(set, poll_deadline(timeout), &from);
	if (sig == -ERESTARTNOHAND)
		return sig;
	current_thread->u.call.resume_valid = false;
	if (sig > 0 && arg[1]) {
		u8 info[INFO_BYTES] = {0};
		sigframe_info(info, current_thread, (int)sig, from);
		if (copy_to_user(arg[1], info, sizeof info))
			return -EFAULT;
	}
	return sig;
}

/* Only the code and the value of the sender's siginfo are believed. */
static i64 queue(i32 pid, int sig, u64 uinfo)
{
	u8 info[INFO_BYTES];
	i32 code;
	u64 value;
	if (copy_from_user(info, uinfo, sizeof info))
		return -EFAULT;
	memcpy(&code, info + CODE_AT, sizeof code);
	memcpy(&value, info + VALUE_AT, sizeof value);
	if (sig < 0 || sig >= NSIG)
		return -EINVAL;
	struct proc *p = pid > 0 ? proc_find(pid) : NULL;
	if (!p)
		return -ESRCH;
	if ((code >= 0 || code == SI_TKILL) && p != current)
		return -EPERM;
	if ((p->privileged && sig) || !signal_permitted(&current->u->names, p, sig))
		return -EPERM;
	if (sig)
		signal_send_value(p, sig, code, current->pid, value);
	return 0;
}

i64 sys_rt_sigqueueinfo(const u64 *arg)
{
	return queue((i32)arg[0], (int)arg[1], arg[2]);
}

/* To a process by the number of its first thread. */
i64 sys_rt_tgsigqueueinfo(const u64 *arg)
{
	if ((i32)arg[0] <= 0 || (i32)arg[1] <= 0)
		return -EINVAL;
	return (i32)arg[0] == (i32)arg[1] ? queue((i32)arg[0], (int)arg[2], arg[3]) : -ESRCH;
}
