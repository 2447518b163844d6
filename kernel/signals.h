/* SPDX-License-Identifier: MIT */
/* Calls between the core and the files of signals, clocks and stubs. */
#ifndef KERNEL_SIGNALS_H
#define KERNEL_SIGNALS_H
#include "types.h"
#include "trap.h"

struct proc;
/* A trap that is the running program's own fault: force the signal, kill if it is blocked or ignored. */
void signal_fault(int sig, i32 code, u64 addr);
/* SIGCHLD ignored or SA_NOCLDWAIT: children are reaped without wait. */
bool signal_ignores_child(const struct proc *p);
/* rdtsc/rdtscp in user mode (CR4.TSD): true if it was one and has been served. */
bool clock_emulate_rdtsc(struct proc *p, struct trapframe *tf);
/* The process's stub on another node must learn that it ended. */
void stub_notify_exit(struct proc *p, i32 status);
/* The parent of an away child ended. */
void stub_orphaned(struct proc *child);
#endif
