/* SPDX-License-Identifier: MIT */
/* Class File in motion (filemove.c): its packed form, and what arrives before the regions that use it. */
#ifndef KERNEL_ENV_FILEMOVE_H
#define KERNEL_ENV_FILEMOVE_H
#include "env/env.h"

int file_pack(struct proc *p, struct blob *b);
int file_unpack(struct proc *p, struct blob *b);
/* Just before resumption: what no descriptor and no region took over is let go. */
void file_bind(struct proc *p);
/* The arriving process is dropped, or ended before its static binding. */
void file_forget_arrival(struct proc *p);
#endif
