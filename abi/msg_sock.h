/* SPDX-License-Identifier: MIT */
/*
 * Sockets of user programs, between the kernel and the NET service. A socket has one number on both sides (id). Three ways:
 *   requests  kernel -> NET, answered at once: what a call needs the protocols' word for (struct sock_req).
 *   tells     NET -> kernel (wh_sock_tell): what has happened to a socket. The kernel keeps it, so that calls, poll and their kin
 *             find out without asking.
 *   news      kernel -> NET (WH_NOTE_SOCK, then wh_sock_news): what users have done meanwhile, merged per socket.
 * Bytes of a TCP connection are copied once each way, by the calling process: from its buffer into memory of NET that the card
 * sends from (the ring), and from the received frames, where the card has put them, into its buffer. Positions are counted from the
 * beginning of the connection, so a tell and news that cross mean the same to both.
 */
#ifndef ABI_MSG_SOCK_H
#define ABI_MSG_SOCK_H
#include "whimbrel.h"

#define SOCK_SLOTS     512 /* sockets of a node: the low bits of an id; the rest tells its uses apart */
#define SOCK_SEGS_MAX  256 /* pieces of received bytes that the kernel knows of at a time */
#define SOCK_DGRAM_MAX 65535

/* ---- requests; the answer's body is a sock_req too ---- */
enum sock_type_of_request {
	SOCK_OPEN = 64, /* id, protocol */
	SOCK_BIND,	/* addr, port (0: any) -> laddr, lport */
	SOCK_LISTEN,	/* backlog -> laddr, lport */
	SOCK_CONNECT, /* addr, port -> laddr, lport. TCP: has begun; SOCK_T_CONNECTED or SOCK_T_ERROR follows. addr 0: no longer */
	SOCK_SEND,    /* datagram: addr, port (0: the connected one); bulk in */
	SOCK_SET,     /* opt */
};

struct sock_options {
	uint8_t ttl, tos;
	uint8_t nodelay, keepalive, reuseaddr, hdrincl;
	uint8_t pad_[2];
	uint32_t keep_idle_s, keep_interval_s, keep_count;
};

struct sock_req {
	uint32_t id;
	uint16_t protocol;    /* IPPROTO_ */
	uint16_t raw;	      /* SOCK_RAW: with IP header */
	uint32_t addr, laddr; /* IPv4, network order; 0: none */
	uint16_t port, lport; /* host order */
	uint32_t backlog;
	struct sock_options opt; /* SOCK_OPEN, SOCK_SET */
};

/* ---- tells ---- */
enum sock_tell_what {
	SOCK_T_CONNECTED = 1, /* laddr, lport; ring, size */
	SOCK_T_ACCEPTED, /* id: the listener; laddr .. rport, ring, size. Returns the new socket's id */
	SOCK_T_ERROR, /* error: the connection has ended, or (datagrams) something sent was refused */
	SOCK_T_BYTES, /* segs, n: received. Returns how many pieces of them it has taken note of */
	SOCK_T_EOF,   /* the peer sends no more; after all bytes */
	SOCK_T_ACKED, /* pos: the peer has all before it, the ring room */
	SOCK_T_RING, /* ring, size: what is written from now on goes there. Returns the position of "now" */
	SOCK_T_DGRAM, /* segs, n: one datagram, copied; laddr .. rport, ttl */
};

struct sock_seg {
	uint64_t addr; /* in NET's memory */
	uint64_t len;
};

struct sock_tell {
	uint32_t id;
	uint32_t what;
	int32_t error;
	uint32_t n;
	uint32_t laddr, raddr; /* IPv4, network order */
	uint16_t lport, rport; /* host order */
	uint32_t ttl;
	uint64_t pos;
	uint64_t ring, size; /* address in NET's memory, bytes */
	uint64_t segs;	     /* address of struct sock_seg[n] */
};

/* ---- news ---- */
enum sock_news_flags {
	SOCK_N_ACCEPTED = 1, /* a program has accepted it */
	SOCK_N_SHUT = 2,     /* nothing is written any more */
	SOCK_N_CLOSE = 4,    /* nobody uses it: the id is free */
	SOCK_N_RESET = 8,    /* with CLOSE: at once, what is written may be lost */
};

struct sock_news {
	uint32_t id;
	uint32_t flags;
	uint64_t read;	  /* bytes that users have taken: their memory is NET's again */
	uint64_t written; /* bytes that users have put into the ring */
};
#endif
