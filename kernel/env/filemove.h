/* SPDX-License-Identifier: MIT */
/* Class File in motion (filemove.c, filearrive.c): its packed form, and what arrives before the regions that use it. */
#ifndef KERNEL_ENV_FILEMOVE_H
#define KERNEL_ENV_FILEMOVE_H
#include "env/env.h"

#define FILE_MAX_HELD (256 + 64) /* NOFILE, and files mapped without a descriptor */
#define FILE_NONE     0xffffffffu

struct fobj;
struct ofile;

/* What a process holds: at its custodian, or (f too) the end of another node's open file; or (home) an open file of this
 * node, which stays when the process leaves, or to which it comes home. */
struct held {
	struct {
		struct fobj *f;
		struct ofile *home;
	} row[FILE_MAX_HELD];
	u32 n;
	bool more; /* than fit */
};

int file_pack(struct proc *p, struct blob *b);
int file_unpack(struct proc *p, struct blob *b);
/* Just before resumption: what no descriptor and no region took over is let go. */
void file_bind(struct proc *p);
/* The arriving process is dropped, or ended before its static binding. */
void file_forget_arrival(struct proc *p);
#endif
