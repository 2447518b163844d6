/* SPDX-License-Identifier: MIT */
/* The virtio ring against a device played by the test: order, batching, full ring, EVENT_IDX, a
 * lying device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../servers/lib/virtio.h"

enum { SIZE = 8 };

static struct virtq q;
static void *token[SIZE];
static void *mem;
static uint16_t device_seen; /* avail entries the device has taken */
static int failures;

static void check(bool ok, const char *name, const char *why)
{
	if (ok)
		printf("ok virtq %s\n", name);
	else
		printf("not ok virtq %s: %s\n", name, why);
	failures += !ok;
}

static void fresh(bool event_idx)
{
	free(mem);
	mem = aligned_alloc(4096, virtq_bytes(SIZE));
	memset(mem, 0, virtq_bytes(SIZE));
	virtq_init(&q, SIZE, mem, token, event_idx);
	device_seen = 0;
}

/* The device takes the next request; returns its head and the bytes of its out and in segments. */
static int device_take(unsigned *out, unsigned *in)
{
	if (device_seen == q.avail->idx)
		return -1;
	int head = q.avail->ring[device_seen++ % SIZE];

	*out = *in = 0;
	for (int d = head;; d = q.desc[d].next) {
		*(q.desc[d].flags & 2 ? in : out) += q.desc[d].len;
		if (!(q.desc[d].flags & 1))
			return head;
	}
}

static void device_finish(unsigned head, unsigned len)
{
	q.used->ring[q.used->idx % SIZE].id = head;
	q.used->ring[q.used->idx % SIZE].len = len;
	q.used->idx++;
}

/* The device's EVENT_IDX words, where the specification puts them. */
static uint16_t driver_event(void)
{
	return q.avail->ring[SIZE];
}

static void set_device_event(uint16_t idx)
{
	memcpy((char *)(void *)&q.used->ring[SIZE], &idx, sizeof(idx));
}

static void many_requests(bool event_idx, const char *name)
{
	static int id[200000];
	struct virtio_seg seg[3] = {{1, 10}, {2, 20}, {3, 30}};
	unsigned out, in, added = 0, done = 0, wrong = 0;
	int pending[SIZE], npending = 0;

	fresh(event_idx);
	memset(id, 0, sizeof(id));
	srand(7);
	while (done < 200000) {
		for (int burst = rand() % 4; burst > 0 && added < 200000; burst--) {
			unsigned nout = 1 + rand() % 2, nin = 3 - nout;

			if (!virtq_add(&q, seg, nout, nin, &id[added]))
				break;
			added++;
		}
		virtq_publish(&q);
		for (int h; npending < SIZE && (h = device_take(&out, &in)) >= 0;) {
			wrong += out + in != 60;
			pending[npending++] = h;
		}
		while (npending > 0 && rand() % 3) { /* out of order */
			int k = rand() % npending;

			device_finish(pending[k], 5);
			pending[k] = pending[--npending];
		}
		for (int *t; (t = virtq_pop(&q, &out));) {
			wrong += *t != 0 || out != 5;
			(*t)++;
			done++;
		}
	}
	check(wrong == 0 && q.free == SIZE && q.bad == 0, name,
	      "a request was lost, doubled or torn");
}

int main(void)
{
	struct virtio_seg seg[3] = {{1, 10}, {2, 20}, {3, 30}};
	unsigned out, in;
	int t[4];

	fresh(false);
	bool two = virtq_add(&q, seg, 1, 2, &t[0]) && virtq_add(&q, seg, 2, 1, &t[1]);
	bool third = virtq_add(&q, seg, 1, 2, &t[2]);

	check(two && !third && q.free == 2, "full",
	      "a ring of 8 must take two chains of 3 and refuse the third");
	check(device_take(&out, &in) == -1, "batch",
	      "the device saw requests before they were published");
	check(virtq_publish(&q), "doorbell", "an idle device must be notified");
	int a = device_take(&out, &in);

	check(a >= 0 && out == 10 && in == 50, "chain", "segments of the first request are wrong");
	int b = device_take(&out, &in);

	check(b >= 0 && out == 30 && in == 30, "chain-2",
	      "segments of the second request are wrong");
	device_finish(b, 30);
	check(virtq_pop(&q, &in) == &t[1] && in == 30 && q.free == 5, "pop",
	      "wrong token, length or free count");
	check(virtq_pop(&q, NULL) == NULL, "empty", "popped something that had not finished");
	device_finish(b, 1);
	device_finish(1000, 1);
	device_finish(a, 7);
	check(virtq_pop(&q, &in) == &t[0] && in == 7 && q.bad == 2 && q.free == 8, "liar",
	      "a doubled and an impossible used entry must be dropped, and counted");
	q.used->flags = 1;
	virtq_add(&q, seg, 1, 0, &t[0]);
	check(!virtq_publish(&q), "quiet", "notified a device that asked not to be");

	fresh(true);
	virtq_add(&q, seg, 1, 0, &t[0]);
	check(virtq_publish(&q), "event-first", "the device waits for entry 0");
	virtq_add(&q, seg, 1, 0, &t[1]);
	check(!virtq_publish(&q), "event-quiet", "the device has not asked for more");
	set_device_event(3);
	virtq_add(&q, seg, 1, 0, &t[2]);
	check(!virtq_publish(&q), "event-not-yet", "the device waits for entry 3");
	virtq_add(&q, seg, 1, 0, &t[3]);
	check(virtq_publish(&q), "event-passed", "entry 3 was published");
	device_finish(device_take(&out, &in), 0);
	virtq_pop(&q, NULL);
	check(driver_event() == 1, "event-rearm",
	      "pop must ask for an interrupt at the next used entry");
	virtq_interrupts(&q, false);
	device_finish(device_take(&out, &in), 0);
	virtq_pop(&q, NULL);
	check(driver_event() != 2, "event-off", "interrupts are off");
	device_finish(device_take(&out, &in), 0);
	check(virtq_interrupts(&q, true) && driver_event() == 2, "event-race",
	      "must tell what finished meanwhile");

	many_requests(false, "200000-random");
	many_requests(true, "200000-random-event");
	free(mem);
	return failures != 0;
}
