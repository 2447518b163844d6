/* SPDX-License-Identifier: MIT */
/*
 * Whole clusters under the load policy, in virtual time: averages that lag and waver, reports that
 * are late, moves that take a while. Each node runs load_decide() as the load server does. What is
 * judged: does it spread the load, does it come to rest, does nobody get swamped on the way.
 */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NODES = 16,
	JOBS = 128,
	TICK_MS = 25,
	REPORT_MS = 250,
	DECIDE_MS = 250,
	SETTLE_MS = 2000,
	FLIGHTS = 512,
	REST_S = 60,
};

struct job {
	int node; /* -1: gone */
	int home, moves;
	int pinned;
	long arrived, ends; /* ms */
	int to;		    /* >= 0: being moved there */
	long lands;
};

struct flight {
	int from, to;
	long landed; /* ms; -1: under way */
};

struct view { /* what one node knows of another */
	uint32_t load, outgoing[NODES + 1];
};

struct node {
	double load;
	struct load_state state;
	struct view sent[2]; /* [1] was sent a tick ago, [0] is known to the others */
	int most;	     /* jobs it ever had */
};

struct sim {
	int nodes, njobs, nflights;
	uint64_t seed;
	long now;
	struct node node[NODES + 1]; /* 1..nodes */
	struct job job[JOBS];
	struct flight flight[FLIGHTS];
	struct load_params params;
	int moves, last_move_ms;
};

static int failures;

static uint32_t random_below(struct sim *s, uint32_t n)
{
	s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->seed >> 33) % n;
}

static int jobs_at(const struct sim *s, int node)
{
	int n = 0;

	for (int i = 0; i < s->njobs; i++)
		n += s->job[i].node == node;
	return n;
}

static uint32_t unseen(const struct sim *s, const struct flight *f)
{
	return load_unseen(f->landed < 0 ? 0 : (uint64_t)(s->now - f->landed), SETTLE_MS);
}

static void report(struct sim *s, int n)
{
	struct view *v = &s->node[n].sent[1];

	memset(v, 0, sizeof(*v));
	v->load = (uint32_t)s->node[n].load;
	for (int i = 0; i < s->nflights; i++)
		if (s->flight[i].from == n)
			v->outgoing[s->flight[i].to] += unseen(s, &s->flight[i]);
}

static void start_move(struct sim *s, int from, int pid, int to)
{
	struct job *j = &s->job[pid];

	if (s->nflights == FLIGHTS)
		abort();
	s->flight[s->nflights++] = (struct flight){from, to, -1};
	j->to = to;
	j->lands = s->now + 50 + random_below(s, 600);
	j->moves++;
	s->moves++;
	s->last_move_ms = (int)s->now;
	report(s, from);
}

static void decide(struct sim *s, int n)
{
	struct load_peer peers[NODES];
	struct load_candidate c[JOBS];
	struct load_self self = {.node = (uint32_t)n, .load_milli = (uint32_t)s->node[n].load};
	struct load_decision d;
	size_t np = 0, nc = 0;

	for (int i = 0; i < s->nflights; i++) {
		if (s->flight[i].from != n)
			continue;
		self.leaving_milli += unseen(s, &s->flight[i]);
		self.moving += s->flight[i].landed < 0;
	}
	for (int k = 1; k <= s->nodes; k++) {
		struct load_peer *p = &peers[np];

		if (k == n)
			continue;
		*p = (struct load_peer){.node = (uint32_t)k, .usable = true, .free_bytes = 1 << 30};
		p->load_milli = s->node[k].sent[0].load;
		for (int j = 1; j <= s->nodes; j++) /* its own moves a node knows at once */
			p->coming_milli += s->node[j].sent[j == n].outgoing[k];
		np++;
	}
	for (int i = 0; i < s->njobs; i++) {
		struct job *j = &s->job[i];

		if (j->node != n)
			continue;
		c[nc++] = (struct load_candidate){.pid = i,
						  .pinned = j->pinned,
						  .barred = j->to >= 0,
						  .started = true,
						  .foreign = j->home != n,
						  .runnable = true,
						  .here_ms = (uint32_t)(s->now - j->arrived),
						  .bytes = 1 << 20};
	}
	d = load_decide(&s->params, &s->node[n].state, &self, peers, np, c, nc);
	s->node[n].state = d.next;
	if (d.reason == LOAD_MOVE)
		start_move(s, n, d.pid, (int)d.node);
}

