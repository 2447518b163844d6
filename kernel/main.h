/* SPDX-License-Identifier: MIT */
/* Start-up only. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H
#include "types.h"

struct vm;
void kernel_main(u64 magic, u64 info);
void syscall_init(void);
void init_first_run(void);
/* A program in memory -> a wired address space (boot_image.c); NULL if it is malformed. current
 * must be its process. */
struct vm *boot_image_load(const void *file, u64 len, u64 *entry, u64 *sp);
#endif
