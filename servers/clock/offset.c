/* SPDX-License-Identifier: MIT */
#include "offset.h"

bool offset_measure(int64_t t1, int64_t t2, int64_t t3, int64_t t4, struct offset_sample *s)
{
	int64_t there, back, round, stay;

	/* The stamps of the peer are only claims: no arithmetic on them may overflow. */
	if (__builtin_sub_overflow(t2, t1, &there) || __builtin_sub_overflow(t3, t4, &back) ||
	    __builtin_sub_overflow(t4, t1, &round) || __builtin_sub_overflow(t3, t2, &stay))
		return false;
	if (round < 0 || stay < 0 || stay > round)
		return false;
	s->delay = round - stay;
	/* there and back differ by the delay only, so half of the difference is safe to add. */
	s->offset = back + (there - back) / 2;
	return true;
}

bool offset_filter(const struct offset_sample *s, size_t n, struct offset_sample *estimate)
{
	struct offset_sample kept[OFFSET_BURST];
	int64_t least = INT64_MAX;
	size_t nkept = 0;

	for (size_t i = 0; i < n; i++)
		if (s[i].delay < least)
			least = s[i].delay;
	for (size_t i = 0; i < n && nkept < OFFSET_BURST; i++) {
		size_t at = nkept;

		if (s[i].delay / 2 > least)
			continue;
		for (; at > 0 && kept[at - 1].offset > s[i].offset; at--)
			kept[at] = kept[at - 1];
		kept[at] = s[i];
		nkept++;
	}
	if (!nkept)
		return false;
	*estimate = kept[nkept / 2];
	return true;
}
