/* SPDX-License-Identifier: MIT */
/* The trace ring: the last events of the node, dumped by `wh_trace` and on panic. */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H
#include "types.h"

enum trace_event {
#define TRACE(NAME, text) TRACE_##NAME,
#include "trace.def"
#undef TRACE
};
/* Cheap; never blocks. */
void trace(enum trace_event e, u64 a, u64 b, u64 c);
void trace_dump_to_log(u32 last);
void klog_flush_to_console(void);
#endif
