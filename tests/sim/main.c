/* SPDX-License-Identifier: MIT */
/*
 * sim [--runs N] [--seed S] [--trace]: N seeded scenarios. Exit status 0: every invariant held,
 * and, from 20,000 runs on, every fault has hit every step. A failing seed is printed; --seed S
 * --runs 1 --trace replays it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sim.h"

#define FULL_COVERAGE 20000 /* runs from which on an empty cell of the table is a failure */

static void move(uint32_t p)
{
	const struct truth *t = &sim.truth[p];
	if (!t->owner || t->transit || !sim.node[t->owner].up || sim.attempts == ATTEMPTS)
		return;
	struct node *d = &sim.node[t->owner];
	uint32_t dest = 1 + pick(sim.par.nodes);
	if (dest == t->owner && chance(900))
		dest = dest % sim.par.nodes + 1;
	struct mg_job job = {
		.uq = t->uq,
		.epoch = d->copy[p].epoch,
		.dest = dest,
		.offer = {.pid = t->pid, .pages = 10},
		.cookie = sim.attempts,
	};
	sim.attempt[sim.attempts++] =
		(struct attempt){.proc = p, .node = t->owner, .inc = d->inc, .dest = dest};
	say("MOVE process %u from node %u to node %u", p, t->owner, dest);
	counts.starts++;
	uint32_t from = t->owner;
	mg_start(&d->m, &job);
	drain(from);
}

static void end(uint32_t p)
{
	const struct truth *t = &sim.truth[p];
	uint32_t k = t->owner;
	if (!k || t->transit ||
	    (sim.node[k].copy[p].state != RUN && sim.node[k].copy[p].state != FREEZING))
		return;
	say("EXIT process %u on node %u", p, k);
	count_fault(k, F_EXIT);
	sim.node[k].copy[p].state = NOT_HERE;
	if (k == t->home && !t->home_died)
		counts.exits_home++;
	else
		counts.exits_away++;
	truth_exited(p, k, 100 + (int32_t)p);
	mg_exited(&sim.node[k].m, &t->uq, t->status);
	drain(k);
}

/* Somebody on some node signals the process; its kernel serves what is local itself. */
static void send_signal(uint32_t p)
{
	struct truth *t = &sim.truth[p];
	uint32_t k = 1 + pick(sim.par.nodes), number = 0;
	while (number < 64 && t->signals_sent >> number & 1)
		number++;
	if (!sim.node[k].up || number == 64 || t->home_died)
		return;
	struct copy *c = &sim.node[k].copy[p];
	say("SIGNAL %u to process %u from node %u", number, p, k);
	counts.signals++;
	if (c->state == RUN || c->state == FREEZING) {
		t->signals_sent |= 1ull << number;
		truth_signal(p, k, number);
	} else if (c->state == FROZEN) {
		t->signals_sent |= 1ull << number;
		c->late |= 1ull << number;
	} else if (mg_kill(&sim.node[k].m, t->pid, number)) {
		t->signals_sent |= 1ull << number;
	}
	drain(k);
}

/* The parent ends while its child is away; later its new parent's home would do the same. */
static void orphan(uint32_t p)
{
	struct truth *t = &sim.truth[p];
	struct node *d = &sim.node[t->home];
	if (t->home_died || !d->copy[p].stub || t->parent || !mg_orphan(&d->m, t->pid, 1))
		return;
	t->parent = 1;
	drain(t->home);
}

static void cut(bool on)
{
	if (!on) {
		memset(sim.cut, 0, sizeof(sim.cut));
		return;
	}
	uint32_t a = 1 + pick(sim.par.nodes), both = chance(600);
	count_fault(0, F_CUT);
	for (uint32_t b = 1; b <= sim.par.nodes; b++) {
		if (b == a || chance(300))
			continue;
		say("CUT %u->%u%s", a, b, both ? " and back" : "");
		sim.cut[a][b] = true;
		sim.cut[b][a] = both;
	}
}

