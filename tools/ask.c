/* SPDX-License-Identifier: MIT */
/*
 * ask switch SOCKET COMMAND...    one command to the switch
 * ask monitor SOCKET COMMAND...   one command to QEMU's human monitor
 * Prints the answer. Exit status 1 if the switch refused the command.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include "unixsock.h"

enum { ANSWER_MS = 5000, ANSWER_MAX = 1 << 20 };

static char text[ANSWER_MAX + 1];
static size_t text_len;

static bool ends_with(const char *end)
{
	size_t n = strlen(end);

	return text_len >= n && memcmp(text + text_len - n, end, n) == 0;
}

/* The last line of the switch's answer: `ok` or `error: why`. */
static bool switch_answered(void)
{
	if (!ends_with("\n"))
		return false;
	size_t line = text_len - 1;

	while (line && text[line - 1] != '\n')
		line--;
	return strcmp(text + line, "ok\n") == 0 || strncmp(text + line, "error: ", 7) == 0;
}

static bool monitor_prompts(void)
{
	return ends_with("(qemu) ");
}

/* Read until `done`; false on end of file or silence. */
static bool read_until(int fd, bool (*done)(void))
{
	text_len = 0;
	while (text_len < ANSWER_MAX) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, ANSWER_MS) <= 0)
			return false;
		ssize_t n = read(fd, text + text_len, ANSWER_MAX - text_len);

		if (n <= 0)
			return false;
		text_len += (size_t)n;
		text[text_len] = 0;
		if (done())
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	bool monitor = argc > 1 && strcmp(argv[1], "monitor") == 0;
	char line[4096] = "";

	if (argc < 4 || (!monitor && strcmp(argv[1], "switch") != 0)) {
		fprintf(stderr, "usage: ask switch|monitor SOCKET COMMAND...\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		if (strlen(line) + strlen(argv[i]) + 2 > sizeof(line)) {
			fprintf(stderr, "ask: command too long\n");
			return 2;
		}
		strcat(strcat(line, argv[i]), i + 1 < argc ? " " : "\n");
	}
	int fd = unix_connect(argv[2]);

	if (fd < 0) {
		fprintf(stderr, "ask: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	if (monitor && !read_until(fd, monitor_prompts)) {
		fprintf(stderr, "ask: no prompt at %s; is somebody else using the monitor?\n",
			argv[2]);
		return 1;
	}
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line) ||
	    !read_until(fd, monitor ? monitor_prompts : switch_answered)) {
		fprintf(stderr, "ask: no answer at %s\n", argv[2]);
		return 1;
	}
	if (monitor) { /* between the echoed command and the next prompt */
		char *from = strchr(text, '\n');

		text[text_len - strlen("(qemu) ")] = 0;
		fputs(from ? from + 1 : text, stdout);
		return 0;
	}
	bool refused = strstr(text, "error: ") != NULL;
	char *ok = refused ? NULL : text + text_len - strlen("ok\n");

	if (ok)
		*ok = 0;
	fputs(text, refused ? stderr : stdout);
	return refused;
}
