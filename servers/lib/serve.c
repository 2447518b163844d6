/* SPDX-License-Identifier: MIT */
/* The event loop of every server. See serve.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve.h"

enum {
	HANDLER_SLOTS = 256, /* open addressing by type; a power of two, > SERVE_MAX_TYPES */
	MAX_IDLE = 4,
	BATCH = 64, /* events between two looks at the timers */
};

struct handler_row {
	uint32_t type;
	serve_handler handler; /* NULL: the slot is free */
};

struct note_row {
	uint64_t mask;
	serve_note_fn fn;
	void *arg;
};

struct pending {
	serve_reply_fn fn; /* NULL: free */
	void *arg;
	uint32_t generation; /* in the cookie too: a stray reply cannot hit a later request */
	uint32_t next_free;
};

static const char *const service_path[WH_SVC_MAX] = {
#define SERVICE(id, NAME, path, rank, port, flags) [id] = path,
#include "services.def"
#undef SERVICE
};

static const char *own_name = "server";
static struct handler_row handlers[HANDLER_SLOTS];
static unsigned handler_count;
static struct note_row notes[SERVE_MAX_NOTES];
static unsigned note_count;
static struct pending pending[SERVE_MAX_PENDING];
static uint32_t pending_free;
static uint64_t round_now;	   /* serve_now; 0: not read in this round yet */
static struct serve_timer *timers; /* by deadline, the next one first */
static void (*idle_fn[MAX_IDLE])(void);
static bool again;
static unsigned idle_count;
static struct wh_event deferred[SERVE_MAX_DEFERRED]; /* a ring, oldest at deferred_first */
static unsigned deferred_first, deferred_count;

/* ---- log ---- */

static void log_line(const char *fmt, va_list ap)
{
	char line[SERVE_LOG_LINE];
	int n = snprintf(line, sizeof(line), "%s: ", own_name);

	n += vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* One write, so that lines of several servers do not mix; nobody to tell if it fails. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void serve_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(fmt, ap);
	va_end(ap);
}

void serve_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(fmt, ap);
	va_end(ap);
	exit(1);
}

/* ---- requests ---- */

static struct handler_row *handler_slot(uint32_t type)
{
	unsigned i = type & (HANDLER_SLOTS - 1);

	while (handlers[i].handler && handlers[i].type != type)
		i = (i + 1) & (HANDLER_SLOTS - 1);
	return &handlers[i];
}

void serve_on(uint32_t type, serve_handler handler)
{
	struct handler_row *row = handler_slot(type);

	if (!row->handler && ++handler_count > SERVE_MAX_TYPES)
		serve_die("more than %d request types", SERVE_MAX_TYPES);
	*row = (struct handler_row){.type = type, .handler = handler};
}

void serve_answer(uint64_t id, const struct wh_msg *m)
{
	wh_reply(id, m);
}

void serve_status(uint64_t id, int status)
{
	struct wh_msg m = {.status = status};

	wh_reply(id, &m);
}

int serve_ctl_get(const struct wh_event *ev, struct serve_ctl *c, char *buf, size_t size)
{
	const struct wh_ctl_msg *ctl = WH_BODY(&ev->msg, const struct wh_ctl_msg);
	int status = 0;

	*c = (struct serve_ctl){
		.id = ev->id, .op = ctl->op, .uid = ctl->uid, .room = ev->bulk_len, .pid = ev->pid};
	if (ctl->in_len >= size || ctl->in_len > ev->bulk_len)
		status = -E2BIG;
	else if (ctl->in_len > 0 && wh_copyin(ev->id, 0, buf, ctl->in_len) != (long)ctl->in_len)
		status = -EFAULT;
	if (status < 0) {
		serve_status(ev->id, status);
		return status;
	}
	buf[ctl->in_len] = '\0';
	return 0;
}

void serve_ctl_answer(const struct serve_ctl *c, int status, const char *text, size_t len)
{
	struct wh_msg m = {.type = WH_MSG_CTL, .status = status};

	if (len > c->room)
		len = c->room;
	if (len > 0 && wh_copyout(c->id, 0, text, len) != (long)len)
		len = 0;
	WH_BODY(&m, struct wh_ctl_msg)->op = c->op;
	WH_BODY(&m, struct wh_ctl_msg)->out_len = len;
	wh_reply(c->id, &m);
}

