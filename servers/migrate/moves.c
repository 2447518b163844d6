/* SPDX-License-Identifier: MIT */
/* Requests to move a process, from people and from the load server; their answers; the log. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handler.h"
#include "msg_migrate.h"

#define MOVES	 256 /* under way and remembered */
#define WHY_MAX	 512 /* bytes of a verdict: object, call, value, rule, cure */
#define TEXT_MAX 65536

static const char *const result_name[MG_RESULTS] = {
	[MG_MOVED] = "moved", [MG_REFUSED] = "refused",	    [MG_FAILED] = "failed",
	[MG_LOST] = "lost",   [MG_CANCELLED] = "cancelled",
};

static const int result_errno[MG_RESULTS] = {
	[MG_MOVED] = 0,	    [MG_REFUSED] = -EPERM,	 [MG_FAILED] = -EIO,
	[MG_LOST] = -ESRCH, [MG_CANCELLED] = -ECANCELED,
};

struct move {
	enum {
		M_FREE,
		M_COMMAND,
		M_LOAD,
		M_RESTLESS,
		M_ENDED
	} state; /* COMMAND, LOAD: who waits for the answer; RESTLESS: the process itself */
	struct serve_ctl ctl;
	uint64_t request; /* M_LOAD */
	uint32_t pid, epoch, dest;
	bool commanded, restless;
	char comm[16];
	uint64_t started, frozen, ended; /* node monotonic ns; frozen 0: was not */
	uint64_t pages, zeros, bytes;
	enum mg_result result;
	char why[WHY_MAX];
};

static struct move moves[MOVES];
static unsigned last; /* used; the ring turns upwards */

void moves_frozen(uint64_t cookie)
{
	moves[cookie].frozen = wh_now();
}

void moves_sent(uint64_t cookie, uint64_t pages, uint64_t zeros, uint64_t bytes)
{
	moves[cookie].pages = pages;
	moves[cookie].zeros = zeros;
	moves[cookie].bytes = bytes;
}

void moves_reason(uint64_t cookie, const char *why)
{
	snprintf(moves[cookie].why, WHY_MAX, "%s", why);
}

/* An entry that nobody waits for, the oldest first; NULL if there is none. */
static struct move *new_move(void)
{
	for (unsigned i = 1; i <= MOVES; i++) {
		struct move *m = &moves[(last + i) % MOVES];
		if (m->state == M_FREE || m->state == M_ENDED) {
			last = (last + i) % MOVES;
			memset(m, 0, sizeof(*m));
			m->started = wh_now();
			return m;
		}
	}
	return NULL;
}

/* ---- answers ---- */

/* From freezing to the news that it runs: one message more than the process has stood still. */
static uint64_t freeze_us(const struct move *m)
{
	return m->frozen ? (m->ended - m->frozen) / 1000 : 0;
}

static void answer_command(const struct move *m)
{
	int status = result_errno[m->result];
	if (m->result == MG_MOVED)
		serve_ctl_printf(
			&m->ctl, 0,
			"process %u (%s) moved from node %u to node %u: %llu pages and %llu zero "
			"ones, %llu kB, frozen for %llu.%03llu ms\n",
			m->pid, m->comm, node.self, m->dest, (unsigned long long)m->pages,
			(unsigned long long)m->zeros, (unsigned long long)m->bytes / 1024,
			(unsigned long long)freeze_us(m) / 1000,
			(unsigned long long)freeze_us(m) % 1000);
	else
		serve_ctl_printf(&m->ctl, status, "process %u (%s) %s node %u (%s): %s\n", m->pid,
				 m->comm,
				 m->result == MG_LOST ? "was lost with" : "does not move to",
				 m->dest, result_name[m->result], m->why);
}

static void answer_load(const struct move *m)
{
	struct wh_msg reply = {.status = result_errno[m->result]};
	struct migrate_done *d = WH_BODY(&reply, struct migrate_done);
	*d = (struct migrate_done){.pid = (int32_t)m->pid,
				   .node = m->dest,
				   .freeze_us = freeze_us(m),
				   .bytes = m->bytes,
				   .pages = m->pages};
	if (m->result != MG_MOVED)
		snprintf(d->why, sizeof(d->why), "%.*s", (int)sizeof(d->why) - 1, m->why);
	serve_answer(m->request, &reply);
}

static void end(struct move *m, enum mg_result result)
{
	m->ended = wh_now();
	m->result = result;
	if (m->state == M_COMMAND)
		answer_command(m);
	else if (m->state == M_LOAD)
		answer_load(m);
	else
		restless_ended(m->pid, result, m->why);
	m->state = M_ENDED;
}

void moves_report(const struct mg_effect *e)
{
	struct move *m = &moves[e->cookie];
	if (!m->why[0])
		moves_reason(e->cookie, e->text);
	end(m, (enum mg_result)e->value);
}

