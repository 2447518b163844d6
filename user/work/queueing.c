/* SPDX-License-Identifier: MIT */
/*
 * The process P of "Correctness Criteria for Process Migration": a discrete-event simulation that
 * uses explicit time references to count the events of different time periods.
 *
 * Simulated is a closed network of queues; after every event the program reads a clock of the node
 * and counts the event in the period (say, the second) it falls in. What it simulates depends on
 * its arguments only; what the clock told it goes to lines that begin with "clock", so that the
 * rest can be compared byte for byte:   grep -v ^clock RESULT
 *
 * It judges its own view as well: a clock may stand still, but never go back.
 */
#include "work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_STATIONS = 64, MAX_PERIODS = 4096, REPORT_EVERY = 3000000, NS_PER_MS = 1000000 };

struct station {
	double mean_service, busy_time, area, changed; /* area: of the queue length over time */
	long waiting, served;
};

struct event {
	double time;
	int station;
};

struct period {
	long long number;
	uint64_t events;
	int64_t first_ns, last_ns;
};

static struct station stations[MAX_STATIONS];
static struct event heap[MAX_STATIONS];
static int heap_len;

static long events = 24000000, customers = 40, nstations = 6, period_ms = 1000, seed = 1;
static const char *clock_name = "realtime", *log_path;

static struct period periods[MAX_PERIODS];
static int nperiods;
static uint64_t readings, backward, dropped;
static int64_t last_ns, worst_back_ns, largest_step_ns;
static FILE *log_file;

