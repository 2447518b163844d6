/* SPDX-License-Identifier: MIT */
/* A stage's settings as text, `loss=5% delay=20ms`: read and written by the rows of knobs.def. */
#ifndef TOOLS_SWITCH_KNOBS_H
#define TOOLS_SWITCH_KNOBS_H

#include <stdio.h>

#include "fault.h"

/* Do as `name=value` says; NULL, or why not: then nothing is changed. The text may be static. */
const char *knob_set(struct fault *f, const char *setting);

/* Everything that is not as on a perfect wire, each after a space. */
void knobs_print(const struct fault *f, FILE *out);

#endif
