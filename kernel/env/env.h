/* SPDX-License-Identifier: MIT */
/*
 * Environment-object classes (Lu & Liu §III, §IV.1). A class is one file here plus one row in
 * abi/classes.def; a system call is one row in abi/syscalls.def.
 */
#ifndef KERNEL_ENV_H
#define KERNEL_ENV_H
#include "types.h"
#include "lib.h"

struct proc;

enum env_kind { KIND_V, KIND_O, KIND_OV, KIND_N, KIND_X };
enum env_rule { RULE_none, RULE_monotonic, RULE_same, RULE_same_version, RULE_local };

enum env_class_id {
#define CLASS(name, NAME) CLASS_##NAME,
#include "classes.def"
#undef CLASS
	CLASS_COUNT
};

/* Row numbers of the system-call table: V_read, V_write, ... */
enum env_row {
#define SYSCALL(nr, name, cls, kind, rule) V_##name,
#define WHCALL(nr, name, cls, kind, rule)  V_wh_##name,
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL
	V_ROWS
};

/* One system call. */
struct syscall_row {
	u32 nr;
	const char *name;
	u8 cls, kind, rule;
	u8 observes;		   /* kind V or OV */
	u8 new_frame;		   /* may leave all registers of the caller changed */
	i64 (*fn)(const u64 *arg); /* arg[0..5]; returns a value or -errno; may block */
};
extern const struct syscall_row syscall_rows[V_ROWS + 1]; /* the last one: no such call */
#define SYSCALL(nr, name, cls, kind, rule) i64 sys_##name(const u64 *arg);
#define WHCALL(nr, name, cls, kind, rule)  i64 wh_sys_##name(const u64 *arg);
#include "syscalls.def"
#undef SYSCALL
#undef WHCALL

/*
 * A class. Any member may be NULL: absent means "nothing to do" -- except that a class with neither
 * pack nor verdict and with state would be wrong: say `local` in verdict rather than stay silent.
 * Contexts: `init`, `fork`, `exec`, `release` run in the process or its parent, may not fail after
 * the point of no return and may not block unless said. `pack`, `verdict`, `view` run in the
 * migration handler's or a reader's call with the process frozen (view: perhaps running); they may
 * not block. `unpack`, `bind` run at the destination in the handler's call, the process frozen;
 * they may not block.
 */
struct env_class {
	const char *name;
	u32 version;		     /* of the packed form */
	int (*init)(struct proc *p); /* a process without a parent */
	int (*fork)(struct proc *child,
		    const struct proc *parent); /* copies markers and duplicates; -errno */
	void (*exec)(struct proc *p);		/* after the new image is in place */
	void (*release)(struct proc *p,
			bool away); /* exit, or (away) it runs elsewhere: silently */
	int (*pack)(struct proc *p, struct blob *b);   /* 0 or -errno */
	int (*unpack)(struct proc *p, struct blob *b); /* 0 or -EINVAL; trusts nothing */
	/* Lu & Liu §IV.3: 0 = may move to `node`, else -EPERM after naming object, call, value,
	 * rule and cure. */
	int (*verdict)(struct proc *p, u32 node, struct text *why);
	void (*bind)(struct proc *p); /* static instantiation, just before resumption */
	void (*view)(const struct proc *p,
		     struct text *out); /* markers and duplicates, for `view PID` */
};
extern const struct env_class *const env_classes[CLASS_COUNT];
#define CLASS(name, NAME) extern const struct env_class env_##name;
#include "classes.def"
#undef CLASS

/* Loops over all classes, in table order (release: reverse). Stops at the first error. */
int env_init(struct proc *p);
int env_fork(struct proc *child, const struct proc *parent);
void env_exec(struct proc *p);
void env_release(struct proc *p, bool away);
int env_pack(struct proc *p, struct blob *b);
int env_unpack(struct proc *p, struct blob *b);
int env_verdict(struct proc *p, u32 node, struct text *why);
void env_bind(struct proc *p);
void env_view(const struct proc *p, struct text *out);

extern bool views_on; /* --no-views: markers, duplicates and `larger` off, to see why they matter */

/* ---- the online checker (check.c): judges every V-function result that reaches user mode ---- */
#define CHECK_CLOCKS 9 /* clock ids 0..7, and rdtsc as 8 */
struct check_state {
	u64 observations, violations;
	i64 last[CHECK_CLOCKS];
	u8 seen[CHECK_CLOCKS];
	i32 pid, ppid;	 /* first values seen; 0: not seen */
	char first[120]; /* the first violation, in words */
};
/* p itself has set the clock (REALTIME) to value_ns: from here on it may be less than before. */
void check_clock_was_set(struct proc *p, i64 value_ns);
/* Somebody has set this node's clock: what p sees next is what it would see if it had never moved. */
void check_clock_forget(struct proc *p);
void check_same(struct proc *p, const char *what, i32 *first_seen, i32 value);
/* What the child of a fork knows is what its parent knew, except its own names. */
void check_fork(struct proc *child, const struct proc *parent);
void check_ended(struct proc *p); /* p exits here: a log line if something was violated */
void check_view(const struct proc *p, struct text *out);
int check_pack(const struct proc *p, struct blob *b);
int check_unpack(struct proc *p, struct blob *b);
extern u64 check_observations, check_violations; /* of all processes, on this node */
#endif
