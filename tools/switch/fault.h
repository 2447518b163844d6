/* SPDX-License-Identifier: MIT */
/*
 * What a bad wire does to a frame, decided by arithmetic alone: no I/O, no clock, no memory, so that
 * host tests run the very same code (tests/host/test_fault.c).
 *
 * A frame from A to B passes three stages: the cable of A, what is set for the pair A:B, the cable
 * of B. Its fate depends on the seed, A, B, its number among the frames from A to B, and the
 * settings; never on other links' traffic nor on which other faults are set. So a seed repeats.
 */
#ifndef TOOLS_SWITCH_FAULT_H
#define TOOLS_SWITCH_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAULT_PPM = 1000000,
	FAULT_STAGES = 3,
	FAULT_COPIES = 1 + FAULT_STAGES, /* each stage may double a frame once */
	FAULT_BITS = 64,		 /* flipped in one frame, at most */
	FAULT_ETHER = 14		 /* bytes of the Ethernet header */
};

#define FAULT_REORDER_NS 5000000u /* a frame that is to be overtaken is held 1 ns to this long */
#define FAULT_BURST_NS                                                                             \
	10000000u /* after a pause a limited stage lets this much time's bytes pass at once */
#define FAULT_QUEUE (256u << 10) /* bytes that may wait at a limited stage; more are dropped */

/* Zeroed: a perfect wire. Probabilities in parts per million. */
struct fault {
	uint32_t loss, dup, reorder;
	uint32_t corrupt, header; /* damage behind the Ethernet header; in it */
	uint32_t bits;		  /* flipped by each damage; 0 counts as 1 */
	uint64_t delay_ns,
		jitter_ns; /* each frame: delay + something up to jitter; order is kept */
	uint64_t rate;	   /* bytes per second; 0: no limit */
};

/* One direction of one stage with a rate: when everything that was let pass will have passed. */
struct bucket {
	uint64_t clear_ns;
};

struct copy {
	uint64_t delay_ns;
	bool overtaken; /* later frames may pass it */
	/* Bits to flip, and the number that says which: fault_damage() */
	uint16_t body_bits, header_bits;
	uint64_t damage;
};

struct fate {
	unsigned copies;     /* 0: lost */
	unsigned duplicated; /* by so many stages */
	struct copy copy[FAULT_COPIES];
};

bool fault_idle(const struct fault *f);

/* A key for the link of A to B. */
uint64_t fault_key(uint64_t seed, unsigned from, unsigned to);

/* The fate of frame `number` of the link with this key. Rates are not looked at: bucket_pass(). */
void fault_fate(struct fate *fate, const struct fault *const stage[FAULT_STAGES], uint64_t key,
		uint64_t number);

/* Do to a frame what its fate says. Flips exactly that many different bits, if it has them. */
void fault_damage(uint8_t *frame, size_t len, const struct copy *c);

/*
 * A frame of len bytes comes to a stage with this rate (not 0) at the time `now`. True: it leaves
 * after *wait_ns. False: too many bytes are waiting, it is dropped.
 */
bool bucket_pass(struct bucket *b, uint64_t rate, uint64_t now_ns, size_t len, uint64_t *wait_ns);

#endif
