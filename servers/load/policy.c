/* SPDX-License-Identifier: MIT */
/* See policy.h for the policy and for where it departs from the thesis. */
#include "policy.h"

/* The load that `p` will have when what is on its way has arrived. */
static uint32_t expected(const struct load_peer *p)
{
	return p->load_milli + p->coming_milli;
}

/* LoadMin: the least load of the other nodes. False if there is none to send to. */
static bool find_min(const struct load_peer *peers, size_t n, uint32_t *min)
{
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		if (!peers[i].usable || (found && expected(&peers[i]) >= *min))
			continue;
		*min = expected(&peers[i]);
		found = true;
	}
	return found;
}

/*
 * The threshold follows LoadMin at the pace of alpha. A step is rounded away from zero: otherwise
 * the threshold would stop just below LoadMin, and with "LoadMin > LoadThreshold" all moves would
 * stop.
 */
static uint32_t move_threshold(const struct load_params *p, uint32_t threshold, uint32_t min)
{
	int64_t gap = (int64_t)min - threshold, step = gap * p->alpha_permille;
	int64_t next;

	step = (step + (step < 0 ? -999 : 999)) / 1000;
	next = (int64_t)threshold + step;
	return next < p->t0_milli ? p->t0_milli : (uint32_t)next;
}

/*
 * Selection policy. 0: jobs that have not started; 1: foreign jobs; 2: running local jobs; -1: must
 * stay. A foreign job that has not started has just been placed here, so it has to reside first.
 */
static int rank(const struct load_params *p, const struct load_candidate *c)
{
	if (c->pinned || c->barred || !c->runnable)
		return -1;
	if (!c->started && !c->foreign)
		return 0;
	if (c->here_ms < p->residence_ms)
		return -1;
	if (!c->started)
		return 0;
	if (c->foreign)
		return 1;
	return p->running_local ? 2 : -1;
}

/* Of two that may move, the one that costs less to move; the pid makes the order total. */
static bool before(const struct load_params *p, const struct load_candidate *a,
		   const struct load_candidate *b)
{
	int ra = rank(p, a), rb = rank(p, b);

	if (ra != rb)
		return ra < rb;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes;
	return a->pid < b->pid;
}

/* The best candidate after `last` in the order of before(); NULL when there is no more. */
static const struct load_candidate *next_candidate(const struct load_params *p,
						   const struct load_candidate *c, size_t n,
						   const struct load_candidate *last)
{
	const struct load_candidate *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (rank(p, &c[i]) < 0 || (last && !before(p, last, &c[i])))
			continue;
		if (!best || before(p, &c[i], best))
			best = &c[i];
	}
	return best;
}

/* Distance from the last destination in round robin order, 1 for the node after it. */
static uint32_t turn(uint32_t node, uint32_t last)
{
	return node - last - 1;
}

/* Location policy: where a job of `bytes` should go; NULL if nowhere. */
static const struct load_peer *locate(const struct load_params *p, uint32_t last, uint32_t limit,
				      const struct load_peer *peers, size_t n, uint64_t bytes)
{
	const struct load_peer *best = NULL;
	uint64_t room = bytes + (uint64_t)p->reserve_kib * 1024;

	for (size_t i = 0; i < n; i++) {
		const struct load_peer *q = &peers[i];
		bool sooner;

		if (!q->usable || q->free_bytes < room || expected(q) > limit)
			continue;
		if (!best) {
			best = q;
			continue;
		}
		sooner = turn(q->node, last) < turn(best->node, last);
		if (p->location == LOAD_LEAST && expected(q) != expected(best))
			sooner = expected(q) < expected(best);
		if (sooner)
			best = q;
	}
	return best;
}

/* Transfer policy: does this node want to get rid of a job, and may it? LOAD_MOVE if so. */
static enum load_reason transfer(const struct load_params *p, const struct load_self *self,
				 uint32_t threshold, uint32_t self_milli, uint32_t min_milli)
{
	if (self_milli <= threshold)
		return LOAD_BELOW;
	if (min_milli > threshold)
		return LOAD_ALL_BUSY;
	if (min_milli + LOAD_ONE + p->margin_milli >= self_milli)
		return LOAD_NO_GAIN;
	if (self->moving >= p->max_moving)
		return LOAD_ENOUGH_MOVING;
	return LOAD_MOVE;
}

struct load_decision load_decide(const struct load_params *params, const struct load_state *state,
				 const struct load_self *self, const struct load_peer *peers,
				 size_t npeers, const struct load_candidate *candidates,
				 size_t ncandidates)
{
	struct load_decision d = {.reason = LOAD_NO_PEER, .next = *state};
	uint32_t threshold = state->threshold_milli, limit;

	if (self->load_milli > self->leaving_milli)
		d.self_milli = self->load_milli - self->leaving_milli;
	if (!find_min(peers, npeers, &d.min_milli))
		return d;
	d.next.threshold_milli = move_threshold(params, threshold, d.min_milli);
	d.reason = transfer(params, self, threshold, d.self_milli, d.min_milli);
	if (d.reason != LOAD_MOVE)
		return d;
	/* No destination above the threshold, and none where the move would not pay. */
	limit = d.self_milli - LOAD_ONE - params->margin_milli - 1;
	if (limit > threshold)
		limit = threshold;
	d.reason = LOAD_NO_CANDIDATE;
	for (const struct load_candidate *c = next_candidate(params, candidates, ncandidates, NULL);
	     c; c = next_candidate(params, candidates, ncandidates, c)) {
		const struct load_peer *to =
			locate(params, state->last_node, limit, peers, npeers, c->bytes);

		d.reason = LOAD_NO_ROOM;
		if (!to)
			continue;
		d.reason = LOAD_MOVE;
		d.pid = c->pid;
		d.node = d.next.last_node = to->node;
		return d;
	}
	return d;
}

uint32_t load_unseen(uint64_t age_ms, uint32_t settle_ms)
{
	if (age_ms >= settle_ms)
		return 0;
	return (uint32_t)(LOAD_ONE * (settle_ms - age_ms) / settle_ms);
}

const char *load_reason_name(enum load_reason reason)
{
	static const char *const names[] = {
		[LOAD_MOVE] = "move",
		[LOAD_BELOW] = "below-threshold",
		[LOAD_NO_PEER] = "no-peer",
		[LOAD_ALL_BUSY] = "all-busy",
		[LOAD_NO_GAIN] = "no-gain",
		[LOAD_ENOUGH_MOVING] = "moving",
		[LOAD_NO_CANDIDATE] = "no-candidate",
		[LOAD_NO_ROOM] = "no-room",
	};

	return names[reason];
}
