/* SPDX-License-Identifier: MIT */
/*
 * The U-block (Lu & Liu §IV.2, Fig. 2): each thread's current call with its arguments and results,
 * and the process's environment objects with their markers and duplicates. Everything here travels
 * when the process migrates (each class packs its own part); what is rebuilt at the destination lies
 * in proc.h and thread.h.
 */
#ifndef KERNEL_UBLOCK_H
#define KERNEL_UBLOCK_H
#include "types.h"
#include "whimbrel.h"
#include "msg_file.h"
#include "env/env.h"
#include "env/clockview.h"

#define NOFILE	     256
#define RLIMIT_COUNT 16
#define NCLOCK                                                                                     \
	8 /* REALTIME 0, MONOTONIC 1, PROCESS_CPU 2, THREAD_CPU 3, MONOTONIC_RAW 4,                \
	     REALTIME_COARSE 5, MONOTONIC_COARSE 6, BOOTTIME 7 */
#define NSIG 65

/* The current (or last) system call. */
struct ucall {
	u64 nr, args[6];
	i64 error;     /* 0 or -errno */
	u64 values[2]; /* returned value(s) */
	/* Restart state of an interrupted call (design 3: no kernel stack travels). Valid only
	 * while the same call is re-executed; cleared when a handler runs or the call ends. */
	bool resume_valid;
	u64 resume_nr;
	u64 resume[3];
};

struct unames {
	i32 pid, ppid, pgid, sid;
	struct wh_uqpid uqpid;
	u32 epoch; /* migrations so far */
	u32 tree;  /* home tree: names mean the same file for ever */
	u32 uid, euid, suid, gid, egid, sgid;
	u32 ngroups;
	u32 groups[FS_GROUPS];
	char comm[16];
	char nodename[16]; /* what uname shows: the home node, wherever it runs */
};

/* Per descriptor (Fig. 2: flview[NOFILE]); path, flags, mode and version live in the open file. */
struct fview {
	u8 fmarker;  /* opened */
	u8 marked;   /* some V-function of it was called since the open */
	u32 last_nr; /* which */
	i64 dup;     /* value it returned last */
};

/* Generic view of a V-function without an object of its own: indexed by class-table row. */
struct vrec {
	u8 marker;
	u32 count;
	i64 dup;
};

struct sigorigin {
	i32 code, pid; /* si_code, si_pid */
	u64 value;     /* si_value, of those that are queued */
};

/* Signals sent and not yet acted upon. */
struct upending {
	u64 set; /* bit sig-1 */
	struct sigorigin origin[NSIG];
};

/* A process's signals. */
struct usignal {
	struct upending pending; /* for any thread that does not block them */
	u64 heard[WH_MAX_NODES +
		  1]; /* group signals that it must not get (again), by origin (siggroup.h) */
	struct {
		u64 handler, flags, restorer, mask;
	} act[NSIG];
};

/* A thread's signals. */
struct utsignal {
	struct upending pending; /* sent to this thread, its faults among them */
	u64 blocked;		 /* bit sig-1 */
	u64 saved_mask;		 /* sigsuspend */
	bool have_saved_mask;
	u64 alt_sp, alt_size;
	u64 fault_addr; /* si_addr of a pending fault */
	/* The frame was rewound to re-execute a call that returned restart_code (0: it was not).
	 * Until the call has been made again handlers are deferred, also after a migration
	 * (signal.c). */
	u32 restart_code;
	u64 restart_rip;
};

/* What is a thread's own. */
struct uthread {
	struct ucall call;
	struct utsignal sig;
	u64 cpu_ns;	     /* used so far; the process's is in struct ublock */
	u64 clear_child_tid; /* user address: 0 is written there at the end, and a waiter woken */
	u64 robust_list;     /* user address: struct robust_list_head, or 0 */
};

struct ofile;
/* What every call looks at comes first: fewer pages, fewer TLB entries. */
struct ublock {
	struct unames names;

	/* class Clock */
	struct cview cview[NCLOCK];
	i64 clock_off[NCLOCK]; /* the process's clock minus the node's (0 for REALTIME) */
	u64 itimer_deadline_ns,
		itimer_interval_ns; /* ITIMER_REAL, in the process's MONOTONIC; 0: off */
	struct ptimers *ptimers;    /* class Ptimer; NULL: none */
	u64 cpu_ns, child_cpu_ns;   /* used so far; follows the process */
	u64 tsc_off;		    /* added to rdtsc */
	u64 tsc_dup;		    /* last value seen */
	u8 zone_marker;		    /* the zone was observed */
	u8 zone_held;		    /* it differs from this node's: the duplicate is shown */
	i32 zone_minuteswest, zone_dsttime; /* duplicate of the zone: rule `same` */

	/* the online checker's own record (env/check.c): independent of the views */
	struct check_state check;

	struct usignal sig;

	struct vrec vrec[V_ROWS];

	/* class File */
	struct ofile *ofile[NOFILE];
	u8 cloexec[NOFILE];
	struct fview fview[NOFILE];
	char *cwd;     /* canonical, absolute within the tree; "/n/K/..." for another tree */
	char *exe;     /* path of the running program */
	char *cmdline; /* its arguments, NUL after each (/proc) */
	u32 cmdline_len;
	u32 umask;
	struct flocked *flocked; /* files on which it has record locks (filelock.c) */
	u32 nflocked;

	struct wh_restless restless; /* it moves by itself (restless.c); both 0: it does not */

	/* class System: resource limits (rlimit.c) */
	struct rlimit {
		u64 cur, max;
	} rlimit[RLIMIT_COUNT];
	i32 nice; /* kept, not followed */
};
#endif
