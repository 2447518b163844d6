/* SPDX-License-Identifier: MIT */
/* The node's one terminal (env/tty.c). tty_open, for /dev/console, is declared in file.h. */
#ifndef KERNEL_TTY_H
#define KERNEL_TTY_H
#include "types.h"

struct ofile;
void tty_init(void); /* once, after irq_init */
/* /dev/tty: the terminal if it controls current's session, else NULL and *err = -ENXIO; also
 * -ENOMEM. */
struct ofile *tty_open_controlling(u32 flags, int *err);
#endif
