/* SPDX-License-Identifier: MIT */
/*
 * Signals: numbers and flags of the Linux x86-64 ABI, and what signal.c offers besides proc.h.
 * Delivery happens only on the way to user mode (signal_deliver), so a signal never finds a kernel
 * stack that would have to be unwound: a blocked call returns a restart code first.
 */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H
#include "types.h"
#include "lib.h"
#include "signo.h"
#include "signals.h" /* signal_fault, signal_ignores_child */

#define SIG_BIT(sig) (1ull << ((sig)-1))
#define UNSTOPPABLE  (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))
#define STOPS	     (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))

enum signal_handler { SIG_DFL = 0, SIG_IGN = 1 };

#define SA_NOCLDSTOP 0x00000001u
#define SA_NOCLDWAIT 0x00000002u
#define SA_SIGINFO   0x00000004u
#define SA_RESTORER  0x04000000u
#define SA_ONSTACK   0x08000000u
#define SA_RESTART   0x10000000u
#define SA_NODEFER   0x40000000u
#define SA_RESETHAND 0x80000000u

#define SS_ONSTACK  1
#define SS_DISABLE  2
#define MINSIGSTKSZ 2048

/* si_code */
#define SI_USER	      0
#define SI_KERNEL     0x80
#define SI_TKILL      (-6)
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define FPE_INTDIV    1
#define ILL_ILLOPN    2
#define BUS_ADRERR    2
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

struct sigorigin;
struct proc;
struct thread;
struct unames;

/* With a value for si_value; one to a process that runs elsewhere loses it. */
void signal_send_value(struct proc *p, int sig, i32 code, i32 sender_pid, u64 value);
void signal_send_thread_value(struct thread *t, int sig, i32 code, i32 sender_pid, u64 value);
/* Signal sig of t, or of its process, is not pending any more. */
struct sigorigin signal_take(struct thread *t, int sig);
/* Woken when any process is sent any signal: for those who wait for blocked ones. */
extern struct waitq signal_arrived;
/* May this sender signal p? (Of a stub: by the uid it left with; its host judges again.) */
/* kill() by a process of another node, which has asked the home of the target. */
struct fs_signal;
i64 signal_from_afar(const struct fs_signal *q);
/* A child that is on another node has stopped, or goes on. */
struct fs_child;
i64 signal_child_afar(const struct fs_child *q);
bool signal_permitted(const struct unames *sender, const struct proc *p, int sig);
i32 signal_pgid_of(const struct proc *p); /* stubs too */
/* Would t, reading or writing the terminal from the background, not notice signal sig? */
bool signal_is_deaf(const struct thread *t, int sig);
/* Has no member of the group a parent in the same session who could continue it? Then terminal
 * stops are ignored. */
bool signal_group_orphaned(i32 pgid, i32 sid);
/* p has several threads, and one of them can no longer take p's pending signals: others notice. */
void signal_retarget(struct proc *p);
/* Is this value of a call one of the restart codes? Then signal_deliver must run before user mode
 * sees it. */
bool signal_is_restart(i64 value);
/* Replace the running thread's mask until the call ends: kept over a handler by the frame, else undone by
 * signal_deliver. */
void signal_mask_for_call(u64 mask);
void signal_mask_undo(void);

/* write() was interrupted after `done` bytes: what it returns. A signal ends it with the count; a
 * freeze alone must not be seen, so the call then goes on where it was when it is re-executed
 * (signal_resumed). */
i64 signal_interrupted(size_t done);
/* Bytes that this write() had moved before a freeze interrupted it; usually 0. */
size_t signal_resumed(void);

/* WH_P_SIGNALS: signal state, and whether job control has it stopped. 0 or -EINVAL (then p->u->sig
 * is unchanged). */
int signal_pack(struct proc *p, struct blob *b);
int signal_unpack(struct proc *p, struct blob *b);
/* The same for a thread other than the first, in WH_P_THREADS. */
void signal_pack_thread(const struct thread *t, struct blob *b);
int signal_unpack_thread(struct thread *t, struct blob *b);
#endif
