/* SPDX-License-Identifier: MIT */
/* The kernel log, and the end of the world with a symbolised backtrace. */
#include "cpu.h"
#include "frame.h"
#include "lib.h"
#include "mem.h"
#include "proc.h"
#include "trace.h"

#define DEBUG_PORT 0xe9

/* Made by tools/ksyms.sh from the linked kernel: sorted addresses and names; empty in the first
 * link. */
struct ksym {
	u64 addr;
	const char *name;
};
extern const struct ksym ksyms[];
extern const u64 ksym_count;
extern char text_start[], text_end[];

static bool line_start = true;

/* What dmesg reads: the last RING bytes, and how many there have ever been. */
#define RING 65536u
static char ring[RING];
static u64 logged, cleared;

static void log_char(char c)
{
	outb(DEBUG_PORT, (u8)c);
	ring[logged++ % RING] = c;
}

void klog_clear(void)
{
	cleared = logged;
}

i64 klog_size(void)
{
	return RING;
}

u64 klog_unread(void)
{
	return MIN(logged - cleared, (u64)RING);
}

/* The last of them: whole lines if there were more. */
u64 klog_read(char *buf, u64 len)
{
	u64 from = logged - MIN(klog_unread(), len), n = 0;
	while (from != cleared && from < logged && from && ring[(from - 1) % RING] != '\n')
		from++;
	for (; from < logged; from++)
		buf[n++] = ring[from % RING];
	return n;
}

static void log_text(const char *s)
{
	for (; *s; s++) {
		if (line_start) {
			char stamp[32];
			u64 now = node_id.node ? now_ns() : 0;
			struct text t = TEXT(stamp, sizeof stamp);
			text_printf(&t, "[%4lu.%06lu] ", now / NS_PER_SEC, now / 1000 % 1000000);
			for (u32 i = 0; i < t.len; i++)
				log_char(stamp[i]);
		}
		log_char(*s);
		line_start = *s == '\n';
	}
}

static void vklog(const char *fmt, va_list ap)
{
	char line[256];
	struct text t = TEXT(line, sizeof line);
	text_vprintf(&t, fmt, ap);
	log_text(line);
	if (!t.len || line[t.len - 1] != '\n')
		log_text("\n");
}

void klog(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vklog(fmt, ap);
	va_end(ap);
}

#define USER_LINES   100u /* at once; as many again in USER_LINES times: */
#define USER_LINE_NS (NS_PER_SEC / 20)

void klog_user(const char *fmt, ...)
{
	static u64 paid_until; /* the lines so far, one every USER_LINE_NS, last until then */
	static u64 left_out;
	u64 now = now_ns();
	va_list ap;
	paid_until = MAX(paid_until, now);
	if (paid_until - now > USER_LINES * USER_LINE_NS) {
		left_out++;
		return;
	}
	paid_until += USER_LINE_NS;
	if (left_out)
		klog("%lu lines about programs are left out: there were too many", left_out);
	left_out = 0;
	va_start(ap, fmt);
	vklog(fmt, ap);
	va_end(ap);
}

static void print_symbol(u64 addr)
{
	u64 lo = 0, hi = ksym_count;
	while (lo + 1 < hi) {
		u64 mid = (lo + hi) / 2;
		if (ksyms[mid].addr <= addr)
			lo = mid;
		else
			hi = mid;
	}
	if (ksym_count && ksyms[lo].addr <= addr)
		klog("  %lx %s+%lx", addr, ksyms[lo].name, addr - ksyms[lo].addr);
	else
		klog("  %lx", addr);
}

static void backtrace(void)
{
	u64 *fp = __builtin_frame_address(0);
	for (int depth = 0; depth < 24 && (u64)fp >= DIRECT_MAP && !((u64)fp & 7); depth++) {
		u64 ret = fp[1];
		if (ret < (u64)text_start || ret >= (u64)text_end)
			break;
		print_symbol(ret);
		fp = (u64 *)fp[0];
	}
}

void panic(const char *fmt, ...)
{
	static bool again;
	char why[200];
	struct text t = TEXT(why, sizeof why);
	va_list ap;
	__asm__ volatile("cli");
	va_start(ap, fmt);
	text_vprintf(&t, fmt, ap);
	va_end(ap);
	klog("PANIC node %u: %s", node_id.node, why);
	if (!again) {
		again = true;
		if (current)
			klog("  in pid %d (%s), call %lu", current->pid,
			     current->u ? current->u->names.comm : "?", current_thread->u.call.nr);
		backtrace();
		klog("last events:");
		trace_dump_to_log(24);
	}
	for (;;)
		__asm__ volatile("cli; hlt");
}
