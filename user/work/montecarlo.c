/* SPDX-License-Identifier: MIT */
/*
 * Monte-Carlo simulation: the price of an Asian call option (the pay-off depends on the average
 * price over the path), by simulated paths of a geometric Brownian motion.
 *
 * The normal variates come from Marsaglia's polar method, which throws darts at the unit disc: the
 * share that hits gives pi for nothing, and with it a check of the generator.
 */
#include "work.h"

#include <math.h>
#include <stdlib.h>

enum { REPORT_EVERY = 200000 }; /* paths per line: about 2 s in a TCG guest, at 32 steps */

static const double spot = 100, strike = 102, rate = 0.03, volatility = 0.25, years = 1;

struct dice {
	uint64_t state, thrown, hit;
	double spare;
	int have_spare;
};

static double normal(struct dice *d)
{
	double x, y, s;

	if (d->have_spare) {
		d->have_spare = 0;
		return d->spare;
	}
	do {
		x = 2 * work_uniform(&d->state) - 1;
		y = 2 * work_uniform(&d->state) - 1;
		s = x * x + y * y;
		d->thrown++;
	} while (s >= 1 || s == 0);
	d->hit++;
	s = sqrt(-2 * log(s) / s);
	d->spare = y * s;
	d->have_spare = 1;
	return x * s;
}

/* Pay-off of one path, discounted to today. */
static double one_path(struct dice *d, long steps)
{
	const double dt = years / (double)steps;
	const double drift = (rate - volatility * volatility / 2) * dt,
		     noise = volatility * sqrt(dt);
	double price = spot, sum = 0;

	for (long i = 0; i < steps; i++) {
		price *= exp(drift + noise * normal(d));
		sum += price;
	}
	sum = sum / (double)steps - strike;
	return sum > 0 ? sum * exp(-rate * years) : 0;
}

int main(int argc, char **argv)
{
	long paths = 1800000, steps = 32, seed = 1;
	const struct work_opt opts[] = {
		{"paths", OPT_NUM, {.num = &paths}, 1, "paths to simulate: the duration"},
		{"steps", OPT_NUM, {.num = &steps}, 1, "steps of each path"},
		{"seed", OPT_NUM, {.num = &seed}, 0, "of the random numbers"},
		{0},
	};
	const struct work_usage usage = {
		.name = "montecarlo",
		.what = "Price an Asian call option by simulation, and estimate pi on the way.",
		.opts = opts,
	};
	struct dice dice = {0};
	double sum = 0, squares = 0;

	work_args(argc, argv, &usage);
	dice.state = (uint64_t)seed;
	fprintf(work_out, "%10s %12s %12s %12s\n", "paths", "price", "std error", "pi");
	for (long i = 1; i <= paths; i++) {
		double value = one_path(&dice, steps);

		sum += value;
		squares += value * value;
		if (i % REPORT_EVERY == 0 || i == paths) {
			double n = (double)i, mean = sum / n;

			fprintf(work_out, "%10ld %12.8f %12.8f %12.8f\n", i, mean,
				sqrt((squares / n - mean * mean) / n),
				4 * (double)dice.hit / (double)dice.thrown);
			work_progress("%ld of %ld paths", i, paths);
		}
	}
	return work_end(0);
}
