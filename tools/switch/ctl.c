/* SPDX-License-Identifier: MIT */
/*
 * Commands to the switch. Several may come on one connection; each is answered by text and a last
 * line `ok` or `error: why`.
 *   set WHERE NAME=VALUE...   what the wire does there: knobs.def
 *   heal [WHERE]              no faults there; without WHERE: no faults and no partition anywhere
 *   partition 1,2 3           groups that hear each other only; nodes not named form one more group
 *   show                      the settings, as commands
 *   stats [all | WHERE]       what was carried, and what was done to it
 *   link                      which mode was told, and who has not acknowledged it (then an error)
 *   open on | off             strangers may be on this wire: abi/link.h
 *   seed S                    begin the dice of all links anew
 *   pcap start FILE | stop
 *   quit
 *   epoch N, ours K           from settings_save() only
 * WHERE: K or all = the cable of a node, both ways; A:B = from A to B; A-B = both ways between them;
 *        A and B are node numbers or `all`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "knobs.h"
#include "switch.h"

enum { MAX_CTL = 16, LINE = 4096 };

static const char BLANK[] = " \t\r";

static struct ctl {
	int fd; /* 0: free */
	size_t len;
	char line[LINE];
} ctls[MAX_CTL];

struct range {
	unsigned first, last;
};

struct where {
	bool pair, both; /* pair false: a is the nodes whose cables are meant */
	struct range a, b;
};

/* "all" or a node number, ended by one of `ends`. */
static const char *parse_nodes(struct lan *lan, const char **text, const char *ends,
			       struct range *r)
{
	static char why[64];
	size_t n = strcspn(*text, ends);
	char *end;

	*r = (struct range){1, lan->nports};
	if (n == 3 && memcmp(*text, "all", 3) == 0) {
		*text += n;
		return NULL;
	}
	unsigned long k = strtoul(*text, &end, 10);

	snprintf(why, sizeof(why), "no such node; want 1 to %u, or all", lan->nports);
	if (n == 0 || end != *text + n || **text == '-' || k < 1 || k > lan->nports)
		return why;
	r->first = r->last = (unsigned)k;
	*text = end;
	return NULL;
}

static const char *parse_where(struct lan *lan, const char *text, struct where *w)
{
	if (!text)
		return "where? A node, all, A:B or A-B";
	const char *why = parse_nodes(lan, &text, ":-", &w->a);

	w->b = w->a;
	w->pair = *text == ':' || *text == '-';
	w->both = *text == '-';
	if (!why && w->pair) {
		text++;
		why = parse_nodes(lan, &text, "", &w->b);
	}
	return why;
}

static bool inside(struct range r, unsigned k)
{
	return r.first <= k && k <= r.last;
}

/* The settings at a place change; `from` says to what, starting with what they are. */
typedef const char *(*change_fn)(struct fault *f, char *const *words);

static const char *change(struct lan *lan, const struct where *w, change_fn fn, char *const *words)
{
	const char *why = NULL;

	for (unsigned i = 1; i <= lan->nports && !why; i++) {
		if (!w->pair && inside(w->a, i))
			why = fn(&lan->port[i].fault, words);
		for (unsigned j = 1; j <= lan->nports && w->pair && !why; j++)
			if (i != j && ((inside(w->a, i) && inside(w->b, j)) ||
				       (w->both && inside(w->a, j) && inside(w->b, i))))
				why = fn(&lan->link[i][j].fault, words);
	}
	return why;
}

static const char *change_set(struct fault *f, char *const *words)
{
	const char *why = NULL;

	for (; *words && !why; words++)
		why = knob_set(f, *words);
	return why;
}

static const char *change_clear(struct fault *f, char *const *words)
{
	(void)words;
	*f = (struct fault){0};
	return NULL;
}

static const char *set(struct lan *lan, const char *at, char **save)
{
	struct where w;
	const char *why = parse_where(lan, at, &w);
	char *words[32];
	unsigned n = 0;
	struct fault trial = {0};

	while (n < 31 && (words[n] = strtok_r(NULL, BLANK, save)))
		n++;
	words[n] = NULL;
	if (!why && !n)
		why = "what about it? As in loss=5% delay=20ms";
	if (!why)
		why = change_set(&trial, words); /* all or nothing */
	if (!why)
		why = change(lan, &w, change_set, words);
	if (!why)
		wire_changed(lan);
	return why;
}

static const char *heal(struct lan *lan, const char *at)
{
	struct where w;
	const char *why = at ? parse_where(lan, at, &w) : NULL;

	if (why)
		return why;
	if (at) {
		change(lan, &w, change_clear, NULL);
	} else {
		for (unsigned k = 1; k <= lan->nports; k++) {
			lan->port[k].group = 0;
			lan->port[k].fault = (struct fault){0};
			for (unsigned j = 1; j <= lan->nports; j++)
				lan->link[k][j].fault = (struct fault){0};
		}
	}
	wire_changed(lan);
	return NULL;
}

