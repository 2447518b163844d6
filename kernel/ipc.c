/* SPDX-License-Identifier: MIT */
/*
 * Messages between kernel and servers. A request is queued at the service's port, delivered once,
 * stays open until answered, and its bulk buffer can be copied from and to meanwhile. Requests of
 * processes that went away are answered into the void. Services are ranked (services.def): a server
 * calls only lower ranks synchronously.
 */
#include "ipc.h"
#include "cpu.h"
#include "ipc_internal.h"
#include "lib.h"
#include "proc.h"
#include "trace.h"

struct ipc_port *ipc_ports[WH_SVC_MAX];
u64 ipc_count, ipc_open_requests;

/* Open requests by id: slot number in the low bits, use count above, so that a stale id finds
 * nothing. */
#define SLOTS 1024
static struct request *slots[SLOTS];
static u64 slot_uses[SLOTS];

static bool assign_id(struct request *r)
{
	static u32 next;
	for (u32 n = 0; n < SLOTS; n++) {
		u32 i = next++ % SLOTS;
		if (!slots[i]) {
			slots[i] = r;
			r->id = ++slot_uses[i] * SLOTS + i;
			return true;
		}
	}
	return false;
}

struct request *ipc_find(u64 id, const struct ipc_port *port)
{
	struct request *r = slots[id % SLOTS];
	return r && r->id == id && r->port == port && r->delivered ? r : NULL;
}

struct request *ipc_request(u32 svc, const struct wh_msg *m)
{
	struct ipc_port *port = svc < WH_SVC_MAX ? ipc_ports[svc] : NULL;
	struct request *r = port ? kmalloc(sizeof *r) : NULL;
	if (!r || !assign_id(r)) {
		kfree(r);
		return NULL;
	}
	r->port = port;
	r->msg = *m;
	waitq_init(&r->done_wait);
	list_init(&r->link);
	ipc_open_requests++;
	return r;
}

void ipc_free(struct request *r)
{
	list_remove(&r->link);
	if (slots[r->id % SLOTS] == r)
		slots[r->id % SLOTS] = NULL;
	if (r->free_kbuf)
		kfree(r->kbuf);
	kfree(r);
	ipc_open_requests--;
}

void ipc_queue(struct request *r)
{
	ipc_count++;
	trace(TRACE_IPC, r->id, r->port->service, r->msg.type);
	list_push_back(&r->port->queue, &r->link);
	wake_all(&r->port->wait);
}

/* The answer is in r->msg: hand it to whoever asked. */
void ipc_finish(struct request *r)
{
	trace(TRACE_REPLY, r->id, (u64)(i64)r->msg.status, r->port ? r->port->service : 0);
	slots[r->id % SLOTS] = NULL;
	list_remove(&r->link);
	r->port = NULL;
	if (r->sync) {
		r->done = true;
		wake_all(&r->done_wait);
	} else if (r->reply_port) {
		list_push_back(&r->reply_port->queue, &r->link);
		wake_all(&r->reply_port->wait);
	} else {
		ipc_free(r); /* posted, or abandoned */
	}
}

static i64 wait_for_answer(struct request *r, struct wh_msg *m, bool interruptible)
{
	struct thread *t = current_thread;
	bool outer = t->uninterruptible_call;
	r->sync = true;
	ipc_queue(r);
	t->uninterruptible_call = !interruptible || outer;
	while (!r->done) {
		if (wait_on(&r->done_wait, NO_DEADLINE, interruptible) == -EINTR) {
			r->sync = false; /* abandoned: the answer goes into the void, the buffer
					    with it */
			r->free_kbuf = true;
			t->uninterruptible_call = outer;
			return -EINTR;
		}
	}
	t->uninterruptible_call = outer;
	*m = r->msg;
	ipc_free(r);
	return m->status;
}

static struct request *kernel_request(u32 svc, struct wh_msg *m, void *kbuf, size_t len, u32 flags)
{
	struct request *r = ipc_request(svc, m);
	if (!r)
		return NULL;
	r->pid = current ? current->pid : 0;
	r->kbuf = kbuf;
	r->bulk_len = (u32)len;
	r->bulk_flags = flags;
	return r;
}

