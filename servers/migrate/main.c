/* SPDX-License-Identifier: MIT */
/* The migration handler: what the kernel, the peers and the node table say goes into the machines. */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "handler.h"
#include "image.h"
#include "peer.h"

struct mg_node node;

/* ---- the kernel ---- */

static struct mg_source *freezing(int32_t pid)
{
	for (struct mg_source *s = node.source; s < node.source + MG_SOURCES; s++)
		if (s->state == S_FREEZE && s->pid == (uint32_t)pid)
			return s;
	return NULL;
}

/* Lu & Liu IV.3: what the process has seen up to the moment it stood still decides. */
static void on_frozen(const struct wh_event *ev)
{
	const struct wh_k_frozen *k = WH_BODY(&ev->msg, const struct wh_k_frozen);
	struct mg_source *s = freezing(k->pid);
	char why[512] = "";
	struct wh_pinfo info;
	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	serve_status(ev->id, 0);
	if (!s)
		return;
	if (k->status < 0) {
		snprintf(why, sizeof(why), "%.*s", (int)sizeof(k->why), k->why);
		mg_frozen(&node, s->serial, false, why);
	} else if (wh_proc_get(k->pid, WH_P_INFO, 0, &info, sizeof(info)) < 0 ||
		   info.state != WH_PS_FROZEN) {
		return; /* of an attempt that was cancelled; the one for this attempt follows */
	} else if (wh_proc_verdict(k->pid, s->dest, why, sizeof(why)) < 0) {
		moves_reason(s->cookie, why);
		mg_frozen(&node, s->serial, false, why);
	} else {
		moves_frozen(s->cookie);
		mg_frozen(&node, s->serial, true, "");
	}
	effects_run();
}

static void on_exited(const struct wh_event *ev)
{
	const struct wh_k_exited *k = WH_BODY(&ev->msg, const struct wh_k_exited);
	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	struct wire_uq uq = uq_of(&k->uqpid);
	mg_exited(&node, &uq, k->status);
	serve_status(ev->id, 0);
	effects_run();
}

static void on_signal(const struct wh_event *ev)
{
	const struct wh_k_signal *k = WH_BODY(&ev->msg, const struct wh_k_signal);
	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	if (!mg_kill(&node, (uint32_t)k->uqpid.pid, (uint32_t)k->sig))
		serve_log("signal %d for process %d on node %u is lost: too many are under way",
			  k->sig, k->uqpid.pid, k->node);
	serve_status(ev->id, 0);
	effects_run();
}

static void on_orphan(const struct wh_event *ev)
{
	const struct wh_k_orphan *k = WH_BODY(&ev->msg, const struct wh_k_orphan);
	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	if (!mg_orphan(&node, (uint32_t)k->uqpid.pid, (uint32_t)k->new_ppid))
		serve_log("process %d on node %u does not learn of its new parent: too much is "
			  "under way",
			  k->uqpid.pid, k->node);
	serve_status(ev->id, 0);
	effects_run();
}

/* ---- the peers ---- */

/* The bytes are the peer's claim: sizes first, then who it says it is, then its texts. */
static void on_message(unsigned from, uint32_t type, uint64_t id, const void *body, size_t len)
{
	struct wire_msg m;
	(void)id;
	if (len < sizeof(m)) {
		serve_log("message of %zu bytes from node %u", len, from);
		return;
	}
	memcpy(&m, body, sizeof(m));
	if (m.head.type != type || m.head.from != from || m.head.bytes != len - sizeof(m) ||
	    m.head.from_inc != (uint32_t)peer_message_incarnation() ||
	    (m.head.bytes && type != WIRE_IMAGE)) {
		serve_log("malformed message of type %u from node %u", type, from);
		return;
	}
	if (type == WIRE_REFUSE) {
		m.u.refuse.reason[WIRE_TEXT - 1] = '\0';
		for (char *c = m.u.refuse.reason; *c; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
	}
	transfer_incoming((const uint8_t *)body + sizeof(m), m.head.bytes);
	mg_message(&node, &m);
	effects_run();
	transfer_incoming(NULL, 0);
}

/* ---- the nodes ---- */

/* A new incarnation, or the operator's word, proves that the old one is gone. Silence proves
 * nothing. */
static void on_nodes(void *arg, uint64_t bits)
{
	static struct wh_node rows[WH_MAX_NODES];
	long n = wh_node_get(rows, WH_MAX_NODES);
	(void)arg;
	(void)bits;
	for (long i = 0; i < n; i++) {
		if (rows[i].incarnation == 0)
			continue;
		if (rows[i].state == WH_NODE_DEAD)
			mg_fence(&node, rows[i].node, (uint32_t)rows[i].incarnation);
		else
			mg_node_up(&node, rows[i].node, (uint32_t)rows[i].incarnation);
		effects_run();
	}
}

/* ---- this node ---- */

static uint32_t enabled_states(uint32_t leaf1_ecx)
{
	uint32_t low = 0, high;
	if (leaf1_ecx & bit_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

/* What a program can find out about the processor and then rely on. */
static void read_features(uint32_t f[WIRE_FEATURES])
{
	uint32_t a, b, c, d;
	memset(f, 0, WIRE_FEATURES * sizeof(f[0]));
	if (__get_cpuid(1, &a, &b, &c, &d)) {
		f[0] = c;
		f[1] = d;
		f[2] = enabled_states(c);
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		f[3] = b;
		f[4] = c;
		f[5] = d;
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
		f[6] = c;
		f[7] = d;
	}
}

int main(void)
{
	static const struct peer_ops peer = {.on_message = on_message};
	uint32_t features[WIRE_FEATURES];
	struct wh_identity id;

	serve_init(WH_SVC_MIGRATE);
	while (wh_identity(&id) == 0 && id.incarnation == 0)
		usleep(10000); /* init reads it from the disk */
	read_features(features);
	mg_init(&node, id.node, (uint32_t)id.incarnation, id.nodes, &mg_default_params, features);
	node.image_version = IMAGE_VERSION;
	serve_on(WH_MSG_K_FROZEN, on_frozen);
	serve_on(WH_MSG_K_EXITED, on_exited);
	serve_on(WH_MSG_K_SIGNAL, on_signal);
	serve_on(WH_MSG_K_ORPHAN, on_orphan);
	serve_note(WH_NOTE_NODES, on_nodes, NULL);
	moves_init();
	restless_init();
	peer_start(WH_SVC_MIGRATE, &peer);
	on_nodes(NULL, 0);
	serve_run();
}
