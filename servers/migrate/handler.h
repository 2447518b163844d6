/* SPDX-License-Identifier: MIT */
/*
 * The migration handler as a server: real messages, real processes and people's requests around the
 * machines of machine.h.
 *
 * main.c      events of the kernel, the peers and the node table go into the machine
 * effects.c   what the machine wants done is done
 * transfer.c  image streams: one per migration that leaves or arrives
 * moves.c     requests, their answers, and the log of what moved
 * restless.c  processes that ask to be moved themselves
 */
#ifndef WHIMBREL_MIGRATE_HANDLER_H
#define WHIMBREL_MIGRATE_HANDLER_H

#include "machine.h"
#include "serve.h"
#include "whimbrel.h"

extern struct mg_node node; /* this one */

/* Execute all effects. To be called at the end of every event that went into the machine. */
void effects_run(void);
struct wh_uqpid uqpid_of(const struct wire_uq *uq, uint32_t pid);
struct wire_uq uq_of(const struct wh_uqpid *u);

/* ---- transfer.c ---- */

/* Source slot: encode chunk number n (0 starts the stream). Answers the machine. */
void transfer_export(const struct mg_effect *e);
/* The bytes of a chunk exported at most MG_WINDOW ago; NULL if it is not there. */
const void *transfer_chunk(unsigned slot, uint32_t chunk, size_t *len);
void transfer_source_end(unsigned slot);

/* Target slot. The bytes are those of the IMAGE message being handled (transfer_incoming). */
void transfer_incoming(const void *data, size_t len);
void transfer_reserve(const struct mg_effect *e);
void transfer_import(const struct mg_effect *e);
void transfer_adopt(const struct mg_effect *e);
void transfer_target_end(unsigned slot);

/* ---- moves.c ---- */

void moves_init(void);
/* The kernel has frozen the process of this attempt, now. */
void moves_frozen(uint64_t cookie);
void moves_sent(uint64_t cookie, uint64_t pages, uint64_t zeros, uint64_t bytes);
/* The whole reason, longer than the machine keeps. */
void moves_reason(uint64_t cookie, const char *why);
void moves_report(const struct mg_effect *e);
/* A parked process is to go to `dest`. restless_ended() follows, now or later. */
void moves_restless(int32_t pid, uint32_t dest);

/* ---- restless.c ---- */

void restless_init(void);
void restless_ended(uint32_t pid, enum mg_result result, const char *why);
void restless_stats(const struct serve_ctl *c);

#endif
