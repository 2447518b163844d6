/* SPDX-License-Identifier: MIT */
/* The processes that roundtrip.c moves. Each returns 0, or a number that tells what it noticed. */
#ifndef TESTS_OS_ROUNDTRIP_H
#define TESTS_OS_ROUNDTRIP_H
#include <stdint.h>

#define MS 1000000ll

/* Integers and floating point over 2 MB of memory; child_compute compares with `expected`. */
extern uint64_t expected;
uint64_t compute(void);
void compute_reset(void);
int child_compute(void);
int child_clocks(void); /* 0.7 s of reading all clocks */
int child_tells(void);	/* the time to a process that has not looked; sleeps 0.1 s in between */
int child_sleep(void);
int child_abs_sleep(void);
int child_alarm(void);
int child_spin(void); /* until SIGUSR1; returns 42 */
int child_vfork(void);
int child_ctl(void); /* asks the MIGRATE service "question", wants "answer" */
#endif