/* ---- requests ---- */

__attribute__((format(printf, 2, 3))) static void refuse(struct move *m, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(m->why, sizeof(m->why), fmt, ap);
	va_end(ap);
	end(m, MG_REFUSED);
}

static const struct mg_stub *away(uint32_t pid)
{
	for (const struct mg_stub *b = node.stub; b < node.stub + MG_STUBS; b++)
		if (b->state != B_FREE && b->pid == pid)
			return b;
	return NULL;
}

/* A copy that is not ours yet: what the kernel says of it means nothing. */
static const struct mg_target *arriving(uint32_t pid)
{
	for (const struct mg_target *t = node.target; t < node.target + MG_TARGETS; t++)
		if (t->state != T_FREE && t->state != T_RUNNING && t->pid == pid)
			return t;
	return NULL;
}

/* uid: of who asks; -1: a server. */
static void request(struct move *m, uint32_t uid)
{
	struct wh_pinfo info;
	long r = wh_proc_get((int)m->pid, WH_P_INFO, 0, &info, sizeof(info));
	if (r < 0 || info.state == WH_PS_ZOMBIE) {
		refuse(m, "there is no such process on node %u", node.self);
		return;
	}
	memcpy(m->comm, info.comm, sizeof(m->comm));
	m->comm[sizeof(m->comm) - 1] = '\0';
	m->epoch = info.epoch + 1;
	if (info.state == WH_PS_AWAY) {
		const struct mg_stub *b = away(m->pid);
		refuse(m, "it runs on node %u: ask there", b ? b->node : 0);
		return;
	}
	const struct mg_target *t = arriving(m->pid);
	if (t) {
		refuse(m, "it is still on its way here from node %u", t->source);
		return;
	}
	if (uid != 0 && uid != ~0u && uid != info.uid) {
		refuse(m, "only its owner (uid %u) and the superuser may move it", info.uid);
		return;
	}
	r = m->dest == node.self || m->dest == 0 || m->dest > node.nodes
		    ? 0
		    : /* the machine knows what to say */
		    wh_proc_verdict((int)m->pid, m->dest, m->why, sizeof(m->why));
	if (r < 0) {
		if (!m->why[0])
			refuse(m, "no verdict: %s", strerror((int)-r));
		else
			end(m, MG_REFUSED);
		return;
	}
	m->why[0] = '\0';
	struct mg_job job = {
		.uq = uq_of(&info.uqpid),
		.epoch = info.epoch,
		.dest = m->dest,
		.offer = {.pages = info.private_pages,
			  .bytes = (uint64_t)info.private_pages * 4096,
			  .files = info.holds,
			  .pid = m->pid,
			  .uid = info.uid,
			  .pinned = info.pinned || m->commanded},
		.cookie = (uint64_t)(m - moves),
	};
	memcpy(job.offer.comm, m->comm, sizeof(job.offer.comm));
	mg_start(&node, &job);
}

static void on_move(const struct wh_event *ev)
{
	const struct migrate_move *q = WH_BODY(&ev->msg, const struct migrate_move);
	struct move *m = ev->from == WH_SVC_LOAD ? new_move() : NULL;
	if (!m) {
		serve_status(ev->id, ev->from == WH_SVC_LOAD ? -EAGAIN : -EPERM);
		return;
	}
	m->state = M_LOAD;
	m->request = ev->id;
	m->pid = (uint32_t)q->pid;
	m->dest = q->node;
	m->commanded = q->commanded;
	request(m, ~0u);
	effects_run();
}

void moves_restless(int32_t pid, uint32_t dest)
{
	struct move *m = new_move();
	if (!m) {
		restless_ended((uint32_t)pid, MG_REFUSED, "too many moves under way on this node");
		return;
	}
	m->state = M_RESTLESS;
	m->restless = true;
	m->pid = (uint32_t)pid;
	m->dest = dest;
	request(m, ~0u);
}

static void ctl_move(const struct serve_ctl *c, const char *text)
{
	char *rest, *end_of;
	unsigned long pid = strtoul(text, &rest, 10), dest = strtoul(rest, &end_of, 10);
	if (rest == text || end_of == rest || pid > INT32_MAX || dest > WH_MAX_NODES) {
		serve_ctl_printf(c, -EINVAL, "PID NODE, please\n");
		return;
	}
	struct move *m = new_move();
	if (!m) {
		serve_ctl_printf(c, -EAGAIN, "too many moves under way on this node\n");
		return;
	}
	m->state = M_COMMAND;
	m->ctl = *c;
	m->pid = (uint32_t)pid;
	m->dest = (uint32_t)dest;
	m->commanded = true;
	request(m, c->uid);
	effects_run();
}

