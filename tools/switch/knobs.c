/* SPDX-License-Identifier: MIT */
/* Settings of a stage as text. See knobs.h. */
#include <stdlib.h>
#include <string.h>

#include "knobs.h"

#define DELAY_MAX_MS 60000.0
#define RATE_MAX     1e12

enum kind { PERCENT, COUNT, TIME, RATE };

struct unit {
	const char *name;
	double factor;
};

/* The first is used when none is given. */
static const struct kind_row {
	const char *want;
	double most; /* in the first unit */
	struct unit unit[5];
} kinds[] = {
	[PERCENT] = {"want 0 to 100 percent", 100, {{"%", FAULT_PPM / 100.0}}},
	[COUNT] = {"want 1 to 64", FAULT_BITS, {{"", 1}}},
	[TIME] = {"want 0 to 60000 ms, as in 20ms, 500us or 1s",
		  DELAY_MAX_MS,
		  {{"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"s", 1e9}}},
	[RATE] = {"want bytes per second, as in 500k or 20M; 0 for no limit",
		  RATE_MAX,
		  {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}},
};

/* The value in the unit of struct fault, or why not. */
static const char *parse(enum kind kind, const char *text, uint64_t *value)
{
	const struct kind_row *k = &kinds[kind];
	const struct unit *u = k->unit;
	char *end;
	double v = strtod(text, &end);

	if (end == text)
		return k->want;
	if (*end)
		while (u->name && strcmp(u->name, end) != 0)
			u++;
	if (!u->name || !(v >= 0 && v * u->factor <= k->most * k->unit[0].factor))
		return k->want;
	if (kind == COUNT && v < 1)
		return k->want;
	*value = (uint64_t)(v * u->factor + 0.5);
	return NULL;
}

const char *knob_set(struct fault *f, const char *setting)
{
	const char *equals = strchr(setting, '=');
	size_t n = equals ? (size_t)(equals - setting) : 0;
	const char *why;
	uint64_t v = 0;

#define KNOB(name, kind, member)                                                                   \
	if (n == strlen(#name) && memcmp(setting, #name, n) == 0) {                                \
		why = parse(kind, equals + 1, &v);                                                 \
		if (!why)                                                                          \
			f->member = v;                                                             \
		return why;                                                                        \
	}
#include "knobs.def"
#undef KNOB
#define KNOB(name, kind, member) " " #name "="
	return "want"
#include "knobs.def"
		;
#undef KNOB
}

static void print(FILE *out, const char *name, enum kind kind, uint64_t v)
{
	const struct unit *u = &kinds[kind].unit[0];

	if (v)
		fprintf(out, " %s=%.12g%s", name, (double)v / u->factor, u->name);
}

void knobs_print(const struct fault *f, FILE *out)
{
#define KNOB(name, kind, member) print(out, #name, kind, f->member);
#include "knobs.def"
#undef KNOB
}
