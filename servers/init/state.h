/* SPDX-License-Identifier: MIT */
/*
 * What outlives a boot: the disk's incarnation, and how far the pid serials have been used up
 * (design §11: the serial survives a reboot of its home, so that an old pid does not soon come to
 * mean another process).
 */
#ifndef INIT_STATE_H
#define INIT_STATE_H

#include <stdint.h>

struct boot_state {
	uint64_t incarnation;		    /* 1 at the first boot of this disk */
	uint32_t serial_base, serial_limit; /* pid serials of this boot: [base, limit) */
};

/*
 * Read the record at `path`, claim the next incarnation and range of serials, and have them on the
 * disk before returning. 0, or -errno: then *s is usable but was not saved.
 */
int state_next(const char *path, struct boot_state *s);

#endif
