/* SPDX-License-Identifier: MIT */
/* What happens when a page fault finds no free frame. */
#ifndef KERNEL_OOM_H
#define KERNEL_OOM_H
#include "types.h"

/* `current` needs a frame and none is left, not even by shrinking the page cache. Ends the largest process of the
 * user who has most and waits for its memory (at most 2 s). true: try the fault again. false: the one to end is
 * current itself. Blocks. */
bool oom_make_room(void);

/* Frames that current must leave free for those who come before it: users leave some to root, so that root can still
 * look and act, and root leaves some to the servers. */
u64 oom_reserve(void);
#endif
