/* SPDX-License-Identifier: MIT */
/*
 * Wrappers of Whimbrel's own system calls for servers and commands. Results are >= 0 or -errno
 * (errno itself is not touched).
 */
#ifndef WH_H
#define WH_H
#include <stddef.h>
#include <stdint.h>
#include "whimbrel.h"
#include "wh_nr.h"

#ifdef __clang_analyzer__
/* The analyser does not see what assembly writes; that a function may write through its pointers it knows. */
long wh_unknown(long n, void *a, void *b, void *c, void *d, void *e, void *f);
static inline long wh_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	return wh_unknown(n, (void *)a, (void *)b, (void *)c, (void *)d, (void *)e, (void *)f);
}
#else
static inline long wh_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#endif
#define WH_CALL6(n, a, b, c, d, e, f)                                                              \
	wh_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define WH_CALL4(n, a, b, c, d) WH_CALL6(n, a, b, c, d, 0, 0)
#define WH_CALL3(n, a, b, c)	WH_CALL6(n, a, b, c, 0, 0, 0)

/* ---- IPC (privileged) ---- */

/* Become a service. Grants I/O ports if services.def says SVC_DRIVER. Survives execve. */
static inline long wh_register(unsigned svc)
{
	return WH_CALL3(WH_NR_register, svc, 0, 0);
}
/* Give up privilege for good (before exec of a user program). */
static inline long wh_drop(void)
{
	return WH_CALL3(WH_NR_drop, 0, 0, 0);
}
/* Next event; blocks until deadline (node monotonic ns; 0 polls; WH_NO_DEADLINE). 0 or -ETIMEDOUT. */
static inline long wh_wait(struct wh_event *ev, uint64_t deadline_ns)
{
	return WH_CALL3(WH_NR_wait, ev, deadline_ns, 0);
}
/* Asynchronous request; the buffer must stay until the reply. -ESRCH: no such service; -EAGAIN: queue full. */
static inline long wh_send(unsigned svc, const struct wh_msg *m, uint64_t cookie, void *bulk,
			   size_t len, unsigned bulk_flags)
{
	return WH_CALL6(WH_NR_send, svc, m, cookie, bulk, len, bulk_flags);
}
/* Synchronous request to a lower-ranked service; the reply overwrites *m; returns m->status. */
static inline long wh_call(unsigned svc, struct wh_msg *m, void *bulk, size_t len,
			   unsigned bulk_flags)
{
	return WH_CALL6(WH_NR_call, svc, m, bulk, len, bulk_flags, 0);
}
static inline long wh_reply(uint64_t id, const struct wh_msg *m)
{
	return WH_CALL3(WH_NR_reply, id, m, 0);
}
/* Copy from / to the requester's bulk at offset off. Returns bytes copied, or -EINVAL out of range. */
static inline long wh_copyin(uint64_t id, size_t off, void *dst, size_t len)
{
	return WH_CALL4(WH_NR_copyin, id, off, dst, len);
}
static inline long wh_copyout(uint64_t id, size_t off, const void *src, size_t len)
{
	return WH_CALL4(WH_NR_copyout, id, off, src, len);
}
/* Drivers: the bulk is whole page frames, which the device may fill until the request is answered: the physical addresses of
 * the first n. -EINVAL: it is not, or has fewer. */
static inline long wh_bulk_frames(uint64_t id, uint64_t *phys, unsigned n)
{
	return WH_CALL3(WH_NR_bulk_frames, id, phys, n);
}
/* Or bits (0..31) into a service's pending notifications. */
static inline long wh_notify(unsigned svc, uint64_t bits)
{
	return WH_CALL3(WH_NR_notify, svc, bits, 0);
}

/* ---- devices (SVC_DRIVER) ---- */

/* Deliver interrupt line (0..15) as notification bit `bit`; masked from delivery until acked. */
static inline long wh_irq_bind(unsigned line, unsigned bit)
{
	return WH_CALL3(WH_NR_irq_bind, line, bit, 0);
}
static inline long wh_irq_ack(unsigned line)
{
	return WH_CALL3(WH_NR_irq_ack, line, 0, 0);
}
/* Zeroed, physically contiguous, page aligned, never freed. Returns the address; NULL if none. */
static inline void *wh_dma_alloc(size_t bytes, uint64_t *phys)
{
	long r = WH_CALL3(WH_NR_dma_alloc, bytes, phys, 0);
	return r < 0 && r > -4096 ? NULL : (void *)r;
}
/* The same, with whatever was in it: a driver reads all memory by its device anyway, and what is never touched costs
 * the host nothing. */
