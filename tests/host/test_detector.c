/* SPDX-License-Identifier: MIT */
/* The load server's failure detector and its reports. */
#include "detector.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(name, cond)                                                                          \
	do {                                                                                       \
		if (cond) {                                                                        \
			printf("ok detector %s\n", name);                                          \
		} else {                                                                           \
			printf("not ok detector %s: %s\n", name, #cond);                           \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

enum { MS = 1000000 };

static void silence(void)
{
	struct detector d;

	detector_init(&d, 1, 7, 1000ull * MS, 2000ull * MS);
	CHECK("self is alive from the start", d.node[1].state == WH_NODE_ALIVE);
	CHECK("others are unknown",
	      d.node[2].state == WH_NODE_UNKNOWN && detector_tick(&d, 99999ull * MS) == 0);
	CHECK("first report", detector_report(&d, 2, 5, 100 * MS) == DETECTOR_ALIVE);
	CHECK("second report", detector_report(&d, 2, 5, 300 * MS) == DETECTOR_SAME);
	CHECK("not yet suspect", detector_tick(&d, 2299ull * MS) == 0);
	CHECK("suspect once", detector_tick(&d, 2300ull * MS) == 2 &&
				      detector_tick(&d, 2400ull * MS) == 0 &&
				      d.node[2].state == WH_NODE_SUSPECT);
	CHECK("silence never kills", detector_tick(&d, 1ull << 60) == 0 &&
					     d.node[2].state == WH_NODE_SUSPECT &&
					     !d.node[2].fenced);
	CHECK("heard again", detector_report(&d, 2, 5, 1ull << 60) == DETECTOR_ALIVE &&
				     d.node[2].state == WH_NODE_ALIVE);
	CHECK("self is never suspected", d.node[1].state == WH_NODE_ALIVE);
}

static void overdue(void)
{
	struct detector d;

	detector_init(&d, 1, 7, 1000ull * MS, 2000ull * MS);
	detector_report(&d, 2, 5, 100 * MS);
	detector_report(&d, 3, 5, 900 * MS);
	CHECK("who was just heard is not overdue",
	      detector_overdue(&d, 1099ull * MS) == 0 && detector_overdue_at(&d) == 1100ull * MS);
	CHECK("who is silent for long is", detector_overdue(&d, 1100ull * MS) == 2);
	CHECK("who is suspect is not asked any more",
	      detector_tick(&d, 2100ull * MS) == 2 && detector_overdue(&d, 2100ull * MS) == 4);
	detector_away(&d, 1500ull * MS, 2800ull * MS);
	CHECK("time in which we were away ourselves does not count",
	      detector_overdue(&d, 2800ull * MS) == 0 && detector_tick(&d, 4399ull * MS) == 0 &&
		      detector_tick(&d, 4400ull * MS) == 4);
	detector_away(&d, 1ull << 50, 4500ull * MS);
	CHECK("nobody is heard in the future, and who never was stays so",
	      d.node[3].heard_ns == 4500ull * MS && d.node[4].heard_ns == 0);
}

static void incarnations(void)
{
	struct detector d;

	detector_init(&d, 1, 7, 1000ull * MS, 2000ull * MS);
	detector_report(&d, 2, 5, 100 * MS);
	CHECK("a restart fences what was before",
	      detector_report(&d, 2, 6, 200 * MS) == DETECTOR_REBORN && d.node[2].fenced == 5);
	CHECK("a late report of the old one is a ghost's",
	      detector_report(&d, 2, 5, 300 * MS) == DETECTOR_GHOST && d.node[2].incarnation == 6);
	CHECK("the operator's word kills",
	      detector_fence(&d, 2, 6) && d.node[2].state == WH_NODE_DEAD);
	CHECK("it is news only once", !detector_fence(&d, 2, 6));
	CHECK("the dead do not come back", detector_report(&d, 2, 6, 400 * MS) == DETECTOR_GHOST &&
						   d.node[2].state == WH_NODE_DEAD);
	CHECK("but a new incarnation does",
	      detector_report(&d, 2, 7, 500 * MS) == DETECTOR_REBORN &&
		      d.node[2].state == WH_NODE_ALIVE);
	CHECK("old news of a death does not kill the living",
	      !detector_fence(&d, 2, 6) && d.node[2].state == WH_NODE_ALIVE);
	CHECK("news of a death of which nobody was heard",
	      detector_fence(&d, 3, 4) && d.node[3].state == WH_NODE_DEAD &&
		      detector_report(&d, 3, 4, 600 * MS) == DETECTOR_GHOST);
}

static void reports(void)
{
	struct load_report r = {.node = 2, .incarnation = 5, .nmoves = 1}, got;
	unsigned char bytes[sizeof(r) + 1];
	int accepted = 0;

	r.move[0] = (struct report_move){.node = 3, .milli = 1000};
	report_seal(&r);
	CHECK("a sealed report opens",
	      report_open(&got, &r, sizeof(r), 2) && got.move[0].node == 3);
	CHECK("not from another node", !report_open(&got, &r, sizeof(r), 3));
	CHECK("not a byte short or long", !report_open(&got, &r, sizeof(r) - 1, 2) &&
						  !report_open(&got, bytes, sizeof(bytes), 2));
	for (size_t bit = 0; bit < sizeof(r) * 8; bit++) {
		memcpy(bytes, &r, sizeof(r));
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		accepted += report_open(&got, bytes, sizeof(r), 2);
	}
	CHECK("not with any bit changed", accepted == 0);
	r.nmoves = REPORT_ROWS + 1;
	report_seal(&r);
	CHECK("not with too many rows", !report_open(&got, &r, sizeof(r), 2));
	r.nmoves = 1;
	r.move[0].node = WH_MAX_NODES + 1;
	report_seal(&r);
	CHECK("not with a node that cannot be", !report_open(&got, &r, sizeof(r), 2));
	r.move[0].node = 3;
	r.load_milli = 4000000000u;
	report_seal(&r);
	CHECK("not with a load that cannot be", !report_open(&got, &r, sizeof(r), 2));
	r.load_milli = 0;
	r.incarnation = 0;
	report_seal(&r);
	CHECK("not without an incarnation", !report_open(&got, &r, sizeof(r), 2));
}

/* Whatever comes, in whatever order: a fenced incarnation never becomes the one that lives. */
static void random_history(void)
{
	struct detector d;
	uint64_t now = 1, broken = 0, before;

	srand(1);
	detector_init(&d, 1, 1, 500, 1000);
	for (int i = 0; i < 200000; i++) {
		uint32_t node = 2 + (uint32_t)rand() % 3;
		uint64_t incarnation = 1 + (uint64_t)rand() % (2 + (uint64_t)i / 5000);
		struct detected *n = &d.node[node];

		now += (uint64_t)rand() % 700;
		before = n->fenced;
		if (rand() % 50 == 0)
			detector_fence(&d, node, incarnation);
		else
			detector_report(&d, node, incarnation, now);
		detector_tick(&d, now);
		broken += n->fenced < before;
		broken += n->state == WH_NODE_ALIVE && n->incarnation <= n->fenced;
		broken += n->state == WH_NODE_DEAD && n->incarnation > n->fenced;
	}
	CHECK("200,000 random events", broken == 0);
}

int main(void)
{
	silence();
	overdue();
	incarnations();
	reports();
	random_history();
	return failures != 0;
}
