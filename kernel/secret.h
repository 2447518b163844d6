/* SPDX-License-Identifier: MIT */
/* The cluster's key, which QEMU hands to this node (docs/security.md). */
#ifndef KERNEL_SECRET_H
#define KERNEL_SECRET_H

/* At boot, once: read it from the firmware configuration device, and say in the log if there is none. */
void secret_read(void);
#endif
