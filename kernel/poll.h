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

/* ---- for epoll, which listens all the time ---- */
struct pollreq;
struct waitq;
/* For one file; `to` is woken (poll_wake) when its queues are. Woken once, to begin with. NULL: no memory. */
struct pollreq *poll_listen(struct waitq *to);
void poll_end(struct pollreq *pr);
bool poll_woken(const struct pollreq *pr); /* since poll_again() */
void poll_set_woken(struct pollreq *pr);
void poll_again(struct pollreq *pr); /* forget queues and wakings */
/* The deadline of the current call, node time: after timeout_ns, or what an interrupted first try of it left. */
u64 poll_deadline(u64 timeout_ns);
/* The call ends here with -ERESTARTNOHAND; its deadline is kept. */
i64 poll_interrupted(u64 deadline);
/* A user's signal mask, in force during the call (umask 0: none). 0 or -errno. */
i64 poll_mask(u64 umask, u64 size);
#endif
