/* SPDX-License-Identifier: MIT */
/*
 * The contract between kernel, servers and our own commands: IPC, process control, clocks, nodes.
 * Linux calls keep their Linux numbers; ours start at WH_SYSCALL_BASE (abi/syscalls.def).
 * Every call returns >= 0, or a negative Linux errno.
 */
#ifndef ABI_WHIMBREL_H
#define ABI_WHIMBREL_H

#include <stdint.h>

#define WH_SYSCALL_BASE	  0x1000
#define WH_MAX_NODES	  64
#define WH_PID_NODE_SHIFT 20 /* pid = node << 20 | serial; always below 2^30 */
#define WH_PID_NODE(pid)  ((uint32_t)(pid) >> WH_PID_NODE_SHIFT)

enum wh_svc_flags { SVC_DRIVER = 1 };

enum wh_service {
	WH_SVC_KERNEL = 0, /* appears only as the sender of a request */
#define SERVICE(id, NAME, path, rank, port, flags) WH_SVC_##NAME = id,
#include "services.def"
#undef SERVICE
	WH_SVC_MAX = 16
};

enum wh_port {
#define SERVICE(id, NAME, path, rank, port, flags) WH_PORT_##NAME = port,
#include "services.def"
#undef SERVICE
};

/* ---- messages -------------------------------------------------------------------------- */

#define WH_MSG_BODY 184

/* One message: a type (see the service's abi/msg_*.h), a status in replies, and a named struct in
 * body. */
struct wh_msg {
	uint32_t type;
	int32_t status; /* reply: >= 0 or -errno */
	union {
		uint8_t body[WH_MSG_BODY];
		uint64_t align_;
	};
};
_Static_assert(sizeof(struct wh_msg) == 192, "message size is part of the ABI");

/* View the body as a named struct; its size is checked at compile time. */
#define WH_BODY(msg, type_)                                                                        \
	((type_ *)(void *)((msg)->body + 0 * sizeof(char[sizeof(type_) <= WH_MSG_BODY ? 1 : -1])))

/* Bulk flags: what the receiver of the request may do with the sender's buffer while it is open. */
enum wh_bulk {
	WH_BULK_NONE = 0,
	WH_BULK_IN = 1 /* receiver may read it */,
	WH_BULK_OUT = 2 /* may write it */
};

enum wh_event_kind {
	WH_EV_REQUEST =
		1,	 /* answer with wh_reply(id, ...), now or later; from = service or kernel */
	WH_EV_REPLY = 2, /* the answer to my wh_send; cookie is mine */
	WH_EV_NOTIFY = 3, /* bits: interrupts, other services, kernel; merged until fetched */
};

struct wh_event {
	uint32_t kind;
	uint32_t from;	   /* REQUEST: service number, or WH_SVC_KERNEL */
	uint64_t id;	   /* REQUEST: for wh_reply and wh_copyin/out */
	uint64_t cookie;   /* REPLY: as given to wh_send */
	uint64_t bits;	   /* NOTIFY */
	int32_t pid;	   /* REQUEST from the kernel: the process on whose behalf; else 0 */
	uint32_t bulk_len; /* REQUEST: bytes of bulk */
	uint32_t bulk_flags;
	uint32_t pad_;
	struct wh_msg msg;
};

/* Notification bits with a fixed meaning; servers use bits 0..31 for their own interrupts etc. */
#define WH_NOTE_NODES (1ull << 32) /* the node table changed */
#define WH_NOTE_CHILD (1ull << 33) /* a child of this server ended or stopped */
#define WH_NOTE_POLL  (1ull << 34) /* a pipe or tty held by this server became ready */
#define WH_NOTE_SVC   (1ull << 35) /* a service was registered or died */

#define WH_NOTE_SOCK (1ull << 36) /* NET: there is news of users' sockets (abi/msg_sock.h) */

#define WH_NO_DEADLINE (~0ull)

/* Type number used by wh_ctl() (a user command talks to a service): every service answers it. */
#define WH_MSG_CTL 0x7001
struct wh_ctl_msg {	  /* bulk: the request string in, the answer text out (same buffer) */
	uint32_t op;	  /* service specific */
	uint32_t in_len;  /* bytes of request text */
	uint32_t uid;	  /* caller's effective uid */
	uint32_t out_len; /* in the reply: bytes of answer placed in bulk */
};

/* ---- nodes ------------------------------------------------------------------------------- */

