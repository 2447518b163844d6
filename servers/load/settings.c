/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct param {
	const char *name;
	size_t offset;
	uint32_t value, least, most;
	const char *help;
};

static const struct param params[] = {
#define PARAM(name, member, value, least, most, help)                                              \
	{name, offsetof(struct load_settings, member), value, least, most, help},
#include "params.def"
#undef PARAM
};

enum { PARAMS = sizeof(params) / sizeof(params[0]), FEW_NODES = 16 };

static uint32_t *value_of(const struct load_settings *s, const struct param *p)
{
	return (uint32_t *)((char *)(uintptr_t)s + p->offset);
}

void settings_init(struct load_settings *s, uint32_t nodes)
{
	for (unsigned i = 0; i < PARAMS; i++)
		*value_of(s, &params[i]) = params[i].value;
	if (nodes > FEW_NODES) {
		s->report_ms = s->report_ms * nodes / FEW_NODES;
		s->beat_ms = s->beat_ms * nodes / FEW_NODES;
		s->suspect_ms = s->suspect_ms * nodes / FEW_NODES;
	}
}

static int set(struct load_settings *s, const struct param *p, const char *text, char *why,
	       size_t size)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v < p->least || v > p->most) {
		snprintf(why, size, "%s is %u to %u\n", p->name, p->least, p->most);
		return -EINVAL;
	}
	*value_of(s, p) = (uint32_t)v;
	return 0;
}

int settings_set(struct load_settings *s, const char *text, char *why, size_t size)
{
	size_t len = strcspn(text, " ");

	for (unsigned i = 0; i < PARAMS; i++) {
		const struct param *p = &params[i];

		if (strlen(p->name) == len && !memcmp(p->name, text, len))
			return set(s, p, text + len + strspn(text + len, " "), why, size);
	}
	snprintf(why, size, "nothing is called that: %.*s\n", (int)len, text);
	return -EINVAL;
}

size_t settings_text(const struct load_settings *s, char *text, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; i < PARAMS && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%-14s %7u  %s\n", params[i].name,
					*value_of(s, &params[i]), params[i].help);
	return len < size ? len : size - 1;
}
