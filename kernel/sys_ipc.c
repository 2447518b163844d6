/* SPDX-License-Identifier: MIT */
/* The servers' IPC calls (contracts: servers/lib/wh.h). */
#include "frame.h"
#include "ipc_internal.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

/* Outstanding requests a server may have; beyond it is told to come back. */
#define SEND_MAX 256

static const struct {
	u32 rank, flags;
} services[WH_SVC_MAX] = {
#define SERVICE(id, NAME, path, rank_, port, flags_) [id] = {rank_, flags_},
#include "services.def"
#undef SERVICE
};

i64 wh_sys_register(const u64 *arg)
{
	if (!current->privileged)
		return -EPERM;
	if (current->port && current->service == arg[0])
		return 0; /* init registered it before the exec */
	if (current->port || arg[0] >= WH_SVC_MAX)
		return -EINVAL;
	int err = ipc_register(current, (u32)arg[0]);
	if (!err && (services[arg[0]].flags & SVC_DRIVER))
		current_thread->tf->rflags |= RFLAGS_IOPL;
	return err;
}

i64 wh_sys_drop(const u64 *arg)
{
	(void)arg;
	if (!current->privileged)
		return 0;
	if (current->port)
		return -EBUSY;
	sched_set_privileged(current, false);
	current->kernel_priority = false;
	current_thread->tf->rflags &= ~(u64)RFLAGS_IOPL;
	return 0;
}

static struct request *next_in(struct ipc_port *port)
{
	return list_empty(&port->queue) ? NULL
					: container_of(port->queue.next, struct request, link);
}

static void fill_event(struct wh_event *ev, struct ipc_port *port, struct request *r)
{
	memset(ev, 0, offsetof(struct wh_event, msg));
	if (!r) {
		ev->kind = WH_EV_NOTIFY;
		ev->bits = port->notes;
		memset(&ev->msg, 0, sizeof ev->msg);
		return;
	}
	ev->msg = r->msg;
	if (!r->port) {
		ev->kind = WH_EV_REPLY;
		ev->cookie = r->cookie;
		return;
	}
	ev->kind = WH_EV_REQUEST;
	ev->from = r->from;
	ev->id = r->id;
	ev->pid = r->pid;
	ev->bulk_len = r->bulk_len;
	ev->bulk_flags = r->bulk_flags;
}

i64 wh_sys_wait(const u64 *arg)
{
	struct ipc_port *port = current->port;
	struct wh_event ev;
	if (!port)
		return -EPERM;
	while (list_empty(&port->queue) && !port->notes) {
		if (arg[1] != NO_DEADLINE && arg[1] <= now_ns())
			return -ETIMEDOUT;
		wait_on(&port->wait, arg[1], false);
	}
	/* Interrupts first: a flood of requests must not starve the device. */
	struct request *r = port->notes ? NULL : next_in(port);
	fill_event(&ev, port, r);
	if (copy_to_user(arg[0], &ev, sizeof ev))
		return -EFAULT;
	if (!r) {
		port->notes = 0;
	} else if (!r->port) {
		port->sends_open--;
		ipc_free(r);
	} else {
		list_remove(&r->link);
		list_push_back(&port->open, &r->link);
		r->delivered = true;
	}
	return 0;
}

static i64 make(u32 svc, u64 umsg, u64 ubulk, u64 len, u64 flags, struct request **out)
{
	struct wh_msg m;
	if (copy_from_user(&m, umsg, sizeof m))
		return -EFAULT;
	if (len > 1u << 20 || (len && (ubulk < USER_MIN || ubulk >= USER_TOP - len)))
		return -EINVAL;
	if (!ipc_service_up(svc))
		return -ESRCH;
	struct request *r = ipc_request(svc, &m);
	if (!r)
		return -EAGAIN;
	r->from = current->service;
	r->owner = current;
	r->ubuf = ubulk;
	r->bulk_len = (u32)len;
	r->bulk_flags = (u32)flags;
	*out = r;
	return 0;
}

i64 wh_sys_send(const u64 *arg)
{
	struct request *r;
	if (!current->port)
		return -EPERM;
	if (current->port->sends_open >= SEND_MAX)
		return -EAGAIN;
	i64 err = make((u32)arg[0], arg[1], arg[3], arg[4], arg[5], &r);
	if (err)
		return err;
	r->reply_port = current->port;
	r->cookie = arg[2];
	current->port->sends_open++;
	ipc_queue(r);
	return 0;
}

