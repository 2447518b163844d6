/* SPDX-License-Identifier: MIT */
#include "moves.h"

#include <stdio.h>
#include <string.h>

#include "msg_migrate.h"
#include "policy.h"
#include "serve.h"

enum { MOVES = 32 };

struct move {
	int32_t pid; /* 0: never used */
	uint32_t node;
	bool under_way;
	int status;
	uint64_t started, ended; /* node monotonic ns */
	uint64_t serial;	 /* grows with every move: the order of the log */
	void (*done)(void);
	struct migrate_done result;
	char comm[16];
};

static struct move moves[MOVES];
static uint64_t last_serial;

static void on_done(void *arg, const struct wh_msg *reply)
{
	struct move *m = arg;

	m->under_way = false;
	m->ended = wh_now();
	m->status = reply->status;
	m->result = *WH_BODY(reply, const struct migrate_done);
	m->result.why[sizeof(m->result.why) - 1] = '\0';
	if (m->status)
		serve_log("%s (%d) does not move to node %u: %s", m->comm, m->pid, m->node,
			  m->result.why[0] ? m->result.why : strerror(-m->status));
	else
		serve_log("%s (%d) moved to node %u", m->comm, m->pid, m->node);
	m->done();
}

/* The longest ended entry, or a new one; NULL when all are under way. */
static struct move *free_entry(void)
{
	struct move *best = NULL;

	for (int i = 0; i < MOVES; i++)
		if (!moves[i].under_way && (!best || moves[i].serial < best->serial))
			best = &moves[i];
	return best;
}

bool moves_start(int32_t pid, const char *comm, uint32_t node, void (*done)(void))
{
	struct move *m = free_entry();
	struct wh_msg msg = {.type = MIGRATE_MOVE};

	if (!m)
		return false;
	*WH_BODY(&msg, struct migrate_move) = (struct migrate_move){.pid = pid, .node = node};
	if (serve_send(WH_SVC_MIGRATE, &msg, NULL, 0, WH_BULK_NONE, on_done, m) < 0)
		return false;
	*m = (struct move){.pid = pid,
			   .node = node,
			   .under_way = true,
			   .started = wh_now(),
			   .serial = ++last_serial,
			   .done = done};
	snprintf(m->comm, sizeof(m->comm), "%.15s", comm);
	return true;
}

uint32_t moves_under_way(void)
{
	uint32_t n = 0;

	for (int i = 0; i < MOVES; i++)
		n += moves[i].under_way;
	return n;
}

static uint32_t unseen(const struct move *m, uint64_t now, uint32_t settle_ms)
{
	if (!m->pid || (!m->under_way && m->status))
		return 0;
	return load_unseen(m->under_way ? 0 : (now - m->ended) / SERVE_MS, settle_ms);
}

uint32_t moves_unseen(uint32_t node, uint32_t settle_ms)
{
	uint64_t now = wh_now();
	uint32_t sum = 0;

	for (int i = 0; i < MOVES; i++)
		if (!node || moves[i].node == node)
			sum += unseen(&moves[i], now, settle_ms);
	return sum;
}

bool moves_barred(int32_t pid, uint32_t bar_ms)
{
	uint64_t now = wh_now(), latest = 0;
	unsigned refusals = 0;

	for (int i = 0; i < MOVES; i++) {
		const struct move *m = &moves[i];

		if (m->pid != pid)
			continue;
		if (m->under_way)
			return true;
		if (!m->status)
			continue;
		refusals++;
		latest = m->ended > latest ? m->ended : latest;
	}
	/* Each refusal doubles the pause: what cannot move now will hardly be movable soon. */
	return refusals && (now - latest) / SERVE_MS < (uint64_t)bar_ms << (refusals - 1);
}

unsigned moves_rows(struct report_move *rows, uint32_t settle_ms)
{
	unsigned n = 0;

	for (uint32_t node = 1; node <= WH_MAX_NODES && n < REPORT_ROWS; node++) {
		uint32_t milli = moves_unseen(node, settle_ms);

		if (milli)
			rows[n++] = (struct report_move){.node = node, .milli = milli};
	}
	return n;
}

/* The move before `serial` in time. */
static const struct move *move_before(uint64_t serial)
{
	const struct move *best = NULL;

	for (int i = 0; i < MOVES; i++)
		if (moves[i].pid && moves[i].serial < serial &&
		    (!best || moves[i].serial > best->serial))
			best = &moves[i];
	return best;
}

static size_t move_line(const struct move *m, char *text, size_t size)
{
	const char *fate = m->status ? "refused" : "moved";
	const char *why = "";
	int n;

	if (m->under_way)
		fate = "under way";
	else if (m->status)
		why = m->result.why[0] ? m->result.why : strerror(-m->status);
	n = snprintf(text, size, "%-9d %-15s %4u %9llu %-9s %9llu %8llu  %s\n", m->pid, m->comm,
		     m->node, (unsigned long long)((wh_now() - m->started) / SERVE_MS), fate,
		     (unsigned long long)m->result.freeze_us,
		     (unsigned long long)(m->result.bytes / 1024), why);
	return n < 0 ? 0 : (size_t)n;
}

size_t moves_text(char *text, size_t size)
{
	const struct move *m = move_before(UINT64_MAX);
	size_t len = 0;

	if (m)
		len = (size_t)snprintf(text, size, "%-9s %-15s %4s %9s %-9s %9s %8s\n", "pid",
				       "command", "to", "ms-ago", "result", "freeze-us", "KiB");
	for (; m && len < size; m = move_before(m->serial))
		len += move_line(m, text + len, size - len);
	return len < size ? len : size - 1;
}
