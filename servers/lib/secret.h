/* SPDX-License-Identifier: MIT */
/* What this server may know of the cluster's key, and random numbers that nobody can guess. */
#ifndef SERVERS_LIB_SECRET_H
#define SERVERS_LIB_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The cluster's key, WH_KEY_BYTES; NULL, with one line in the log, if this node has none: then nothing
 * may be said to other nodes, nor listened to. */
const uint8_t *secret_key(void);

/* Are messages to be authenticated only, not encrypted? The same on all nodes. */
bool secret_plain(void);

/* Only if there is a key. */
void secret_random(void *out, size_t len);

#endif
