/* SPDX-License-Identifier: MIT */
/* Requests from the kernel to servers (the servers' own side is in ipc.c behind the wh_ calls). */
#ifndef KERNEL_IPC_H
#define KERNEL_IPC_H
#include "types.h"
#include "whimbrel.h"

/* Send *m with a kernel buffer as bulk and sleep (uninterruptibly) for the answer, which overwrites
 * *m. Returns m->status; -EIO if the service is absent or dies. The caller's process is marked
 * uninterruptible_call meanwhile, so a freeze waits for it. */
i64 ipc_call(u32 svc, struct wh_msg *m, void *kbuf, size_t len, u32 bulk_flags);
/* The same, with n page frames (physical addresses) that the answer fills as bulk. */
i64 ipc_call_frames(u32 svc, struct wh_msg *m, const u64 *frames, u32 n);
/* The same, interruptible: -EINTR when a signal or freeze came first (the answer is then discarded;
 * kbuf must come from kmalloc and is passed to the request: freed by ipc when abandoned). */
i64 ipc_call_intr(u32 svc, struct wh_msg *m, void *kbuf, size_t len, u32 bulk_flags);
/* Send and forget; never blocks. The answer is discarded. -ESRCH, -ENOMEM. */
int ipc_post(u32 svc, const struct wh_msg *m);
/* Half of the places for open requests are taken: who can post later should, and leave the rest to those who cannot. */
bool ipc_crowded(void);
void ipc_note(u32 svc,
	      u64 bits); /* The same without waking it: it hears of it when something else does. */
void ipc_note_quietly(u32 svc, u64 bits);
/* set notification bits */
void ipc_note_all(u64 bits); /* of every service */
bool ipc_service_up(u32 svc);
struct proc;
void inet_net_gone(void);	    /* the net server died: its sockets end (env/inet_net.c) */
void ipc_proc_gone(struct proc *p); /* a server died: its callers get EIO */
#endif
