/* SPDX-License-Identifier: MIT */
/* Rows of nodebench: calls that stay in one process, memory, and the processor alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "nodebench.h"

uint64_t row_null_call(long n)
{
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		syscall(SYS_getppid);
	return nb_now() - start;
}

uint64_t row_clock_call(long n)
{
	struct timeval tv;
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		syscall(SYS_gettimeofday, &tv, NULL);
	return nb_now() - start;
}

uint64_t row_clock_libc(long n)
{
	struct timespec ts;
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	return nb_now() - start;
}

uint64_t row_read1_zero(long n)
{
	char c = 1;
	int fd = open("/dev/zero", O_RDONLY);

	if (fd < 0)
		nb_fail("/dev/zero");
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++)
		if (read(fd, &c, 1) != 1 || c != 0)
			nb_fail("/dev/zero: read");
	uint64_t took = nb_now() - start;

	close(fd);
	return took;
}

/* Memory of its own for each round, so that each touch is the first; only the touching is timed. */
uint64_t row_fault_touch(long n)
{
	enum { PAGES = 1024 };
	uint64_t took = 0;

	for (long done = 0; done < n;) {
		char *m = mmap(NULL, PAGES * NB_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (m == MAP_FAILED)
			nb_fail("mmap");
		uint64_t start = nb_now();

		for (int i = 0; i < PAGES && done < n; i++, done++)
			m[i * NB_PAGE] = 1;
		took += nb_now() - start;
		munmap(m, PAGES * NB_PAGE);
	}
	return took;
}

uint64_t row_mmap_touch_munmap(long n)
{
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		char *m = mmap(NULL, NB_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (m == MAP_FAILED)
			nb_fail("mmap");
		m[0] = 1;
		munmap(m, NB_CHUNK);
	}
	return nb_now() - start;
}

uint64_t row_cpu_loop(long n)
{
	uint64_t x = 88172645463325252u, start = nb_now();

	for (long i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	__asm__ volatile("" ::"r"(x)); /* the result counts */
	return nb_now() - start;
}

uint64_t row_memcpy_64k(long n)
{
	static char from[NB_CHUNK], to[NB_CHUNK];
	uint64_t start = nb_now();

	for (long i = 0; i < n; i++) {
		memcpy(to, from, sizeof(to));
		__asm__ volatile("" ::"r"(to) : "memory"); /* each copy counts */
	}
	return nb_now() - start;
}