static void ctl_cancel(const struct serve_ctl *c, const char *text)
{
	uint32_t pid = (uint32_t)strtoul(text, NULL, 10);
	struct wh_pinfo info;
	long r = wh_proc_get((int)pid, WH_P_INFO, 0, &info, sizeof(info));
	if (r == 0 && c->uid != 0 && c->uid != info.uid)
		serve_ctl_printf(c, -EPERM, "only its owner and the superuser may do that\n");
	else if (mg_cancel(&node, pid, "cancelled by request"))
		serve_ctl_printf(c, 0, "cancelled\n");
	else
		serve_ctl_printf(c, -ESRCH, "process %u is not being moved, or it is too late\n",
				 pid);
	effects_run();
}

/* ---- text ---- */

static char text[TEXT_MAX];
static size_t text_len;

__attribute__((format(printf, 1, 2))) static void put(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text + text_len, sizeof(text) - text_len, fmt, ap);
	va_end(ap);
	if (n > 0 && text_len + (size_t)n < sizeof(text))
		text_len += (size_t)n;
}

/* One line per ended move, oldest first, fields separated by tabs; the newest fit the asker's room. */
static void ctl_log(const struct serve_ctl *c)
{
	text_len = 0;
	put("ms\tpid\tcommand\tfrom\tto\tepoch\tresult\tpages\tzero\tbytes\tfreeze_us\ttotal_"
	    "us\tby\twhy\n");
	size_t head = text_len;
	for (unsigned i = 1; i <= MOVES; i++) {
		const struct move *m = &moves[(last + i) % MOVES];
		if (m->state != M_ENDED)
			continue;
		put("%llu\t%u\t%s\t%u\t%u\t%u\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%s\t%.*s\n",
		    (unsigned long long)(m->ended / SERVE_MS), m->pid, m->comm, node.self, m->dest,
		    m->epoch, result_name[m->result], (unsigned long long)m->pages,
		    (unsigned long long)m->zeros, (unsigned long long)m->bytes,
		    (unsigned long long)freeze_us(m),
		    (unsigned long long)(m->ended - m->started) / 1000,
		    m->restless	   ? "itself"
		    : m->commanded ? "command"
				   : "load",
		    (int)strcspn(m->why, "\n"), m->result == MG_MOVED ? "" : m->why);
	}
	size_t rows = head;
	while (rows < text_len && head + text_len - rows > c->room)
		rows += strcspn(text + rows, "\n") + 1;
	memmove(text + head, text + rows, text_len - rows);
	serve_ctl_answer(c, 0, text, head + text_len - rows);
}

static void ctl_status(const struct serve_ctl *c)
{
	static const char *const leaving[S_STATES] = {
		[S_SETTLE] = "settling", [S_HELLO] = "greeting", [S_OFFER] = "offering",
		[S_FREEZE] = "freezing", [S_IMAGE] = "sending",	 [S_COMMIT] = "committed",
	};
	static const char *const coming[T_STATES] = {
		[T_RESERVE] = "reserving",
		[T_IMAGE] = "receiving",
		[T_ADOPT] = "taking its files",
		[T_PREPARED] = "prepared",
		[T_RUNNING] = "running, not yet released",
	};
	text_len = 0;
	for (const struct mg_source *s = node.source; s < node.source + MG_SOURCES; s++)
		if (s->state != S_FREE)
			put("%u to node %u: %s, %u chunks\n", s->pid, s->dest, leaving[s->state],
			    s->exported);
	for (const struct mg_target *t = node.target; t < node.target + MG_TARGETS; t++)
		if (t->state != T_FREE)
			put("%u from node %u: %s, %u chunks\n", t->pid, t->source, coming[t->state],
			    t->next);
	unsigned guests = 0, stubs = 0;
	for (const struct mg_guest *g = node.guest; g < node.guest + MG_GUESTS; g++)
		guests += g->state != G_FREE;
	for (const struct mg_stub *b = node.stub; b < node.stub + MG_STUBS; b++)
		stubs += b->state != B_FREE;
	put("%u processes of other nodes here, %u of this node away\n", guests, stubs);
	serve_ctl_answer(c, 0, text, text_len);
}

static void on_ctl(const struct wh_event *ev)
{
	char in[64];
	struct serve_ctl c;
	if (serve_ctl_get(ev, &c, in, sizeof(in)))
		return;
	switch (c.op) {
	case MIGRATE_CTL_MOVE:
		ctl_move(&c, in);
		break;
	case MIGRATE_CTL_CANCEL:
		ctl_cancel(&c, in);
		break;
	case MIGRATE_CTL_LOG:
		ctl_log(&c);
		break;
	case MIGRATE_CTL_STATUS:
		ctl_status(&c);
		break;
	case MIGRATE_CTL_STATS:
		restless_stats(&c);
		break;
	default:
		serve_ctl_printf(&c, -EINVAL, "no such request\n");
	}
}

void moves_init(void)
{
	serve_on(WH_MSG_CTL, on_ctl);
	serve_on(MIGRATE_MOVE, on_move);
}
