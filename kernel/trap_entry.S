/* SPDX-License-Identifier: MIT */
/*
 * Entries into the kernel. All leave a struct trapframe (trap.h) at the top of the kernel stack and go on in
 * C; all leave through trap_return. One CPU: the kernel stack pointer is a plain variable, no swapgs.
 */
#include "trap_asm.h"
	.section .text.hot.entry, "ax" /* first, so that no page boundary is within it */
	.macro PUSH_GPRS
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	.endm
	.macro POP_GPRS
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	.endm

	.globl syscall_entry
syscall_entry:
	movq %rsp, user_rsp_scratch
	movq cpu_kstack_top, %rsp
	pushq $SEL_UDATA_
	pushq user_rsp_scratch
	pushq %r11
	pushq $SEL_UCODE_
	pushq %rcx
	pushq $0
	pushq $0x100 /* VEC_SYSCALL */
	PUSH_GPRS
	xorl %ebp, %ebp
	movq %rsp, %rdi
	call syscall_dispatch
	testl %eax, %eax
	jz trap_return
	/* Nothing but rax and rflags of the frame has changed, and C has preserved rbx and r12 to r15. */
	movq FRAME_RAX(%rsp), %rax
	movq FRAME_RDI(%rsp), %rdi
	movq FRAME_RSI(%rsp), %rsi
	movq FRAME_RDX(%rsp), %rdx
	movq FRAME_R10(%rsp), %r10
	movq FRAME_R8(%rsp), %r8
	movq FRAME_R9(%rsp), %r9
	movq FRAME_RIP(%rsp), %rcx
	movq FRAME_RFLAGS(%rsp), %r11
	movq FRAME_RBP(%rsp), %rbp
	movq FRAME_RSP(%rsp), %rsp
	sysretq

	/* Here for every other return to user mode: rsp = trapframe. */
	.globl trap_return
trap_return:
	movq %rsp, %rdi
	call user_return /* signals, freezing, preemption; eax != 0: sysret will do */
	testl %eax, %eax
	POP_GPRS
	jz 1f
	movq 40(%rsp), %rsp /* user rsp */
	sysretq
1:	addq $16, %rsp
	iretq

trap_common:
	PUSH_GPRS
	cld
	xorl %ebp, %ebp
	testb $3, 18*8(%rsp) /* cs: from user mode? */
	jz 2f
	movq %rsp, %rdi
	call trap_dispatch
	jmp trap_return
2:	/* From the kernel: an interrupt in the idle loop, or a fault in usercopy. Keep rbp for the backtrace. */
	movq 8*8(%rsp), %rbp
	movq %rsp, %rdi
	call trap_dispatch
	POP_GPRS
	addq $16, %rsp
	iretq

	/* 256 stubs of 16 bytes; the processor pushes an error code for some vectors. */
	.text
	.globl trap_stubs
	.align 16
trap_stubs:
	.set vec, 0
	.rept 256
	.align 16
	.if !(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21)
	pushq $0
	.endif
	pushq $vec
	jmp trap_common
	.set vec, vec + 1
	.endr

	.section .text.hot.entry, "ax"
	/* void context_switch(u64 *save_sp, u64 load_sp) */
	.globl context_switch
context_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

	/* First run of a process: proc_prepare_return() left the trapframe above this return address. */
	.globl proc_first_return
proc_first_return:
	call sched_finish_switch
	jmp trap_return

	/* First run of init: become /sbin/init inside the kernel, then return to user mode. */
	.globl init_entry
init_entry:
	call init_first_run
	jmp trap_return

	.section .data.hot, "aw"
	.align 8
user_rsp_scratch:
	.skip 8
	.globl cpu_kstack_top
cpu_kstack_top:
	.skip 8
	.section .note.GNU-stack, "", @progbits
