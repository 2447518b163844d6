/* SPDX-License-Identifier: MIT */
/* A process. Fields are grouped by fate: what travels (U-block, threads), what is rebuilt, what
 * stays. */
#ifndef KERNEL_PROC_H
#define KERNEL_PROC_H
#include "types.h"
#include "thread.h"
#include "vm.h"

enum proc_state {
	PROC_NEW,    /* being made: frozen shell of an arriving process, or half a fork */
	PROC_ALIVE,  /* its threads run, wait, or are stopped */
	PROC_FROZEN, /* all threads at the user boundary; owned by the migration handler */
	PROC_ZOMBIE,
	PROC_AWAY, /* stub: it runs on node `away_node`; only names, parent and exit status are kept */
};

struct proc {
	/* travels */
	struct ublock
		*u; /* never NULL while the proc exists, except in stubs (names below are copied) */
	struct list threads; /* the leader, even if it has ended, and all others; empty in stubs */
	struct thread *leader;
	u32 live; /* threads that have not ended */

	/* rebuilt at the destination */
	struct vm *vm;
	struct timer alarm_timer;

	/* names (copy of u->names.pid etc. for stubs and lookups) */
	i32 pid;
	struct wh_uqpid uqpid;
	u32 epoch;

	/* family; `parent` NULL: the parent is on another node (ppid in the U-block, stub at
	 * stub_node) or init */
	struct proc *parent;
	struct list children, sibling;
	struct waitq child_wait; /* wait4 sleeps here */
	i32 exit_status;	 /* wait status */
	/* What wait4 has yet to tell: the signal that stopped it (stop_sig may be on its way, with the process), or 0; that it goes on. */
	i32 stopped_unwaited;
	bool continued_unwaited;
	i32 stop_sig;

	/* scheduling */
	enum proc_state state;
	struct list all_link, reap_link;
	bool kernel_priority; /* servers run before users */

	/* freezing (freeze.c) */
	bool freeze_req;    /* stop at the user boundary */
	bool own_freeze;    /* because it is restless, not because the handler asked */
	bool parked;	    /* frozen by its own wish; the handler has been told */
	u32 restless_left;  /* calls until it is due; 0: calls do not count */
	u32 restless_stays; /* how often it was due here */
	u32 restless_late;  /* how often it had to stay because nothing was done yet */
	u64 restless_rip;   /* where it stood when its time began */
	u64 restless_cpu;   /* and what it had used, ns */
	struct timer restless_timer;
	struct timer freeze_timer;
	bool pinned, foreign, started;
	u64 arrived_ns;
	u64 reserved_frames;
	u32 stub_node;	    /* the node that keeps my stub for my parent; 0: none */
	u64 frozen_ns;	    /* node monotonic when it reached the boundary */
	u64 packed_pending; /* signals that were pending when it was packed: later ones are sent
			       after it */
	u64 late_group;	 /* signals to its group since it froze: they find it where it goes, too */
	i32 packed_stop; /* and whether it was stopped: it may be continued after */
	u32 imported;	 /* arriving: bit (1 << WH_P_*) of each part already set */
	/* PROC_AWAY: what others may ask of a process that is not here */
	u32 away_node;
	i32 away_pgid;
	u32 away_uid;
	char away_comm[16];

	struct thread
		*vfork_waiter; /* of the parent: asleep in vfork until this one execs or ends */
	struct waitq vfork_wait;

	/* the end of threads (thread.c) */
	bool ending;		 /* all but `survivor` end */
	bool group_exit;	 /* exit_status is settled */
	struct thread *survivor; /* in exec, waits in `alone` for the others' end */
	struct waitq alone;

	/* servers (ipc.c) */
	bool privileged;
	u32 service; /* enum wh_service; 0: none */
	struct ipc_port *port;
};

extern struct proc *current; /* current_thread's; NULL in the idle loop */
extern struct list all_procs;
extern struct proc *init_proc;

struct proc *proc_find(i32 pid); /* any state, or NULL */
struct proc *proc_find_uq(const struct wh_uqpid *u);
/* A new PROC_NEW process with one thread, empty U-block and no vm; pid 0 = next local serial.
 * NULL: no memory. */
struct proc *proc_alloc(i32 pid);
/* Last step of a zombie, a dropped shell or a stub; p is gone. */
void proc_free(struct proc *p);
/* The process ends, all its threads with it (never returns for current). status = wait status. */
void proc_exit(i32 status) __attribute__((noreturn));
/* thread.c: its last thread, the running one, has nothing more to do. */
void proc_ended(i32 status);
/* Zombie bookkeeping: notify the parent (SIGCHLD, child_wait) or, for a foreign process, the
 * MIGRATE service. */
void proc_become_zombie(struct proc *p, i32 status);
void proc_reparent_children(struct proc *p);
/* Let the threads of a new or frozen process run. */
void proc_start(struct proc *p);
/* One letter for its state, as ps shows it: New, Running, Sleeping, Stopped (T), frozen (D), Zombie,
 * Away. */
char proc_letter(const struct proc *p);
/* As ps shows it: an ended leader counts. */
u32 proc_threads(const struct proc *p);
/* Processes of one user other than root (RLIMIT_NPROC): a fork bomb stops there. A number, not a share of memory: the
 * limit is seen by programs and must be the same on every node. */
#define USER_PROCS_MAX 256u
bool proc_may_fork(void); /* current's user has fewer */
i32 pid_next(void);
void pid_set_range(u32 base, u32 limit);

/* Signals (signal.c). Does nothing for zombies and servers; forwards for stubs. */
void signal_send(struct proc *p, int sig, i32 code, i32 sender_pid);
void signal_send_thread(struct thread *t, int sig, i32 code, i32 sender_pid);
bool signal_pending(const struct thread *t); /* unblocked, not ignored; or a freeze or stop */
/* On the way to user mode: act on pending signals, stop, freeze. Called with the frame of the call
 * or trap. */
void signal_deliver(struct trapframe *tf, bool from_syscall);
void signal_group(i32 pgid, int sig, i32 code, i32 sender_pid);

/* The fate of freezing, called on the way to user mode and by whoever changes state (freeze.c). */
void freeze_point(void);
/* A thread of p froze or ended: if a freeze was asked for and all others are frozen, p is. */
void freeze_settle(struct proc *p);
/* A process for which a freeze was asked ended first: answer -ESRCH (freeze.c; called by
 * proc_exit). */
void freeze_ended(struct proc *p);
/* Bring p's threads to the boundary to user mode. */
void freeze_begin(struct proc *p);
/* The migration handler has died: who was waiting for it only goes on. */
void freeze_handler_gone(void);
/* exec or exit: the parent that waits in vfork goes on (fork.c). */
void vfork_done(struct proc *p);
/* Load a program into `current` (exec.c). path, argv, envp are kernel strings. 0 (then return to
 * user mode) or -errno with the old image intact. */
struct exec_strings;
i64 exec_load(const char *path, struct exec_strings *args);

/* This node. */
extern struct wh_identity node_id;
u32 node_state(u32 node); /* enum wh_node_state (nodes.c) */
#endif
