/* SPDX-License-Identifier: MIT */
/*
 * A star cluster: n bodies under their mutual gravity, integrated with the leapfrog scheme
 * (kick, drift, kick). Energy and momentum are conserved, which is what the output shows.
 */
#include "work.h"

#include <math.h>
#include <stdlib.h>

enum { DIM = 3, MAX_BODIES = 4096, PAIRS_PER_REPORT = 10000000 };

/* Softening keeps a close encounter from needing a smaller step. Units: G = 1. */
static const double softening = 0.05, dt = 1.0 / 1024;

struct body {
	double at[DIM], speed[DIM], pull[DIM], mass;
};

static struct body *bodies;
static long count = 24;

/* The pull of all on all; returns the potential energy. */
static double attract(void)
{
	double potential = 0;

	for (long i = 0; i < count; i++)
		for (int k = 0; k < DIM; k++)
			bodies[i].pull[k] = 0;
	for (long i = 0; i < count; i++) {
		struct body *a = &bodies[i];

		for (long j = i + 1; j < count; j++) {
			struct body *b = &bodies[j];
			double d[DIM], r2 = softening * softening, inv, inv3;

			for (int k = 0; k < DIM; k++) {
				d[k] = b->at[k] - a->at[k];
				r2 += d[k] * d[k];
			}
			inv = 1 / sqrt(r2);
			inv3 = inv * inv * inv;
			potential -= a->mass * b->mass * inv;
			for (int k = 0; k < DIM; k++) {
				a->pull[k] += d[k] * b->mass * inv3;
				b->pull[k] -= d[k] * a->mass * inv3;
			}
		}
	}
	return potential;
}

static void kick(double time)
{
	for (long i = 0; i < count; i++)
		for (int k = 0; k < DIM; k++)
			bodies[i].speed[k] += bodies[i].pull[k] * time;
}

static void drift(double time)
{
	for (long i = 0; i < count; i++)
		for (int k = 0; k < DIM; k++)
			bodies[i].at[k] += bodies[i].speed[k] * time;
}

/* A cube of slow bodies: it collapses, mixes, and becomes a cluster. */
static void scatter(uint64_t seed)
{
	bodies = calloc((size_t)count, sizeof(*bodies));
	if (!bodies)
		work_die("no memory for %ld bodies", count);
	for (long i = 0; i < count; i++) {
		bodies[i].mass = (0.5 + work_uniform(&seed)) / (double)count;
		for (int k = 0; k < DIM; k++) {
			bodies[i].at[k] = 2 * work_uniform(&seed) - 1;
			bodies[i].speed[k] = (work_uniform(&seed) - 0.5) * 0.4;
		}
	}
}

static void report(long step, double potential)
{
	double kinetic = 0, momentum[DIM] = {0};

	for (long i = 0; i < count; i++)
		for (int k = 0; k < DIM; k++) {
			double v = bodies[i].speed[k];

			kinetic += bodies[i].mass * v * v / 2;
			momentum[k] += bodies[i].mass * v;
		}
	fprintf(work_out, "%8ld energy %.12f momentum %.12f %.12f %.12f first %.12f %.12f %.12f\n",
		step, kinetic + potential, momentum[0], momentum[1], momentum[2], bodies[0].at[0],
		bodies[0].at[1], bodies[0].at[2]);
}

int main(int argc, char **argv)
{
	long steps = 280000, seed = 1, every;
	const struct work_opt opts[] = {
		{"bodies", OPT_NUM, {.num = &count}, 2, "how many"},
		{"steps", OPT_NUM, {.num = &steps}, 1, "steps of time: the duration"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the first positions"},
		{0},
	};
	const struct work_usage usage = {
		.name = "nbody",
		.what = "Simulate a star cluster and show that energy and momentum are conserved.",
		.opts = opts,
	};
	double potential;

	work_args(argc, argv, &usage);
	if (count > MAX_BODIES)
		work_die("at most %d bodies", MAX_BODIES);
	every = 1 + PAIRS_PER_REPORT / (count * (count - 1) / 2);
	scatter((uint64_t)seed);
	potential = attract();
	report(0, potential);
	for (long i = 1; i <= steps; i++) {
		kick(dt / 2);
		drift(dt);
		potential = attract();
		kick(dt / 2);
		if (i % every == 0 || i == steps) {
			report(i, potential);
			work_progress("step %ld of %ld", i, steps);
		}
	}
	return work_end(0);
}
