/* SPDX-License-Identifier: MIT */
/* Class Ptimer: timers do not fire while their process is frozen (class Clock asks). */
#ifndef KERNEL_ENV_PTIMER_H
#define KERNEL_ENV_PTIMER_H
struct proc;
void ptimer_suspend(struct proc *p);
void ptimer_resume(struct proc *p);
#endif
