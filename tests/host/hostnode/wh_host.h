/* SPDX-License-Identifier: MIT */
/*
 * A node without a kernel, for host tests of the network: net server, client library and the test
 * itself in one process and one event loop, so that the sanitisers see them all. Compiled in with
 * -include in place of servers/lib/wh.h. Requests to the NET service go to this process's own
 * queue; the wire is a socket that carries one frame per packet.
 */
#ifndef WH_H
#define WH_H
#include <stddef.h>
#include <stdint.h>
#include "whimbrel.h"

long wh_register(unsigned svc);
long wh_wait(struct wh_event *ev, uint64_t deadline_ns);
long wh_send(unsigned svc, const struct wh_msg *m, uint64_t cookie, void *bulk, size_t len,
	     unsigned bulk_flags);
long wh_call(unsigned svc, struct wh_msg *m, void *bulk, size_t len, unsigned bulk_flags);
long wh_reply(uint64_t id, const struct wh_msg *m);
long wh_copyin(uint64_t id, size_t off, void *dst, size_t len);
long wh_copyout(uint64_t id, size_t off, const void *src, size_t len);
long wh_notify(unsigned svc, uint64_t bits);
uint64_t wh_now(void);
long wh_identity(struct wh_identity *id);
long wh_secret(struct wh_secret *s);

/* What the wire does to each frame that this node sends; parts per million. */
struct host_faults {
	uint32_t loss, dup, corrupt;
};

/* What wh_secret gives; without this call there is no key. */
void host_secret(const struct wh_secret *s);
/* Be node `node` on that wire. */
void host_node(unsigned node, unsigned nodes, uint64_t incarnation, int wire, uint64_t seed);
void host_faults(const struct host_faults *f);
uint64_t host_rand(void);
int host_wire(void);
const struct host_faults *host_get_faults(void);
size_t host_open_requests(void); /* requests without an answer: a leak if they grow */

#endif
