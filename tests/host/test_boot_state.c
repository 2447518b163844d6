/* SPDX-License-Identifier: MIT */
/* init's boot record: a new incarnation and unused serials at every boot, whatever is in the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

static int failures;

static void check(bool ok, const char *name, const char *why)
{
	printf(ok ? "ok boot_state %s\n" : "not ok boot_state %s: %s\n", name, why);
	failures += !ok;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

int main(void)
{
	char path[] = "/tmp/boot_state.XXXXXX";
	struct boot_state s, last;
	struct stat st;
	bool ok = true;

	close(mkstemp(path));
	unlink(path);
	check(state_next(path, &last) == 0 && last.incarnation == 1 && last.serial_base >= 2,
	      "first", "a new disk starts at incarnation 1");
	for (int boot = 2; boot < 100; boot++) {
		ok = ok && state_next(path, &s) == 0 && s.incarnation == (uint64_t)boot;
		ok = ok && (s.serial_base == last.serial_limit || s.serial_base < last.serial_base);
		ok = ok && s.serial_limit > s.serial_base && s.serial_limit <= 1 << 20;
		last = s;
	}
	check(ok, "100-boots", "incarnation or range is wrong");
	check(stat(path, &st) == 0 && st.st_size == 64, "size",
	      "the record must stay within a sector");
	write_file(path, "incarnation 7 serials below 99999999\n");
	check(state_next(path, &s) == -EUCLEAN && s.serial_limit <= 1 << 20, "range",
	      "a limit beyond the pids was taken");
	write_file(path, "garbage");
	check(state_next(path, &s) == -EUCLEAN && s.incarnation == 1, "garbage",
	      "garbage must be reported");
	check(state_next(path, &s) == 0 && s.incarnation == 2, "after-garbage",
	      "a good record must have replaced it");
	check(state_next("/nonexistent/x", &s) == -ENOENT && s.serial_limit > s.serial_base,
	      "nowhere", "without a disk there must still be a usable identity, and an error");
	unlink(path);
	return failures != 0;
}
