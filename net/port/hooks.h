/* SPDX-License-Identifier: MIT */
/* lwIP's hooks that we use. */
#ifndef NET_PORT_HOOKS_H
#define NET_PORT_HOOKS_H

#include "port.h"

/* Unpredictable, and never that of an earlier incarnation of this node. */
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port) port_rand()

#endif
