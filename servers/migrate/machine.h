/* SPDX-License-Identifier: MIT */
/*
 * The migration handler of one node as pure state machines (design 8; Lu & Liu IV).
 * Messages, timers and answers go in; effects come out of a queue and the caller executes them. Nothing
 * here does I/O, allocates or reads a clock, so the server (main.c) and the deterministic simulator
 * (tests/sim) run the very same code. docs/migration-protocol.md explains the protocol.
 *
 * source.c  the source host's half of a migration        target.c  the destination host's, its mirror
 * notice.c  what the home node of a process is told      signal.c  signals for processes that are away
 * machine.c incarnations and fences, dispatch, the effect queue
 */
#ifndef WHIMBREL_MIGRATE_MACHINE_H
#define WHIMBREL_MIGRATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "wire.h"

/* The simulator compiles with small tables, so that it also meets full ones. */
#ifndef MG_NODES
#define MG_NODES   65 /* node numbers 1..64 */
#define MG_SOURCES 16
#define MG_TARGETS 16
#define MG_GUESTS  256
#define MG_STUBS   256
#define MG_SIGNALS 64
#define MG_QUEUE   2048
#endif
#define MG_WINDOW 4 /* chunks in flight; the caller keeps as many */

/* One timer per table entry. */
#define MG_TIMER_SOURCE 0
#define MG_TIMER_TARGET (MG_TIMER_SOURCE + MG_SOURCES)
#define MG_TIMER_GUEST	(MG_TIMER_TARGET + MG_TARGETS)
#define MG_TIMER_STUB	(MG_TIMER_GUEST + MG_GUESTS)
#define MG_TIMER_SIGNAL (MG_TIMER_STUB + MG_STUBS)
#define MG_TIMERS	(MG_TIMER_SIGNAL + MG_SIGNALS)

enum mg_effect_kind {
#define EFFECT(name, fields, meaning) MG_##name,
#include "effects.def"
#undef EFFECT
	MG_EFFECTS
};

enum mg_result {
	MG_MOVED,     /* P runs at the destination */
	MG_REFUSED,   /* by the rules of S or D; P was at most frozen for a moment */
	MG_FAILED,    /* D did not answer or died before COMMIT; P runs on here */
	MG_CANCELLED, /* by request; P runs on here */
	MG_LOST,      /* D died after COMMIT was sent: P died with its owner */
	MG_RESULTS
};

struct mg_effect {
	enum mg_effect_kind kind;
	uint16_t slot, timer; /* slot: index of the source or target entry */
	uint32_t serial;      /* of the attempt (source), handle of the entry (target): echo it */
	uint32_t delay;	      /* ms */
	uint32_t epoch, pid, node, inc, last;
	uint64_t value, cookie;
	struct wire_uq uq;
	struct wire_msg msg;
	char text[WIRE_TEXT];
};

/* One step of S. The comments name the owner of P. */
enum mg_source_state {
	S_FREE,
	S_SETTLE, /* S; waits until P's own arrival here is known to all who must know */
	S_HELLO,  /* S; waits for WELCOME */
	S_OFFER,  /* S; waits for ACCEPT */
	S_FREEZE, /* S; waits for the kernel */
	S_IMAGE,  /* S, frozen; waits for TAKEN of all chunks, then for PREPARED */
	S_COMMIT, /* S until D receives COMMIT; waits for DONE or for the fence of D */
	S_STATES
};

struct mg_source {
	enum mg_source_state state;
	uint32_t serial, epoch, pid, dest, dest_inc;
	uint32_t ticket; /* from ACCEPT on */
	struct wire_uq uq;
	struct wire_offer offer;
	uint64_t cookie, digest;
	uint32_t exported, taken; /* chunks */
	bool complete;		  /* the last chunk is among the exported */
	bool exporting;		  /* an EXPORT is unanswered */
	uint32_t delay, waited;	  /* ms: current resend interval, total since the last progress */
};

/* One step of D. */
enum mg_target_state {
	T_FREE,
	T_RESERVE,  /* waits for the caller */
	T_IMAGE,    /* waits for chunks */
	T_ADOPT,    /* waits for the custodians of P's files */
	T_PREPARED, /* waits for COMMIT, ABORT or the fence of S */
	T_RUNNING,  /* P is ours and runs; waits for RELEASED or the fence of S */
	T_STATES
};

struct mg_target {
	enum mg_target_state state;
	uint32_t handle; /* unique in this incarnation; the ticket of our messages */
	uint32_t source, source_inc, serial, epoch, pid;
	struct wire_uq uq;
	uint32_t next; /* chunk expected */
	uint64_t digest;
	uint32_t delay, waited;
};

/* A process that runs here and was born elsewhere; or has just left or ended and its home has yet
 * to know. */
struct mg_guest {
	enum { G_FREE, G_COMING, G_HERE, G_MOVED, G_ENDED } state;
	bool announced;			/* its home has acknowledged ARRIVED (or is gone) */
	uint32_t epoch, pid, node, inc; /* where it runs */
	struct wire_uq uq;
	int32_t status;
	uint32_t lost;
	uint32_t delay;
};

