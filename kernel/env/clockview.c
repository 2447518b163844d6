/* SPDX-License-Identifier: MIT */
#include "clockview.h"

/* The clock at half rate from the duplicate on. */
static i64 slewed(const struct cview *v, i64 now)
{
	return v->dup_ns + (now > v->seen_ns ? (now - v->seen_ns) / 2 : 0);
}

i64 cview_peek(const struct cview *v, enum clock_policy policy, i64 now)
{
	if (v->larger || !v->marker)
		return now;
	return MAX(now, policy == CLOCK_SLEW ? slewed(v, now) : v->dup_ns);
}

i64 cview_observe_held(struct cview *v, enum clock_policy policy, i64 now)
{
	i64 shown = cview_peek(v, policy, now);

	v->marker = 1;
	if (shown == now) {
		v->larger = 1;
		v->seen_ns = now;
	} else if (now > v->seen_ns) {
		/* Keep the odd nanosecond, or frequent observers would stop the slewed clock. */
		v->seen_ns = now - ((now - v->seen_ns) & 1);
	}
	v->dup_ns = shown;
	return shown;
}

void cview_bind(struct cview *v, i64 now)
{
	v->larger = !v->marker || now >= v->dup_ns;
	v->seen_ns = now;
}

i64 cview_wait(const struct cview *v, enum clock_policy policy, i64 now, i64 target)
{
	if (cview_peek(v, policy, now) >= target)
		return 0;
	i64 left = target - now;
	if (policy == CLOCK_SLEW && v->marker && !v->larger) {
		i64 elapsed = now > v->seen_ns ? now - v->seen_ns : 0;
		left = MIN(left, 2 * (target - v->dup_ns) - elapsed);
	}
	return left;
}

void cview_set(struct cview *v, i64 value)
{
	v->marker = 1;
	v->larger = 1;
	v->dup_ns = value;
	v->seen_ns = value;
}

void cview_learn(struct cview *to, const struct cview *from, i64 now)
{
	if (!from->marker || (to->marker && to->dup_ns >= from->dup_ns))
		return;
	to->marker = 1;
	to->dup_ns = from->dup_ns;
	cview_bind(to, now);
}
