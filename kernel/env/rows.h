/* SPDX-License-Identifier: MIT */
/* What the views of several classes print alike: the marked rows of a class with their duplicates. */
#ifndef KERNEL_ENV_ROWS_H
#define KERNEL_ENV_ROWS_H
#include "proc.h"

void rows_view(const struct proc *p, u8 cls, struct text *out);
#endif
