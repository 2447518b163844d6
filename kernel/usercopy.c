/* SPDX-License-Identifier: MIT */
/*
 * User memory. A fault on the way is resolved by vm_fault like any other; if it cannot be, the trap
 * handler jumps to current_thread->fault_resume and the copy returns -EFAULT.
 */
#include "usercopy.h"
#include "cpu.h"
#include "lib.h"
#include "proc.h"

static bool range_ok(u64 addr, size_t n)
{
	return addr >= USER_MIN && addr < USER_TOP && n <= USER_TOP - addr;
}

/* Wide moves with one fix-up address for the whole loop. Returns 0 or -EFAULT. */
static int guarded_copy(void *dst, const void *src, size_t n)
{
	int bad;
	u64 words = n / 8, tail = n % 8;
	user_access_begin();
	__asm__ volatile("leaq 9f(%%rip), %%rax\n\t"
			 "movq %%rax, %[resume]\n\t"
			 "movl $1, %[bad]\n\t"
			 "cmpq $4, %[words]\n\t"
			 "jb 2f\n"
			 "1:\tmovq (%[s]), %%rax\n\t"
			 "movq 8(%[s]), %%rcx\n\t"
			 "movq 16(%[s]), %%r10\n\t"
			 "movq 24(%[s]), %%r11\n\t"
			 "movq %%rax, (%[d])\n\t"
			 "movq %%rcx, 8(%[d])\n\t"
			 "movq %%r10, 16(%[d])\n\t"
			 "movq %%r11, 24(%[d])\n\t"
			 "addq $32, %[s]\n\t"
			 "addq $32, %[d]\n\t"
			 "subq $4, %[words]\n\t"
			 "cmpq $4, %[words]\n\t"
			 "jae 1b\n"
			 "2:\ttestq %[words], %[words]\n\t"
			 "jz 4f\n"
			 "3:\tmovq (%[s]), %%rax\n\t"
			 "movq %%rax, (%[d])\n\t"
			 "addq $8, %[s]\n\t"
			 "addq $8, %[d]\n\t"
			 "decq %[words]\n\t"
			 "jnz 3b\n"
			 "4:\ttestq %[tail], %[tail]\n\t"
			 "jz 6f\n"
			 "5:\tmovb (%[s]), %%al\n\t"
			 "movb %%al, (%[d])\n\t"
			 "incq %[s]\n\t"
			 "incq %[d]\n\t"
			 "decq %[tail]\n\t"
			 "jnz 5b\n"
			 "6:\txorl %[bad], %[bad]\n"
			 "9:\n\t"
			 : [resume] "=m"(current_thread->fault_resume), [bad] "=&r"(bad),
			   [d] "+r"(dst), [s] "+r"(src), [words] "+r"(words), [tail] "+r"(tail)
			 :
			 : "rax", "rcx", "r10", "r11", "memory", "cc");
	user_access_end();
	current_thread->fault_resume = 0;
	return bad ? -EFAULT : 0;
}

int copy_from_user(void *dst, u64 usrc, size_t n)
{
	if (n == 0)
		return 0;
	if (!range_ok(usrc, n))
		return -EFAULT;
	return guarded_copy(dst, (const void *)usrc, n);
}

int copy_to_user(u64 udst, const void *src, size_t n)
{
	if (n == 0)
		return 0;
	if (!range_ok(udst, n))
		return -EFAULT;
	return guarded_copy((void *)udst, src, n);
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
