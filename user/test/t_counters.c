/* SPDX-License-Identifier: MIT */
/*
 * t_counters: the node's counters, one "name value" a line: the kernel's and the file server's (fs_...).
 * A node from which a migrated process is gone must show the same as before it came.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "msg_file.h"
#include "wh.h"

static const struct field {
	const char *name;
	size_t at;
} fields[] = {
#define FIELD(name) ((struct field){#name, offsetof(struct wh_counters, name)})
	FIELD(frames_total),
	FIELD(frames_free),
	FIELD(frames_cache),
	FIELD(procs),
	FIELD(stubs),
	FIELD(fobjs),
	FIELD(ofiles),
	FIELD(pipes),
	FIELD(ptys),
	FIELD(regions),
	FIELD(requests),
	FIELD(kmem_bytes),
	FIELD(run_queue),
	FIELD(load_milli),
	FIELD(syscalls),
	FIELD(switches),
	FIELD(faults),
	FIELD(ipcs),
	FIELD(migrations_in),
	FIELD(migrations_out),
	FIELD(checker_observations),
	FIELD(checker_violations),
#undef FIELD
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };
_Static_assert(sizeof(struct wh_counters) == FIELDS * sizeof(uint64_t),
	       "a counter is missing here");

int main(void)
{
	struct wh_counters c;
	char text[512] = "";
	uint32_t len = 0;
	long r = wh_counters(&c);

	if (r < 0) {
		fprintf(stderr, "t_counters: the kernel's counters: %s\n", strerror((int)-r));
		return 1;
	}
	for (unsigned i = 0; i < FIELDS; i++)
		printf("%s %llu\n", fields[i].name,
		       *(unsigned long long *)((char *)&c + fields[i].at));
	r = wh_ctl(WH_SVC_FILE, FS_CTL_COUNTERS, text, 0, sizeof(text) - 1, &len);
	if (r < 0) {
		fprintf(stderr, "t_counters: the file server's counters: %s\n", strerror((int)-r));
		return 1;
	}
	text[len] = 0;
	char *rest = text, *name, *value;

	while ((name = strtok_r(rest, " \n", &rest)) && (value = strtok_r(rest, " \n", &rest)))
		printf("fs_%s %s\n", name, value);
	return 0;
}
