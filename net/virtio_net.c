/* SPDX-License-Identifier: MIT */
/*
 * Legacy virtio-net. Received frames stay in the device's buffers until lwIP and the reader are
 * done with them; as those are few, a frame is copied out when most of them are taken. Frames
 * larger than one buffer arrive in several (VIRTIO_NET_F_MRG_RXBUF).
 */
#include <stdlib.h>
#include <string.h>

#include "nic.h"
#include "serve.h"
#include "virtio.h"
#include "wmem.h"

#define VIRTIO_NET_F_MRG_RXBUF (1u << 15)

enum { RX_QUEUE = 0, TX_QUEUE = 1 };
enum {
	RX_BUFFERS = 640,
	RX_BYTES = 2048,
	RX_LOW = 96,	   /* copy out when fewer are left outside the device */
	RX_MAX_PARTS = 34, /* buffers of the largest frame, 64 kB */
	TX_MAX_PARTS = 20, /* pbufs of one frame; more are joined first */
	FRAME_MIN = 14,
	IRQ_BIT = 0,
};

/* In front of every frame; the device fills in and we ignore all but the number of buffers. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers;
};
_Static_assert(sizeof(struct net_header) == 12, "virtio_net_hdr_mrg_rxbuf");

struct rx_buffer {
	struct pbuf_custom custom; /* first: a pbuf of ours is a buffer */
	struct rx_buffer *next_free;
	uint8_t *data; /* RX_BYTES */
	uint64_t phys;
};

/* A frame copied out of the device's buffers. */
struct copied_frame {
	struct pbuf_custom custom;
	uint8_t data[];
};

static struct virtio_dev dev;
static struct virtq rx, tx;
static bool mergeable;
static size_t header_bytes; /* 12, or 10 without num_buffers */
static struct rx_buffer *buffers;
static struct rx_buffer *free_buffers;
static unsigned free_count;
static uint8_t *arena; /* nic_memory */
static uint64_t arena_phys;
static size_t arena_bytes;
static uint64_t tx_header_phys; /* zeros */
static struct nic_stats stats;
static void (*wake_stack)(void);

void *nic_memory(size_t bytes)
{
	arena = wh_dma_alloc(bytes, &arena_phys);
	if (!arena)
		serve_die("no memory for the send heap");
	arena_bytes = bytes;
	return arena;
}

const struct nic_stats *nic_stats(void)
{
	stats.rx_held = RX_BUFFERS - free_count - (rx.size - rx.free);
	return &stats;
}

/* ---- receiving ---- */

static void put_buffer(struct rx_buffer *b)
{
	b->next_free = free_buffers;
	free_buffers = b;
	free_count++;
}

static void refill(void)
{
	while (free_buffers && rx.free > 0) {
		struct rx_buffer *b = free_buffers;
		struct virtio_seg seg = {.phys = b->phys, .len = RX_BYTES};

		if (!virtq_add(&rx, &seg, 0, 1, b))
			break;
		free_buffers = b->next_free;
		free_count--;
	}
	virtq_kick(&rx);
}

static void free_rx_pbuf(struct pbuf *p)
{
	put_buffer((struct rx_buffer *)p);
}

static void free_copied(struct pbuf *p)
{
	free(p);
}

/* The frame as a chain of pbufs around its buffers. */
static struct pbuf *wrap(struct rx_buffer **part, const uint32_t *len, unsigned parts)
{
	struct pbuf *frame = NULL;

	for (unsigned i = parts; i-- > 0;) {
		size_t skip = i == 0 ? header_bytes : 0;

		part[i]->custom.custom_free_function = free_rx_pbuf;
		struct pbuf *p =
			pbuf_alloced_custom(PBUF_RAW, len[i] - skip, PBUF_REF, &part[i]->custom,
					    part[i]->data + skip, RX_BYTES - skip);
		if (frame)
			pbuf_cat(p, frame);
		frame = p;
	}
	return frame;
}

/* The frame copied together, its buffers given back. NULL: no memory. */
static struct pbuf *copy_out(struct rx_buffer **part, const uint32_t *len, unsigned parts,
			     size_t total)
{
	struct copied_frame *f = malloc(sizeof(*f) + total);
	size_t have = 0;

	for (unsigned i = 0; i < parts; i++) {
		size_t skip = i == 0 ? header_bytes : 0;

		if (f)
			wmem_copy(f->data + have, part[i]->data + skip, len[i] - skip);
		have += len[i] - skip;
		put_buffer(part[i]);
	}
	if (!f)
		return NULL;
	stats.rx_copied++;
	f->custom.custom_free_function = free_copied;
	return pbuf_alloced_custom(PBUF_RAW, total, PBUF_REF, &f->custom, f->data, total);
}

