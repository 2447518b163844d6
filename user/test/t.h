/* SPDX-License-Identifier: MIT */
/*
 * What the test programs share. Each is an ordinary static Linux program: the same file runs on the
 * host, where what it says is the normal result, and on a node. It prints one line a check,
 *   ok NAME            or            not ok NAME: why
 * and ends with status 0 only if every check was ok (2: wrong usage).
 */
#ifndef T_H
#define T_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* One check. The rest is printed, with errno's text if errno is not 0, when `good` is false. */
bool t_check(bool good, const char *name, const char *why, ...)
	__attribute__((format(printf, 3, 4)));

/* The exit status of the program. A program that made no check at all has failed. */
int t_end(void);

/* The test cannot go on: counts as a failed check, prints why and errno, ends the program. */
_Noreturn void t_die(const char *why, ...) __attribute__((format(printf, 1, 2)));

/* What follows `name` in argv, as in "--seed 5", else `def`. Ends the program if it is no number. */
long t_option(int argc, char **argv, const char *name, long def);

/* Running on Whimbrel, not on the Linux host. Some rules are stricter there. */
bool t_whimbrel(void);

/* splitmix64. Below: uniform enough in 0..n-1, n > 0. */
uint64_t t_random(uint64_t *state);
uint32_t t_below(uint64_t *state, uint32_t n);

/* Fill and compare a pattern that depends on the position in the file; returns the first wrong byte
 * or -1. */
void t_fill(void *buf, size_t len, uint64_t at, uint64_t seed);
long t_compare(const void *buf, size_t len, uint64_t at, uint64_t seed);

/* Signs between a program and the driver of the test: empty files. t_wait_sign ends the program
 * after ten minutes. */
bool t_sign_exists(const char *dir, const char *sign);
void t_wait_sign(const char *dir, const char *sign);
void t_make_sign(const char *dir, const char *sign);

/* Bytes written or read in full; ends the program otherwise. */
void t_write_all(int fd, const void *buf, size_t len);
void t_read_all(int fd, void *buf, size_t len);

void t_sleep_ms(long ms);
int64_t t_mono_ns(void);

/* Run fn in a child and return what wait4 says of it. */
int t_in_child(void (*fn)(void *), void *arg);

#endif
