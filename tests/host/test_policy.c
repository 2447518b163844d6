/* SPDX-License-Identifier: MIT */
/* The load policy: its rules one by one. Whole clusters are simulated in test_policy_sim.c. */
#include "policy.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(name, cond)                                                                          \
	do {                                                                                       \
		if (cond) {                                                                        \
			printf("ok %s\n", name);                                                   \
		} else {                                                                           \
			printf("not ok %s: %s\n", name, #cond);                                    \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

static const struct load_params base = {
	.t0_milli = 1500,
	.alpha_permille = 250,
	.margin_milli = 300,
	.location = LOAD_LEAST,
	.running_local = 1,
	.residence_ms = 2000,
	.max_moving = 1,
	.reserve_kib = 1024,
};
static const struct load_state start = {.threshold_milli = 1500, .last_node = 1};
static const struct load_candidate job = {
	.pid = 100, .started = true, .runnable = true, .here_ms = 60000, .bytes = 1 << 20};

static struct load_peer peer(uint32_t node, uint32_t load)
{
	return (struct load_peer){
		.node = node, .usable = true, .load_milli = load, .free_bytes = 64 << 20};
}

static struct load_decision decide(const struct load_params *p, uint32_t self_load,
				   const struct load_peer *peers, size_t n,
				   const struct load_candidate *c, size_t nc)
{
	struct load_self self = {.node = 1, .load_milli = self_load};

	return load_decide(p, &start, &self, peers, n, c, nc);
}

static void transfer_policy(void)
{
	struct load_peer idle = peer(2, 0), busy = peer(2, 1600);
	struct load_self self = {.node = 1, .load_milli = 4000, .moving = 1};

	CHECK("an idle node does nothing",
	      decide(&base, 0, &idle, 1, &job, 1).reason == LOAD_BELOW);
	CHECK("at the threshold nothing moves",
	      decide(&base, 1500, &idle, 1, &job, 1).reason == LOAD_BELOW);
	CHECK("above it, with an idle node, a job moves",
	      decide(&base, 2000, &idle, 1, &job, 1).reason == LOAD_MOVE);
	CHECK("all above the threshold: nothing moves",
	      decide(&base, 9000, &busy, 1, &job, 1).reason == LOAD_ALL_BUSY);
	CHECK("alone, nothing moves", decide(&base, 9000, NULL, 0, &job, 1).reason == LOAD_NO_PEER);
	busy.load_milli = 1000;
	CHECK("LoadMin + 1 must be less than SelfLoad",
	      decide(&base, 2000, &busy, 1, &job, 1).reason == LOAD_NO_GAIN);
	CHECK("and less by the margin",
	      decide(&base, 2300, &busy, 1, &job, 1).reason == LOAD_NO_GAIN &&
		      decide(&base, 2301, &busy, 1, &job, 1).reason == LOAD_MOVE);
	CHECK("no more moves at a time than allowed",
	      load_decide(&base, &start, &self, &idle, 1, &job, 1).reason == LOAD_ENOUGH_MOVING);
	idle.usable = false;
	CHECK("a dead node is not sent to",
	      decide(&base, 9000, &idle, 1, &job, 1).reason == LOAD_NO_PEER);
}

static void moves_in_flight(void)
{
	struct load_peer idle = peer(2, 0);
	struct load_self self = {.node = 1, .load_milli = 2500};

	self.leaving_milli = 1000;
	CHECK("what is leaving is not counted here",
	      load_decide(&base, &start, &self, &idle, 1, &job, 1).self_milli == 1500);
	self.leaving_milli = 9000;
	CHECK("and never makes the load negative",
	      load_decide(&base, &start, &self, &idle, 1, &job, 1).self_milli == 0);
	idle.coming_milli = 1600;
	CHECK("what is coming is counted there",
	      decide(&base, 2500, &idle, 1, &job, 1).reason == LOAD_ALL_BUSY);
	CHECK("a move counts fully while under way, then fades",
	      load_unseen(0, 2000) == LOAD_ONE && load_unseen(1000, 2000) == LOAD_ONE / 2 &&
		      load_unseen(2000, 2000) == 0 && load_unseen(99999, 2000) == 0);
}

static uint32_t run_threshold(uint32_t threshold, uint32_t min, int rounds, bool *monotonic)
{
	struct load_state s = {.threshold_milli = threshold, .last_node = 1};
	struct load_self self = {.node = 1};
	struct load_peer p = peer(2, min);

	*monotonic = true;
	for (int i = 0; i < rounds; i++) {
		uint32_t was = s.threshold_milli;

		s = load_decide(&base, &s, &self, &p, 1, NULL, 0).next;
		if (was < min ? s.threshold_milli < was || s.threshold_milli > min
			      : s.threshold_milli > was)
			*monotonic = false;
	}
	return s.threshold_milli;
}

static void threshold(void)
{
	bool monotonic;

	CHECK("one step goes alpha of the way", run_threshold(1500, 3500, 1, &monotonic) == 2000);
	CHECK("it rises to LoadMin, not beyond",
	      run_threshold(1500, 3503, 60, &monotonic) == 3503 && monotonic);
	CHECK("it falls to LoadMin",
	      run_threshold(6000, 2222, 60, &monotonic) == 2222 && monotonic);
	CHECK("but not below T0", run_threshold(6000, 0, 60, &monotonic) == 1500 && monotonic);
	CHECK("it starts to fall by alpha", run_threshold(6000, 2000, 1, &monotonic) == 5000);
}

static void selection_policy(void)
{
	struct load_peer idle = peer(2, 0);
	struct load_candidate c[4] = {job, job, job, job};
	struct load_params p = base;

	c[0].pid = 10;
	c[1].pid = 11, c[1].foreign = true;
	c[2].pid = 12, c[2].started = false;
	c[3].pid = 13, c[3].pinned = true, c[3].foreign = true, c[3].bytes = 1;
	CHECK("first jobs that have not started", decide(&p, 3000, &idle, 1, c, 4).pid == 12);
	c[2].barred = true;
	CHECK("then foreign ones", decide(&p, 3000, &idle, 1, c, 4).pid == 11);
	c[1].here_ms = 1999;
	CHECK("which must have stayed a while", decide(&p, 3000, &idle, 1, c, 4).pid == 10);
	p.running_local = 0;
	CHECK("running local ones only by the extension",
	      decide(&p, 3000, &idle, 1, c, 4).reason == LOAD_NO_CANDIDATE);
	p.running_local = 1;
	c[0].runnable = false;
	CHECK("a sleeping or pinned one never",
	      decide(&p, 3000, &idle, 1, c, 4).reason == LOAD_NO_CANDIDATE);
	c[0] = c[1] = job;
	c[1].pid = 99, c[1].bytes = 4096;
	CHECK("among equals the smallest", decide(&p, 3000, &idle, 1, c, 2).pid == 99);
	c[2] = job;
	c[2].started = false, c[2].here_ms = 0, c[2].foreign = true;
	CHECK("a job placed here before its start stays a while",
	      decide(&p, 3000, &idle, 1, c + 2, 1).reason == LOAD_NO_CANDIDATE);
}

static void location_policy(void)
{
	struct load_peer p[4] = {peer(2, 700), peer(3, 300), peer(4, 300), peer(5, 1700)};
	struct load_params rr = base;
	struct load_state s = {.threshold_milli = 1500, .last_node = 3};
	struct load_self self = {.node = 1, .load_milli = 4000};
	struct load_decision d;

	CHECK("least: the node of LoadMin", decide(&base, 4000, p, 4, &job, 1).node == 3);
	CHECK("least: among equals the next in turn",
	      load_decide(&base, &s, &self, p, 4, &job, 1).node == 4);
	rr.location = LOAD_ROUND_ROBIN;
	d = load_decide(&rr, &s, &self, p, 4, &job, 1);
	CHECK("round robin: the next", d.node == 4 && d.next.last_node == 4);
	d = load_decide(&rr, &d.next, &self, p, 4, &job, 1);
	CHECK("round robin: skips a loaded node and wraps", d.node == 2 && d.next.last_node == 2);
	self.load_milli = 1900;
	CHECK("round robin: not where the move does not pay",
	      load_decide(&rr, &start, &self, p, 4, &job, 1).node == 3);
	for (int i = 0; i < 4; i++)
		p[i].free_bytes = 1 << 20;
	CHECK("no node has room", decide(&base, 4000, p, 4, &job, 1).reason == LOAD_NO_ROOM);
	p[3].free_bytes = p[0].free_bytes = 2 << 20;
	CHECK("a node with room is found", decide(&base, 4000, p, 4, &job, 1).node == 2);
}

int main(void)
{
	transfer_policy();
	moves_in_flight();
	threshold();
	selection_policy();
	location_policy();
	CHECK("reasons have names", !strcmp(load_reason_name(LOAD_NO_ROOM), "no-room"));
	return failures != 0;
}
