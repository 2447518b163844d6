/* SPDX-License-Identifier: MIT */
/*
 * Time: the HPET's counter (QEMU: 100 MHz, exact under every throttle), interpolated by the TSC, scaled by the node's
 * drift. Timers: one heap and the LAPIC's one-shot timer; no periodic tick.
 */
#include "cpu.h"
#include "lib.h"
#include "mem.h"
#include "proc.h"
#include "sched.h"
#include "timerheap.h"

#define HPET_PHYS  0xfed00000ull
#define LAPIC_PHYS 0xfee00000ull
enum {
	LAPIC_EOI = 0xb0,
	LAPIC_SVR = 0xf0,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_TIMER_INIT = 0x380,
	LAPIC_TIMER_NOW = 0x390,
	LAPIC_TIMER_DIV = 0x3e0
};

static volatile u8 *lapic HOT_DATA, *hpet;
static u64 hpet_ns_per_tick = 10, hpet_start;
static u64 lapic_ticks_per_ms HOT_DATA;
static struct timer *first_timer HOT_DATA; /* root of the heap: the earliest */
static u64 fire_not_before HOT_DATA;	   /* so that timers cannot take all of the processor */
u64 timer_armed_for HOT_DATA = NO_DEADLINE;

static void lapic_write(u32 reg, u32 v)
{
	*(volatile u32 *)(lapic + reg) = v;
}

static u32 lapic_read(u32 reg)
{
	return *(volatile u32 *)(lapic + reg);
}

static u64 hpet_ns(void)
{
	return (*(volatile u64 *)(hpet + 0xf0) - hpet_start) * hpet_ns_per_tick;
}

/*
 * Between two looks at the HPET time is interpolated from the TSC, which is ten times cheaper to read. The rate is
 * measured anew at every look; an estimate that ran ahead is waited for, never taken back. All is kept in the node's
 * own time, drift included, so that a look at the clock is one multiplication.
 */
#define RESYNC_NS (100 * 1000000ull)
struct timebase timebase HOT_DATA = {.ticks_limit = ~0ull};
static u64 hpet_seen; /* at the last look, in node time */

/* A node's crystal is off by drift_ppm: its second is a little shorter or longer than the true one. */
static u64 real_ns(void)
{
	u64 ns = hpet_ns();
	return ns + (u64)((i64)(ns / 1000) * node_id.drift_ppm / 1000);
}

void timebase_resync(void)
{
	u64 tsc = rdtsc_raw(), real = real_ns();
	u64 shown = timebase_at(tsc - timebase.tsc), dt = tsc - timebase.tsc, dn = real - hpet_seen;
	for (; dn >> 31 || dt >> 62; dn >>= 1)
		dt >>= 1;
	if (dt && dn)
		timebase.mult = (dn << 32) / dt;
	timebase.ticks_limit = (RESYNC_NS << 32) / MAX(timebase.mult, 1ul);
	timebase.tsc = tsc;
	hpet_seen = real;
	timebase.ns = MAX(shown, real);
	if (shown > real) /* be level with the HPET at the next look, at no less than half speed */
		timebase.mult -= timebase.mult * MIN(shown - real, RESYNC_NS / 2) / RESYNC_NS;
}

/*
 * LAPIC ticks in a millisecond of the HPET. The host may take the processor away anywhere in here: the HPET's
 * readings enclose the LAPIC's, so the result can be too low (a timer fires early, and is set again) but never too
 * high (it would fire late, by any factor).
 */
static u64 calibrate(void)
{
	u64 t0 = hpet_ns();
	hpet_seen = real_ns();
	timebase.tsc = rdtsc_raw();
	lapic_write(LAPIC_TIMER_INIT, ~0u);
	while (hpet_ns() < t0 + 100000)
		;
	u64 ticks = ~0u - lapic_read(LAPIC_TIMER_NOW);
	u64 t1 = hpet_ns();
	timebase_resync();
	lapic_write(LAPIC_TIMER_INIT, 0);
	return ticks * 1000000 / (t1 - t0);
}

