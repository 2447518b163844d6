/* SPDX-License-Identifier: MIT */
/*
 * Commands to the switch. Several may come on one connection; each is answered by text and a last
 * line `ok` or `error: why`.
 *   loss K PCT | dup K PCT | reorder K PCT | delay K MS
 *                      K = node number or `all`; both directions of its cable
 *   partition 1,2 3    groups that hear each other only; nodes not named form one more group
 *   heal               no partition, no faults
 *   stats | pcap FILE | pcap off | quit
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch.h"

enum { MAX_CTL = 16, LINE = 4096 };

static struct ctl {
	int fd; /* 0: free */
	size_t len;
	char line[LINE];
} ctls[MAX_CTL];

/* "all" or a node number; the range of ports in *first..*last. */
static const char *parse_nodes(struct lan *lan, const char *word, unsigned *first, unsigned *last)
{
	*first = 1;
	*last = lan->nports;
	if (!word)
		return "which node?";
	if (strcmp(word, "all") == 0)
		return NULL;
	char *end;
	unsigned long k = strtoul(word, &end, 10);

	if (*end || k < 1 || k > lan->nports)
		return "no such node";
	*first = *last = (unsigned)k;
	return NULL;
}

static const char *set_fault(struct lan *lan, const char *what, const char *nodes,
			     const char *value)
{
	unsigned first, last;
	const char *why = parse_nodes(lan, nodes, &first, &last);
	bool is_delay = strcmp(what, "delay") == 0;
	char *end;
	double v;

	if (why)
		return why;
	if (!value)
		return "what value?";
	v = strtod(value, &end);
	if (end == value || !(v >= 0 && v <= (is_delay ? 60000 : 100)))
		return is_delay ? "want 0 to 60000 ms" : "want 0 to 100 percent";
	if (*end && strcmp(end, is_delay ? "ms" : "%") != 0)
		return is_delay ? "want milliseconds" : "want percent";
	for (unsigned k = first; k <= last; k++) {
		struct fault *f = &lan->port[k].fault;

		if (is_delay)
			f->delay_ms = (uint32_t)v;
		else
			*(what[0] == 'l'   ? &f->loss
			  : what[0] == 'd' ? &f->dup
					   : &f->reorder) = (uint32_t)(v * 10000);
	}
	return NULL;
}

static const char *partition(struct lan *lan, char **save)
{
	unsigned group[MAX_PORTS + 1] = {0}, g = 0;

	for (char *word; (word = strtok_r(NULL, " \t", save));) {
		g++;
		char *comma;

		for (char *n = strtok_r(word, ",", &comma); n; n = strtok_r(NULL, ",", &comma)) {
			unsigned first, last;
			const char *why = parse_nodes(lan, n, &first, &last);

			if (why)
				return why;
			if (first != last && lan->nports > 1)
				return "want node numbers";
			group[first] = g;
		}
	}
	if (!g)
		return "which groups?";
	for (unsigned k = 1; k <= lan->nports; k++)
		lan->port[k].group = group[k];
	return NULL;
}

static void stats(struct lan *lan, FILE *out)
{
	fprintf(out, "node up group   in-frames    in-bytes  out-frames   out-bytes    lost     "
		     "dup reorder     cut dropped\n");
	for (unsigned k = 1; k <= lan->nports; k++) {
		struct port *p = &lan->port[k];
		struct port_stats *s = &p->stats;

		fprintf(out, "%4u %2s %5u %11ju %11ju %11ju %11ju %7ju %7ju %7ju %7ju %7ju\n", k,
			p->fd >= 0 ? "up" : "-", p->group, (uintmax_t)s->in_frames,
			(uintmax_t)s->in_bytes, (uintmax_t)s->out_frames, (uintmax_t)s->out_bytes,
			(uintmax_t)s->lost, (uintmax_t)s->duplicated, (uintmax_t)s->reordered,
			(uintmax_t)s->cut, (uintmax_t)s->dropped);
	}
}

static void heal(struct lan *lan)
{
	for (unsigned k = 1; k <= lan->nports; k++) {
		lan->port[k].group = 0;
		fault_clear(&lan->port[k].fault);
	}
}

static const char *capture(const char *path)
{
	if (!path)
		return "which file?";
	if (strcmp(path, "off") == 0)
		pcap_close();
	else if (!pcap_open(path))
		return strerror(errno);
	return NULL;
}

/* One command; NULL or why not. */
static const char *command(struct lan *lan, char *line, FILE *out)
{
	char *save, *what = strtok_r(line, " \t\r", &save);

	if (!what)
		return NULL;
	if (!strcmp(what, "loss") || !strcmp(what, "dup") || !strcmp(what, "reorder") ||
	    !strcmp(what, "delay")) {
		char *nodes = strtok_r(NULL, " \t\r", &save);

		return set_fault(lan, what, nodes, strtok_r(NULL, " \t\r", &save));
	}
	if (!strcmp(what, "partition"))
		return partition(lan, &save);
	if (!strcmp(what, "pcap"))
		return capture(strtok_r(NULL, "\r", &save));
	if (!strcmp(what, "heal"))
		heal(lan);
	else if (!strcmp(what, "stats"))
		stats(lan, out);
	else if (!strcmp(what, "quit"))
		lan->quit = true;
	else
		return "unknown command";
	return NULL;
}

static void answer(struct lan *lan, int fd, char *line)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return;
	const char *why = command(lan, line, out);

	fprintf(out, why ? "error: %s\n" : "ok\n", why);
	fclose(out);
	/* A client that does not read its answer loses it: never wait for one. */
	if (send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		perror("switch: control answer");
	free(text);
}

void ctl_accept(struct lan *lan, int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (int i = 0; fd >= 0 && i < MAX_CTL; i++)
		if (!ctls[i].fd) {
			ctls[i].fd = fd;
			ctls[i].len = 0;
			lan_watch(lan, fd, WATCH_CTL, 0, EPOLLIN, true);
			return;
		}
	if (fd >= 0)
		close(fd);
}

void ctl_readable(struct lan *lan, int fd)
{
	struct ctl *c = ctls;

	while (c < ctls + MAX_CTL && c->fd != fd)
		c++;
	if (c == ctls + MAX_CTL)
		return;
	ssize_t n = read(fd, c->line + c->len, sizeof(c->line) - c->len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->len += (size_t)n;
	for (char *nl; (nl = memchr(c->line, '\n', c->len));) {
		size_t used = (size_t)(nl - c->line) + 1;

		*nl = 0;
		answer(lan, fd, c->line);
		memmove(c->line, c->line + used, c->len - used);
		c->len -= used;
	}
	if (n <= 0 || c->len == sizeof(c->line)) {
		close(fd);
		c->fd = 0;
	}
}