static void land(struct sim *s, struct job *j)
{
	for (int i = 0; i < s->nflights; i++) {
		struct flight *f = &s->flight[i];

		if (f->from == j->node && f->to == j->to && f->landed < 0) {
			f->landed = s->now;
			break;
		}
	}
	j->node = j->to;
	j->to = -1;
	j->arrived = s->now;
}

static void forget_flights(struct sim *s)
{
	int kept = 0;

	for (int i = 0; i < s->nflights; i++)
		if (unseen(s, &s->flight[i]))
			s->flight[kept++] = s->flight[i];
	s->nflights = kept;
}

static void tick(struct sim *s)
{
	s->now += TICK_MS;
	for (int i = 0; i < s->njobs; i++) {
		struct job *j = &s->job[i];

		if (j->node > 0 && j->to >= 0 && s->now >= j->lands)
			land(s, j);
		if (j->node > 0 && j->to < 0 && j->ends && s->now >= j->ends)
			j->node = -1;
	}
	forget_flights(s);
	for (int n = 1; n <= s->nodes; n++) {
		struct node *k = &s->node[n];
		int jobs = jobs_at(s, n), wavers = (int)random_below(s, 161) - 80;
		/* Nodes are not in step: each has its own phase. */
		long phase = s->now + (long)n * REPORT_MS / s->nodes / TICK_MS * TICK_MS;

		k->most = jobs > k->most ? jobs : k->most;
		k->load += (jobs * 1000 + (jobs ? wavers : 0) - k->load) * TICK_MS / 1000;
		k->load = k->load < 0 ? 0 : k->load;
		k->sent[0] = k->sent[1];
		if (phase % REPORT_MS == 0)
			report(s, n);
		if (phase % DECIDE_MS == 0)
			decide(s, n);
	}
}

static struct sim *new_sim(int nodes, uint32_t location, uint64_t seed)
{
	struct sim *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->nodes = nodes;
	s->seed = seed;
	s->params = (struct load_params){.t0_milli = 1500,
					 .alpha_permille = 250,
					 .margin_milli = 300,
					 .location = location,
					 .running_local = 1,
					 .residence_ms = 2000,
					 .max_moving = 1};
	for (int n = 1; n <= nodes; n++)
		s->node[n].state = (struct load_state){1500, (uint32_t)n};
	return s;
}

static void add_jobs(struct sim *s, int node, int n)
{
	while (n--)
		s->job[s->njobs++] = (struct job){.node = node, .home = node, .to = -1};
}

static void run(struct sim *s, int seconds)
{
	for (long end = s->now + seconds * 1000l; s->now < end;)
		tick(s);
}

static void spread(const struct sim *s, int *least, int *most)
{
	*least = JOBS;
	*most = 0;
	for (int n = 1; n <= s->nodes; n++) {
		int jobs = jobs_at(s, n);

		*least = jobs < *least ? jobs : *least;
		*most = jobs > *most ? jobs : *most;
	}
}

static void judge(const char *what, const struct sim *s, int ok)
{
	int least, most;

	spread(s, &least, &most);
	printf("%s %s, %s: %d nodes, %d moves, jobs per node %d..%d, last move after %.1f s\n",
	       ok ? "ok" : "not ok", what,
	       s->params.location == LOAD_LEAST ? "least" : "round robin", s->nodes, s->moves,
	       least, most, s->last_move_ms / 1000.0);
	failures += !ok;
}

