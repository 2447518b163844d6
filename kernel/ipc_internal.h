/* SPDX-License-Identifier: MIT */
/* Between ipc.c (queues) and sys_ipc.c (the servers' calls). */
#ifndef KERNEL_IPC_INTERNAL_H
#define KERNEL_IPC_INTERNAL_H
#include "ipc.h"
#include "sched.h"

struct proc;

struct ipc_port {
	u32 service;
	struct proc *owner;
	struct list queue; /* requests not yet delivered, and answers to the owner's own requests
			      (port == NULL) */
	struct list open;  /* delivered, not yet answered */
	u64 notes;
	u32 sends_open; /* asynchronous requests of the owner not yet answered to it */
	struct waitq wait;
};

struct request {
	struct list link;
	u64 id;
	struct ipc_port *port; /* NULL once answered */
	struct wh_msg msg;
	i32 pid;  /* on whose behalf; 0: a server or the kernel itself */
	u32 from; /* asking service; WH_SVC_KERNEL */
	bool delivered, sync, done, free_kbuf;
	struct waitq done_wait;

	/* bulk: kernel memory, or memory of the asking server (wired, so it cannot fault) */
	void *kbuf;
	const u64 *frames;  /* or whole frames, instead of kbuf */
	struct proc *owner; /* of ubuf */
	u64 ubuf;
	u32 bulk_len, bulk_flags;

	/* asynchronous: where the answer goes */
	struct ipc_port *reply_port;
	u64 cookie;
};

extern struct ipc_port *ipc_ports[WH_SVC_MAX];
extern u64 ipc_open_requests;
struct request *ipc_request(u32 svc, const struct wh_msg *m); /* NULL: no service or no memory */
void ipc_queue(struct request *r);
void ipc_finish(struct request *r);
void ipc_free(struct request *r);
struct request *ipc_find(u64 id, const struct ipc_port *port);
int ipc_register(struct proc *p, u32 svc);
void ipc_wait_for_service(u32 svc);
#endif