/* Take the next frame from the device. False: none. *frame NULL: it had to be dropped. */
static bool take_frame(struct pbuf **frame)
{
	struct rx_buffer *part[RX_MAX_PARTS];
	uint32_t len[RX_MAX_PARTS];
	unsigned parts = 1;
	size_t total;

	*frame = NULL;
	part[0] = virtq_pop(&rx, &len[0]);
	if (!part[0])
		return false;
	bool bad = len[0] < header_bytes + FRAME_MIN || len[0] > RX_BYTES;

	total = len[0] - header_bytes;
	if (mergeable && !bad)
		parts = ((struct net_header *)(void *)part[0]->data)->num_buffers;
	bad = bad || parts == 0 || parts > RX_MAX_PARTS;
	if (bad)
		parts = 1;
	for (unsigned i = 1; i < parts; i++) {
		part[i] = virtq_pop(&rx, &len[i]);
		if (!part[i] || len[i] > RX_BYTES) { /* the device contradicts itself */
			parts = part[i] ? i + 1 : i;
			bad = true;
			break;
		}
		total += len[i];
	}
	if (bad || total > UINT16_MAX) {
		stats.rx_bad++;
		while (parts > 0)
			put_buffer(part[--parts]);
		return true;
	}
	stats.rx_frames++;
	stats.rx_bytes += total;
	*frame = free_count < RX_LOW ? copy_out(part, len, parts, total) : wrap(part, len, parts);
	stats.rx_no_room += !*frame;
	return true;
}

unsigned nic_poll(unsigned budget, void (*input)(struct pbuf *p))
{
	unsigned n = 0;
	struct pbuf *frame;

	virtq_interrupts(&rx, false);
	for (; n < budget && take_frame(&frame); n++) {
		if (frame)
			input(frame);
	}
	if (n > 0)
		refill();
	return n;
}

bool nic_sleep(void)
{
	return !virtq_interrupts(&rx, true);
}

/* ---- sending ---- */

static void reclaim(void)
{
	struct pbuf *p;

	while ((p = virtq_pop(&tx, NULL)))
		pbuf_free(p);
}

/* The frame's parts as descriptors behind the header; 0: some of it is out of the device's reach. */
static unsigned segments(const struct pbuf *p, struct virtio_seg *seg)
{
	unsigned n = 1;

	seg[0] = (struct virtio_seg){.phys = tx_header_phys, .len = header_bytes};
	for (; p; p = p->next) {
		size_t off = (uintptr_t)p->payload - (uintptr_t)arena;

		if (n > TX_MAX_PARTS || off >= arena_bytes || p->len > arena_bytes - off)
			return 0;
		if (p->len > 0)
			seg[n++] = (struct virtio_seg){.phys = arena_phys + off, .len = p->len};
	}
	return n;
}

err_t nic_send(struct pbuf *p)
{
	struct virtio_seg seg[TX_MAX_PARTS + 1];
	struct pbuf *copy = NULL;
	unsigned n = segments(p, seg);

	if (n == 0) { /* received data sent back (echo), which lies in the receive buffers */
		copy = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
		n = copy ? segments(copy, seg) : 0;
		stats.tx_copied++;
	}
	if (n > 0 && tx.free < n)
		reclaim();
	if (n == 0 || !virtq_add(&tx, seg, n, 0, copy ? copy : p)) {
		stats.tx_full++;
		if (copy)
			pbuf_free(copy);
		return ERR_MEM;
	}
	if (!copy)
		pbuf_ref(p);
	stats.tx_frames++;
	stats.tx_bytes += p->tot_len;
	return ERR_OK;
}

void nic_flush(void)
{
	virtq_kick(&tx);
	reclaim();
	/* An interrupt is only wanted when the ring is so full that its emptying is news. */
	if (virtq_interrupts(&tx, tx.free < tx.size / 2))
		reclaim();
}

/* ---- start ---- */

static void on_irq(void *arg, uint64_t bits)
{
	(void)arg;
	(void)bits;
	virtio_isr(&dev);
	wh_irq_ack(dev.line);
	wake_stack();
}

static void make_buffers(void)
{
	uint64_t phys;
	uint8_t *mem = wh_dma_alloc(RX_BUFFERS * RX_BYTES, &phys);

	buffers = calloc(RX_BUFFERS, sizeof(*buffers));
	if (!mem || !buffers)
		serve_die("no memory for receive buffers");
	for (unsigned i = 0; i < RX_BUFFERS; i++) {
		buffers[i].data = mem + i * RX_BYTES;
		buffers[i].phys = phys + i * RX_BYTES;
		put_buffer(&buffers[i]);
	}
}

void nic_start(void (*wake)(void))
{
	wake_stack = wake;
	if (virtio_find(&dev, VIRTIO_PCI_NET) < 0)
		serve_die("no virtio network card");
	virtio_negotiate(&dev, VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX);
	mergeable = dev.features & VIRTIO_NET_F_MRG_RXBUF;
	header_bytes = sizeof(struct net_header) - (mergeable ? 0 : 2);
	if (virtio_queue_setup(&dev, RX_QUEUE, &rx) < 0 ||
	    virtio_queue_setup(&dev, TX_QUEUE, &tx) < 0)
		serve_die("the network card has no queues");
	if (!wh_dma_alloc(sizeof(struct net_header), &tx_header_phys))
		serve_die("no memory for a header");
	make_buffers();
	virtio_start(&dev);
	refill();
	long err = wh_irq_bind(dev.line, IRQ_BIT);

	if (err < 0)
		serve_die("interrupt %u: %s", dev.line, strerror(-err));
	serve_note(1ull << IRQ_BIT, on_irq, NULL);
}
