/* SPDX-License-Identifier: MIT */
/* kmalloc: slabs of one frame for small sizes, given back when empty; whole buddy blocks above 2 kB. */
#include "frame.h"
#include "lib.h"
#include "mem.h"

#define CLASSES	    8 /* 16 << 0 .. 16 << 7 = 2048 */
#define CLASS_LARGE 0xff

/* A free chunk. The smallest size has just room for it. */
struct chunk {
	struct chunk *next, *prev;
};
static struct chunk *free_chunks[CLASSES];
static u32 free_count[CLASSES];
static u64 in_use;

u64 kmem_in_use(void)
{
	return in_use;
}

static void chunk_push(u32 cls, struct chunk *c)
{
	c->prev = NULL;
	c->next = free_chunks[cls];
	if (c->next)
		c->next->prev = c;
	free_chunks[cls] = c;
	free_count[cls]++;
}

static void chunk_unlink(u32 cls, struct chunk *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		free_chunks[cls] = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free_count[cls]--;
}

static bool grow(u32 cls)
{
	u64 phys = frame_alloc();
	if (!phys)
		return false;
	*frame_kmem_class(phys) = (u16)cls;
	*frame_kmem_used(phys) = 0;
	char *page = P2V(phys);
	for (u64 at = 0; at < PAGE_SIZE; at += 16ul << cls)
		chunk_push(cls, (void *)(page + at));
	return true;
}

/* The slab at phys is empty: back to the frames, unless it is the last reserve of its size. */
static void shrink(u32 cls, u64 phys)
{
	u32 chunks = (u32)(PAGE_SIZE / (16ul << cls));
	if (free_count[cls] < 2 * chunks)
		return;
	char *page = P2V(phys);
	for (u64 at = 0; at < PAGE_SIZE; at += 16ul << cls)
		chunk_unlink(cls, (void *)(page + at));
	frame_put(phys);
}

void *kmalloc(size_t n)
{
	if (n > 2048) {
		u64 phys = frame_alloc_contig((u32)(PAGE_UP(n) / PAGE_SIZE));
		if (!phys)
			return NULL;
		*frame_kmem_class(phys) = CLASS_LARGE;
		in_use += frame_size(phys);
		return P2V(phys);
	}
	u32 cls = 0;
	while ((16ul << cls) < n)
		cls++;
	if (!free_chunks[cls] && !grow(cls))
		return NULL;
	struct chunk *c = free_chunks[cls];
	chunk_unlink(cls, c);
	++*frame_kmem_used(PAGE_DOWN(V2P(c)));
	in_use += 16ul << cls;
	memset(c, 0, 16ul << cls);
	return c;
}

void kfree(void *p)
{
	if (!p)
		return;
	u64 phys = PAGE_DOWN(V2P(p));
	u32 cls = *frame_kmem_class(phys);
	if (cls == CLASS_LARGE) {
		in_use -= frame_size(phys);
		frame_put(phys);
		return;
	}
	chunk_push(cls, p);
	in_use -= 16ul << cls;
	if (--*frame_kmem_used(phys) == 0)
		shrink(cls, phys);
}

size_t kmalloc_size(const void *p)
{
	u64 phys = PAGE_DOWN(V2P(p));
	u32 cls = *frame_kmem_class(phys);
	return cls == CLASS_LARGE ? frame_size(phys) : 16ul << cls;
}

char *kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *d = kmalloc(n);
	if (d)
		memcpy(d, s, n);
	return d;
}
