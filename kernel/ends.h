/* SPDX-License-Identifier: MIT */
/*
 * Open files that stay where they are (docs/restless.md). A description (struct ofile) that other processes use as well, or whose
 * object cannot leave this node (a pipe, the terminal), is not packed when a process that holds it moves. It stays here, at
 * its *home*, as an *end* with a number; at the destination stands a far description that asks the home node.
 *
 * An end is named like a hold of this node's file server (FS_END_BIT), so the set of nodes that use one is kept the way the owners of a
 * hold are: FS_ADOPT before the process can run elsewhere, FS_CLOSE by the last far description of a node, and the
 * fence of a dead node. While the set is not empty the file server holds one reference.
 */
#ifndef KERNEL_ENDS_H
#define KERNEL_ENDS_H
#include "file.h"

/* ---- at home (ends.c) ---- */

/* Must f stay at home if p, which has `own` of its references, moves? */
bool end_stays(const struct ofile *f, u32 own);
/* Can it, that is: are its operations among those that can be asked for from afar? */
bool end_possible(const struct ofile *f);
/* f may have been an end, and p is about to move, with `own` of its references: if nobody else uses it any more it is none. */
void end_settle(struct ofile *f, u32 own);
/* f's number as an end, a new one if need be; 0: no memory. */
u64 end_number(struct ofile *f);
/* The end's description, borrowed; NULL: there is none of that number. */
struct ofile *end_find(u64 number);
/* The last reference of f has gone. */
void end_forget(struct ofile *f);
/* Who asks, while the file server executes a request for a process of another node; NULL: nobody. */
const struct fs_end *end_asker(void);
u64 counters_ends(void); /* ends that other nodes use */

/* ---- far (far.c): f->end is the hold of the end ---- */

/* A far pipe or terminal. Takes over the reference, also on failure. */
struct linux_iovec;
struct ofile *far_open(struct fobj *end, u32 flags);
/* The far terminal among current's descriptors whose device number is rdev, borrowed: /dev/pts/N means it. NULL: none. */
struct ofile *far_terminal(u32 rdev);
/* A far file: its contents are its own, only the offset is at home. */
i64 far_read(struct ofile *f, const struct linux_iovec *v, u32 n);
i64 far_write(struct ofile *f, const struct linux_iovec *v, u32 n);
i64 far_tell(struct ofile *f, u64 *off);
i64 far_seek(struct ofile *f, u64 off);
/* The description's O_NONBLOCK and O_APPEND; those in `mask` become `set` first. Or -errno. */
i64 far_flags(struct ofile *f, u32 mask, u32 set);
#endif
