/* SPDX-License-Identifier: MIT */
/* Selectors as plain numbers for trap.S; trap.c asserts that they equal those of trap.h. */
#define SEL_UDATA_ 0x1b
#define SEL_UCODE_ 0x23
