/* SPDX-License-Identifier: MIT */
/* Waiting on several open files at once. The queue side (poll_register, poll_wake) is declared in
 * file.h. */
#ifndef KERNEL_POLL_H
#define KERNEL_POLL_H
#include "types.h"

#define POLLIN	   0x001u
#define POLLPRI	   0x002u
#define POLLOUT	   0x004u
#define POLLERR	   0x008u
#define POLLHUP	   0x010u
#define POLLNVAL   0x020u
#define POLLRDNORM 0x040u
#define POLLWRNORM 0x100u

/* WH_NOTE_POLL to each service whose bit is set: servers do not sleep in poll(), they look again
 * when told. */
void poll_note_servers(u32 services);
#endif
