/* SPDX-License-Identifier: MIT */
/*
 * Open files of this node's processes that processes of other nodes use (abi/msg_file.h, kernel/ends.h): which nodes use one, and
 * which of them wait for news of it. The operations themselves are the kernel's; none of them waits.
 */
#ifndef FILE_ENDS_H
#define FILE_ENDS_H

#include "ops.h"

/* Makes t take requests for ends. */
void ends_start(struct tree *t, struct holds *h);
/* A pipe or terminal that the kernel was asked about has changed (WH_NOTE_POLL). */
void ends_changed(void);

enum { PEER_FS_NEWS = 3 }; /* between file servers; id: the end */
/* News from the end's home. */
void ends_news(unsigned node, uint64_t end);

#endif