enum wh_node_state {
	WH_NODE_UNKNOWN = 0,
	WH_NODE_ALIVE = 1,
	WH_NODE_SUSPECT = 2,
	WH_NODE_DEAD = 3
};

/* One row of the kernel's node table: a blackboard written by the load server (wh_node_set). */
struct wh_node {
	uint32_t node;
	uint32_t state;	      /* enum wh_node_state */
	uint64_t incarnation; /* of the node's disk; bumped at every boot */
	uint32_t load_milli;  /* run-queue load * 1000 */
	uint32_t pad_;
	uint64_t free_bytes;
	uint64_t heard_ns;	 /* node monotonic time of the last report */
	int64_t clock_offset_ns; /* peer's realtime - ours, by the clock server; INT64_MIN: not
				    measured */
};

/* Who this node is (wh_identity). */
struct wh_identity {
	uint32_t node, nodes;
	uint64_t incarnation; /* 0 until init has set it */
	int64_t skew_ns;      /* from the command line: added by the clock server to the RTC */
	int32_t drift_ppm;    /* from the command line: applied by the kernel's time base */
	uint32_t views;	      /* view maintenance on? */
	uint64_t seed;
	uint32_t
		mtu; /* of the cluster's wire, bytes, from the command line; 0: as large as it goes */
	uint32_t zero;
};

/*
 * What the servers of this cluster know and nobody else does (wh_secret; docs/security.md). Only services with a port
 * (services.def) may ask.
 */
#define WH_KEY_BYTES 32
struct wh_secret {
	uint8_t key[WH_KEY_BYTES];    /* the cluster's, made by the launcher */
	uint8_t random[WH_KEY_BYTES]; /* this boot's own */
	uint64_t serial;  /* another one at every call: two askers draw different numbers */
	uint32_t has_key; /* 0: there is none, this node must not talk to others */
	uint32_t plain;	  /* 1: authenticate, but do not encrypt (experiments): all nodes or none */
};

/* dma_alloc: do not clear the memory. */
#define WH_DMA_AS_IT_IS 1u

/* ---- clock ------------------------------------------------------------------------------- */

/* Published by the clock server: what the kernel variables *ktime and *kztime hold (Lu & Liu Fig.
 * 1). */
struct wh_clock_params {
	int64_t real_minus_mono_ns; /* REALTIME = node monotonic + this */
	int32_t minuteswest, dsttime;
};

/* ---- process control (migration handler only) --------------------------------------------- */

/* Unique for ever (thesis 4.3.1). */
struct wh_uqpid {
	uint32_t home; /* node where it was born */
	int32_t pid;
	uint64_t incarnation; /* of its home at birth */
	uint64_t birth_ns;    /* home's monotonic time at birth */
};

struct wh_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags, fs_base, gs_base;
	uint64_t selectors; /* ds, es, fs, gs: 16 bits each, ds lowest */
};

/* wh_proc_get/set(what) */
enum wh_proc_what {
	WH_P_INFO = 1, /* struct wh_pinfo (get only) */
	WH_P_REGS = 2, /* struct wh_regs */
	WH_P_FPU = 3,  /* 512 bytes, FXSAVE layout */
	WH_P_UBLOCK =
		4, /* TLV blob of the kernel's classes: opaque to the handler; validated on set */
	WH_P_REGIONS = 5, /* array of struct wh_region */
	WH_P_PAGEMAP = 6, /* arg = first address: array of uint64_t, private pages present at >=
			     arg, ascending; bit 0 set: the page is all zero */
	WH_P_PAGE = 7,	  /* arg = page address: 4096 bytes of a private page */
	WH_P_HOLDS = 8,	  /* array of struct wh_hold: file holds the process uses (to be adopted) */
	WH_P_SIGNALS =
		9, /* pending/blocked/actions/alt stack/timers: opaque blob, validated on set */
	WH_P_THREADS = 10, /* what else belongs to each thread: opaque blob, validated on set */
};

struct wh_pinfo {
	struct wh_uqpid uqpid;
	uint32_t epoch; /* number of migrations so far */
	int32_t ppid;
	uint32_t uid;
	uint32_t state; /* enum wh_pstate */
	uint32_t regions;
	uint32_t private_pages; /* frames it would need at a destination */
	uint32_t zero_pages;
	uint32_t holds;
	uint64_t cpu_ns;
	uint32_t pinned;  /* a commanded move pins: the load server leaves it alone */
	uint32_t foreign; /* born elsewhere */
	uint32_t started; /* has executed at least one instruction in user mode */
	uint32_t runnable;
	uint64_t arrived_ns; /* node monotonic time when it arrived or was born here */
	char comm[16];
};

