/* SPDX-License-Identifier: MIT */
/*
 * The clock server: says what time it is on this node. It reads the battery clock once, adds the
 * skew that the node was started with, and publishes the difference between REALTIME and the node's
 * monotonic time to the kernel, whose clock class serves all readings (Lu & Liu Fig. 1: *ktime and
 * *kztime). Nodes may disagree, and the server does not discipline the clock: keeping a process's
 * view of it consistent is what the views are for. It measures how far the nodes disagree
 * (probe.c).
 */
#include <errno.h>

#include "msg_clock.h"
#include "net.h"
#include "probe.h"
#include "rtc.h"
#include "serve.h"

enum { NOTE_RTC = 0 };

static struct wh_clock_params params;
static int64_t skew_ns;
static bool awaits_second; /* the clock is to be put right at the chip's next second */

static int64_t now_real(void)
{
	return (int64_t)wh_now() + params.real_minus_mono_ns;
}

static void publish(int64_t real_ns)
{
	long err;

	params.real_minus_mono_ns = real_ns - (int64_t)wh_now();
	err = wh_clock_set(&params);
	if (err)
		serve_log("the kernel does not take the time: %ld", err);
}

static void stop_waiting(void)
{
	awaits_second = false;
	rtc_tick_enable(false);
}

/*
 * The chip tells whole seconds, and interrupts when the next one starts. So the clock first runs up
 * to a second late, and then, once, is put right: forward, as it must be.
 */
static void on_second(void *arg, uint64_t bits)
{
	int64_t seconds;

	(void)arg;
	(void)bits;
	if (rtc_tick_ack() && awaits_second && (seconds = rtc_read()) > 0) {
		stop_waiting();
		publish(seconds * (int64_t)SERVE_SEC + skew_ns);
	}
	wh_irq_ack(RTC_IRQ_LINE);
}

/* settimeofday, clock_settime. The kernel has checked the caller's right, and the view of the
 * calling process. The battery clock is left alone: a restart brings back the time it was started
 * with. */
static void on_settime(const struct wh_event *ev)
{
	const struct clock_settime_msg *m = WH_BODY(&ev->msg, const struct clock_settime_msg);

	if (ev->from != WH_SVC_KERNEL) {
		serve_status(ev->id, -EPERM);
		return;
	}
	if (m->set_zone) {
		params.minuteswest = m->minuteswest;
		params.dsttime = m->dsttime;
	}
	stop_waiting();
	publish(m->set_time ? m->real_ns : now_real());
	if (m->set_time)
		probe_clock_was_set();
	serve_status(ev->id, 0);
}

static void on_ctl(const struct wh_event *ev)
{
	struct serve_ctl c;
	char text[8];

	if (serve_ctl_get(ev, &c, text, sizeof(text)))
		return;
	if (c.op == CLOCK_CTL_OFFSETS)
		probe_table(&c);
	else
		serve_ctl_printf(&c, -EINVAL, "no such request\n");
}

int main(void)
{
	struct wh_identity id;
	int64_t seconds;

	serve_init(WH_SVC_CLOCK);
	if (wh_identity(&id))
		serve_die("no identity");
	skew_ns = id.skew_ns;
	seconds = rtc_read();
	if (seconds < 0)
		serve_log("no time in the battery clock: starting at 0");
	publish((seconds < 0 ? 0 : seconds) * (int64_t)SERVE_SEC + skew_ns);
	serve_on(CLOCK_SETTIME, on_settime);
	serve_on(WH_MSG_CTL, on_ctl);
	serve_note(1u << NOTE_RTC, on_second, NULL);
	awaits_second = seconds >= 0 && wh_irq_bind(RTC_IRQ_LINE, NOTE_RTC) == 0;
	if (awaits_second)
		rtc_tick_enable(true);
	probe_start(id.node, id.nodes, now_real);
	serve_run();
}
