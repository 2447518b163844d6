/* SPDX-License-Identifier: MIT */
/* Requests that came by IPC (from the kernel or another service of this node), as the core wants
 * them. */
#ifndef FILE_LOCAL_H
#define FILE_LOCAL_H

#include "ops.h"

struct local_request {
	struct fs_request r; /* first */
	uint64_t id;	     /* of the IPC request */
};

/* sender: this node's number. */
void local_request(struct local_request *l, uint64_t id, const struct wh_msg *msg,
		   uint32_t bulk_len, uint32_t bulk_flags, uint32_t sender);
/* Answer with what is in l->r.msg. */
void local_answer(struct local_request *l);

#endif
