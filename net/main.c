/* SPDX-License-Identifier: MIT */
/* The net server: lwIP, its card and its clients in one event loop. See docs/net.md. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "lwip/stats.h"
#include "lwip/tcp.h"

#include "cable.h"
#include "iperf.h"
#include "msg_net.h"
#include "nic.h"
#include "serve.h"
#include "sock.h"
#include "stack.h"
#include "tcp.h"
#include "udp.h"

/* ---- statistics ---- */

struct text {
	char buf[4096];
	size_t len;
};

static void row(struct text *t, const char *group, const char *name, uint64_t value)
{
	int n = snprintf(t->buf + t->len, sizeof(t->buf) - t->len, "%s%s%s %llu\n", group,
			 *group ? "." : "", name, (unsigned long long)value);

	if (n > 0 && t->len + n < sizeof(t->buf))
		t->len += n;
}

static void protocol(struct text *t, const char *name, const struct stats_proto *s)
{
	row(t, name, "sent", s->xmit);
	row(t, name, "received", s->recv);
	row(t, name, "dropped", s->drop);
	row(t, name, "bad_checksum", s->chkerr);
	row(t, name, "bad_length", s->lenerr);
	row(t, name, "no_memory", s->memerr);
	row(t, name, "bad_protocol", s->proterr + s->opterr);
}

static void card(struct text *t, const char *name, const struct nic_stats *n)
{
	row(t, name, "received", n->rx_frames);
	row(t, name, "received_bytes", n->rx_bytes);
	row(t, name, "sent", n->tx_frames);
	row(t, name, "sent_bytes", n->tx_bytes);
	row(t, name, "notifications", n->tx_kicks);
	row(t, name, "interrupts", n->interrupts);
	row(t, name, "bad", n->rx_bad);
	row(t, name, "no_room", n->rx_no_room);
	row(t, name, "buffers_held", n->rx_held);
	row(t, name, "moved_small", n->rx_small);
	row(t, name, "copied_in", n->rx_copied);
	row(t, name, "copied_out", n->tx_copied);
	row(t, name, "copied_bytes", n->copied_bytes);
	row(t, name, "full", n->tx_full);
}

static void show_stats(const struct serve_ctl *c)
{
	static struct text t;
	const struct cable_stats *l = cable_stats();
	struct tcp_service_stats tcp;
	struct udp_service_stats udp;
	struct sock_service_stats sock;

	t.len = 0;
	tcp_service_stats(&tcp);
	udp_service_stats(&udp);
	sock_service_stats(&sock);
	card(&t, "card", stack_card(0));
	if (stack_card(1))
		card(&t, "host_card", stack_card(1));
	row(&t, "wire", "mode", l->mode);
	row(&t, "wire", "epoch", l->epoch);
	row(&t, "wire", "told", l->told);
	row(&t, "wire", "bad_tail", l->bad_tail);
	row(&t, "wire", "no_tail", l->no_tail);
	protocol(&t, "link", &lwip_stats.link);
	protocol(&t, "ip", &lwip_stats.ip);
	protocol(&t, "icmp", &lwip_stats.icmp);
	protocol(&t, "udp", &lwip_stats.udp);
	protocol(&t, "tcp", &lwip_stats.tcp);
	row(&t, "tcp", "sent_again", lwip_stats.mib2.tcpretranssegs);
	row(&t, "heap", "used", lwip_stats.mem.used);
	row(&t, "heap", "most", lwip_stats.mem.max);
	row(&t, "heap", "failed", lwip_stats.mem.err);
	row(&t, "client", "udp_ports", udp.bound);
	row(&t, "client", "udp_queue_full", udp.queue_full);
	row(&t, "client", "listeners", tcp.listeners);
	row(&t, "client", "connections", tcp.connections);
	row(&t, "client", "opened", tcp.opened);
	row(&t, "client", "accepted", tcp.accepted);
	row(&t, "client", "timed_out", tcp.timed_out);
	row(&t, "user", "sockets", sock.sockets);
	row(&t, "user", "connections", sock.connections);
	row(&t, "user", "orphans", sock.orphans);
	row(&t, "user", "ring_bytes", sock.ring_bytes);
	row(&t, "user", "rx_bytes", sock.rx_bytes);
	row(&t, "user", "datagrams_refused", sock.refused);
	serve_ctl_answer(c, 0, t.buf, t.len);
}

static void on_ctl(const struct wh_event *ev)
{
	struct serve_ctl c;
	char text[64];

	if (serve_ctl_get(ev, &c, text, sizeof(text)) < 0)
		return;
	if (c.op == NET_CTL_STATS)
		show_stats(&c);
	else if (c.op == NET_CTL_IPERF)
		iperf_ctl(&c, text);
	else
		serve_ctl_printf(&c, -EINVAL, "the net server has no operation %u\n", c.op);
}

/* ---- clients ---- */

/* A service was registered or died: end what the dead ones had. A null notification is the
 * question. */
static void on_services(void *arg, uint64_t bits)
{
	(void)arg;
	(void)bits;
	for (unsigned svc = 1; svc < WH_SVC_MAX; svc++) {
		if (svc != WH_SVC_NET && wh_notify(svc, 0) == -ESRCH) {
			udp_service_gone(svc);
			tcp_service_gone(svc);
		}
	}
}

int main(void)
{
	serve_init(WH_SVC_NET);
	stack_start();
	udp_service_start();
	tcp_service_start();
	sock_service_start();
	serve_on(WH_MSG_CTL, on_ctl);
	serve_note(WH_NOTE_SVC, on_services, NULL);
	serve_run();
}
