/* SPDX-License-Identifier: MIT */
#include "trace.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

#define RING 2048 /* events; a power of two */

static struct {
	u64 when;
	i32 pid;
	u32 event;
	u64 a, b, c;
} ring[RING];
static u64 head;

void trace(enum trace_event e, u64 a, u64 b, u64 c)
{
	u64 i = head++ % RING;
	ring[i].when = now_ns();
	ring[i].pid = current ? current->pid : 0;
	ring[i].event = e;
	ring[i].a = a;
	ring[i].b = b;
	ring[i].c = c;
}

static void print_event(struct text *t, u64 i)
{
	text_printf(t, "%lu.%06lu %d ", ring[i].when / NS_PER_SEC, ring[i].when / 1000 % 1000000,
		    ring[i].pid);
	switch (ring[i].event) {
#define TRACE(NAME, text)                                                                          \
	case TRACE_##NAME:                                                                         \
		text_printf(t, text, ring[i].a, ring[i].b, ring[i].c);                             \
		break;
#include "trace.def"
#undef TRACE
	}
	text_printf(t, "\n");
}

void trace_dump_to_log(u32 last)
{
	char line[160];
	for (u64 n = head > last ? head - last : 0; n < head; n++) {
		struct text t = TEXT(line, sizeof line);
		print_event(&t, n % RING);
		t.buf[t.len ? t.len - 1 : 0] = 0;
		klog("  %s", line);
	}
}

i64 wh_sys_trace(const u64 *arg);
i64 wh_sys_trace(const u64 *arg)
{
	u64 done = 0;
	char line[160];
	if (current->u->names.euid)
		return -EPERM; /* it shows what everybody does */
	for (u64 n = head > RING ? head - RING : 0, end = head; n < end; n++) {
		struct text t = TEXT(line, sizeof line);
		print_event(&t, n % RING);
		if (done + t.len > arg[1])
			break;
		if (copy_to_user(arg[0] + done, line, t.len))
			return -EFAULT;
		done += t.len;
	}
	return (i64)done;
}