/* All on node 1. In the end no two nodes differ by 2, hardly more moves than needed, and rest. */
static void all_on_one(int nodes, int jobs, uint32_t location, uint64_t seed)
{
	struct sim *s = new_sim(nodes, location, seed);
	int least, most, needed = jobs - (jobs + nodes - 1) / nodes;

	add_jobs(s, 1, jobs);
	run(s, 120);
	spread(s, &least, &most);
	judge("all on one node spread", s,
	      most - least <= 1 && s->moves <= needed + needed / 4 + 1);
	judge("and come to rest", s, s->last_move_ms < (120 - REST_S) * 1000);
	free(s);
}

/* Fifteen nodes have two jobs each, one has none: it must get one, or few, not fifteen. */
static void no_herd(uint32_t location, uint64_t seed)
{
	struct sim *s = new_sim(NODES, location, seed);

	for (int n = 1; n < NODES; n++)
		add_jobs(s, n, 2);
	run(s, 120);
	judge("an idle node is not swamped", s,
	      s->node[NODES].most >= 1 && s->node[NODES].most <= 2);
	free(s);
}

/* As many jobs as nodes, or an even load: no reason to move anything, ever. */
static void balanced_is_left_alone(int each, uint32_t location, uint64_t seed)
{
	struct sim *s = new_sim(8, location, seed);

	for (int n = 1; n <= 8; n++)
		add_jobs(s, n, each);
	run(s, 300);
	judge("an even load is left alone", s, s->moves == 0);
	free(s);
}

/* One job more here than there does not travel back and forth. */
static void no_swapping(uint32_t location, uint64_t seed)
{
	struct sim *s = new_sim(2, location, seed);

	add_jobs(s, 1, 3);
	add_jobs(s, 2, 2);
	run(s, 300);
	judge("two nodes do not swap for ever", s, s->moves == 0);
	free(s);
}

static void pins_hold(uint32_t location, uint64_t seed)
{
	struct sim *s = new_sim(4, location, seed);
	int moved = 0;

	add_jobs(s, 1, 12);
	for (int i = 0; i < 6; i++)
		s->job[i].pinned = 1;
	run(s, 120);
	for (int i = 0; i < 6; i++)
		moved += s->job[i].moves;
	judge("pinned jobs stay, the others go", s,
	      moved == 0 && jobs_at(s, 1) == 6 && s->moves >= 6);
	free(s);
}

/* Jobs come and go at random places: nobody is idle for long while another has many. */
static void changing_load(uint32_t location, uint64_t seed)
{
	struct sim *s = new_sim(8, location, seed);
	long unfair = 0, ticks = 0, worst = 0;

	for (int second = 0; second < 400; second++) {
		if (s->njobs < JOBS && random_below(s, 4) == 0) {
			add_jobs(s, 1 + (int)random_below(s, 3), 1);
			s->job[s->njobs - 1].arrived = s->now;
			s->job[s->njobs - 1].ends = s->now + 10000 + random_below(s, 60000);
		}
		for (long end = s->now + 1000; s->now < end; ticks++) {
			int least, most;

			tick(s);
			spread(s, &least, &most);
			unfair += least == 0 && most >= 2;
		}
	}
	for (int i = 0; i < s->njobs; i++)
		worst = s->job[i].moves > worst ? s->job[i].moves : worst;
	judge("a changing load is shared", s, unfair * 100 < ticks * 35);
	judge("and no job becomes a nomad", s, worst <= 6 && s->moves <= 2 * s->njobs);
	free(s);
}

int main(void)
{
	for (uint32_t location = LOAD_ROUND_ROBIN; location <= LOAD_LEAST; location++)
		for (uint64_t seed = 1; seed <= 5; seed++) {
			all_on_one(3, 6, location, seed);
			all_on_one(2, 9, location, seed);
			all_on_one(NODES, 64, location, seed);
			no_herd(location, seed);
			balanced_is_left_alone(1, location, seed);
			balanced_is_left_alone(3, location, seed);
			no_swapping(location, seed);
			pins_hold(location, seed);
			changing_load(location, seed);
		}
	return failures != 0;
}
