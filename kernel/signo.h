/* SPDX-License-Identifier: MIT */
/* Signal numbers of the Linux x86-64 ABI. */
#ifndef KERNEL_SIGNO_H
#define KERNEL_SIGNO_H
enum signal_number {
	SIGHUP = 1,
	SIGINT = 2,
	SIGQUIT = 3,
	SIGILL = 4,
	SIGTRAP = 5,
	SIGABRT = 6,
	SIGBUS = 7,
	SIGFPE = 8,
	SIGKILL = 9,
	SIGSEGV = 11,
	SIGPIPE = 13,
	SIGALRM = 14,
	SIGTERM = 15,
	SIGCHLD = 17,
	SIGCONT = 18,
	SIGSTOP = 19,
	SIGTSTP = 20,
	SIGTTIN = 21,
	SIGTTOU = 22,
	SIGURG = 23,
	SIGXFSZ = 25,
	SIGWINCH = 28,
};
#endif
