/* SPDX-License-Identifier: MIT */
/* Integer names, errno, intrusive lists: what every kernel file may assume. */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "errno.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define PAGE_SIZE			4096ul
#define PAGE_MASK			(PAGE_SIZE - 1)
#define PAGE_DOWN(x)			((u64)(x) & ~PAGE_MASK)
#define PAGE_UP(x)			(((u64)(x) + PAGE_MASK) & ~PAGE_MASK)
#define ARRAY_LEN(a)			(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define NS_PER_SEC			1000000000ul
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Doubly linked ring with a head; an unlinked node points to itself. */
/* On the way of every call, fault or switch. These functions are linked together: after each CR3
 * write TCG fills its TLB page by page, 200 ns each, and jumps within a page are the cheap ones.
 * Only these: TCG's cache of jump targets has 64 slots per page, two targets in one cost 100 ns a
 * call, and which slot it is (address bits 0-5 xor 6-11) changes with every edit. */
#define HOT __attribute__((hot))
/* Small variables used by them, on one page for the same reason: besides, TCG's TLB is direct mapped with as
 * few as 64 entries, so each page more on a hot path may throw another one out. This page is the third of
 * four (kernel.ld): the U-block's hot pages are the first two, that of thread and kernel stack the fourth. */
#define HOT_DATA    __attribute__((section(".data.hot")))
#define LIKELY(c)   __builtin_expect(!!(c), 1)
#define UNLIKELY(c) __builtin_expect(!!(c), 0)

struct list {
	struct list *next, *prev;
};
#define LIST_INIT(name)                                                                            \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}
static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_insert_before(struct list *pos, struct list *n)
{
	n->prev = pos->prev;
	n->next = pos;
	pos->prev->next = n;
	pos->prev = n;
}
static inline void list_push_back(struct list *head, struct list *n)
{
	list_insert_before(head, n);
}
static inline void list_push_front(struct list *head, struct list *n)
{
	list_insert_before(head->next, n);
}
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
#define list_for_each(it, head, type, member)                                                      \
	for (type *it = container_of((head)->next, type, member); &it->member != (head);           \
	     it = container_of(it->member.next, type, member))
/* The body may remove `it`. */
#define list_for_each_safe(it, head, type, member)                                                 \
	for (type *it = container_of((head)->next, type, member),                                  \
		  *it##_next = container_of(it->member.next, type, member);                        \
	     &it->member != (head);                                                                \
	     it = it##_next, it##_next = container_of(it##_next->member.next, type, member))
#endif