void serve_ctl_printf(const struct serve_ctl *c, int status, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	serve_ctl_answer(c, status, text, n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
}

/* ---- requests of our own ---- */

static void pending_init(void)
{
	for (uint32_t i = 0; i < SERVE_MAX_PENDING; i++)
		pending[i].next_free = i + 1;
	pending_free = 0;
}

static void pending_release(uint32_t i)
{
	pending[i].fn = NULL;
	pending[i].next_free = pending_free;
	pending_free = i;
}

int serve_send(unsigned svc, const struct wh_msg *m, void *bulk, size_t len, unsigned bulk_flags,
	       serve_reply_fn fn, void *arg)
{
	uint32_t i = pending_free;

	if (i >= SERVE_MAX_PENDING)
		return -EAGAIN;
	pending_free = pending[i].next_free;
	pending[i].fn = fn;
	pending[i].arg = arg;
	pending[i].generation++;
	uint64_t cookie = (uint64_t)pending[i].generation << 32 | i;
	long err = wh_send(svc, m, cookie, bulk, len, bulk_flags);

	if (err < 0)
		pending_release(i);
	return err;
}

static void on_reply(const struct wh_event *ev)
{
	uint32_t i = (uint32_t)ev->cookie;

	if (i >= SERVE_MAX_PENDING || !pending[i].fn || pending[i].generation != ev->cookie >> 32) {
		serve_log("reply with unknown cookie %llx", (unsigned long long)ev->cookie);
		return;
	}
	serve_reply_fn fn = pending[i].fn;
	void *arg = pending[i].arg;

	pending_release(i); /* first: the callback may send the next request */
	fn(arg, &ev->msg);
}

/* ---- notifications ---- */

void serve_note(uint64_t mask, serve_note_fn fn, void *arg)
{
	if (note_count == SERVE_MAX_NOTES)
		serve_die("more than %d notification rows", SERVE_MAX_NOTES);
	notes[note_count++] = (struct note_row){.mask = mask, .fn = fn, .arg = arg};
}

static void on_notify(uint64_t bits)
{
	for (unsigned i = 0; i < note_count; i++) {
		if (notes[i].mask & bits)
			notes[i].fn(notes[i].arg, notes[i].mask & bits);
	}
}

/* ---- time ---- */

uint64_t serve_now(void)
{
	if (round_now == 0)
		round_now = wh_now();
	return round_now;
}

void serve_timer_stop(struct serve_timer *t)
{
	if (!t->link)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	t->link = NULL;
	t->next = NULL;
}

void serve_timer(struct serve_timer *t, uint64_t deadline, void (*fn)(void *arg), void *arg)
{
	struct serve_timer **link = &timers;

	serve_timer_stop(t);
	t->deadline = deadline;
	t->fn = fn;
	t->arg = arg;
	while (*link && (*link)->deadline <= deadline)
		link = &(*link)->next;
	t->next = *link;
	t->link = link;
	if (t->next)
		t->next->link = &t->next;
	*link = t;
}

/* Those that are due now; one that rearms itself for the past waits for the next round. */
static void run_timers(void)
{
	if (!timers)
		return;
	uint64_t now = serve_now();

	for (unsigned n = 0; n < BATCH && timers && timers->deadline <= now; n++) {
		struct serve_timer *t = timers;

		serve_timer_stop(t);
		t->fn(t->arg);
	}
}

void serve_idle(void (*fn)(void))
{
	if (idle_count == MAX_IDLE)
		serve_die("more than %d idle callbacks", MAX_IDLE);
	idle_fn[idle_count++] = fn;
}

void serve_again(void)
{
	again = true;
}

/* ---- events set aside ---- */

uint64_t serve_wait_note(uint64_t mask, uint64_t deadline)
{
	while (deferred_count < SERVE_MAX_DEFERRED) {
		struct wh_event *ev =
			&deferred[(deferred_first + deferred_count) % SERVE_MAX_DEFERRED];

		if (wh_wait(ev, deadline) < 0)
			return 0;
		uint64_t got = ev->kind == WH_EV_NOTIFY ? ev->bits & mask : 0;

		ev->bits &= ~got;
		if (ev->kind != WH_EV_NOTIFY || ev->bits)
			deferred_count++;
		if (got)
			return got;
	}
	return 0;
}

/* As wh_wait, but what was set aside comes first. */
static long next_event(struct wh_event *ev, uint64_t deadline)
{
	if (deferred_count == 0)
		return wh_wait(ev, deadline);
	*ev = deferred[deferred_first];
	deferred_first = (deferred_first + 1) % SERVE_MAX_DEFERRED;
	deferred_count--;
	return 0;
}

/* ---- the loop ---- */

static void dispatch(const struct wh_event *ev)
{
	switch (ev->kind) {
	case WH_EV_REQUEST: {
		const struct handler_row *row = handler_slot(ev->msg.type);

		if (row->handler)
			row->handler(ev);
		else
			serve_status(ev->id, -ENOSYS);
		break;
	}
	case WH_EV_REPLY:
		on_reply(ev);
		break;
	case WH_EV_NOTIFY:
		on_notify(ev->bits);
		break;
	default:
		serve_log("event of unknown kind %u", ev->kind);
	}
}

void serve_init(unsigned svc)
{
	if (svc < WH_SVC_MAX && service_path[svc])
		own_name = strrchr(service_path[svc], '/') + 1;
	pending_init();
	long err = wh_register(svc);

	if (err < 0)
		serve_die("cannot register as service %u: %s", svc, strerror(-err));
}

void serve_run(void)
{
	static struct wh_event ev;

	for (;;) {
		/* What is there already, without sleeping; then what is due; then what was batched. */
		long got = 0;

		for (unsigned n = 0; n < BATCH && (got = next_event(&ev, 0)) == 0; n++)
			dispatch(&ev);
		run_timers();
		again = got == 0;
		for (unsigned i = 0; i < idle_count; i++)
			idle_fn[i]();
		if (again) {
			round_now = 0;
			continue;
		}
		got = next_event(&ev, timers ? timers->deadline : WH_NO_DEADLINE);
		round_now = 0;
		if (got == 0)
			dispatch(&ev);
		else if (got != -ETIMEDOUT && got != -EINTR)
			serve_die("waiting for events: %s", strerror(-got));
	}
}
