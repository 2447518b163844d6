/* SPDX-License-Identifier: MIT */
/*
 * Threads that compute, wait, and are signalled, step by step, and say at the end what came out: the same wherever and
 * however often the process is moved meanwhile. t_threadmove STEPS
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "t.h"

enum { WORKERS = 4, MS = 1000000 };

static int steps;
static pthread_barrier_t step;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static uint64_t total;
static long produced, consumed, early;
static __thread uint64_t own;
static sem_t handled;
static volatile sig_atomic_t handlers;

static long tid(void)
{
	return syscall(SYS_gettid);
}

static void on_signal(int sig)
{
	(void)sig;
	handlers++;
	sem_post(&handled);
}

/* Integers and floating point, in step with the others; their sums meet under a lock. */
static void *work(void *arg)
{
	uint64_t seed = (uint64_t)(long)arg;
	double x = (double)seed;
	long me = tid();
	bool same = true;

	for (int i = 0; i < steps; i++) {
		for (int k = 0; k < 200; k++) {
			own += t_random(&seed);
			x = x * 1.0000001 + 1.0 / (double)(k + 1);
		}
		pthread_mutex_lock(&lock);
		total += own;
		pthread_mutex_unlock(&lock);
		pthread_barrier_wait(&step);
		same &= tid() == me;
	}
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	printf("worker %ld: %016lx %016lx tid %s\n", (long)arg, own, bits,
	       same ? "stays" : "changed");
	return NULL;
}

static void *consume(void *arg)
{
	pthread_mutex_lock(&lock);
	while (consumed < steps) {
		while (consumed == produced)
			pthread_cond_wait(&news, &lock);
		consumed++;
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

/* None of these may end before its time, nor hang. */
static void *wait_often(void *arg)
{
	sem_t never;
	sem_init(&never, 0, 0);
	for (long n = 0; n < steps / 10; n++) {
		struct timespec t;
		int64_t before = t_mono_ns();
		if (n % 2) {
			t = (struct timespec){0, 7 * MS};
			while (nanosleep(&t, &t) == -1 && errno == EINTR)
				;
		} else {
			clock_gettime(CLOCK_REALTIME, &t);
			t.tv_nsec += 7 * MS;
			t.tv_sec += t.tv_nsec / 1000000000;
			t.tv_nsec %= 1000000000;
			while (sem_timedwait(&never, &t) == -1 && errno == EINTR)
				;
		}
		if (t_mono_ns() - before < (n % 2 ? 7 : 5) * MS)
			early++;
	}
	return arg;
}

static void *listen(void *arg)
{
	sem_t never;
	sem_init(&never, 0, 0);
	for (;;)
		sem_wait(&never); /* its handler interrupts it; it is cancelled at the end */
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t t[WORKERS], consumer, waiter, listener;
	struct sigaction sa = {.sa_handler = on_signal};
	long me = tid(), lost = 0;

	if (argc != 2 || (steps = atoi(argv[1])) < 10)
		return 2;
	sigaction(SIGUSR1, &sa, NULL);
	sem_init(&handled, 0, 0);
	pthread_barrier_init(&step, NULL, WORKERS + 1);
	for (long i = 0; i < WORKERS; i++)
		pthread_create(&t[i], NULL, work, (void *)(i + 1));
	pthread_create(&consumer, NULL, consume, NULL);
	pthread_create(&waiter, NULL, wait_often, NULL);
	pthread_create(&listener, NULL, listen, NULL);
	for (int i = 0; i < steps; i++) {
		pthread_mutex_lock(&lock);
		produced++;
		pthread_cond_signal(&news);
		pthread_mutex_unlock(&lock);
		if (i % 8 == 0) {
			pthread_kill(listener, SIGUSR1);
			while (sem_wait(&handled) == -1)
				lost += errno != EINTR;
		}
		if (i % 16 == 0)
			t_sleep_ms(20);
		pthread_barrier_wait(&step);
	}
	/* One by one, for the order of what they say. */
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	pthread_join(consumer, NULL);
	pthread_join(waiter, NULL);
	pthread_cancel(listener);
	void *r;
	pthread_join(listener, &r);
	printf("total %016lx consumed %ld early %ld handlers %d lost %ld cancelled %d main %s\n",
	       total, consumed, early, (int)handlers, lost, r == PTHREAD_CANCELED,
	       tid() == me && me == getpid() ? "stays" : "changed");
	return 0;
}
