/* SPDX-License-Identifier: MIT */
/*
 * The instructions that touch user memory, and nothing else: a page fault in here that cannot be resolved
 * returns to user_copy_failed (trap.c). Leaf functions that change only caller-saved registers, so that this
 * is a return from any place in them. Wide moves; what is left of a whole word is moved byte by byte.
 */
	.section .text.hot.entry, "ax"
	.globl user_copy_code
user_copy_code:

	/* int user_copy(void *dst, const void *src, size_t n) */
	.globl user_copy
	.align 16 /* not on syscall_entry's slot of TCG's cache of jumps: low bits 0-5 xor 6-11 */
user_copy:
	subq $32, %rdx
	jb 2f
1:	movq (%rsi), %rax
	movq 8(%rsi), %rcx
	movq 16(%rsi), %r8
	movq 24(%rsi), %r9
	movq %rax, (%rdi)
	movq %rcx, 8(%rdi)
	movq %r8, 16(%rdi)
	movq %r9, 24(%rdi)
	addq $32, %rsi
	addq $32, %rdi
	subq $32, %rdx
	jae 1b
2:	addq $32 - 8, %rdx
	js 4f
3:	movq (%rsi), %rax
	movq %rax, (%rdi)
	addq $8, %rsi
	addq $8, %rdi
	subq $8, %rdx
	jns 3b
4:	addq $8, %rdx
	jz 6f
5:	movb (%rsi), %al
	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decq %rdx
	jnz 5b
6:	xorl %eax, %eax
	ret

	/* int user_put_pair(u64 *dst, u64 a, u64 b), with SMAP's permission included: it is on the way of every look
	 * at a clock */
	.globl user_put_pair
user_put_pair:
	cmpb $0, cpu_smap
	je 1f
	stac
	movq %rsi, (%rdi)
	movq %rdx, 8(%rdi)
	xorl %eax, %eax
	clac
	ret
1:	movq %rsi, (%rdi)
	movq %rdx, 8(%rdi)
	xorl %eax, %eax
	ret

	.globl user_copy_failed
user_copy_failed:
	movl $-14, %eax /* -EFAULT */
	ret
	.section .note.GNU-stack, "", @progbits