/* The firmware's tick: masked at the 8259, it would still wake QEMU, and its processor, 18 times a second. */
static void stop_pit(void)
{
	outb(0x43, 0x30); /* one shot, of one tick */
	outb(0x40, 1);
	outb(0x40, 0);
}

void timer_init(void)
{
	stop_pit();
	lapic = mmio_map(LAPIC_PHYS, PAGE_SIZE);
	hpet = mmio_map(HPET_PHYS, PAGE_SIZE);
	u64 cap = *(volatile u64 *)hpet;
	if (cap == 0 || cap == ~0ull)
		panic("no HPET: start QEMU with -M pc and without hpet=off");
	hpet_ns_per_tick = (cap >> 32) / 1000000;
	*(volatile u64 *)(hpet + 0x10) |= 1; /* run */
	hpet_start = *(volatile u64 *)(hpet + 0xf0);

	lapic_write(LAPIC_SVR, 0x100 | VEC_SPURIOUS);
	lapic_write(LAPIC_LVT_LINT0, 0x700); /* the 8259s' interrupts come in here */
	lapic_write(LAPIC_LVT_TIMER, VEC_TIMER);
	lapic_write(LAPIC_TIMER_DIV, 3); /* by 16 */
	lapic_ticks_per_ms = 1;
	for (int i = 0; i < 5; i++)
		lapic_ticks_per_ms = MAX(lapic_ticks_per_ms, calibrate());
}

/*
 * Program the LAPIC for the earliest timer or the end of the slice, unless it already is set for that time or an
 * earlier one: then its interrupt, which comes too early, brings us here again. Slices begin at every switch and end
 * 10 ms later, so nearly always it is. Writing to it is dear: each new deadline wakes QEMU's other thread (5 us a switch).
 */
HOT void timer_rearm(void)
{
	u64 next = NO_DEADLINE;
	if (first_timer)
		next = MAX(first_timer->deadline_ns, fire_not_before);
	if (current_thread && current_thread->slice_end_ns < next)
		next = current_thread->slice_end_ns;
	if (next >= timer_armed_for)
		return;
	timer_armed_for = next;
	u64 now = now_ns(), wait = next > now ? next - now : 0;
	u64 ticks = MIN(wait, 10 * NS_PER_SEC) * lapic_ticks_per_ms / 1000000;
	lapic_write(LAPIC_TIMER_INIT, (u32)MIN(MAX(ticks, 1ul), 0xfffffffful));
}

HOT void timer_arm(struct timer *t, u64 deadline_ns)
{
	if (t->armed)
		timerheap_remove(&first_timer, t);
	t->deadline_ns = deadline_ns;
	timerheap_add(&first_timer, t);
	timer_rearm();
}

void timer_cancel(struct timer *t)
{
	if (!t->armed)
		return;
	timerheap_remove(&first_timer, t);
	timer_rearm();
}

/*
 * At most so many at a time, and then a pause as long as they took (the host may have taken the processor away meanwhile: hence
 * a bound): programs whose timers are due all the time get them late, and leave the others half of the processor.
 */
#define FIRE_AT_ONCE 32
#define PAUSE_MAX_NS 1000000ull

void timer_interrupt(void)
{
	lapic_write(LAPIC_EOI, 0);
	timer_armed_for = NO_DEADLINE;
	u64 now = now_ns();
	u32 fired = 0;
	if (now >= fire_not_before) {
		for (; first_timer && first_timer->deadline_ns <= now && fired < FIRE_AT_ONCE;
		     fired++) {
			struct timer *t = first_timer;
			timerheap_remove(&first_timer, t);
			t->fire(t);
		}
	}
	if (fired == FIRE_AT_ONCE) {
		u64 end = now_ns();
		fire_not_before = end + MIN(end - now, PAUSE_MAX_NS);
	}
	if (current_thread && current_thread->slice_end_ns <= now)
		need_resched = true;
	timer_rearm();
}