static inline void *wh_dma_alloc_as_it_is(size_t bytes, uint64_t *phys)
{
	long r = WH_CALL3(WH_NR_dma_alloc, bytes, phys, WH_DMA_AS_IT_IS);
	return r < 0 && r > -4096 ? NULL : (void *)r;
}
/* PCI configuration space: bdf = bus << 8 | device << 3 | function; width 1, 2 or 4 bytes. */
static inline uint32_t wh_pci_read(unsigned bdf, unsigned off, unsigned width)
{
	return (uint32_t)WH_CALL6(WH_NR_pci, bdf, off, width, 0, 0, 0);
}
static inline void wh_pci_write(unsigned bdf, unsigned off, unsigned width, uint32_t value)
{
	WH_CALL6(WH_NR_pci, bdf, off, width, value, 1, 0);
}

/* ---- node, clock ---- */

/* Node monotonic time in ns (never through a view). */
static inline uint64_t wh_now(void)
{
	return (uint64_t)WH_CALL3(WH_NR_now, 0, 0, 0);
}
static inline long wh_identity(struct wh_identity *id)
{
	return WH_CALL3(WH_NR_identity, id, 0, 0);
}
/* init only, once: the disk's incarnation and the pid serials this boot may use, [base, limit). */
static inline long wh_set_identity(uint64_t incarnation, uint32_t base, uint32_t limit)
{
	return WH_CALL3(WH_NR_set_identity, incarnation, base, limit);
}
/* Services with a port: the cluster's key. */
static inline long wh_secret(struct wh_secret *s)
{
	return WH_CALL3(WH_NR_secret, s, 0, 0);
}
static inline long wh_node_set(const struct wh_node *n)
{
	return WH_CALL3(WH_NR_node_set, n, 0, 0);
}
/* Fill up to max rows; returns the number of rows. Any process may ask. */
static inline long wh_node_get(struct wh_node *n, unsigned max)
{
	return WH_CALL3(WH_NR_node_get, n, max, 0);
}
static inline long wh_clock_set(const struct wh_clock_params *p)
{
	return WH_CALL3(WH_NR_clock_set, p, 0, 0);
}
/* File server: data pages [off, off+len) of inode (ino, gen) of this node's tree changed behind the kernel. */
static inline long wh_page_purge(uint64_t ino, uint32_t gen, uint64_t off, uint64_t len)
{
	return WH_CALL4(WH_NR_page_purge, ino, gen, off, len);
}
/* File server: what is true of this node's tree now (abi/msg_file.h). Returns how many of the kernel's holds nobody uses: it
 * keeps them for the next open. */
struct fs_fact;
static inline long wh_facts(const struct fs_fact *f, unsigned n)
{
	return WH_CALL3(WH_NR_facts, f, n, 0);
}
/* File server: a lock of this node's tree that somebody was refused is free: who waits may ask again. */
static inline long wh_lock_freed(void)
{
	return WH_CALL3(WH_NR_lock_freed, 0, 0, 0);
}

/* File server: FS_END or FS_END_POLL on an open file of this node, which another node uses; the answer overwrites *m. Its status. */
static inline long wh_end(struct wh_msg *m, void *bulk, size_t len)
{
	return WH_CALL3(WH_NR_end, m, bulk, len);
}
/* File server: there is news of an open file of another node (hold 0: of all that node's) that a process here waits for. */
static inline long wh_end_news(unsigned node, uint64_t hold)
{
	return WH_CALL3(WH_NR_end_news, node, hold, 0);
}

/* NET service: what has happened to a user's socket (abi/msg_sock.h). What it returns is said there; -EBADF: no such socket. */
struct sock_tell;
static inline long wh_sock_tell(const struct sock_tell *t)
{
	return WH_CALL3(WH_NR_sock_tell, t, 0, 0);
}
/* NET service: what users have done since the last time; up to max sockets. How many; fewer than max: that was all. */
struct sock_news;
static inline long wh_sock_news(struct sock_news *n, unsigned max)
{
	return WH_CALL3(WH_NR_sock_news, n, max, 0);
}

/* ---- process control (MIGRATE service) ---- */

