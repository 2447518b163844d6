/* SPDX-License-Identifier: MIT */
/*
 * User memory. A fault on the way is resolved by vm_fault like any other; if it cannot be, the trap
 * handler makes usercopy_asm.S return -EFAULT.
 */
#include "usercopy.h"
#include "cpu.h"
#include "lib.h"

int user_copy(void *dst, const void *src, size_t n);

int copy_from_user(void *dst, u64 usrc, size_t n)
{
	if (!user_range_ok(usrc, n))
		return n ? -EFAULT : 0;
	user_access_begin();
	int r = user_copy(dst, (const void *)usrc, n);
	user_access_end();
	return r;
}

int copy_to_user(u64 udst, const void *src, size_t n)
{
	if (!user_range_ok(udst, n))
		return n ? -EFAULT : 0;
	user_access_begin();
	int r = user_copy((void *)udst, src, n);
	user_access_end();
	return r;
}

int zero_user(u64 udst, size_t n)
{
	static const u64 zeros[64];
	for (; n; udst += MIN(n, sizeof zeros), n -= MIN(n, sizeof zeros))
		if (copy_to_user(udst, zeros, MIN(n, sizeof zeros)))
			return -EFAULT;
	return 0;
}

i64 str_from_user(char *dst, u64 usrc, size_t cap)
{
	size_t done = 0;
	while (done < cap) {
		/* Up to the end of the page: beyond it there may be nothing, legally. */
		size_t n = MIN(PAGE_SIZE - ((usrc + done) & PAGE_MASK), cap - done);
		n = MIN(n, 64ul);
		if (copy_from_user(dst + done, usrc + done, n))
			return -EFAULT;
		size_t len = strnlen(dst + done, n);
		if (len < n)
			return (i64)(done + len);
		done += n;
	}
	return -ENAMETOOLONG;
}
