/* SPDX-License-Identifier: MIT */
/* The futex calls as such, errors first. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum {
	WAIT,
	WAKE,
	REQUEUE = 3,
	CMP_REQUEUE,
	WAIT_BITSET = 9,
	WAKE_BITSET,
	PRIVATE = 128,
	REAL = 256,
	MS = 1000000
};

static uint32_t word, other;

static long futex(void *at, int op, uint32_t value, const void *time, void *at2, uint32_t value3)
{
	errno = 0;
	return syscall(SYS_futex, at, op, value, time, at2, value3);
}

static void expect(const char *what, long got, long value, int err)
{
	int was = errno;
	errno = 0;
	t_check(got == value && (value != -1 || was == err), what, "%ld, errno %d", got, was);
}

static void errors(void)
{
	struct timespec bad = {0, 1000000000}, soon = {0, 20 * MS}, past = {1, 0}, neg = {-1, 0};
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	word = 5;
	expect("another value: EAGAIN", futex(&word, WAIT | PRIVATE, 4, NULL, NULL, 0), -1, EAGAIN);
	expect("no memory: EFAULT", futex(none, WAIT | PRIVATE, 4, NULL, NULL, 0), -1, EFAULT);
	expect("no address: EFAULT", futex((void *)-4096l, WAIT | PRIVATE, 4, NULL, NULL, 0), -1,
	       EFAULT);
	expect("unaligned: EINVAL", futex((char *)&word + 1, WAIT | PRIVATE, 5, NULL, NULL, 0), -1,
	       EINVAL);
	expect("unaligned wake: EINVAL", futex((char *)&word + 2, WAKE, 1, NULL, NULL, 0), -1,
	       EINVAL);
	expect("no time: EINVAL", futex(&word, WAIT | PRIVATE, 5, &bad, NULL, 0), -1, EINVAL);
	expect("negative time: EINVAL", futex(&word, WAIT | PRIVATE, 5, &neg, NULL, 0), -1, EINVAL);
	expect("bad address of the time: EFAULT", futex(&word, WAIT | PRIVATE, 5, none, NULL, 0),
	       -1, EFAULT);
	expect("time is up: ETIMEDOUT", futex(&word, WAIT | PRIVATE, 5, &soon, NULL, 0), -1,
	       ETIMEDOUT);
	expect("an absolute time that was: ETIMEDOUT",
	       futex(&word, WAIT_BITSET | PRIVATE, 5, &past, NULL, ~0u), -1, ETIMEDOUT);
	expect("by REALTIME: ETIMEDOUT",
	       futex(&word, WAIT_BITSET | PRIVATE | REAL, 5, &past, NULL, ~0u), -1, ETIMEDOUT);
	expect("no bits to wait for: EINVAL", futex(&word, WAIT_BITSET | PRIVATE, 5, NULL, NULL, 0),
	       -1, EINVAL);
	expect("no bits to wake: EINVAL", futex(&word, WAKE_BITSET | PRIVATE, 1, NULL, NULL, 0), -1,
	       EINVAL);
	expect("nobody to wake", futex(&word, WAKE | PRIVATE, 1, NULL, NULL, 0), 0, 0);
	expect("compare and requeue: EAGAIN",
	       futex(&word, CMP_REQUEUE | PRIVATE, 1, (void *)1, &other, 4), -1, EAGAIN);
	expect("requeue to an unaligned word: EINVAL",
	       futex(&word, REQUEUE | PRIVATE, 1, (void *)1, (char *)&other + 1, 0), -1, EINVAL);
	expect("nobody to requeue", futex(&word, CMP_REQUEUE | PRIVATE, 1, (void *)1, &other, 5), 0,
	       0);
	expect("no such operation: ENOSYS", futex(&word, 77 | PRIVATE, 1, NULL, NULL, 0), -1,
	       ENOSYS);
	munmap(none, 4096);
}

/* ---- waiters ---- */

struct sleeper {
	uint32_t bits;
	long result;
	int err;
	bool done;
};

static void *sleep_on_word(void *arg)
{
	struct sleeper *s = arg;
	s->result = futex(&word, WAIT_BITSET | PRIVATE, 5, NULL, NULL, s->bits);
	s->err = errno;
	__atomic_store_n(&s->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static int done(struct sleeper *s, int n)
{
	int sum = 0;
	t_sleep_ms(30);
	for (int i = 0; i < n; i++)
		sum += __atomic_load_n(&s[i].done, __ATOMIC_SEQ_CST);
	return sum;
}

static void start(pthread_t *t, struct sleeper *s, int n)
{
	for (int i = 0; i < n; i++) {
		if (pthread_create(&t[i], NULL, sleep_on_word, &s[i]))
			t_die("pthread_create");
		t_sleep_ms(15);
	}
}

static void waking(void)
{
	struct sleeper s[4] = {{.bits = 1}, {.bits = 2}, {.bits = 1}, {.bits = 3}};
	pthread_t t[4];

	start(t, s, 4);
	expect("bits choose whom to wake", futex(&word, WAKE_BITSET | PRIVATE, 1, NULL, NULL, 2), 1,
	       0);
	done(s, 4);
	errno = 0;
	t_check(s[1].done && !s[0].done && !s[2].done && !s[3].done, "the first that matches",
		"another one");
	expect("one is woken", futex(&word, WAKE | PRIVATE, 1, NULL, NULL, 0), 1, 0);
	done(s, 4);
	errno = 0;
	t_check(s[0].done && !s[2].done, "the first that came", "another one");
	expect("the rest is woken", futex(&word, WAKE | PRIVATE, 100, NULL, NULL, 0), 2, 0);
	int n = done(s, 4);
	errno = 0;
	t_check(n == 4 && !s[0].result && !s[3].result, "and all return 0", "%d ended", n);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void requeueing(void)
{
	struct sleeper s[3] = {{.bits = ~0u}, {.bits = ~0u}, {.bits = ~0u}};
	pthread_t t[3];

	start(t, s, 3);
	expect("one woken and one requeued",
	       futex(&word, CMP_REQUEUE | PRIVATE, 1, (void *)1, &other, 5), 2, 0);
	int n = done(s, 3);
	errno = 0;
	t_check(n == 1, "who is requeued sleeps", "%d awake", n);
	expect("one is left at the first word", futex(&word, WAKE | PRIVATE, 9, NULL, NULL, 0), 1,
	       0);
	expect("one waits at the second", futex(&other, WAKE | PRIVATE, 9, NULL, NULL, 0), 1, 0);
	n = done(s, 3);
	errno = 0;
	t_check(n == 3, "all are awake", "%d awake", n);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	errors();
	waking();
	requeueing();
	return t_end();
}
