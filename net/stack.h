/* SPDX-License-Identifier: MIT */
/*
 * lwIP on our card and in our event loop: start, addresses, the TCP clock, the log of junk.
 * A node is 10.0.0.K with the Ethernet address 52:54:00:00:00:K, computed and never asked for (ARP
 * requests of others are answered), so a lossy or lying wire cannot confuse who is where.
 */
#ifndef NET_STACK_H
#define NET_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/err.h"
#include "lwip/ip_addr.h"

void stack_start(void);

/* Call fn after each batch of frames, and before what was made of it is sent. */
void stack_deliver(void (*fn)(void));

/* Give memory of lwIP's heap back as soon as no frame on its way points into it. What a segment points into may be freed when
 * it is acknowledged; this is for a connection that ends before. */
void stack_free(void *mem);

/* The address of a node; its number from an address, 0 if it is none. */
ip_addr_t stack_addr(unsigned node);
unsigned stack_node(const ip_addr_t *addr);

unsigned stack_self(void); /* this node */

/* Is this a node that can be talked to: a node of this cluster, and not this one? */
bool stack_reachable(unsigned node);

/* Counters of the card on the cluster's wire (0), and of the one to the host (1): NULL without it. */
struct nic_stats;
const struct nic_stats *stack_card(unsigned index);

/* Something is under way that no card sees: TCP must have its clock soon. */
void stack_active(void);

/* As lwIP's error, so as errno. */
int stack_errno(err_t err);

#endif