i64 ipc_call(u32 svc, struct wh_msg *m, void *kbuf, size_t len, u32 flags)
{
	struct request *r = kernel_request(svc, m, kbuf, len, flags);
	return r ? wait_for_answer(r, m, false) : -EIO;
}

i64 ipc_call_frames(u32 svc, struct wh_msg *m, const u64 *frames, u32 n)
{
	struct request *r = kernel_request(svc, m, NULL, n * PAGE_SIZE, WH_BULK_OUT);
	if (!r)
		return -EIO;
	r->frames = frames;
	return wait_for_answer(r, m, false);
}

i64 ipc_call_intr(u32 svc, struct wh_msg *m, void *kbuf, size_t len, u32 flags)
{
	struct request *r = kernel_request(svc, m, kbuf, len, flags);
	return r ? wait_for_answer(r, m, true) : -EIO;
}

int ipc_post(u32 svc, const struct wh_msg *m)
{
	if (!ipc_service_up(svc))
		return -ESRCH;
	struct request *r = ipc_request(svc, m);
	if (!r)
		return -ENOMEM;
	ipc_queue(r);
	return 0;
}

bool ipc_crowded(void)
{
	return ipc_open_requests >= SLOTS / 2;
}

void ipc_note(u32 svc, u64 bits)
{
	if (svc >= WH_SVC_MAX || !ipc_ports[svc])
		return;
	ipc_ports[svc]->notes |= bits;
	wake_all(&ipc_ports[svc]->wait);
}

void ipc_note_quietly(u32 svc, u64 bits)
{
	if (svc < WH_SVC_MAX && ipc_ports[svc])
		ipc_ports[svc]->notes |= bits;
}

void ipc_note_all(u64 bits)
{
	for (u32 s = 1; s < WH_SVC_MAX; s++)
		ipc_note(s, bits);
}

bool ipc_service_up(u32 svc)
{
	return svc < WH_SVC_MAX && ipc_ports[svc];
}

static struct waitq service_wait = WAITQ_INIT(service_wait);

int ipc_register(struct proc *p, u32 svc)
{
	if (svc == 0 || svc >= WH_SVC_MAX)
		return -EINVAL;
	if (ipc_ports[svc])
		return -EBUSY;
	struct ipc_port *port = kmalloc(sizeof *port);
	if (!port)
		return -ENOMEM;
	port->service = svc;
	port->owner = p;
	list_init(&port->queue);
	list_init(&port->open);
	waitq_init(&port->wait);
	ipc_ports[svc] = port;
	p->port = port;
	p->service = svc;
	p->kernel_priority = true;
	wake_all(&service_wait);
	ipc_note_all(WH_NOTE_SVC);
	return 0;
}

void ipc_wait_for_service(u32 svc)
{
	while (!ipc_ports[svc])
		wait_on(&service_wait, NO_DEADLINE, false);
}

static void fail_all(struct list *requests)
{
	list_for_each_safe(r, requests, struct request, link) {
		if (!r->port) { /* an answer its owner never fetched */
			ipc_free(r);
			continue;
		}
		r->msg.status = -EIO;
		ipc_finish(r);
	}
}

void ipc_proc_gone(struct proc *p)
{
	/* Its own questions: the answers have nowhere to go any more, nor has its memory. */
	for (u32 i = 0; i < SLOTS; i++)
		if (slots[i] && slots[i]->owner == p) {
			slots[i]->owner = NULL;
			slots[i]->reply_port = NULL;
			slots[i]->bulk_len = 0;
		}
	struct ipc_port *port = p->port;
	if (!port)
		return;
	ipc_ports[port->service] = NULL;
	p->port = NULL;
	if (port->service == WH_SVC_NET)
		inet_net_gone();
	irq_server_gone(port->service);
	fail_all(&port->queue);
	fail_all(&port->open);
	kfree(port);
	ipc_note_all(WH_NOTE_SVC);
}
