/* SPDX-License-Identifier: MIT */
/*
 * Deterministic simulator of the migration handlers: the real machines of servers/migrate on up to
 * four nodes in virtual time, over a network that loses, repeats, delays and cuts, on nodes that crash
 * and come back. Everything random comes from one seed per run, so a failing run replays.
 *
 * world.c  event queue, network, nodes and the model of a kernel   check.c  the truth and the invariants
 * main.c   scenarios, options, summary
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include "machine.h"

#define NODES  4
#define PROCS  3
#define TIMERS MG_TIMERS

/* What travels in the chunks of an image: the state of P when it was frozen. */
struct snapshot {
	uint32_t proc, chunk, chunks;
	uint64_t steps, signals;
	uint32_t parent;
};

/* The kernel's view of P on one node. */
struct copy {
	enum { NOT_HERE, RUN, FREEZING, FROZEN, ARRIVING } state;
	bool stub, adopted;
	uint32_t epoch, serial; /* serial of the freeze or handle of the target */
	uint32_t chunks_in;
	struct snapshot snap; /* ARRIVING: as decoded; else the live state */
	uint64_t late;	      /* signals that came while frozen */
};

struct node {
	bool up, gone; /* gone: down and declared dead, does not come back */
	uint32_t inc;
	uint64_t timer[TIMERS]; /* generation of the armed event, 0: not armed */
	struct copy copy[PROCS];
	struct mg_node m;
};

enum event_kind {
	E_MESSAGE,
	E_TIMER,
	E_FROZEN,
	E_ADOPTED,
	E_NODE_UP,
	E_FENCE,
	E_RESTART,
	E_SCRIPT
};

enum script { DO_MOVE, DO_CANCEL, DO_EXIT, DO_SIGNAL, DO_ORPHAN, DO_CUT, DO_HEAL, DO_SCRIPTS };

struct event {
	uint64_t at, order; /* ms; order of creation breaks ties */
	enum event_kind kind;
	uint32_t node, inc; /* that gets it; lost if it is another incarnation by then (0: any) */
	uint32_t a, b;
	uint64_t gen;
	struct wire_msg msg;
	struct snapshot snap;
};

/* The truth about P, which no node knows. */
struct truth {
	struct wire_uq uq;
	uint32_t pid, home, owner; /* owner 0: dead */
	uint32_t transit;	   /* COMMIT to this node is sent and not received */
	uint32_t committer;	   /* who sent it */
	bool doubtful;		   /* one of the two died meanwhile: P may be lost, or not */
	bool exited, home_died;
	int32_t status;
	uint32_t exited_on, exited_inc; /* if that died since, its last words may be lost */
	uint64_t steps, signals_sent, signals_got;
	uint32_t parent; /* the last one it was given */
	uint32_t told;	 /* how often the parent was told */
};

struct attempt {
	uint32_t proc, node, inc, dest, reports;
	bool dead; /* its source crashed */
};

#define ATTEMPTS 16

struct params {
	uint32_t nodes, procs;
	uint32_t loss, dup, late; /* per mille */
	uint32_t echo;		  /* ms: everything arrives once more so much later; 0: no */
	uint32_t refuse;	  /* per mille, of every question to the kernel model */
	uint32_t ambush;  /* per mille of arrivals: crash of one end, and D cut off from P's home */
	uint32_t crashes; /* left to happen */
	uint64_t crash_at[4]; /* number of the machine event */
};

struct sim {
	uint64_t now, order, seed, rng, steps;
	bool trace, failed, quiet; /* quiet: no more faults */
	char why[200];
	struct params par;
	struct node node[NODES + 1];
	struct truth truth[PROCS];
	struct attempt attempt[ATTEMPTS];
	uint32_t attempts, victim; /* of an ambush, 0: none */
	bool cut[NODES + 1][NODES + 1];
	uint64_t any_crash, generations;
};

extern struct sim sim;

/* Counters over all runs. */
enum fault { F_CRASH_S, F_CRASH_D, F_CRASH_H, F_CUT, F_CANCEL, F_EXIT, FAULTS };
enum wire_fault { W_SENT, W_LOST, W_CUT, W_TWICE, W_LATE, W_DEAD, WIRE_FAULTS };
struct counts {
	uint64_t runs, events, starts, results[MG_RESULTS];
	uint64_t step[S_STATES + 1]
		     [FAULTS]; /* row S_STATES: D runs P, S released or not, not yet known to D */
	uint64_t wire[WIRE_TYPES][WIRE_FAULTS];
	uint64_t crashes, restarts, declared, exits_home, exits_away, lost, told, resumed, signals;
};
extern struct counts counts;

/* world.c */
uint32_t pick(uint32_t n); /* 0..n-1 */
bool chance(uint32_t per_mille);
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void world_reset(void);
void world_at(uint64_t delay, struct event *e);
bool world_step(void); /* false: nothing left to happen */
void world_heal(void);
void script(enum script what); /* main.c */
void drain(uint32_t node);
uint32_t proc_of(const struct wire_uq *uq);

/* check.c: called when something happens to P; they fail the run if it must not. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void truth_commit_sent(uint32_t p, const struct wire_head *h);
void truth_resumed(uint32_t p, uint32_t node);
void truth_thawed(uint32_t p, uint32_t node);
void truth_released(uint32_t p, uint32_t node, bool lost);
void truth_exited(uint32_t p, uint32_t node, int32_t status);
void truth_crashed(uint32_t node);
void truth_child(uint32_t p, uint32_t node, int32_t status);
void truth_signal(uint32_t p, uint32_t node, uint32_t number);
void truth_report(const struct mg_effect *e, uint32_t node);
void truth_final(void);
void count_fault(uint32_t node, enum fault kind);

#endif