static void heap_push(double time, int station)
{
	int i = heap_len++;

	for (; i > 0 && heap[(i - 1) / 2].time > time; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = (struct event){time, station};
}

static struct event heap_pop(void)
{
	struct event top = heap[0], last = heap[--heap_len];
	int i = 0, child;

	while ((child = 2 * i + 1) < heap_len) {
		if (child + 1 < heap_len && heap[child + 1].time < heap[child].time)
			child++;
		if (last.time <= heap[child].time)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = last;
	return top;
}

static void start_service(struct station *s, double now, uint64_t *random)
{
	double service = -log(work_uniform(random)) * s->mean_service;

	s->busy_time += service;
	heap_push(now + service, (int)(s - stations));
}

static void queue_changes(struct station *s, double now, int by)
{
	s->area += (double)s->waiting * (now - s->changed);
	s->changed = now;
	s->waiting += by;
}

static void arrive(struct station *s, double now, uint64_t *random)
{
	queue_changes(s, now, 1);
	if (s->waiting == 1)
		start_service(s, now, random);
}

/* One service ends: the customer goes to a random station. Returns the simulated time. */
static double next_event(uint64_t *random)
{
	struct event e = heap_pop();
	struct station *s = &stations[e.station];

	s->served++;
	queue_changes(s, e.time, -1);
	if (s->waiting)
		start_service(s, e.time, random);
	arrive(&stations[work_below(random, (uint32_t)nstations)], e.time, random);
	return e.time;
}

static int64_t read_clock(void)
{
	struct timespec ts;
	uint32_t low, high;

	if (!strcmp(clock_name, "tsc")) {
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
		return (int64_t)((uint64_t)high << 32 | low);
	}
	if (clock_gettime(*clock_name == 'm' ? CLOCK_MONOTONIC : CLOCK_REALTIME, &ts))
		work_die("clock %s", clock_name);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void log_period(const struct period *p)
{
	if (!log_file)
		return;
	fprintf(log_file, "period %lld events %llu first %lld last %lld\n", p->number,
		(unsigned long long)p->events, (long long)p->first_ns, (long long)p->last_ns);
	fflush(log_file);
}

static void judge(int64_t now)
{
	int64_t step = now - last_ns;

	if (!readings)
		return;
	if (step > largest_step_ns)
		largest_step_ns = step;
	if (step >= 0)
		return;
	backward++;
	if (step < worst_back_ns)
		worst_back_ns = step;
	if (log_file)
		fprintf(log_file, "back reading %llu from %lld to %lld\n",
			(unsigned long long)readings, (long long)last_ns, (long long)now);
}

static void count_event(void)
{
	int64_t now = read_clock(), width = period_ms * NS_PER_MS;
	struct period *p = nperiods ? &periods[nperiods - 1] : NULL;

	judge(now);
	if (!p || p->number != now / width) {
		if (p)
			log_period(p);
		if (nperiods == MAX_PERIODS) {
			dropped++;
			nperiods--;
		}
		p = &periods[nperiods++];
		*p = (struct period){.number = now / width, .first_ns = now};
	}
	p->events++;
	p->last_ns = now;
	last_ns = now;
	readings++;
}

static void print_result(double now)
{
	fprintf(work_out, "%ld events in %.9f units of simulated time\n", events, now);
	for (long i = 0; i < nstations; i++) {
		struct station *s = &stations[i];

		queue_changes(s, now, 0);
		fprintf(work_out, "station %ld served %ld mean queue %.9f utilisation %.9f\n", i,
			s->served, s->area / now, s->busy_time / now);
	}
	for (int i = 0; i < nperiods; i++)
		fprintf(work_out, "clock period %lld events %llu\n", periods[i].number,
			(unsigned long long)periods[i].events);
	if (dropped)
		fprintf(work_out, "clock %llu periods too many to show\n",
			(unsigned long long)dropped);
	fprintf(work_out, "clock %s: %llu readings, largest step forward %lld, ", clock_name,
		(unsigned long long)readings, (long long)largest_step_ns);
	if (backward)
		fprintf(work_out, "WENT BACKWARDS %llu times, at most by %lld\n",
			(unsigned long long)backward, (long long)-worst_back_ns);
	else
		fprintf(work_out, "never went backwards\n");
}

int main(int argc, char **argv)
{
	const struct work_opt opts[] = {
		{"events", OPT_NUM, {.num = &events}, 1, "events to simulate: the duration"},
		{"customers", OPT_NUM, {.num = &customers}, 1, "customers in the network"},
		{"stations", OPT_NUM, {.num = &nstations}, 1, "stations, at most 64"},
		{"period",
		 OPT_NUM,
		 {.num = &period_ms},
		 1,
		 "length of a period in ms of clock time"},
		{"clock", OPT_TEXT, {.text = &clock_name}, 0, "realtime, monotonic or tsc"},
		{"log",
		 OPT_TEXT,
		 {.text = &log_path},
		 0,
		 "write periods and backward steps to FILE"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the random numbers"},
		{0},
	};
	const struct work_usage usage = {
		.name = "queueing",
		.what = "Simulate a network of queues and count its events per period of clock "
			"time.\n"
			"Exit status 3 if the clock went backwards.",
		.opts = opts,
	};
	uint64_t random;
	double now = 0;

	work_args(argc, argv, &usage);
	if (nstations > MAX_STATIONS)
		work_die("at most %d stations", MAX_STATIONS);
	if (strcmp(clock_name, "realtime") && strcmp(clock_name, "monotonic") &&
	    strcmp(clock_name, "tsc"))
		work_die("unknown clock %s", clock_name);
	if (log_path && !(log_file = fopen(log_path, "w")))
		work_die("%s", log_path);
	random = (uint64_t)seed;
	for (long i = 0; i < nstations; i++)
		stations[i].mean_service = 0.5 + work_uniform(&random);
	for (long i = 0; i < customers; i++)
		arrive(&stations[i % nstations], 0, &random);
	for (long i = 1; i <= events; i++) {
		now = next_event(&random);
		count_event();
		if (i % REPORT_EVERY == 0 || i == events)
			work_progress("%ld of %ld events", i, events);
	}
	log_period(&periods[nperiods - 1]);
	print_result(now);
	if (log_file && fclose(log_file))
		work_die("%s", log_path);
	return work_end(backward ? 3 : 0);
}