/* Ask for a freeze; ends with a WH_MSG_K_FROZEN request. deadline: node monotonic ns. */
static inline long wh_proc_freeze(int pid, uint64_t deadline_ns)
{
	return WH_CALL3(WH_NR_proc_freeze, pid, deadline_ns, 0);
}
static inline long wh_proc_thaw(int pid)
{
	return WH_CALL3(WH_NR_proc_thaw, pid, 0, 0);
}
/* The same for one that is parked, that is, restless and frozen by its own wish only; else -ESRCH. */
static inline long wh_proc_unpark(int pid)
{
	return WH_CALL3(WH_NR_proc_thaw, pid, 1, 0);
}
/* Returns bytes placed in buf (for arrays: as many whole elements as fit), -ESRCH, -ERANGE too small. */
static inline long wh_proc_get(int pid, unsigned what, uint64_t arg, void *buf, size_t len)
{
	return WH_CALL6(WH_NR_proc_get, pid, what, arg, buf, len, 0);
}
/* Into a process made by wh_proc_create and not yet thawed. Everything is validated: -EINVAL. */
static inline long wh_proc_set(int pid, unsigned what, uint64_t arg, const void *buf, size_t len)
{
	return WH_CALL6(WH_NR_proc_set, pid, what, arg, buf, len, 0);
}
/* An empty frozen process that reserves `pages` frames; absorbs a stub of the same uq-pid if one is here.
 * -EEXIST: that pid runs here; -ENOMEM: not enough frames. `from`: node that keeps the parent's stub. */
static inline long wh_proc_create(const struct wh_pinfo *info, uint32_t pages, uint32_t from)
{
	return WH_CALL3(WH_NR_proc_create, info, pages, from);
}
/* node: where it went (WH_REL_AWAY). */
static inline long wh_proc_release(int pid, unsigned how, unsigned node)
{
	return WH_CALL3(WH_NR_proc_release, pid, how, node);
}
/* The stub of an away process ends with this wait status (its parent can now wait for it). */
static inline long wh_proc_exited(const struct wh_uqpid *u, uint32_t epoch, int status)
{
	return WH_CALL3(WH_NR_proc_exited, u, epoch, status);
}
/* A stub's process moved on to another node. */
static inline long wh_proc_moved(const struct wh_uqpid *u, uint32_t epoch, unsigned node)
{
	return WH_CALL3(WH_NR_proc_moved, u, epoch, node);
}
/* Deliver a forwarded signal / new parent to a process here. */
static inline long wh_proc_signal(const struct wh_uqpid *u, int sig)
{
	return WH_CALL3(WH_NR_proc_signal, u, sig, 0);
}
static inline long wh_proc_reparent(const struct wh_uqpid *u, int ppid)
{
	return WH_CALL3(WH_NR_proc_reparent, u, ppid, 0);
}
/* Lu & Liu IV.3: may it move to `node`? 0, or -EPERM and a text: object, call, value, rule, cure. */
static inline long wh_proc_verdict(int pid, unsigned node, char *why, size_t len)
{
	return WH_CALL4(WH_NR_proc_verdict, pid, node, why, len);
}
/* Pin (1) or unpin (0): the load server leaves a pinned process alone. */
static inline long wh_proc_pin(int pid, int pinned)
{
	return WH_CALL3(WH_NR_proc_pin, pid, pinned, 0);
}
/* All user processes here, as struct wh_pinfo (stubs with state WH_PS_AWAY); returns the number of rows. */
static inline long wh_proc_list(struct wh_pinfo *rows, unsigned max)
{
	return WH_CALL3(WH_NR_proc_list, rows, max, 0);
}

/* ---- for commands ---- */

/* Ask a service: request text in buf[0..in_len), answer text into the same buffer (size bytes). Returns the
 * reply's status; *out_len = bytes of answer. Blocks (interruptibly) until the service answers. */
static inline long wh_ctl(unsigned svc, unsigned op, void *buf, size_t in_len, size_t size,
			  uint32_t *out_len)
{
	return WH_CALL6(WH_NR_ctl, svc, op, buf, in_len, size, out_len);
}
/* Make a process (0: this one) restless. -EPERM: it is another user's; -ESRCH: it is not here. */
static inline long wh_restless(int pid, const struct wh_restless *r)
{
	return WH_CALL3(WH_NR_restless, pid, r, 0);
}
/* U-block of a process as text: call, names, objects, markers, duplicates, verdict. Returns bytes. */
static inline long wh_view(int pid, char *buf, size_t len)
{
	return WH_CALL3(WH_NR_view, pid, buf, len);
}
static inline long wh_counters(struct wh_counters *c)
{
	return WH_CALL3(WH_NR_counters, c, 0, 0);
}
/* Kernel trace ring as text, oldest first. Returns bytes. */
static inline long wh_trace(char *buf, size_t len)
{
	return WH_CALL3(WH_NR_trace, buf, len, 0);
}
#endif