enum wh_pstate {
	WH_PS_RUN = 1,
	WH_PS_SLEEP,
	WH_PS_STOPPED,
	WH_PS_ZOMBIE,
	WH_PS_FREEZING,
	WH_PS_FROZEN,
	WH_PS_AWAY
};

enum wh_region_flags {
	WH_RG_READ = 1,
	WH_RG_WRITE = 2,
	WH_RG_EXEC = 4,
	WH_RG_FILE = 8,
	WH_RG_STACK = 16,
	WH_RG_HEAP = 32
};

/* One mapping. File-backed ones name a hold; their clean pages are not sent (same version, design
 * 5). */
struct wh_region {
	uint64_t start, end; /* page aligned, [start, end) */
	uint32_t flags;
	uint32_t pad_;
	uint32_t tree; /* WH_RG_FILE: custodian node */
	uint32_t pad2_;
	uint64_t hold;	   /* WH_RG_FILE: hold at the custodian */
	uint64_t file_off; /* byte offset of start in the file */
	uint64_t file_len; /* bytes from file_off that come from the file; zero beyond */
};

struct wh_hold {
	uint32_t tree; /* custodian node */
	uint32_t pad_;
	uint64_t hold;
};

/* wh_proc_release(how) */
enum wh_release {
	WH_REL_AWAY = 1, /* it runs elsewhere now: keep a stub while its parent is here, free all
			    else, silently */
	WH_REL_DROP = 2, /* discard a prepared copy that never ran here */
};

/* Requests from the kernel to the MIGRATE service (wh_event.from == WH_SVC_KERNEL). */
#define WH_MSG_K_FROZEN 0x7101 /* a freeze that was asked for ended */
struct wh_k_frozen {
	int32_t pid;
	int32_t status; /* 0, or -EBUSY (deadline passed; see why), -ESRCH (it exited meanwhile) */
	char why[160];	/* names the call that held it */
};
#define WH_MSG_K_EXITED 0x7102 /* a process born or parented elsewhere ended here */
struct wh_k_exited {
	struct wh_uqpid uqpid;
	uint32_t epoch;
	int32_t status; /* wait status */
	int32_t ppid;
	uint32_t from; /* node that holds the stub (the parent's node): where to send the notice */
	uint64_t utime_ns;
};
#define WH_MSG_K_SIGNAL 0x7103 /* kill() aimed at a process that is away */
struct wh_k_signal {
	struct wh_uqpid uqpid;
	uint32_t epoch;
	uint32_t node; /* where it went */
	int32_t sig;
	uint32_t sender_pid;
	uint32_t sender_uid;
};
#define WH_MSG_K_ORPHAN 0x7104 /* the parent of an away process ended: its ppid becomes init's */
struct wh_k_orphan {
	struct wh_uqpid uqpid;
	uint32_t epoch;
	uint32_t node;
	int32_t new_ppid;
};

#define WH_MSG_K_RESTLESS                                                                          \
	0x7105 /* a restless process is due: it stands at the boundary until it has moved, or is thawed */
struct wh_k_restless {
	struct wh_uqpid uqpid;
	uint32_t epoch;
	uint32_t stays; /* refusals since it arrived here: the next one tries another node */
};

/* wh_restless: migrate after every `calls` system calls, or every `ms`; both 0: no more. Inherited by fork, kept by
 * execve, travels. */
struct wh_restless {
	uint32_t calls, ms;
};

/* Result counters that must be back at their baseline after migrations (wh_counters). */
struct wh_counters {
	uint64_t frames_total, frames_free,
		frames_cache; /* 4 kB frames; cache = page cache, reclaimable */
	uint64_t procs, stubs, fobjs, ofiles, pipes, ptys, regions, requests;
	uint64_t kmem_bytes; /* bytes in use of the kernel's own allocator */
	uint64_t run_queue;  /* runnable user processes now */
	uint64_t
		load_milli; /* exponentially averaged run queue (1 s) * 1000, user processes only */
	uint64_t syscalls, switches, faults, ipcs, migrations_in, migrations_out;
	uint64_t checker_observations,
		checker_violations; /* the online checker of V-function results */
};

#endif
