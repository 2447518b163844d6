/* SPDX-License-Identifier: MIT */
/* kmalloc: slabs of one frame for small sizes, whole buddy blocks above 2 kB. */
#include "frame.h"
#include "lib.h"
#include "mem.h"

#define CLASSES	    8 /* 16 << 0 .. 16 << 7 = 2048 */
#define CLASS_LARGE 0xff

struct chunk {
	struct chunk *next;
};
static struct chunk *free_chunks[CLASSES];
static u64 in_use;

u64 kmem_in_use(void)
{
	return in_use;
}

static bool grow(u32 cls)
{
	u64 phys = frame_alloc();
	if (!phys)
		return false;
	*frame_kmem_class(phys) = (u16)cls;
	char *page = P2V(phys);
	for (u64 at = 0; at < PAGE_SIZE; at += 16ul << cls) {
		struct chunk *c = (void *)(page + at);
		c->next = free_chunks[cls];
		free_chunks[cls] = c;
	}
	return true;
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
	free_chunks[cls] = c->next;
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
	struct chunk *c = p;
	c->next = free_chunks[cls];
	free_chunks[cls] = c;
	in_use -= 16ul << cls;
}

char *kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *d = kmalloc(n);
	if (d)
		memcpy(d, s, n);
	return d;
}
