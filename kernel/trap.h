/* SPDX-License-Identifier: MIT */
/* The register frame every entry into the kernel leaves at the top of the process's kernel stack. */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H
#include "types.h"

struct trapframe {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* Everything that must happen before user mode continues. Returns 1 if sysret restores the frame
 * exactly. */
int user_return(struct trapframe *tf);

#define SEL_KCODE   0x08
#define SEL_KDATA   0x10
#define SEL_UDATA   (0x18 | 3)
#define SEL_UCODE   (0x20 | 3)
#define RFLAGS_IF   (1u << 9)
#define RFLAGS_IOPL (3u << 12)
#define RFLAGS_AC   (1ul << 18)

/* Bits of rflags a user program may choose: CF PF AF ZF SF TF DF OF NT RF AC ID. */
#define RFLAGS_USER 0x254dd5u
#endif
