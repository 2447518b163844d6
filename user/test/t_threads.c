/* SPDX-License-Identifier: MIT */
/* POSIX threads of the C library: what they wait for, tell each other and leave behind. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum { CROWD = 8, ROUNDS = 2000, CYCLES = 300, MS = 1000000 };

static pthread_t start(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, arg);

	if (err)
		t_die("pthread_create: %s", strerror(err));
	return t;
}

static void *join(pthread_t t)
{
	void *result;
	int err = pthread_join(t, &result);

	if (err)
		t_die("pthread_join: %s", strerror(err));
	return result;
}

/* ---- mutual exclusion ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long shared;

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		long was = shared;
		if (i % 64 == 0)
			sched_yield();
		shared = was + 1;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void mutexes(void)
{
	pthread_t t[CROWD];
	bool results = true;

	for (long i = 0; i < CROWD; i++)
		t[i] = start(count, (void *)(i + 1));
	for (long i = 0; i < CROWD; i++)
		results &= join(t[i]) == (void *)(i + 1);
	errno = 0;
	t_check(results, "join returns what the thread returned", "it did not");
	t_check(shared == CROWD * ROUNDS, "a mutex excludes", "%ld instead of %d", shared,
		CROWD * ROUNDS);
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &a);
	pthread_mutex_lock(&m);
	t_check(pthread_mutex_lock(&m) == EDEADLK, "a lock taken twice is noticed", "it was not");
	pthread_mutex_unlock(&m);
	t_check(pthread_mutex_unlock(&m) == EPERM, "so is an unlock of nothing", "it was not");
}

/* ---- robust locks ---- */

static pthread_mutex_t robust;

static void *die_with_it(void *arg)
{
	pthread_mutex_lock(&robust);
	return arg;
}

/* The owner is a process, and the lock in memory that it shared. */
static void robust_between_processes(void)
{
	pthread_mutex_t *m =
		mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	int status;

	if (m == MAP_FAILED)
		t_die("mmap");
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(m, &a);
	for (int by = 0; by < 2; by++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_mutex_lock(m);
			if (by)
				raise(SIGKILL);
			_exit(0);
		}
		waitpid(pid, &status, 0);
		int r = pthread_mutex_trylock(m);
		t_check(r == EOWNERDEAD, by ? "one that was killed" : "or a process that has", "%s",
			strerror(r));
		pthread_mutex_consistent(m);
		pthread_mutex_unlock(m);
	}
	munmap(m, sizeof *m);
}

static void robust_mutexes(void)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &a);
	join(start(die_with_it, NULL));
	int r = pthread_mutex_lock(&robust);
	errno = 0;
	t_check(r == EOWNERDEAD, "a robust lock tells that its owner has ended", "%s", strerror(r));
	t_check(pthread_mutex_consistent(&robust) == 0 && pthread_mutex_unlock(&robust) == 0 &&
			pthread_mutex_lock(&robust) == 0,
		"and can be used again", "it cannot");
	pthread_mutex_unlock(&robust);
}

/* ---- condition variables: a queue of one ---- */

static pthread_cond_t full = PTHREAD_COND_INITIALIZER, empty = PTHREAD_COND_INITIALIZER;
static long box, taken;

static void *consume(void *arg)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		while (!box)
			pthread_cond_wait(&full, &lock);
		long v = box;
		if (v > 0) {
			box = 0;
			taken += v;
			pthread_cond_signal(&empty);
		}
		pthread_mutex_unlock(&lock);
		if (v < 0)
			return arg;
	}
}

static void put(long v)
{
	pthread_mutex_lock(&lock);
	while (box)
		pthread_cond_wait(&empty, &lock);
	box = v;
	if (v < 0)
		pthread_cond_broadcast(&full);
	else
		pthread_cond_signal(&full);
	pthread_mutex_unlock(&lock);
}

static void conditions(void)
{
	pthread_t t[CROWD];
	long sum = 0;

	for (int i = 0; i < CROWD; i++)
		t[i] = start(consume, NULL);
	for (long v = 1; v <= ROUNDS; v++) {
		put(v);
		sum += v;
	}
	put(-1);
	for (int i = 0; i < CROWD; i++)
		join(t[i]);
	errno = 0;
	t_check(taken == sum, "what goes through a condition variable arrives once",
		"%ld instead of %ld", taken, sum);
}

/* ---- timed waits ---- */

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	ts.tv_nsec += ms * MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void timed_waits(void)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

	for (int i = 0; i < 2; i++) {
		pthread_condattr_t a;
		pthread_cond_t c;
		pthread_condattr_init(&a);
		pthread_condattr_setclock(&a, clocks[i]);
		pthread_cond_init(&c, &a);
		struct timespec ts = in_ms(clocks[i], 60);
		int64_t before = t_mono_ns();
		pthread_mutex_lock(&lock);
		int r = pthread_cond_timedwait(&c, &lock, &ts);
		pthread_mutex_unlock(&lock);
		int64_t took = t_mono_ns() - before;
		errno = 0;
		t_check(r == ETIMEDOUT && took >= 50 * MS && took < 3000l * MS,
			i ? "a wait by MONOTONIC ends in time" : "a wait by REALTIME ends in time",
			"%s after %ld ms", strerror(r), (long)(took / MS));
	}
	sem_t s;
	sem_init(&s, 0, 0);
	struct timespec ts = in_ms(CLOCK_REALTIME, 30);
	int r = sem_timedwait(&s, &ts);
	t_check(r == -1 && errno == ETIMEDOUT, "a semaphore is waited for in time", "%d", r);
	sem_post(&s);
	errno = 0;
	t_check(sem_timedwait(&s, &ts) == 0, "one that is there is taken even if it is late",
		"it was not");
}

