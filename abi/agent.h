/* SPDX-License-Identifier: MIT */
/*
 * What a host client (tools/whctl) and a node's agent (servers/agent) say on a virtio-serial port.
 * One port carries one session at a time; the bytes of an earlier session may still be on their way
 * when a client connects, so both sides begin by discarding until they see the greeting.
 *
 *   client: greeting, EXEC, then STDIN* STDIN_END
 *   agent:  greeting, then (STDOUT | STDERR)* and EXIT or ERROR
 *
 * The client hanging up before EXIT ends the command (SIGHUP to its process group). Flow control is
 * that of the streams: the agent stops reading a port whose command does not read its input.
 * Numbers are little-endian.
 */
#ifndef ABI_AGENT_H
#define ABI_AGENT_H

#include <stdint.h>

enum {
	AGENT_PORTS = 8, /* per node; virtio-serial ports 1..8, port 0 is reserved for a console */
	AGENT_PAYLOAD_MAX = 16384,  /* bytes in one frame */
	AGENT_SIGNALLED = 1u << 16, /* in EXIT: ended by the signal in the low bits */
};

#define AGENT_MAGIC "whimbrel/agent/1"

/* First thing in each direction; the agent repeats the client's nonce. */
struct agent_greeting {
	char magic[16];
	uint64_t nonce;
};

enum agent_type {
	AGENT_EXEC = 1,	     /* struct agent_exec and strings */
	AGENT_STDIN = 2,     /* bytes for the command */
	AGENT_STDIN_END = 3, /* empty */
	AGENT_STDOUT = 16,   /* bytes from the command */
	AGENT_STDERR = 17,
	AGENT_EXIT = 18,  /* uint32_t: exit status, or AGENT_SIGNALLED | signal */
	AGENT_ERROR = 19, /* text: the agent could not do it */
};

struct agent_frame {
	uint32_t type;
	uint32_t len; /* bytes that follow, at most AGENT_PAYLOAD_MAX */
};

/* Followed by NUL-terminated strings: working directory, argc arguments, envc NAME=VALUE. */
struct agent_exec {
	uint32_t argc, envc;
	uint32_t uid; /* of the command, and its group */
};

#endif
