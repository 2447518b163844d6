/* SPDX-License-Identifier: MIT */
/*
 * Answers that can wait. A client learns from the answer to a small NET_SEND only that it may forget the
 * bytes; to wake it up for that costs two process switches, more than the sending itself. So these answers
 * are held until the client is woken anyway, or for a moment. Clients therefore keep several NET_SENDs on
 * their way (servers/lib/net.c).
 */
#ifndef NET_REPLY_H
#define NET_REPLY_H

#include <stdint.h>

/* The answer to a NET_SEND of service svc: now, if it failed or was long, else held. */
void reply_sent(unsigned svc, uint64_t request, int status);

/* Answer what is held for the service. */
void reply_held(unsigned svc);

#endif
