/* SPDX-License-Identifier: MIT */
/* The virtio ring: plain shared memory, no device access. See virtio.h. */
#include "virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { RING_ALIGN = 4096 };

/* x86 keeps the order of stores and of loads; only a load after a store may overtake it. */
#define compiler_barrier() __asm__ volatile("" ::: "memory")
/* mfence by name: for a fence the compiler may choose a locked instruction, and under TCG with one
 * CPU that is a plain one. */
#define full_barrier() __asm__ volatile("mfence" ::: "memory")

static size_t used_offset(unsigned size)
{
	size_t front = sizeof(struct vring_desc) * size + sizeof(uint16_t) * (3 + size);

	return (front + RING_ALIGN - 1) & ~(size_t)(RING_ALIGN - 1);
}

/* With EVENT_IDX each side keeps, behind the other's ring, the index at which it wants to hear
 * again. */
static volatile uint16_t *used_event(struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static uint16_t avail_event(struct virtq *q)
{
	volatile void *behind = &q->used->ring[q->size];

	return *(volatile uint16_t *)behind;
}

size_t virtq_bytes(unsigned size)
{
	size_t bytes =
		used_offset(size) + sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * size;

	return (bytes + RING_ALIGN - 1) & ~(size_t)(RING_ALIGN - 1);
}

void virtq_init(struct virtq *q, unsigned size, void *mem, void **token, bool event_idx)
{
	*q = (struct virtq){
		.desc = mem,
		.avail = (void *)((char *)mem + sizeof(struct vring_desc) * size),
		.used = (void *)((char *)mem + used_offset(size)),
		.token = token,
		.size = size,
		.free = size,
		.event_idx = event_idx,
		.interrupts = true,
	};
	for (unsigned i = 0; i < size; i++) {
		q->desc[i].next = i + 1;
		token[i] = NULL;
	}
}

bool virtq_add(struct virtq *q, const struct virtio_seg *seg, unsigned nout, unsigned nin,
	       void *token)
{
	unsigned n = nout + nin;
	uint16_t head = q->free_head, d = head;

	if (n == 0 || n > q->free)
		return false;
	for (unsigned i = 0; i < n; i++) {
		q->desc[d].addr = seg[i].phys;
		q->desc[d].len = seg[i].len;
		q->desc[d].flags = (i >= nout ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0);
		d = q->desc[d].next;
	}
	q->free_head = d;
	q->free -= n;
	q->token[head] = token;
	q->avail->ring[q->added++ & (q->size - 1)] = head;
	return true;
}

bool virtq_publish(struct virtq *q)
{
	uint16_t before = q->shown, now = q->added;

	if (before == now)
		return false;
	compiler_barrier();
	q->avail->idx = q->shown = now;
	full_barrier();
	if (!q->event_idx)
		return !(q->used->flags & USED_NO_NOTIFY);
	/* Did the index pass the one the device waits for? All in arithmetic modulo 2^16. */
	return (uint16_t)(now - avail_event(q) - 1) < (uint16_t)(now - before);
}

/* Give the chain that starts at `head` back to the free list. */
static void free_chain(struct virtq *q, uint16_t head)
{
	uint16_t last = head, n = 1;

	for (; q->desc[last].flags & DESC_NEXT; n++)
		last = q->desc[last].next;
	q->desc[last].next = q->free_head;
	q->free_head = head;
	q->free += n;
}

/*
 * With EVENT_IDX the device interrupts once per index that we name, so the index moves along with
 * us. The barrier puts it before our next look at used->idx: what finishes after that look is
 * interrupted for.
 */
static void rearm(struct virtq *q)
{
	if (q->event_idx && q->interrupts) {
		*used_event(q) = q->seen;
		full_barrier();
	}
}

void *virtq_pop(struct virtq *q, uint32_t *written)
{
	while (q->seen != q->used->idx) {
		compiler_barrier();
		volatile struct vring_used_elem *e = &q->used->ring[q->seen++ & (q->size - 1)];
		uint32_t id = e->id, len = e->len;

		if (id >= q->size || !q->token[id]) {
			q->bad++;
			continue;
		}
		void *token = q->token[id];

		q->token[id] = NULL;
		free_chain(q, id);
		rearm(q);
		if (written)
			*written = len;
		return token;
	}
	return NULL;
}

bool virtq_interrupts(struct virtq *q, bool on)
{
	q->interrupts = on;
	if (q->event_idx) /* off: "not before the index behind us", which is most of 2^16 away */
		*used_event(q) = on ? q->seen : q->seen - 1;
	else
		q->avail->flags = on ? 0 : AVAIL_NO_INTERRUPT;
	if (!on)
		return false;
	full_barrier();
	return q->seen != q->used->idx;
}
