/* SPDX-License-Identifier: MIT */
/* One client at one port: greeting, a command, its streams, its exit status (abi/agent.h). */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

/* A client connected to or left a port: whatever ran there for the one before is hung up on. */
void session_reset(unsigned port);
/* Move everything that can be moved without waiting. */
void session_run(unsigned port);
/* A child ended with this wait status; false if it was not a session's. */
bool session_child(int pid, int status);
/* Kill those that ignored the hang-up; returns the time (ns, as wh_now) of the next one to look at,
 * or UINT64_MAX. */
uint64_t session_condemn(uint64_t now_ns);

#endif
