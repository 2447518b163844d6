/* SPDX-License-Identifier: MIT */
/* Error numbers from abi/errors.def, and the internal restart codes a call may return. */
#ifndef KERNEL_ERRNO_H
#define KERNEL_ERRNO_H
enum {
#define ERR(name, number, text) name = number,
#include "errors.def"
#undef ERR
	EWOULDBLOCK = EAGAIN,
	/* Never reach user mode. An interruptible wait ended by a signal or by a freeze: the call
	 * is re-executed from the user boundary (no kernel stack travels), or becomes EINTR: */
	ERESTARTSYS = 512,    /* EINTR only if a handler without SA_RESTART runs */
	ERESTARTNOHAND = 514, /* EINTR if any handler runs (pause, sigsuspend, poll) */
	ERESTARTBLOCK =
		516, /* as above; on re-execution continues from ublock.call.resume (sleep) */
};
#endif
