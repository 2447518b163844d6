/* SPDX-License-Identifier: MIT */
/* What nodebench's rows share. A row runs n operations and returns the nanoseconds they took (preparations not
 * counted), or ends the program by nb_fail; CLOCK_MONOTONIC throughout. */
#ifndef NODEBENCH_H
#define NODEBENCH_H

#include <stddef.h>
#include <stdint.h>

enum { NB_PAGE = 4096, NB_CHUNK = 64 << 10, NB_FILE_BYTES = 64 << 20 };

#define ROW(name, first, goal, text) uint64_t row_##name(long n);
#include "nodebench.def"
#undef ROW

uint64_t nb_now(void);

/* A message with errno's text, and exit status 1. */
_Noreturn void nb_fail(const char *what);

/* This program's file, for exec; --exit makes it end at once. */
extern char nb_self[];

/* NAME in the directory for files; one buffer, used again by the next call. */
const char *nb_path(const char *name);

/* Make the big file and the tree of small ones if they are not there, and have them on the disk. */
void nb_prepare(void);

#endif
