/* SPDX-License-Identifier: MIT */
/* Requests to the CLOCK service. */
#ifndef ABI_MSG_CLOCK_H
#define ABI_MSG_CLOCK_H
#include "whimbrel.h"

enum clock_type {
	CLOCK_SETTIME = 1, /* clock_settime_msg, from the kernel for settimeofday/clock_settime; 0
			      or -EPERM */
};
struct clock_settime_msg {
	int64_t real_ns;
	int32_t minuteswest, dsttime;
	uint32_t set_time, set_zone; /* which of the two */
};
enum clock_ctl { CLOCK_CTL_OFFSETS = 1 /* one line a peer: node offset_ns delay_ns age_ms */ };
#endif
