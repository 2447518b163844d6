/* SPDX-License-Identifier: MIT */
/*
 * Restless processes (docs/restless.md): marked to migrate after every so many system calls, or every so many ms, so that
 * any program is a test of migration. When one is due it freezes as for the migration handler (freeze.c) and is *parked*: it
 * stands at the boundary to user mode, and the handler is told to move it somewhere. The handler's freeze then finds it standing;
 * a refusal thaws it. Without a handler it goes on.
 */
#ifndef KERNEL_RESTLESS_H
#define KERNEL_RESTLESS_H
#include "types.h"

struct proc;

/* p has been marked, or begins to run here: count, or time, from now. */
void restless_arm(struct proc *p);
/* A call of p has ended; p->restless_left is not 0. */
void restless_called(struct proc *p);
/* p stands at the boundary by its own wish: tell the handler. -errno: there is none, p goes on. */
int restless_park(struct proc *p);
#endif
