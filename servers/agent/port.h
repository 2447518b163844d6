/* SPDX-License-Identifier: MIT */
/*
 * The agent's virtio-serial ports: byte streams to host clients. Nothing here blocks. A port is a
 * client's only while the client is connected; what is sent to nobody is discarded by the device.
 */
#ifndef AGENT_PORT_H
#define AGENT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent.h"

enum { PORT_TX_BYTES = sizeof(struct agent_frame) + AGENT_PAYLOAD_MAX };

/* Find the device and open all its ports. Dies if there is none. */
void ports_init(void);
/*
 * Collect what arrived. `changed` is called for each port on which a client came or went:
 * everything port_read() returns later may still begin with bytes of the client before.
 */
void ports_poll(void (*changed)(unsigned port, bool connected));
/* Ring the doorbells for what was sent since. Call it before sleeping. */
void ports_flush(void);

/* Up to len bytes that arrived; 0 if there are none now. */
size_t port_read(unsigned port, void *buf, size_t len);
/* Memory of PORT_TX_BYTES to fill and give to port_send(); NULL while all of it is under way.
 * Asking again returns the same. */
void *port_buffer(unsigned port);
/* Send the first len bytes of that memory. */
void port_send(unsigned port, size_t len);

#endif
