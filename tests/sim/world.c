/* SPDX-License-Identifier: MIT */
/* Virtual time, the network, the nodes, and a model of what the kernel does for the handler. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "sim.h"

#define POOL 8192

static struct event pool[POOL];
static uint16_t heap[POOL], spare[POOL];
static uint32_t heap_used, spare_used;

struct sim sim;
struct counts counts;

/* splitmix64: small, and good from any seed. */
static uint64_t next_random(void)
{
	uint64_t z = (sim.rng += 0x9e3779b97f4a7c15ull);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint32_t pick(uint32_t n)
{
	return n ? (uint32_t)((next_random() >> 32) * n >> 32) : 0;
}

bool chance(uint32_t per_mille)
{
	return pick(1000) < per_mille;
}

void say(const char *fmt, ...)
{
	if (!sim.trace)
		return;
	va_list ap;
	va_start(ap, fmt);
	printf("%8llu  ", (unsigned long long)sim.now);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void world_at(uint64_t delay, struct event *e)
{
	if (spare_used == 0) {
		fail("too many events under way");
		return;
	}
	uint16_t id = spare[--spare_used];
	e->at = sim.now + delay;
	e->order = ++sim.order;
	pool[id] = *e;
	uint32_t i = heap_used++;
	for (; i && before(e, &pool[heap[(i - 1) / 2]]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = id;
}

static uint16_t pop(void)
{
	uint16_t top = heap[0], id = heap[--heap_used];
	uint32_t i = 0;
	for (;;) {
		uint32_t c = 2 * i + 1;
		if (c >= heap_used)
			break;
		if (c + 1 < heap_used && before(&pool[heap[c + 1]], &pool[heap[c]]))
			c++;
		if (!before(&pool[heap[c]], &pool[id]))
			break;
		heap[i] = heap[c];
		i = c;
	}
	heap[i] = id;
	return top;
}

static const char *wire_name(uint32_t type)
{
	static const char *const name[WIRE_TYPES] = {
#define WIRE(name, number, body, way, meaning) [number] = #name,
#include "wire.def"
#undef WIRE
	};
	return type < WIRE_TYPES && name[type] ? name[type] : "?";
}

uint32_t proc_of(const struct wire_uq *uq)
{
	for (uint32_t p = 0; p < sim.par.procs; p++)
		if (sim.truth[p].uq.birth == uq->birth)
			return p;
	fail("a process that nobody created");
	return 0;
}

static uint32_t proc_of_pid(uint32_t pid)
{
	for (uint32_t p = 0; p < sim.par.procs; p++)
		if (sim.truth[p].pid == pid)
			return p;
	fail("pid %x, which nobody has", pid);
	return 0;
}

/* ---- network ---- */

static void transmit(const struct wire_msg *m, const struct snapshot *snap)
{
	uint64_t *w = counts.wire[m->head.type];
	w[W_SENT]++;
	if (sim.cut[m->head.from][m->head.to]) {
		w[W_CUT]++;
		return;
	}
	if (!sim.quiet && chance(sim.par.loss)) {
		w[W_LOST]++;
		say("        lost: %s %u->%u", wire_name(m->head.type), m->head.from, m->head.to);
		return;
	}
	uint32_t copies = 1;
	if (!sim.quiet && chance(sim.par.dup)) {
		w[W_TWICE]++;
		copies = 2;
	}
	if (sim.par.echo) {
		struct event e = {.kind = E_MESSAGE, .node = m->head.to, .msg = *m, .snap = *snap};
		world_at(sim.par.echo, &e);
	}
	while (copies--) {
		struct event e = {.kind = E_MESSAGE, .node = m->head.to, .msg = *m, .snap = *snap};
		uint32_t delay = 1 + pick(8);
		if (!sim.quiet && chance(sim.par.late)) {
			w[W_LATE]++;
			delay += pick(2500);
		}
		world_at(delay, &e);
	}
}

/* ---- kernel model: executing effects ---- */

static void answer_later(enum event_kind kind, uint32_t k, uint32_t a, uint32_t serial,
			 uint32_t delay)
{
	struct event e = {.kind = kind, .node = k, .inc = sim.node[k].inc, .a = a, .b = serial};
	world_at(delay, &e);
}

static void run_again(uint32_t k, uint32_t p)
{
	struct copy *c = &sim.node[k].copy[p];
	c->state = RUN;
	sim.truth[p].steps++;
	c->snap.steps = sim.truth[p].steps;
}

static void thaw(uint32_t k, const struct mg_effect *e)
{
	uint32_t p = proc_of(&e->uq);
	struct copy *c = &sim.node[k].copy[p];
	if (c->serial != e->serial)
		return;
	if (c->state == FREEZING) {
		c->state = RUN;
	} else if (c->state == FROZEN) {
		truth_thawed(p, k);
		run_again(k, p);
		for (uint32_t s = 0; s < 64; s++)
			if (c->late >> s & 1)
				truth_signal(p, k, s);
		c->late = 0;
	}
}

static void release(uint32_t k, const struct mg_effect *e)
{
	uint32_t p = proc_of(&e->uq);
	struct node *d = &sim.node[k];
	struct copy *c = &d->copy[p];
	uint64_t late = c->late;
	if (c->state != FROZEN)
		fail("node %u releases process %u, which is not frozen", k, p);
	truth_released(p, k, e->value);
	memset(c, 0, sizeof(*c));
	c->stub = sim.truth[p].home == k && !sim.truth[p].home_died;
	for (uint32_t s = 0; s < 64; s++)
		if ((late >> s & 1) && !mg_kill(&d->m, e->pid, s))
			sim.truth[p].signals_sent &= ~(1ull << s);
}

static void import(uint32_t k, const struct mg_effect *e, const struct snapshot *in)
{
	struct copy *c = &sim.node[k].copy[proc_of(&e->uq)];
	if (c->state != ARRIVING || in->chunk != c->chunks_in || in->proc != proc_of(&e->uq) ||
	    (in->chunk && (in->steps != c->snap.steps || in->chunks != c->snap.chunks)))
		fail("node %u is given chunk %u of another image", k, in->chunk);
	if (chance(sim.par.refuse)) {
		mg_imported(&sim.node[k].m, e->serial, false, false, 0, "simulated bad image");
		return;
	}
	c->snap = *in;
	c->chunks_in++;
	mg_imported(&sim.node[k].m, e->serial, true, in->chunk + 1 == in->chunks,
		    in->steps * 31 + 7, "");
}

static void kill_here(uint32_t k, const struct mg_effect *e)
{
	uint32_t p = proc_of_pid(e->pid);
	struct copy *c = &sim.node[k].copy[p];
	if (c->state == RUN || c->state == FREEZING)
		truth_signal(p, k, e->value);
	else if (c->state == FROZEN)
		c->late |= 1ull << e->value;
}

/* in: what came with the message that caused these effects. */
static void execute(uint32_t k, const struct mg_effect *e, const struct snapshot *in)
{
	struct node *d = &sim.node[k];
	static const struct snapshot nothing;
	switch (e->kind) {
	case MG_SEND: {
		const struct wire_head *h = &e->msg.head;
		struct snapshot out = nothing;
		if (h->type == WIRE_IMAGE) {
			out = d->copy[proc_of(&h->uq)].snap;
			out.chunk = e->msg.u.image.chunk;
		}
		if (h->type == WIRE_COMMIT)
			truth_commit_sent(proc_of(&h->uq), h);
		say("  %u: %s to %u epoch %u #%u", k, wire_name(h->type), h->to, h->epoch,
		    h->serial);
		transmit(&e->msg, &out);
		break;
	}
	case MG_TIMER:
		d->timer[e->timer] = 0;
		if (e->delay) {
			struct event t = {.kind = E_TIMER, .node = k, .inc = d->inc, .a = e->timer};
			t.gen = d->timer[e->timer] = ++sim.generations;
			world_at(e->delay, &t);
		}
		break;
	case MG_FREEZE: {
		struct copy *c = &d->copy[proc_of(&e->uq)];
		if (c->state == RUN) {
			c->state = FREEZING;
			c->serial = e->serial;
		}
		answer_later(E_FROZEN, k, proc_of(&e->uq), e->serial, pick(40));
		break;
	}
	case MG_THAW:
		say("  %u: thaw", k);
		thaw(k, e);
		break;
	case MG_EXPORT: {
		const struct copy *c = &d->copy[proc_of(&e->uq)];
		if (c->state != FROZEN)
			fail("node %u exports a process that is not frozen", k);
		mg_exported(&d->m, e->serial, !chance(sim.par.refuse / 4),
			    e->value + 1 == c->snap.chunks, c->snap.steps * 31 + 7,
			    "simulated export error");
		break;
	}
	case MG_RELEASE:
		say("  %u: release (%s)", k, e->value ? "lost" : "moved");
		release(k, e);
		break;
	case MG_RESERVE: {
		struct copy *c = &d->copy[proc_of(&e->uq)];
		bool ok = c->state == NOT_HERE && !chance(sim.par.refuse);
		if (ok) {
			c->state = ARRIVING;
			c->serial = e->serial;
			c->chunks_in = 0;
			c->adopted = false;
		}
		mg_reserved(&d->m, e->serial, ok, "simulated lack of memory");
		break;
	}
	case MG_IMPORT:
		import(k, e, in);
		break;
	case MG_ADOPT:
		answer_later(E_ADOPTED, k, proc_of(&e->uq), e->serial, pick(60));
		break;
	case MG_DROP: {
		struct copy *c = &d->copy[proc_of(&e->uq)];
		bool stub = c->stub;
		if (c->state == ARRIVING && c->serial == e->serial) {
			memset(c, 0, sizeof(*c));
			c->stub = stub;
		}
		break;
	}
	case MG_RESUME: {
		uint32_t p = proc_of(&e->uq);
		say("  %u: resume process %u", k, p);
		if (d->copy[p].state != ARRIVING || d->copy[p].serial != e->serial ||
		    !d->copy[p].adopted)
			fail("node %u resumes process %u, which is not prepared", k, p);
		truth_resumed(p, k);
		d->copy[p].epoch = e->epoch;
		run_again(k, p);
		if (!sim.quiet && chance(sim.par.ambush)) {
			sim.victim = chance(700) ? e->node : k;
			sim.cut[k][sim.truth[p].home] = sim.cut[sim.truth[p].home][k] = true;
		}
		break;
	}
	case MG_CHILD:
		say("  %u: child ended, status %u", k, (unsigned)e->value);
		d->copy[proc_of(&e->uq)].stub = false;
		truth_child(proc_of(&e->uq), k, (int32_t)e->value);
		break;
	case MG_LOCATED:
		break;
	case MG_HOME:
		if (!d->copy[proc_of(&e->uq)].stub)
			fail("node %u welcomes home a process without a stub", k);
		d->copy[proc_of(&e->uq)].stub = false;
		break;
	case MG_KILL:
		kill_here(k, e);
		break;
	case MG_PARENT: {
		struct copy *c = &d->copy[proc_of_pid(e->pid)];
		if (c->state == RUN || c->state == FREEZING)
			c->snap.parent = e->value;
		break;
	}
	case MG_REPORT:
		say("  %u: report %u: %s", k, (unsigned)e->value, e->text);
		truth_report(e, k);
		break;
	case MG_LOG:
		say("  %u: log: %s", k, e->text);
		break;
	case MG_EFFECTS:
		break;
	}
}

static void drain_with(uint32_t k, const struct snapshot *in)
{
	const struct mg_effect *e;
	while ((e = mg_next(&sim.node[k].m)) && !sim.failed)
		execute(k, e, in);
}

void drain(uint32_t k)
{
	static const struct snapshot nothing;
	drain_with(k, &nothing);
}

/* ---- nodes ---- */

static void boot(uint32_t k)
{
	static const struct mg_params par = {.retry_first = 20, .retry_max = 300, .patience = 1200};
	static const uint32_t features[WIRE_FEATURES] = {0x1ff};
	struct node *d = &sim.node[k];
	d->up = true;
	d->inc++;
	memset(d->copy, 0, sizeof(d->copy));
	memset(d->timer, 0, sizeof(d->timer));
	mg_init(&d->m, k, d->inc, sim.par.nodes, &par, features);
}

/* The failure detector: every node hears of k's incarnation, or of the operator's word, some time. */
static void news(uint32_t k, enum event_kind kind)
{
	for (uint32_t j = 1; j <= sim.par.nodes; j++) {
		struct event e = {.kind = kind, .node = j, .a = k, .b = sim.node[k].inc};
		if (j != k)
			world_at(10 + pick(kind == E_FENCE ? 300 : 1500), &e);
	}
}

static void crash(uint32_t k)
{
	struct node *d = &sim.node[k];
	say("CRASH node %u", k);
	count_fault(k, F_CRASH_S);
	truth_crashed(k);
	d->up = false;
	sim.any_crash++;
	counts.crashes++;
	struct event e = {.kind = E_RESTART, .node = k, .a = chance(150)};
	world_at(20 + pick(chance(300) ? 100 : 2500), &e);
}

static void restart(uint32_t k, bool never)
{
	if (never) {
		say("node %u declared dead", k);
		sim.node[k].gone = true;
		counts.declared++;
		news(k, E_FENCE);
		return;
	}
	boot(k);
	say("RESTART node %u, incarnation %u", k, sim.node[k].inc);
	counts.restarts++;
	news(k, E_NODE_UP);
	for (uint32_t j = 1; j <= sim.par.nodes; j++) {
		struct event e = {.kind = sim.node[j].gone ? E_FENCE : E_NODE_UP,
				  .node = k,
				  .a = j,
				  .b = sim.node[j].inc};
		if (j != k)
			world_at(10 + pick(800), &e);
	}
}

static void frozen(uint32_t k, const struct event *e)
{
	struct copy *c = &sim.node[k].copy[e->a];
	bool ok = c->state == FREEZING && c->serial == e->b && !chance(sim.par.refuse);
	if (ok) {
		c->state = FROZEN;
		c->snap.proc = e->a;
		c->snap.chunks = 1 + pick(7);
		sim.truth[e->a].steps++;
		c->snap.steps = sim.truth[e->a].steps;
	} else if (c->state == FREEZING && c->serial == e->b) {
		c->state = RUN;
	}
	mg_frozen(&sim.node[k].m, e->b, ok, "simulated verdict");
}

static void adopted(uint32_t k, const struct event *e)
{
	struct copy *c = &sim.node[k].copy[e->a];
	bool ok = c->state == ARRIVING && c->serial == e->b && !chance(sim.par.refuse);
	if (ok)
		c->adopted = true;
	mg_adopted(&sim.node[k].m, e->b, ok, "simulated loss of a file");
}

static void deliver(const struct event *e)
{
	struct node *d = &sim.node[e->node];
	switch (e->kind) {
	case E_MESSAGE:
		say("%u <- %s from %u epoch %u #%u", e->node, wire_name(e->msg.head.type),
		    e->msg.head.from, e->msg.head.epoch, e->msg.head.serial);
		mg_message(&d->m, &e->msg);
		break;
	case E_TIMER:
		if (d->timer[e->a] != e->gen)
			return;
		d->timer[e->a] = 0;
		mg_timer(&d->m, e->a);
		break;
	case E_FROZEN:
		frozen(e->node, e);
		break;
	case E_ADOPTED:
		adopted(e->node, e);
		break;
	case E_NODE_UP:
		mg_node_up(&d->m, e->a, e->b);
		break;
	case E_FENCE:
		mg_fence(&d->m, e->a, e->b);
		break;
	case E_RESTART:
	case E_SCRIPT:
		return;
	}
	drain_with(e->node, &e->snap);
	sim.steps++;
	if (sim.victim && sim.node[sim.victim].up)
		crash(sim.victim);
	sim.victim = 0;
	for (uint32_t i = 0; i < sim.par.crashes; i++)
		if (sim.par.crash_at[i] == sim.steps && !sim.quiet) {
			/* Who has just acted is the most interesting victim; its peer the next. */
			uint32_t k = chance(600) ? e->node : 1 + pick(sim.par.nodes);
			if (e->kind == E_MESSAGE && chance(300))
				k = e->msg.head.from;
			if (sim.node[k].up)
				crash(k);
		}
}

bool world_step(void)
{
	if (heap_used == 0 || sim.failed)
		return false;
	uint16_t id = pop();
	struct event *e = &pool[id];
	const struct node *d = &sim.node[e->node];
	sim.now = e->at;
	counts.events++;
	if (e->kind == E_SCRIPT)
		script(e->a);
	else if (e->kind == E_RESTART)
		restart(e->node, e->a);
	else if (d->up && (e->inc == 0 || e->inc == d->inc))
		deliver(e);
	else if (e->kind == E_MESSAGE)
		counts.wire[e->msg.head.type][W_DEAD]++;
	spare[spare_used++] = id;
	return true;
}

void world_heal(void)
{
	sim.quiet = true;
	memset(sim.cut, 0, sizeof(sim.cut));
}

void world_reset(void)
{
	heap_used = 0;
	for (spare_used = 0; spare_used < POOL; spare_used++)
		spare[spare_used] = spare_used;
	for (uint32_t k = 1; k <= sim.par.nodes; k++) {
		sim.node[k].inc = pick(3);
		sim.node[k].gone = false;
		boot(k);
	}
	for (uint32_t k = 1; k <= sim.par.nodes; k++)
		news(k, E_NODE_UP);
}
