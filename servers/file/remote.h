/* SPDX-License-Identifier: MIT */
/*
 * Requests between file servers. A request for another node's tree travels to that node's file
 * server as it is, with what it brings in bulk, and the answer comes back the same way:
 *
 *   1. kernel -> own server    FS_*, tree K            remote.c: an entry of the pending table
 *   2. own server -> server K  PEER_FS_REQUEST, id     custodian.c: executed as if it were local
 *   3. server K -> own server  PEER_FS_REPLY, same id  remote.c: copied out, answered, entry freed
 *
 * Nobody waits: 1 and 3 are different turns of the event loop. Frames can be lost when a connection
 * fails, so 2 is repeated, after a failure and when an answer takes long. A custodian keeps the
 * answer of a request that must not be done twice, and repeats it, until the same slot of the requester's table is used
 * for another request. When the custodian has died
 * (the load server says so, or it has a new incarnation) or REMOTE_PATIENCE has passed, the caller
 * gets -EIO and the log a line.
 *
 * FS_CLOSE is answered at once and repeated until the custodian has it or is dead: nobody waits for it, but a
 * lost one would keep a lock. An FS_OPEN whose caller has given up is followed until its hold, if it made one, is
 * closed again.
 */
#ifndef FILE_REMOTE_H
#define FILE_REMOTE_H

#include "local.h"

enum peer_fs_type { PEER_FS_REQUEST = 1, PEER_FS_REPLY = 2 };

struct peer_fs_request {   /* followed by the bulk that the request brings */
	uint32_t bulk_len; /* of the requester's buffer */
	uint32_t bulk_flags;
	struct wh_msg msg;
};

struct peer_fs_reply { /* followed by the bulk that the answer fills, from the head of the buffer */
	struct wh_msg msg;
};

#define REMOTE_PATIENCE (10 * SERVE_SEC)
#define REMOTE_REPEAT	(3 * SERVE_SEC) /* ask again when there is no answer */
enum {
	REMOTE_MAX = 512
}; /* requests of one node under way; the low 16 bits of an id are its slot among them */

/* ---- remote.c: our requests to other nodes ---- */

void remote_start(struct tree *t, unsigned nodes);
/* Take care of a request for the tree of node `tree`; it will be answered. */
void remote_forward(struct local_request *l, uint32_t tree);
void remote_reply(unsigned node, uint64_t id, const void *body, size_t len);
/* The connection to `node` failed: ask again what is unanswered. */
void remote_down(unsigned node);
/* There is room again for what could not be sent. */
void remote_room(unsigned node);
/* The node is dead for good (or another incarnation of it lives): what it was asked fails. */
void remote_dead(unsigned node);
unsigned remote_pending(void);

/* ---- custodian.c: other nodes' requests to us ---- */

void custodian_start(struct tree *t);
void custodian_request(unsigned node, uint64_t incarnation, uint64_t id, const void *body,
		       size_t len);

/* The node is dead for good: it will not ask again. */
void custodian_node_dead(unsigned node);

/* ---- base.c: files that are still what the common base image had ---- */

/*
 * Such a file has the same bytes here as at its custodian, so reads of the remote hold can be
 * served from this node's copy. An answer to FS_OPEN, FS_ADOPT or FS_BIND from node `tree`: decide,
 * remember, and set o->cacheable accordingly.
 */
void base_learn(struct tree *t, uint32_t tree, struct fs_opened *o);
void base_forget(uint32_t tree, uint64_t hold);
/* Try to execute the FS_READ in r on the local copy. False: ask the custodian. */
bool base_read(struct tree *t, struct fs_request *r);

#endif