/* ---- readers and writers, barriers, once ---- */

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static long pair[2], torn;

static void *read_pairs(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_rwlock_rdlock(&rw);
		if (pair[0] != pair[1])
			__atomic_add_fetch(&torn, 1, __ATOMIC_SEQ_CST);
		if (i % 128 == 0)
			sched_yield();
		pthread_rwlock_unlock(&rw);
	}
	return arg;
}

static void *write_pairs(void *arg)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		pthread_rwlock_wrlock(&rw);
		pair[0]++;
		if (i % 16 == 0)
			sched_yield();
		pair[1]++;
		pthread_rwlock_unlock(&rw);
	}
	return arg;
}

static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long serial, phase[CROWD], late, once_runs;

static void run_once(void)
{
	once_runs++;
}

static void *in_step(void *arg)
{
	long me = (long)arg;
	pthread_once(&once, run_once);
	for (long i = 0; i < 50; i++) {
		phase[me] = i;
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
		for (int k = 0; k < CROWD; k++)
			if (phase[k] < i)
				__atomic_add_fetch(&late, 1, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static void rwlocks_and_barriers(void)
{
	pthread_t t[CROWD];

	for (int i = 0; i < CROWD; i++)
		t[i] = start(i % 4 ? read_pairs : write_pairs, NULL);
	for (int i = 0; i < CROWD; i++)
		join(t[i]);
	errno = 0;
	t_check(!torn && pair[0] == ROUNDS / 4 * (CROWD / 4), "writers exclude readers",
		"%ld torn reads, %ld writes", torn, pair[0]);
	pthread_barrier_init(&barrier, NULL, CROWD);
	for (long i = 0; i < CROWD; i++)
		t[i] = start(in_step, (void *)i);
	for (int i = 0; i < CROWD; i++)
		join(t[i]);
	t_check(!late && serial == 50, "a barrier keeps threads in step", "%ld late, %ld serial",
		late, serial);
	t_check(once_runs == 1, "once is once", "%ld times", once_runs);
}

/* ---- a thread's own ---- */

static __thread long own = 7;
static pthread_key_t key;
static long destroyed;

static void destroy(void *v)
{
	__atomic_add_fetch(&destroyed, (long)v, __ATOMIC_SEQ_CST);
}

static void *use_own(void *arg)
{
	struct timespec cpu;
	bool fresh = own == 7 && errno == 0 && !pthread_getspecific(key);
	own = (long)arg;
	errno = (int)(long)arg;
	pthread_setspecific(key, arg);
	sched_yield();
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	fresh &= own == (long)arg && errno == (int)(long)arg && cpu.tv_sec == 0;
	fresh &= syscall(SYS_gettid) != getpid();
	return (void *)(long)fresh;
}

static void own_things(void)
{
	pthread_t t[CROWD];
	long good = 0, sum = 0;

	pthread_key_create(&key, destroy);
	errno = 0;
	for (long i = 0; i < CROWD; i++) {
		t[i] = start(use_own, (void *)(i + 1));
		sum += i + 1;
	}
	for (int i = 0; i < CROWD; i++)
		good += (long)join(t[i]);
	t_check(good == CROWD, "thread-local storage, errno and tid are a thread's own",
		"%ld of %d", good, CROWD);
	t_check(own == 7, "and not the main thread's", "%ld", own);
	t_check(destroyed == sum, "keys are destroyed", "%ld instead of %ld", destroyed, sum);
	t_check(syscall(SYS_gettid) == getpid(), "the main thread bears the process's number",
		"%ld", (long)syscall(SYS_gettid));
}

/* ---- cancelling, detaching ---- */

static sem_t ready;
static long cleaned;

static void clean(void *arg)
{
	cleaned += (long)arg;
}

static void *sleep_for_ever(void *arg)
{
	pthread_cleanup_push(clean, arg);
	sem_post(&ready);
	for (;;)
		pause();
	pthread_cleanup_pop(0);
	return NULL;
}

static void *wait_for_ever(void *arg)
{
	sem_t never;
	sem_init(&never, 0, 0);
	pthread_cleanup_push(clean, arg);
	sem_post(&ready);
	sem_wait(&never);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *post(void *arg)
{
	sem_post(arg);
	return NULL;
}

static void cancelling(void)
{
	static void *(*const fn[])(void *) = {sleep_for_ever, wait_for_ever};

	sem_init(&ready, 0, 0);
	for (int i = 0; i < 2; i++) {
		pthread_t t = start(fn[i], (void *)1l);
		sem_wait(&ready);
		t_sleep_ms(10);
		pthread_cancel(t);
		void *r = join(t);
		errno = 0;
		t_check(r == PTHREAD_CANCELED && cleaned == i + 1,
			i ? "a thread waiting for a semaphore is cancelled"
			  : "a thread in pause is cancelled",
			"result %p, %ld cleaned", r, cleaned);
	}
	for (int i = 0; i < CROWD; i++) {
		pthread_detach(start(post, &ready));
		sem_wait(&ready);
	}
	t_check(true, "detached threads run", "?");
}

static void many(long cycles)
{
	long good = 0;

	for (long i = 0; i < cycles; i++)
		good += join(start(post, &ready)) == NULL;
	errno = 0;
	t_check(good == cycles, "threads come and go", "%ld of %ld", good, cycles);
}

int main(int argc, char **argv)
{
	long cycles = t_option(argc, argv, "--cycles", CYCLES);

	sem_init(&ready, 0, 0);
	if (cycles == CYCLES) {
		mutexes();
		robust_mutexes();
		robust_between_processes();
		conditions();
		timed_waits();
		rwlocks_and_barriers();
		own_things();
		cancelling();
	}
	many(cycles);
	return t_end();
}