void script(enum script what)
{
	uint32_t p = pick(sim.par.procs);
	if (sim.quiet)
		return;
	switch (what) {
	case DO_MOVE:
		move(p);
		break;
	case DO_CANCEL:
		for (uint32_t k = 1; k <= sim.par.nodes; k++) {
			if (!sim.node[k].up)
				continue;
			struct mg_source *s = sim.node[k].m.source;
			while (s < sim.node[k].m.source + MG_SOURCES && s->state == S_FREE)
				s++;
			if (s == sim.node[k].m.source + MG_SOURCES)
				continue;
			say("CANCEL on node %u", k);
			count_fault(k, F_CANCEL);
			mg_cancel(&sim.node[k].m, s->pid, "simulated request");
			drain(k);
		}
		break;
	case DO_EXIT:
		end(p);
		break;
	case DO_SIGNAL:
		send_signal(p);
		break;
	case DO_ORPHAN:
		orphan(p);
		break;
	case DO_CUT:
		cut(true);
		break;
	case DO_HEAL:
		cut(false);
		break;
	case DO_SCRIPTS:
		break;
	}
}

static void plan(enum script what, uint32_t times, uint32_t within)
{
	while (times--) {
		struct event e = {.kind = E_SCRIPT, .a = what};
		world_at(20 + pick(within), &e);
	}
}

static void prepare(void)
{
	struct params *par = &sim.par;
	static const uint32_t levels[] = {0, 0, 20, 100, 300};
	par->nodes = 2 + pick(NODES - 1);
	par->procs = 1 + pick(PROCS);
	par->loss = levels[pick(5)];
	par->dup = levels[pick(5)];
	par->late = levels[pick(5)];
	par->echo = chance(80) ? 100 + pick(3000) : 0;
	par->refuse = chance(500) ? 0 : 60;
	par->ambush = chance(200) ? 300 : 0;
	par->crashes = chance(250) ? 0 : 1 + pick(3);
	for (uint32_t i = 0; i < par->crashes; i++)
		par->crash_at[i] = 3 + pick(i ? 400 : 120);
	world_reset();
	for (uint32_t p = 0; p < par->procs; p++) {
		struct truth *t = &sim.truth[p];
		t->home = t->owner = 1 + pick(par->nodes);
		t->pid = t->home << 20 | (p + 1);
		t->uq = (struct wire_uq){
			.birth = 1000 + p, .home = t->home, .incarnation = sim.node[t->home].inc};
		sim.node[t->home].copy[p].state = RUN;
	}
	plan(DO_MOVE, 1 + pick(10), 3000);
	plan(DO_ORPHAN, pick(2), 3000);
	plan(DO_SIGNAL, pick(6), 3000);
	if (chance(300))
		plan(DO_CANCEL, 1 + pick(3), 2000);
	if (chance(300))
		plan(DO_EXIT, 1 + pick(2), 3000);
	if (chance(400)) {
		plan(DO_CUT, 1 + pick(2), 2500);
		plan(DO_HEAL, pick(3), 3000);
	}
}

static bool run(uint64_t seed, bool trace)
{
	memset(sim.truth, 0, sizeof(sim.truth));
	memset(sim.cut, 0, sizeof(sim.cut));
	sim.now = sim.order = sim.steps = sim.any_crash = sim.generations = 0;
	sim.failed = sim.quiet = false;
	sim.attempts = sim.victim = 0;
	sim.seed = sim.rng = seed;
	sim.trace = trace;
	counts.runs++;
	prepare();
	while (sim.now < 4000 && world_step())
		;
	world_heal();
	/* A minute of peace: all give-up and resend intervals pass many times. */
	while (sim.now < 64000 && world_step())
		;
	if (!sim.failed)
		truth_final();
	if (sim.failed)
		printf("not ok seed %llu: %s\n", (unsigned long long)seed, sim.why);
	return !sim.failed;
}

