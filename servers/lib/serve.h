/* SPDX-License-Identifier: MIT */
/*
 * The event loop that every server shares: a server is a table of handlers, the loop is library
 * code.
 *
 *   serve_init(WH_SVC_CLOCK);
 *   serve_on(CLOCK_SETTIME, on_settime);
 *   serve_run();
 *
 * Everything here is single-threaded. A handler or callback runs to its end before the next event
 * is looked at; it must not block, except in wh_call() to a lower-ranked service. What has to wait
 * for something becomes a continuation: keep the request's id, return, and answer it from the
 * callback.
 *
 * Three fates of an error: a bad request is answered with -errno; a peer's bad bytes are rejected
 * with a log line; a broken invariant of our own ends the server (serve_die), which its callers see
 * as -EIO.
 */
#ifndef SERVERS_LIB_SERVE_H
#define SERVERS_LIB_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wh.h"

enum {
	SERVE_MAX_TYPES = 96,	 /* rows of serve_on */
	SERVE_MAX_NOTES = 16,	 /* rows of serve_note */
	SERVE_MAX_PENDING = 512, /* serve_send requests without a reply */
	SERVE_MAX_DEFERRED = 64, /* events set aside by serve_wait_note */
	SERVE_LOG_LINE = 240,	 /* bytes of one log line; longer ones are cut */
};

/* Become service `svc` (wh_register) and make log lines unbuffered. Dies when the kernel refuses. */
void serve_init(unsigned svc);

/* Fetch and dispatch events for ever. */
_Noreturn void serve_run(void);

/* ---- requests ---- */

/*
 * A request arrived. `ev` is valid until the handler returns; ev->id stays valid until it is
 * answered. Every request is answered exactly once, now or later. The message body and the sender
 * are checked by the handler: ev->from is the truth (the kernel fills it in), everything in ev->msg
 * is only a claim.
 */
typedef void (*serve_handler)(const struct wh_event *ev);

/* Handle requests of this type. Types without a row are answered -ENOSYS. WH_MSG_CTL is a type too. */
void serve_on(uint32_t type, serve_handler handler);

/* Answer with a status and an empty body; or with a whole message. A requester that has died
 * meanwhile is not an error. */
void serve_status(uint64_t id, int status);
void serve_answer(uint64_t id, const struct wh_msg *m);

/* ---- WH_MSG_CTL: a command asks in text and is answered in text ---- */

struct serve_ctl {
	uint64_t id;
	uint32_t op;   /* service specific (abi/msg_*.h) */
	uint32_t uid;  /* effective uid of the asking command */
	uint32_t room; /* bytes that the answer may have */
	int32_t pid;   /* the asking process */
};

/*
 * Decode a WH_MSG_CTL request: its text goes to buf, NUL-terminated (text longer than size - 1 is
 * an error). 0, or -errno after the request has been answered with it. *c may be kept until
 * serve_ctl_answer().
 */
int serve_ctl_get(const struct wh_event *ev, struct serve_ctl *c, char *buf, size_t size);
/* Answer with a status and `len` bytes of text (cut to c->room). */
void serve_ctl_answer(const struct serve_ctl *c, int status, const char *text, size_t len);
/* The same with a formatted text of at most 1 kB. */
void serve_ctl_printf(const struct serve_ctl *c, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- requests of our own ---- */

/* The reply to serve_send. `reply` is valid until the callback returns; reply->status is the result
 * (-EIO: the service died). It may call anything here, serve_send included. */
typedef void (*serve_reply_fn)(void *arg, const struct wh_msg *reply);

/*
 * Asynchronous request; fn(arg, reply) is called exactly once, from serve_run, if 0 is returned and
 * never otherwise. `bulk` must stay untouched until then; *m is copied at once. bulk_flags: enum
 * wh_bulk. -ESRCH: no such service now; -EAGAIN: too much pending, here or there.
 */
int serve_send(unsigned svc, const struct wh_msg *m, void *bulk, size_t len, unsigned bulk_flags,
	       serve_reply_fn fn, void *arg);

/* ---- notifications ---- */

/* bits: those of `mask` that were set. */
typedef void (*serve_note_fn)(void *arg, uint64_t bits);

/* Call fn whenever a bit of `mask` is notified. Several rows may ask for the same bit: all are
 * called. */
void serve_note(uint64_t mask, serve_note_fn fn, void *arg);

/*
 * The exception to "a handler does not block": wait for the driver's own interrupt, a bit of `mask`, until
 * `deadline`. Events that come meanwhile are set aside and handled, in order, after this handler. Returns the
 * bits that came, which no row of serve_note will see; 0 at the deadline, or when too much was set aside (poll
 * the device then).
 */
uint64_t serve_wait_note(uint64_t mask, uint64_t deadline);

/* ---- time ---- */

/* Belongs to its owner, who zeroes it once (static storage will do) and keeps it while armed. */
struct serve_timer {
	struct serve_timer *next, **link; /* link != NULL: armed */
	uint64_t deadline;		  /* node monotonic ns */
	void (*fn)(void *arg);
	void *arg;
};

/* The time when the loop last looked at the clock, at most one round of the loop old: cheaper than wh_now(),
 * which reads an emulated device. Node monotonic ns. */
uint64_t serve_now(void);

/* (Re)arm: fn(arg) once at `deadline` (node monotonic ns; the past means soon, from serve_run). */
void serve_timer(struct serve_timer *t, uint64_t deadline, void (*fn)(void *arg), void *arg);
/* Disarm; harmless when not armed. */
void serve_timer_stop(struct serve_timer *t);
static inline bool serve_timer_armed(const struct serve_timer *t)
{
	return t->link != NULL;
}

#define SERVE_MS  1000000ull	/* ns */
#define SERVE_SEC 1000000000ull /* ns */

/*
 * Call fn each time all pending events have been handled, just before the loop sleeps (and at least
 * every 64 events): the place to flush what was batched. At most four.
 */
void serve_idle(void (*fn)(void));

/* From an idle callback: do not sleep now, look at the events and call the idle callbacks again. */
void serve_again(void);

/* ---- log ---- */

/* One line to the kernel log, "net: text"; adds the newline. */
void serve_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Log and end this server: an invariant of our own does not hold, or it cannot start. */
_Noreturn void serve_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
