/* SPDX-License-Identifier: MIT */
/* Selectors and offsets in struct trapframe as plain numbers for trap_entry.S; trap.c asserts that they equal
 * those of trap.h. */
#define SEL_UDATA_ 0x1b
#define SEL_UCODE_ 0x23

#define FRAME_R10    (5 * 8)
#define FRAME_R9     (6 * 8)
#define FRAME_R8     (7 * 8)
#define FRAME_RBP    (8 * 8)
#define FRAME_RDI    (9 * 8)
#define FRAME_RSI    (10 * 8)
#define FRAME_RDX    (11 * 8)
#define FRAME_RAX    (14 * 8)
#define FRAME_RIP    (17 * 8)
#define FRAME_RFLAGS (19 * 8)
#define FRAME_RSP    (20 * 8)
