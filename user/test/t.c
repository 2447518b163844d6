/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum { SIGN_TRIES = 10 * 60 * 20, SIGN_MS = 50 };

static unsigned checks, failures;

static void explain(const char *why, va_list ap)
{
	int err = errno;

	vprintf(why, ap);
	if (err)
		printf(" (%s)", strerror(err));
	putchar('\n');
}

bool t_check(bool good, const char *name, const char *why, ...)
{
	va_list ap;

	checks++;
	if (good) {
		printf("ok %s\n", name);
	} else {
		failures++;
		printf("not ok %s: ", name);
		va_start(ap, why);
		explain(why, ap);
		va_end(ap);
	}
	fflush(stdout);
	return good;
}

int t_end(void)
{
	if (!checks)
		printf("not ok: no check was made\n");
	fflush(stdout);
	return failures || !checks;
}

void t_die(const char *why, ...)
{
	va_list ap;

	printf("not ok: ");
	va_start(ap, why);
	explain(why, ap);
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

long t_option(int argc, char **argv, const char *name, long def)
{
	char *end;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], name))
			continue;
		long v = strtol(argv[i + 1], &end, 10);

		if (*end || end == argv[i + 1]) {
			fprintf(stderr, "%s wants a number, not '%s'\n", name, argv[i + 1]);
			exit(2);
		}
		return v;
	}
	return def;
}

bool t_whimbrel(void)
{
	struct utsname u;

	return uname(&u) == 0 && strcmp(u.sysname, "Whimbrel") == 0;
}

uint64_t t_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint32_t t_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((t_random(state) >> 32) * n) >> 32);
}

static uint8_t pattern(uint64_t at, uint64_t seed)
{
	uint64_t z = (at >> 3) + seed;

	return (uint8_t)(t_random(&z) >> (8 * (at & 7)));
}

void t_fill(void *buf, size_t len, uint64_t at, uint64_t seed)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(at + i, seed);
}

long t_compare(const void *buf, size_t len, uint64_t at, uint64_t seed)
{
	const uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		if (p[i] != pattern(at + i, seed))
			return (long)i;
	return -1;
}

static const char *sign_path(char path[PATH_MAX], const char *dir, const char *sign)
{
	if (snprintf(path, PATH_MAX, "%s/%s", dir, sign) >= PATH_MAX)
		t_die("%s: too long", dir);
	return path;
}

bool t_sign_exists(const char *dir, const char *sign)
{
	char path[PATH_MAX];

	return access(sign_path(path, dir, sign), F_OK) == 0;
}

void t_wait_sign(const char *dir, const char *sign)
{
	for (int i = 0; i < SIGN_TRIES; i++) {
		if (t_sign_exists(dir, sign))
			return;
		t_sleep_ms(SIGN_MS);
	}
	errno = 0;
	t_die("nobody made %s/%s", dir, sign);
}

void t_make_sign(const char *dir, const char *sign)
{
	char path[PATH_MAX];
	int fd = open(sign_path(path, dir, sign), O_WRONLY | O_CREAT, 0666);

	if (fd < 0)
		t_die("%s", path);
	close(fd);
}

void t_write_all(int fd, const void *buf, size_t len)
{
	for (const char *p = buf; len;) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			t_die("write of %zu bytes to %d gave %zd", len, fd, n);
		p += n;
		len -= (size_t)n;
	}
}

void t_read_all(int fd, void *buf, size_t len)
{
	for (char *p = buf; len;) {
		ssize_t n = read(fd, p, len);

		if (n <= 0)
			t_die("read of %zu bytes from %d gave %zd", len, fd, n);
		p += n;
		len -= (size_t)n;
	}
}

void t_sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

int64_t t_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int t_in_child(void (*fn)(void *), void *arg)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();

	if (pid < 0)
		t_die("fork");
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			t_die("waitpid(%d)", pid);
	return status;
}
