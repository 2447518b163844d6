/* SPDX-License-Identifier: MIT */
/*
 * Record locks: fcntl()'s, on ranges of bytes. One belongs to a process (or to an open file), whichever hold it was
 * taken through, and lives at most as long as that hold: POSIX gives a process's locks back at any close of the file,
 * which the process's kernel asks for; what a dead node's processes had goes with their holds.
 */
#ifndef FILE_RECORDS_H
#define FILE_RECORDS_H

#include "holds.h"

enum { RECORDS_MAX = 4096 };

/* Replace what q->who has in q's range by q->type. -EAGAIN: somebody else's lock is in the way; -ENOLCK. */
int record_set(struct holds *t, struct hold *h, const struct fs_lock *q);
/* *q becomes the first lock that would be in its way, or one of type FS_LOCK_NONE. */
void record_test(const struct hold *h, struct fs_lock *q);
/* h ends. */
void records_drop(struct holds *t, struct hold *h);

#endif