static bool summary(void)
{
	static const char *const step[] = {"",	     "SETTLE", "HELLO",	 "OFFER",
					   "FREEZE", "IMAGE",  "COMMIT", "after DONE"};
	static const char *const fault[] = {"crash S",	 "crash D", "crash H",
					    "partition", "cancel",  "exit"};
	static const char *const result[] = {"moved", "refused", "failed", "cancelled", "lost"};
	static const char *const wire[WIRE_TYPES] = {
#define WIRE(name, number, body, way, meaning) [number] = #name,
#include "wire.def"
#undef WIRE
	};
	bool full = true;
	printf("\n%-12s", "step \\ fault");
	for (uint32_t f = 0; f < FAULTS; f++)
		printf("%11s", fault[f]);
	for (uint32_t s = 1; s <= S_STATES; s++) {
		printf("\n%-12s", step[s]);
		for (uint32_t f = 0; f < FAULTS; f++) {
			/* A frozen process cannot exit; what is done cannot be cancelled: no such
			 * cells. */
			bool none = (f == F_EXIT && (s == S_IMAGE || s == S_COMMIT)) ||
				    (f == F_CANCEL && s == S_STATES);
			if (none)
				printf("%11s", "-");
			else
				printf("%11llu", (unsigned long long)counts.step[s][f]);
			full &= none || counts.step[s][f] > 0;
		}
	}
	printf("\n\n%-12s%11s%11s%11s%11s%11s%11s\n", "message", "sent", "lost", "cut", "twice",
	       "late", "to a dead");
	for (uint32_t t = 1; t < WIRE_TYPES; t++) {
		printf("%-12s", wire[t]);
		for (uint32_t f = 0; f < WIRE_FAULTS; f++) {
			printf("%11llu", (unsigned long long)counts.wire[t][f]);
			full &= counts.wire[t][f] > 0;
		}
		printf("\n");
	}
	printf("\nattempts %llu:", (unsigned long long)counts.starts);
	for (uint32_t r = 0; r < MG_RESULTS; r++)
		printf(" %s %llu", result[r], (unsigned long long)counts.results[r]);
	printf(", unreported because the source crashed: the rest\n"
	       "resumed %llu, exited at home %llu, away %llu, died with a node %llu, parents told "
	       "%llu\n"
	       "crashes %llu, restarts %llu, declared dead %llu, signals %llu, events %llu\n",
	       (unsigned long long)counts.resumed, (unsigned long long)counts.exits_home,
	       (unsigned long long)counts.exits_away, (unsigned long long)counts.lost,
	       (unsigned long long)counts.told, (unsigned long long)counts.crashes,
	       (unsigned long long)counts.restarts, (unsigned long long)counts.declared,
	       (unsigned long long)counts.signals, (unsigned long long)counts.events);
	return full;
}

int main(int argc, char **argv)
{
	uint64_t runs = 5000, seed = 1, bad = 0;
	bool trace = false, quiet = false;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--runs") && i + 1 < argc)
			runs = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--trace"))
			trace = true;
		else if (!strcmp(argv[i], "--quiet"))
			quiet = true;
		else {
			fprintf(stderr, "usage: sim [--runs N] [--seed S] [--trace] [--quiet]\n");
			return 2;
		}
	}
	for (uint64_t i = 0; i < runs && bad < 5; i++)
		bad += !run(seed + i, trace);
	bool full = quiet || summary();
	if (bad)
		printf("not ok sim: %llu runs violated an invariant; replay with --seed S --runs 1 "
		       "--trace\n",
		       (unsigned long long)bad);
	else if (runs >= FULL_COVERAGE && !full)
		printf("not ok sim: some fault has never hit some step\n");
	else
		printf("ok sim: %llu runs\n", (unsigned long long)runs);
	return bad || (runs >= FULL_COVERAGE && !full);
}
