/* SPDX-License-Identifier: MIT */
/* The only place that touches user pointers. All return 0 (or a length) or -EFAULT; may block (page
 * faults). */
#ifndef KERNEL_USERCOPY_H
#define KERNEL_USERCOPY_H
#include "types.h"
#include "vm.h"

static inline bool user_range_ok(u64 addr, size_t n)
{
	return n <= USER_TOP - USER_MIN && addr - USER_MIN <= USER_TOP - USER_MIN - n;
}
int copy_from_user(void *dst, u64 usrc, size_t n);
int copy_to_user(u64 udst, const void *src, size_t n);
/* Two words: times, which programs ask for more often than for anything else. */
int user_put_pair(u64 *dst, u64 a, u64 b);
static inline int put_pair_to_user(u64 udst, u64 a, u64 b)
{
	return LIKELY(user_range_ok(udst, 2 * sizeof a)) ? user_put_pair((u64 *)udst, a, b)
							 : -EFAULT;
}
int zero_user(u64 udst, size_t n);
/* Returns length without NUL; -EFAULT; -ENAMETOOLONG if no NUL within cap. */
i64 str_from_user(char *dst, u64 usrc, size_t cap);

/* For the trap handler: the code that may fault on user addresses, and where it goes on when it must not. */
extern char user_copy_code[], user_copy_failed[];
#endif
