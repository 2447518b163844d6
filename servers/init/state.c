/* SPDX-License-Identifier: MIT */
/* The boot record: one short line, overwritten in place, so that it is always within one sector and
 * old or new as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"
#include "whimbrel.h"

enum {
	RECORD_BYTES = 64,
	SERIAL_FIRST = 100, /* lower ones belong to init and the servers */
	SERIAL_END = 1 << WH_PID_NODE_SHIFT,
	SERIALS_PER_BOOT = 1 << 16,
};

/* The record of the last boot; false if there is none that makes sense. */
static int parse(const char *text, uint64_t *incarnation, uint32_t *limit)
{
	unsigned long long i;
	unsigned l;

	if (sscanf(text, "incarnation %llu serials below %u\n", &i, &l) != 2 || l < SERIAL_FIRST ||
	    l > SERIAL_END)
		return 0;
	*incarnation = i;
	*limit = l;
	return 1;
}

int state_next(const char *path, struct boot_state *s)
{
	char record[RECORD_BYTES + 1] = "";
	uint64_t incarnation = 0;
	uint32_t used = SERIAL_FIRST;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int err = fd < 0 ? -errno : 0;

	if (fd >= 0 && pread(fd, record, RECORD_BYTES, 0) > 0 &&
	    !parse(record, &incarnation, &used))
		err = -EUCLEAN; /* begin anew, but say so */
	if (used + SERIALS_PER_BOOT > SERIAL_END)
		used = SERIAL_FIRST;
	*s = (struct boot_state){incarnation + 1, used, used + SERIALS_PER_BOOT};
	if (fd < 0)
		return err;
	memset(record, ' ', RECORD_BYTES);
	int n = snprintf(record, RECORD_BYTES, "incarnation %llu serials below %u",
			 (unsigned long long)s->incarnation, s->serial_limit);

	record[n] = ' ';
	record[RECORD_BYTES - 1] = '\n';
	if (pwrite(fd, record, RECORD_BYTES, 0) != RECORD_BYTES || fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}