i64 wh_sys_call(const u64 *arg)
{
	struct request *r;
	if (!current->privileged)
		return -EPERM;
	if (current->service && arg[0] < WH_SVC_MAX &&
	    services[arg[0]].rank >= services[current->service].rank)
		return -EPERM;
	i64 err = make((u32)arg[0], arg[1], arg[2], arg[3], arg[4], &r);
	if (err)
		return err;
	r->sync = true;
	ipc_queue(r);
	while (!r->done)
		wait_on(&r->done_wait, NO_DEADLINE, false);
	err = copy_to_user(arg[1], &r->msg, sizeof r->msg);
	if (!err)
		err = r->msg.status;
	ipc_free(r);
	return err;
}

i64 wh_sys_reply(const u64 *arg)
{
	struct request *r = current->port ? ipc_find(arg[0], current->port) : NULL;
	struct wh_msg m;
	if (!r)
		return -EINVAL;
	if (copy_from_user(&m, arg[1], sizeof m))
		return -EFAULT;
	r->msg = m;
	ipc_finish(r);
	return 0;
}

/* Between the caller's memory and a range of the request's bulk buffer. */
static i64 bulk_copy(u64 id, u64 off, u64 uaddr, u64 len, bool out)
{
	struct request *r = current->port ? ipc_find(id, current->port) : NULL;
	if (!r || !(r->bulk_flags & (out ? WH_BULK_OUT : WH_BULK_IN)) || off > r->bulk_len ||
	    len > r->bulk_len - off)
		return -EINVAL;
	if (r->kbuf) {
		char *k = (char *)r->kbuf + off;
		int err = out ? copy_from_user(k, uaddr, len) : copy_to_user(uaddr, k, len);
		return err ? err : (i64)len;
	}
	for (u64 done = 0; r->frames && done < len;) {
		u64 at = off + done, n = MIN(len - done, PAGE_SIZE - (at & PAGE_MASK));
		char *k = (char *)P2V(r->frames[at / PAGE_SIZE]) + (at & PAGE_MASK);
		int err =
			out ? copy_from_user(k, uaddr + done, n) : copy_to_user(uaddr + done, k, n);
		if (err)
			return err;
		done += n;
	}
	for (u64 done = r->frames ? len : 0; done < len;) {
		u64 there = r->ubuf + off + done;
		u64 n = MIN(len - done, PAGE_SIZE - (there & PAGE_MASK));
		u64 phys = vm_translate(r->owner->vm, there, out);
		/* Wired memory is always resident, but after a fork it may be copy-on-write. */
		if (!phys && vm_fault(r->owner->vm, there, out, false) == 0)
			phys = vm_translate(r->owner->vm, there, out);
		if (!phys)
			return -EFAULT;
		int err = out ? copy_from_user(P2V(phys), uaddr + done, n)
			      : copy_to_user(uaddr + done, P2V(phys), n);
		if (err)
			return err;
		done += n;
	}
	return (i64)len;
}

i64 wh_sys_copyin(const u64 *arg)
{
	return bulk_copy(arg[0], arg[1], arg[2], arg[3], false);
}

i64 wh_sys_copyout(const u64 *arg)
{
	return bulk_copy(arg[0], arg[1], arg[2], arg[3], true);
}

i64 wh_sys_bulk_frames(const u64 *arg)
{
	if (!current->port || !(current_thread->tf->rflags & RFLAGS_IOPL))
		return -EPERM;
	const struct request *r = ipc_find(arg[0], current->port);
	if (!r || !r->frames || arg[2] > r->bulk_len / PAGE_SIZE)
		return -EINVAL;
	return copy_to_user(arg[1], r->frames, arg[2] * sizeof r->frames[0]);
}

i64 wh_sys_notify(const u64 *arg)
{
	if (!current->privileged)
		return -EPERM;
	if (!ipc_service_up((u32)arg[0]))
		return -ESRCH;
	ipc_note((u32)arg[0], arg[1] & 0xffffffff);
	return 0;
}