static const char *partition(struct lan *lan, char **save)
{
	unsigned group[MAX_PORTS + 1] = {0}, g = 0;

	for (char *word; (word = strtok_r(NULL, BLANK, save));) {
		char *comma;

		g++;
		for (char *n = strtok_r(word, ",", &comma); n; n = strtok_r(NULL, ",", &comma)) {
			struct range r;
			const char *text = n, *why = parse_nodes(lan, &text, "", &r);

			if (why)
				return why;
			for (unsigned k = r.first; k <= r.last; k++)
				group[k] = g;
		}
	}
	if (!g)
		return "which groups? As in partition 1,2 3";
	for (unsigned k = 1; k <= lan->nports; k++)
		lan->port[k].group = group[k];
	wire_changed(lan);
	return NULL;
}

static const char *stats(struct lan *lan, const char *at, FILE *out)
{
	bool all = at && strcmp(at, "all") == 0;
	struct where w = {.a = {1, lan->nports}, .b = {1, lan->nports}};
	const char *why = at && !all ? parse_where(lan, at, &w) : NULL;

	if (why)
		return why;
	if (!at || all) {
		show_nodes(lan, out);
		show_links(lan, out, all, 0, 0);
		return NULL;
	}
	unsigned a = w.a.first == w.a.last ? w.a.first : 0;
	unsigned b = w.b.first == w.b.last ? w.b.first : 0;

	show_links(lan, out, true, a, w.pair ? b : 0);
	if (!w.pair || w.both)
		show_links(lan, out, true, w.pair ? b : 0, a);
	return NULL;
}

static const char *capture(const char *what, const char *path)
{
	if (what && strcmp(what, "stop") == 0)
		pcap_close();
	else if (!what || strcmp(what, "start") != 0)
		return "want pcap start FILE, or pcap stop";
	else if (!path)
		return "which file?";
	else if (!pcap_open(path))
		return strerror(errno);
	return NULL;
}

static const char *number(const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = text ? strtoull(text, &end, 0) : 0;
	return !text || *end || end == text || errno || *text == '-' ? "want a number" : NULL;
}

static const char *open_wire(struct lan *lan, const char *word)
{
	if (!word || (strcmp(word, "on") != 0 && strcmp(word, "off") != 0))
		return "want open on, or open off";
	lan->open = strcmp(word, "on") == 0;
	wire_changed(lan);
	return NULL;
}

static const char *link_state(struct lan *lan, FILE *out)
{
	static char text[512];
	FILE *f = fmemopen(text, sizeof(text), "w");
	bool good = f && link_print(lan, f);

	if (f)
		fclose(f);
	text[strcspn(text, "\n")] = 0;
	if (!good)
		return text;
	fprintf(out, "%s\n", text);
	return NULL;
}

/* One command; NULL or why not. */
static const char *command(struct lan *lan, char *line, FILE *out)
{
	char *save, *what = strtok_r(line, BLANK, &save);
	const char *why = NULL;
	uint64_t n;

	if (!what)
		return NULL;
	if (!strcmp(what, "partition"))
		return partition(lan, &save);
	char *word = strtok_r(NULL, BLANK, &save);

	if (!strcmp(what, "set"))
		return set(lan, word, &save);
	if (!strcmp(what, "heal"))
		return heal(lan, word);
	if (!strcmp(what, "stats"))
		return stats(lan, word, out);
	if (!strcmp(what, "link"))
		return link_state(lan, out);
	if (!strcmp(what, "open"))
		return open_wire(lan, word);
	if (!strcmp(what, "pcap"))
		return capture(word, strtok_r(NULL, "\r", &save));
	if (!strcmp(what, "show")) {
		show_settings(lan, out);
		link_print(lan, out);
	} else if (!strcmp(what, "quit")) {
		lan->quit = true;
	} else if (!strcmp(what, "seed") && !(why = number(word, &n))) {
		wire_seed(lan, n);
		wire_changed(lan);
	} else if (!strcmp(what, "epoch") && !(why = number(word, &n))) {
		lan->epoch = (uint32_t)n;
	} else if (!strcmp(what, "ours") && !(why = number(word, &n))) {
		if (n >= 1 && n <= lan->nports)
			lan->port[n].asked = true;
	} else if (!why) {
		why = "unknown command";
	}
	return why;
}

void settings_load(struct lan *lan)
{
	char name[256], *line = NULL;
	size_t cap = 0;

	snprintf(name, sizeof(name), "%s/switch.conf", lan->dir);
	FILE *in = fopen(name, "r");

	while (in && getline(&line, &cap, in) > 0) {
		line[strcspn(line, "\n")] = 0;
		const char *why = command(lan, line, stderr);

		if (why)
			fprintf(stderr, "switch: %s: %s\n", name, why);
	}
	free(line);
	if (in)
		fclose(in);
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
	int size = 1 << 20; /* the largest table of links */

	for (int i = 0; fd >= 0 && i < MAX_CTL; i++)
		if (!ctls[i].fd) {
			setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
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
