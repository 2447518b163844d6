/* SPDX-License-Identifier: MIT */
/*
 * The wire between two ports: applies the fates that fault.c decides. Copies that take time wait in
 * the delay line, a heap ordered by due time.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>

#include "switch.h"

enum { WAITING_BYTES_MAX = 256 << 20, WAITING_MAX = 1 << 16 };

struct flight {
	uint64_t due_ns;
	uint64_t order; /* equal due times stay in order */
	struct port *from, *to;
	bool damaged;
	bool limited;	/* has passed the rate of the receiver's cable */
	size_t len;	/* with its header */
	uint8_t *piece; /* owned */
};

static struct flight heap[WAITING_MAX];
static size_t heap_len, waiting_bytes;
static unsigned damaged_waiting;
static uint64_t next_order, timer_ns;

static bool earlier(const struct flight *a, const struct flight *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_push(struct flight f)
{
	size_t i = heap_len++;

	f.order = next_order++;
	for (; i && earlier(&f, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = f;
}

static struct flight heap_pop(void)
{
	struct flight top = heap[0], last = heap[--heap_len];
	size_t i = 0;

	for (size_t c; (c = 2 * i + 1) < heap_len; i = c) {
		if (c + 1 < heap_len && earlier(&heap[c + 1], &heap[c]))
			c++;
		if (!earlier(&heap[c], &last))
			break;
		heap[i] = heap[c];
	}
	heap[i] = last;
	return top;
}

static struct link *link_of(struct lan *lan, const struct port *from, const struct port *to)
{
	return &lan->link[from->node][to->node];
}

/* The frame is a copy of its own now, and waits until it is due. */
static void send_later(struct lan *lan, struct flight f)
{
	uint8_t *copy = heap_len < WAITING_MAX && waiting_bytes + f.len <= WAITING_BYTES_MAX
				? malloc(f.len)
				: NULL;

	if (!copy) {
		link_of(lan, f.from, f.to)->stats.dropped++;
		return;
	}
	memcpy(copy, f.piece, f.len);
	f.piece = copy;
	waiting_bytes += f.len;
	damaged_waiting += f.damaged;
	heap_push(f);
}

/*
 * A frame has come to the receiver's cable at the time `now`; its bytes may lie in an input buffer
 * (`lasting`) or not. True: it is over. False: the cable is busy until f->due_ns.
 */
static bool arrive(struct lan *lan, struct flight *f, uint64_t now, bool lasting)
{
	struct link *l = link_of(lan, f->from, f->to);
	uint64_t rate = f->to->fault.rate, wait = 0;

	if (f->from->group != f->to->group) {
		l->stats.cut++;
		return true;
	}
	if (rate && !f->limited) {
		f->limited = true;
		if (!bucket_pass(&f->to->down, rate, now, f->len - HEADER, &wait)) {
			l->stats.limited++;
			return true;
		}
		f->due_ns = now + wait;
		if (wait)
			return false;
	}
	if (!(lasting ? queue_piece : queue_copy)(lan, f->to, f->piece, f->len))
		l->stats.dropped++;
	return true;
}

/* Time that a copy spends before the receiver's cable; false: a rate limit drops it. */
static bool departs(struct flight *f, struct link *l, const struct copy *c, uint64_t now)
{
	uint64_t up = 0, between = 0;
	size_t len = f->len - HEADER;

	if ((f->from->fault.rate &&
	     !bucket_pass(&f->from->up, f->from->fault.rate, now, len, &up)) ||
	    (l->fault.rate && !bucket_pass(&l->bucket, l->fault.rate, now + up, len, &between)))
		return false;
	f->due_ns = now + up + between + c->delay_ns;
	if (c->overtaken)
		return true;
	if (f->due_ns < l->last_ns)
		f->due_ns = l->last_ns;
	l->last_ns = f->due_ns;
	return true;
}

static void send_copy(struct lan *lan, struct flight f, const struct copy *c)
{
	static uint8_t spoilt[HEADER + FRAME_MAX];
	struct link *l = link_of(lan, f.from, f.to);
	uint64_t now = now_ns();

	if (!departs(&f, l, c, now)) {
		l->stats.limited++;
		return;
	}
	l->stats.reordered += c->overtaken;
	l->stats.delayed += f.due_ns > now;
	if (lan->may_damage && (c->body_bits || c->header_bits)) {
		memcpy(spoilt, f.piece, f.len);
		fault_damage(spoilt + HEADER, f.len - HEADER, c);
		f.piece = spoilt;
		f.damaged = true;
		l->stats.damaged++;
	}
	if (f.due_ns > now || !arrive(lan, &f, now, !f.damaged))
		send_later(lan, f);
}

void wire_carry(struct lan *lan, struct port *from, struct port *to, const uint8_t *piece,
		size_t len)
{
	struct link *l = link_of(lan, from, to);
	uint64_t number = l->number++;
	struct fate fate;

	l->stats.frames++;
	l->stats.bytes += len;
	if (to->group != from->group) {
		l->stats.cut++;
		return;
	}
	if (l->good) {
		if (!queue_piece(lan, to, piece, HEADER + len))
			l->stats.dropped++;
		return;
	}
	const struct fault *const stage[FAULT_STAGES] = {&from->fault, &l->fault, &to->fault};

	fault_fate(&fate, stage, l->key, number);
	l->stats.lost += fate.copies == 0;
	l->stats.duplicated += fate.copies ? fate.duplicated : 0;
	for (unsigned i = 0; i < fate.copies; i++)
		send_copy(lan,
			  (struct flight){.from = from,
					  .to = to,
					  .len = HEADER + len,
					  .piece = (uint8_t *)(uintptr_t)piece},
			  &fate.copy[i]);
}

static void set_timer(struct lan *lan, uint64_t ns)
{
	struct itimerspec t = {.it_value = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)}};

	if (ns == timer_ns)
		return;
	timer_ns = ns;
	timerfd_settime(lan->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

void wire_run(struct lan *lan)
{
	bool damaged = damaged_waiting > 0;
	uint64_t now = heap_len ? now_ns() : 0;

	while (heap_len && heap[0].due_ns <= now) {
		struct flight f = heap_pop();

		if (!arrive(lan, &f, now, false)) {
			heap_push(f);
			continue;
		}
		waiting_bytes -= f.len;
		damaged_waiting -= f.damaged;
		free(f.piece);
	}
	if (damaged && !damaged_waiting)
		link_update(lan);
	set_timer(lan, heap_len ? heap[0].due_ns : 0);
}

void wire_changed(struct lan *lan)
{
	lan->damages = false;
	for (unsigned i = 1; i <= lan->nports; i++)
		for (unsigned j = 1; j <= lan->nports; j++) {
			const struct fault *f[] = {&lan->port[i].fault, &lan->link[i][j].fault,
						   &lan->port[j].fault};
			struct link *l = &lan->link[i][j];

			l->good = true;
			for (unsigned s = 0; s < FAULT_STAGES; s++) {
				l->good &= fault_idle(f[s]);
				lan->damages |= f[s]->corrupt || f[s]->header;
			}
			l->last_ns =
				0; /* what is sent from now on does not wait for what was sent before */
		}
	link_update(lan);
	settings_save(lan);
}

void wire_seed(struct lan *lan, uint64_t seed)
{
	lan->seed = seed;
	for (unsigned i = 1; i <= lan->nports; i++)
		for (unsigned j = 1; j <= lan->nports; j++) {
			lan->link[i][j].key = fault_key(seed, i, j);
			lan->link[i][j].number = 0;
		}
}

unsigned wire_damaged_waiting(void)
{
	return damaged_waiting;
}
