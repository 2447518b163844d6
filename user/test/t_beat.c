/* SPDX-License-Identifier: MIT */
/*
 * t_beat FILE [--ms N] [--kib N]: append the numbers 0, 1, 2, ... to FILE, one line every N ms (20), until SIGTERM; check
 * some memory (64 KiB) at every beat. If FILE ever shows a number twice or misses one, the process ran twice or lost time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "t.h"

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	long ms = t_option(argc, argv, "--ms", 20), kib = t_option(argc, argv, "--kib", 64);
	size_t len = (size_t)kib * 1024;
	char line[32];
	long beat = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: t_beat FILE [--ms N] [--kib N]\n");
		return 2;
	}
	unsigned char *memory = malloc(len);

	if (!memory)
		t_die("%zu bytes of memory", len);
	int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);

	if (fd < 0)
		t_die("%s", argv[1]);
	signal(SIGTERM, on_term);
	t_fill(memory, len, 0, 1);
	for (; !stop; beat++) {
		size_t page = (size_t)(beat * 4096) % len;

		t_write_all(fd, line, (size_t)snprintf(line, sizeof(line), "%ld\n", beat));
		if (t_compare(memory + page, 4096, page, 1) >= 0)
			t_die("beat %ld: the memory at %zu has changed", beat, page);
		t_sleep_ms(ms);
	}
	errno = 0;
	t_check(true, "the memory is what it was", "it is not");
	printf("beats %ld\n", beat);
	return t_end();
}
