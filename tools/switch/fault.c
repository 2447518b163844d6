/* SPDX-License-Identifier: MIT */
/*
 * Fault injection. A frame crosses two cables, its sender's and its receiver's; each may lose it,
 * double it, delay it, or hold it for a few milliseconds so that later frames overtake it. Delayed
 * copies wait in a heap ordered by due time.
 */
#include <stdlib.h>
#include <string.h>

#include "switch.h"

enum { DELAYED_BYTES_MAX = 256 << 20, HEAP_MAX = 1 << 16, REORDER_MS = 5 };

struct delayed {
	uint64_t due_ns;
	uint64_t order; /* equal due times stay in order */
	struct port *to;
	size_t len;
	uint8_t *frame; /* owned */
};

static struct delayed heap[HEAP_MAX];
static size_t heap_len, delayed_bytes;
static uint64_t next_order;

void fault_init(struct fault *f, uint64_t seed, unsigned node)
{
	*f = (struct fault){.random = seed * 0x9e3779b97f4a7c15u + node};
}

void fault_clear(struct fault *f)
{
	*f = (struct fault){.random = f->random};
}

/* splitmix64 */
static uint64_t draw(struct fault *f)
{
	uint64_t z = f->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* A zero probability draws nothing: an idle fault does not shift the others' sequence. */
static bool happens(struct fault *f, uint32_t ppm)
{
	return ppm && draw(f) % 1000000 < ppm;
}

static bool earlier(const struct delayed *a, const struct delayed *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void heap_push(struct delayed d)
{
	size_t i = heap_len++;

	for (; i && earlier(&d, &heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = d;
}

static struct delayed heap_pop(void)
{
	struct delayed top = heap[0], last = heap[--heap_len];
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

static void send_later(struct port *to, const uint8_t *frame, size_t len, uint64_t delay_ms)
{
	uint8_t *copy = heap_len < HEAP_MAX && delayed_bytes + len <= DELAYED_BYTES_MAX
				? malloc(len)
				: NULL;

	if (!copy) {
		to->stats.dropped++;
		return;
	}
	memcpy(copy, frame, len);
	delayed_bytes += len;
	heap_push((struct delayed){now_ns() + delay_ms * 1000000, next_order++, to, len, copy});
}

void fault_carry(struct port *from, struct port *to, const uint8_t *frame, size_t len)
{
	struct port *cable[2] = {from, to};
	unsigned copies = 1;

	for (int c = 0; c < 2; c++) {
		struct fault *f = &cable[c]->fault;

		if (happens(f, f->loss)) {
			cable[c]->stats.lost++;
			return;
		}
		if (happens(f, f->dup)) {
			cable[c]->stats.duplicated++;
			copies++;
		}
	}
	while (copies-- > 0) {
		uint64_t delay_ms = from->fault.delay_ms + to->fault.delay_ms;

		for (int c = 0; c < 2; c++)
			if (happens(&cable[c]->fault, cable[c]->fault.reorder)) {
				cable[c]->stats.reordered++;
				delay_ms += 1 + draw(&cable[c]->fault) % REORDER_MS;
			}
		if (delay_ms)
			send_later(to, frame, len, delay_ms);
		else
			port_queue(to, frame, len);
	}
}

int fault_run(struct lan *lan)
{
	(void)lan;
	while (heap_len) {
		uint64_t now = now_ns();

		if (heap[0].due_ns > now)
			return (int)((heap[0].due_ns - now + 999999) / 1000000);
		struct delayed d = heap_pop();

		delayed_bytes -= d.len;
		port_queue(d.to, d.frame, d.len);
		free(d.frame);
	}
	return -1;
}
