/* SPDX-License-Identifier: MIT */
/* What can be set at run time, with its limits: params.def. */
#ifndef LOAD_SETTINGS_H
#define LOAD_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "policy.h"

struct load_settings {
	struct load_params policy;
	uint32_t balance, report_ms, beat_ms, suspect_ms, settle_ms, bar_ms;
};

/* The defaults; with many nodes reports are rarer, since their number grows with the square. */
void settings_init(struct load_settings *s, uint32_t nodes);

/* "NAME VALUE". 0; or -EINVAL, with the reason in `why`. */
int settings_set(struct load_settings *s, const char *text, char *why, size_t size);

/* A line for each setting: name, value, what it is. Returns the length, below `size`. */
size_t settings_text(const struct load_settings *s, char *text, size_t size);

#endif
