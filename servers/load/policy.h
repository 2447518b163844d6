/* SPDX-License-Identifier: MIT */
/*
 * The load balancing policy of the 1996 thesis, §4.3.4, as a pure function: (this node's load, the
 * other nodes, parameters, processes that could move, threshold) -> (what to do, new threshold).
 * No I/O, no clock, no memory of its own: the load server, the unit tests and the simulation in
 * tests/host/test_policy_sim.c run this same file.
 *
 * Sender initiated, decided at every node for itself. Load is the average length of the run queue,
 * in thousandths ("milli"). The words are the thesis's: SelfLoad, LoadMin, LoadThreshold, T0,
 * alpha.
 *
 * Where the thesis as printed cannot be followed (design §10), we do this instead:
 *  1. The formulas for the threshold have their signs exchanged: both drive it away from LoadMin.
 *     Here, in both cases, LoadThreshold += (LoadMin - LoadThreshold) * alpha; when it falls, it
 *     stops at T0.
 *  2. "If load at a site is less than this, decisions take place" is inverted: more than this.
 *  3. §4.3.4.1 tries hosts in round robin order, §4.3.4.3 takes the node of LoadMin. Both are here:
 *     the parameter `location`.
 *  4. The thesis moves jobs that have not started, and foreign jobs, but never running local jobs.
 *     Without those a cluster whose jobs were all started on one node stays unbalanced for ever, so
 *     moving them is a named extension, `running_local`, on unless switched off.
 *  5. A move is made only if LoadMin + 1 < SelfLoad: the job takes one unit of load with it, and
 *     with less difference two nodes would exchange their roles, for ever. Averages waver, so a
 *     margin of noise is added on the side of staying.
 *  6. Moves in flight are counted: the average sees a job only some time after it came or went, and
 *     until then every sender would find the same node idle and send to it.
 *  7. A process that was moved by a command is pinned and not considered; one that came a short
 *     while ago is not moved again (`residence_ms`).
 */
#ifndef LOAD_POLICY_H
#define LOAD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_ONE = 1000 }; /* the load of one process that always wants to run */

enum load_location {
	LOAD_ROUND_ROBIN = 0, /* the next node, in turn, whose load is not above the threshold */
	LOAD_LEAST = 1,	      /* the node of LoadMin; among equals, the next in turn */
};

struct load_params {
	uint32_t t0_milli;	 /* T0: below this nothing ever moves */
	uint32_t alpha_permille; /* slowdown factor, 0..1000 */
	uint32_t margin_milli;	 /* noise of the averages: ask for this much more gain */
	uint32_t location;	 /* enum load_location */
	uint32_t running_local;	 /* extension: move running local jobs too */
	uint32_t residence_ms;	 /* stay at least this long where one arrived */
	uint32_t max_moving;	 /* moves of this node under way at the same time */
	uint32_t reserve_kib;	 /* memory that a move leaves free at its destination */
};

/* This node. */
struct load_self {
	uint32_t node;
	uint32_t load_milli;	/* as measured */
	uint32_t leaving_milli; /* of this, load that is leaving but still in the average */
	uint32_t moving;	/* moves of this node under way */
};

/* Another node, as its last report said. */
struct load_peer {
	uint32_t node;
	bool usable;	       /* alive, and willing to take processes */
	uint32_t load_milli;   /* as measured there */
	uint32_t coming_milli; /* load on its way there, from any node, not yet in its average */
	uint64_t free_bytes;
};

/* A process of this node. */
struct load_candidate {
	int32_t pid;
	bool pinned;	  /* moved by a command */
	bool barred;	  /* a move was refused lately */
	bool started;	  /* has run in user mode */
	bool foreign;	  /* born elsewhere */
	bool runnable;	  /* only then is it part of the load */
	uint32_t here_ms; /* since when it is here */
	uint64_t bytes;	  /* memory that would have to move */
};

/* What the policy carries from one decision to the next. */
struct load_state {
	uint32_t threshold_milli; /* start with T0 */
	uint32_t last_node;	  /* last destination; start with this node's number */
};

enum load_reason {
	LOAD_MOVE,	    /* do it */
	LOAD_BELOW,	    /* SelfLoad <= LoadThreshold */
	LOAD_NO_PEER,	    /* no other node is usable */
	LOAD_ALL_BUSY,	    /* LoadMin > LoadThreshold */
	LOAD_NO_GAIN,	    /* not LoadMin + 1 < SelfLoad */
	LOAD_ENOUGH_MOVING, /* max_moving */
	LOAD_NO_CANDIDATE,  /* no process may move */
	LOAD_NO_ROOM,	    /* no node has the memory for one */
};

struct load_decision {
	enum load_reason reason;
	int32_t pid;			/* LOAD_MOVE */
	uint32_t node;			/* LOAD_MOVE: destination */
	uint32_t self_milli, min_milli; /* SelfLoad and LoadMin, with the moves in flight counted */
	struct load_state next;
};

/* Decide. The arrays are read only; their order does not matter. */
struct load_decision load_decide(const struct load_params *params, const struct load_state *state,
				 const struct load_self *self, const struct load_peer *peers,
				 size_t npeers, const struct load_candidate *candidates,
				 size_t ncandidates);

/*
 * How much of a moved job's load the averages do not show yet, `age_ms` after the move ended (0
 * while it is under way). The averages take about `settle_ms` to follow.
 */
uint32_t load_unseen(uint64_t age_ms, uint32_t settle_ms);

/* One word for a reason, for tables and logs. */
const char *load_reason_name(enum load_reason reason);

#endif