/* A process that was born here and runs elsewhere. */
struct mg_stub {
	enum { B_FREE, B_LEAVING, B_AWAY, B_ASKING } state;
	uint32_t epoch, pid, node, inc; /* where it runs, as far as known */
	struct wire_uq uq;
	uint64_t answered; /* bit k-1: node k has said that P is not there */
	uint32_t delay;
};

/* A signal on its way to a process that is away. */
struct mg_signal {
	bool used, sent;
	uint32_t pid, order, value;
	uint32_t to, inc, number, delay; /* inc of `to` when it was sent, 0: unknown */
};

/* What was received from one peer: the last 64 signals from floor on. */
struct mg_heard {
	uint32_t inc, floor;
	uint64_t seen, here;
};

struct mg_params {
	uint32_t retry_first, retry_max; /* ms; resend intervals double from the one to the other */
	uint32_t patience; /* ms without progress before S, or D before PREPARED, gives up */
};

extern const struct mg_params mg_default_params;

struct mg_node {
	uint32_t self, inc, nodes; /* our number and incarnation; nodes are 1..nodes */
	struct mg_params par;
	uint32_t image_version; /* of the stream that EXPORT makes and IMPORT takes */
	uint32_t features[WIRE_FEATURES];
	uint32_t serials;	    /* last serial or handle given out */
	uint32_t known[MG_NODES];   /* newest incarnation heard of; 0: none yet */
	uint32_t dead[MG_NODES];    /* incarnations up to this one are gone for good */
	uint32_t numbers[MG_NODES]; /* last signal number used towards this node */
	struct mg_heard heard[MG_NODES];
	struct mg_source source[MG_SOURCES];
	struct mg_target target[MG_TARGETS];
	struct mg_guest guest[MG_GUESTS];
	struct mg_stub stub[MG_STUBS];
	struct mg_signal signal[MG_SIGNALS];
	uint32_t head, tail; /* of the queue */
	struct mg_effect queue[MG_QUEUE];
};

/* A request to move a process; the caller has checked that it exists and may be asked for. */
struct mg_job {
	struct wire_uq uq;
	uint32_t epoch; /* of P here and now */
	uint32_t dest;
	struct wire_offer offer; /* pid included */
	uint64_t cookie;	 /* comes back in REPORT */
};

/* Is this incarnation of node k known to be gone for good? */
bool mg_is_dead(const struct mg_node *n, uint32_t k, uint32_t inc);
/* Features of D must cover those of S word by word, bit by bit. All else is zero at the start. */
void mg_init(struct mg_node *n, uint32_t self, uint32_t inc, uint32_t nodes,
	     const struct mg_params *par, const uint32_t features[WIRE_FEATURES]);
/* Oldest effect not yet executed, or NULL. It stays valid until the next call of mg_next. */
const struct mg_effect *mg_next(struct mg_node *n);

/* Events. msg has been checked for its length only; what came with it is the caller's to decode. */
void mg_message(struct mg_node *n, const struct wire_msg *msg);
void mg_timer(struct mg_node *n, uint32_t timer);
/* Node k is now in incarnation inc, or (operator) its incarnations up to inc are off for good. */
void mg_node_up(struct mg_node *n, uint32_t k, uint32_t inc);
void mg_fence(struct mg_node *n, uint32_t k, uint32_t inc);

/* source.c. mg_start always leads to exactly one REPORT. */
void mg_start(struct mg_node *n, const struct mg_job *job);
/* False if there is no such attempt or COMMIT was sent. */
bool mg_cancel(struct mg_node *n, uint32_t pid, const char *why);
void mg_frozen(struct mg_node *n, uint32_t serial, bool ok, const char *reason);
void mg_exported(struct mg_node *n, uint32_t serial, bool ok, bool last, uint64_t digest,
		 const char *reason);

/* target.c */
void mg_reserved(struct mg_node *n, uint32_t handle, bool ok, const char *reason);
/* complete: the end record was in this chunk and digest is what it says. Call it before the next
 * event. */
void mg_imported(struct mg_node *n, uint32_t handle, bool ok, bool complete, uint64_t digest,
		 const char *reason);
void mg_adopted(struct mg_node *n, uint32_t handle, bool ok, const char *reason);

/* notice.c: a process that is a guest here ended by itself. */
void mg_exited(struct mg_node *n, const struct wire_uq *uq, int32_t status);
/* signal.c: somebody here signals a process that is not here. False: the table is full. */
bool mg_kill(struct mg_node *n, uint32_t pid, uint32_t signo);
/* The same for the news that the parent of a process that is away has ended. */
bool mg_orphan(struct mg_node *n, uint32_t pid, uint32_t new_parent);

/* Status of a process that was lost with its node: killed by SIGKILL. */
#define MG_STATUS_LOST 9

static inline uint32_t mg_home_of(uint32_t pid)
{
	return pid >> 20;
}

#endif
