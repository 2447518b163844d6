/* SPDX-License-Identifier: MIT */
/* lwIP's lwiperf: serves an ordinary iperf 2, without any program of a node in between. Off until asked for. */
#ifndef NET_IPERF_H
#define NET_IPERF_H

#include "serve.h"

/* NET_CTL_IPERF: "start PORT", "stop" or "" in; what it does and what it has measured out. */
void iperf_ctl(const struct serve_ctl *c, const char *text);

#endif
