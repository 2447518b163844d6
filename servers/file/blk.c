/* SPDX-License-Identifier: MIT */
/*
 * The virtio disk. A batch of transfers is queued, shown to the device at once, and waited for:
 * polling first, for most take less time than a wake-up, then by interrupt. While waiting for the
 * interrupt, other events are set aside by serve_wait_note().
 */
#include "blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "serve.h"
#include "virtio.h"
#include "wh.h"

enum { SECTOR = 512, IRQ_BIT = 0 };
enum { FEATURE_RO = 1u << 5, FEATURE_FLUSH = 1u << 9 };
enum request_type { REQ_READ = 0, REQ_WRITE = 1, REQ_FLUSH = 4 };

#define POLL_NS 60000ull
/* A disk that fails does so often: at most one line about it in this time. */
#define COMPLAIN_NS 100000000ull
/* Then a line in the log; the device may still touch the memory. */
#define PATIENCE (5 * SERVE_SEC)

struct header { /* what the device reads first */
	uint32_t type, ioprio;
	uint64_t sector;
};

/* One request in flight; header and status are in DMA memory. */
struct slot {
	struct header *header;
	volatile uint8_t *status;
	uint64_t bytes; /* of data */
};

struct disk {
	struct blkdev dev; /* first */
	struct virtio_dev vio;
	struct virtq q;
	uint8_t *arena;
	uint64_t arena_phys;
	size_t arena_size, arena_used;
	struct slot slot[BLK_MAX_BATCH];
	unsigned in_flight;
	bool failed; /* some request of this batch */
	uint64_t complained;
};

static struct disk the_disk;

static void *arena_alloc(struct blkdev *dev, size_t bytes)
{
	struct disk *d = (void *)dev;
	size_t need = (bytes + 4095) & ~(size_t)4095;

	if (need > d->arena_size - d->arena_used)
		return NULL;
	d->arena_used += need;
	return d->arena + d->arena_used - need;
}

static uint64_t phys_of(const struct disk *d, const volatile void *p)
{
	return d->arena_phys + (uint64_t)((const volatile uint8_t *)p - d->arena);
}

static void complain(struct disk *d, const struct slot *s)
{
	static const char *const cause[] = {[1] = "I/O error", [2] = "the device cannot do that"};
	const char *why = *s->status < 3 ? cause[*s->status] : "unknown status";
	const struct header *h = s->header;
	uint64_t now = wh_now();

	if (d->complained && now - d->complained < COMPLAIN_NS)
		return;
	d->complained = now;
	if (h->type == REQ_FLUSH)
		fs_log("disk: flush failed: %s", why);
	else
		fs_log("disk: %s of %llu bytes at sector %llu failed: %s",
		       h->type == REQ_WRITE ? "write" : "read", (unsigned long long)s->bytes,
		       (unsigned long long)h->sector, why);
}

static void reap(struct disk *d)
{
	struct slot *s;

	while ((s = virtq_pop(&d->q, NULL))) {
		d->in_flight--;
		if (*s->status != 0) {
			d->failed = true;
			complain(d, s);
		}
	}
}

/* Sleep until the device interrupts. */
static void await_interrupt(struct disk *d)
{
	if (!virtq_interrupts(&d->q, true)) {
		uint64_t deadline = wh_now() + PATIENCE;

		if (!serve_wait_note(1ull << IRQ_BIT, deadline) && wh_now() >= deadline)
			fs_log("the disk does not answer; waiting for it");
		virtio_isr(&d->vio);
		wh_irq_ack(d->vio.line);
	}
	virtq_interrupts(&d->q, false);
}

/* Wait until at most `left` requests are in flight. */
static void await(struct disk *d, unsigned left)
{
	uint64_t start = wh_now();

	for (;;) {
		reap(d);
		if (d->in_flight <= left)
			return;
		if (wh_now() - start < POLL_NS)
			__builtin_ia32_pause();
		else
			await_interrupt(d);
	}
}

/* Queue one request; waits for room if there is none. data: nseg segments behind the header. */
static void enqueue(struct disk *d, struct slot *s, enum request_type type, uint64_t sector,
		    struct virtio_seg *seg, unsigned nseg)
{
	unsigned out = type == REQ_WRITE ? 1 + nseg : 1;

