/* SPDX-License-Identifier: MIT */
/* Requests to the MIGRATE service from the load server, and the ops of its wh_ctl. */
#ifndef ABI_MSG_MIGRATE_H
#define ABI_MSG_MIGRATE_H
#include "whimbrel.h"

enum migrate_type {
	MIGRATE_MOVE =
		1, /* migrate_move -> migrate_done, when it ended (asynchronous: wh_send only) */
};
struct migrate_move {
	int32_t pid;
	uint32_t node;
	uint32_t commanded; /* 1: by a person: pins the process at its destination; 0: by the load
			       server */
};
struct migrate_done {
	int32_t pid;
	uint32_t node;
	uint64_t freeze_us, bytes, pages;
	char why[128]; /* refusal or failure, else empty */
};
/* wh_ctl: text in, text out; the status of the reply is the command's fate. */
enum migrate_ctl {
	MIGRATE_CTL_MOVE = 1,	/* "PID NODE"; answered when it ended */
	MIGRATE_CTL_LOG = 2,	/* table of finished migrations */
	MIGRATE_CTL_CANCEL = 3, /* "PID" */
	MIGRATE_CTL_STATUS = 4, /* the ones under way */
	MIGRATE_CTL_STATS = 5,	/* what restless processes did here: moves, and why they stayed */
};
#endif
