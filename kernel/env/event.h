/* SPDX-License-Identifier: MIT */
/* Class Event: descriptors that are events themselves. */
#ifndef KERNEL_ENV_EVENT_H
#define KERNEL_ENV_EVENT_H
#include "file.h"

/* Installs f (takes the reference over) as a new descriptor. -EMFILE. */
i64 event_install(struct ofile *f, u32 flags);
#endif