	*s->header = (struct header){.type = type, .sector = sector};
	*s->status = 0xff;
	s->bytes = 0;
	for (unsigned i = 0; i < nseg; i++)
		s->bytes += seg[1 + i].len;
	seg[0] = (struct virtio_seg){phys_of(d, s->header), sizeof(*s->header)};
	seg[1 + nseg] = (struct virtio_seg){phys_of(d, s->status), 1};
	while (!virtq_add(&d->q, seg, out, nseg + 2 - out, s)) {
		virtq_kick(&d->q);
		await(d, d->in_flight - 1);
	}
	d->in_flight++;
}

/* The pieces of memory, neighbours joined; how many. */
static unsigned segments(const struct disk *d, const struct blk_io *io, struct virtio_seg *seg)
{
	unsigned n = 0;

	for (unsigned i = 0; i < io->nseg; i++) {
		uint64_t phys = io->direct ? io->phys[i] : phys_of(d, io->seg[i]);

		if (n && seg[n - 1].phys + seg[n - 1].len == phys)
			seg[n - 1].len += io->seg_len;
		else
			seg[n++] = (struct virtio_seg){phys, io->seg_len};
	}
	return n;
}

static int blk_submit(struct blkdev *dev, const struct blk_io *io, unsigned n)
{
	struct disk *d = (void *)dev;
	struct virtio_seg seg[BLK_MAX_SEGS + 2];

	d->failed = false;
	for (unsigned i = 0; i < n; i++) {
		uint64_t bytes = (uint64_t)io[i].nseg * io[i].seg_len;

		if (io[i].off > dev->bytes || bytes > dev->bytes - io[i].off) {
			d->failed = true;
			continue;
		}
		enqueue(d, &d->slot[i], io[i].write ? REQ_WRITE : REQ_READ, io[i].off / SECTOR, seg,
			segments(d, &io[i], seg + 1));
		if (io[i].write)
			dev->writes++;
		else
			dev->reads++;
	}
	virtq_kick(&d->q);
	await(d, 0);
	return d->failed ? -EIO : 0;
}

static int blk_flush(struct blkdev *dev)
{
	struct disk *d = (void *)dev;
	struct virtio_seg seg[2];

	if (!(d->vio.features & FEATURE_FLUSH))
		return 0; /* it has no cache of its own */
	d->failed = false;
	dev->flushes++;
	enqueue(d, &d->slot[0], REQ_FLUSH, 0, seg, 0);
	virtq_kick(&d->q);
	await(d, 0);
	return d->failed ? -EIO : 0;
}

/* An interrupt that nobody waits for: of another device on the same line, or a late one. */
static void stray_interrupt(void *arg, uint64_t bits)
{
	struct disk *d = arg;

	(void)bits;
	virtio_isr(&d->vio);
	wh_irq_ack(d->vio.line);
}

int blk_virtio_open(struct blkdev **dev, size_t arena)
{
	struct disk *d = &the_disk;
	int err = virtio_find(&d->vio, VIRTIO_PCI_BLK, 0);

	if (err < 0)
		return err;
	virtio_negotiate(&d->vio, FEATURE_RO | FEATURE_FLUSH | VIRTIO_F_EVENT_IDX);
	if (d->vio.features & FEATURE_RO)
		return -EROFS;
	err = virtio_queue_setup(&d->vio, 0, &d->q);
	if (err < 0)
		return err;
	if (d->q.size < BLK_MAX_SEGS + 2)
		return -EINVAL;
	d->arena = wh_dma_alloc(arena, &d->arena_phys);
	if (!d->arena)
		return -ENOMEM;
	d->arena_size = arena;
	d->dev = (struct blkdev){.bytes = virtio_config64(&d->vio, 0) * SECTOR,
				 .submit = blk_submit,
				 .flush = blk_flush,
				 .alloc = arena_alloc};
	struct header *headers = arena_alloc(&d->dev, sizeof(struct header) * BLK_MAX_BATCH);
	uint8_t *status = arena_alloc(&d->dev, BLK_MAX_BATCH);

	if (!headers || !status)
		return -ENOMEM;
	for (unsigned i = 0; i < BLK_MAX_BATCH; i++)
		d->slot[i] = (struct slot){.header = headers + i, .status = status + i};
	err = (int)wh_irq_bind(d->vio.line, IRQ_BIT);
	if (err < 0)
		return err;
	serve_note(1ull << IRQ_BIT, stray_interrupt, d);
	virtio_start(&d->vio);
	virtq_interrupts(&d->q, false);
	*dev = &d->dev;
	return 0;
}
