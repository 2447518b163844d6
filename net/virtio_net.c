/* SPDX-License-Identifier: MIT */
/*
 * Legacy virtio-net. Large frames stay in the device's buffers until lwIP and the reader are done
 * with them, one after the other if they do not fit into one (VIRTIO_NET_F_MRG_RXBUF); small ones
 * would waste a buffer each and are moved out. So are large ones when few buffers are left.
 */
#include <stdlib.h>
#include <string.h>

#include "nic.h"
#include "serve.h"
#include "virtio.h"
#include "wmem.h"

#define VIRTIO_NET_F_MAC       (1u << 5)
#define VIRTIO_NET_F_MRG_RXBUF (1u << 15)
#define VIRTIO_F_ANY_LAYOUT    (1u << 27) /* header and frame may share a descriptor */

enum { RX_QUEUE = 0, TX_QUEUE = 1 };
enum {
	RX_SMALL = 2048,		/* frames up to this are moved to memory of their size */
	RX_MAX_PARTS = 36,		/* buffers of the largest frame */
	RX_MOVED_MAX = 8 * 1024 * 1024, /* bytes that moved frames may take, all cards */
	TX_MAX_PARTS = 20,		/* pbufs of one frame; more are joined first */
	TX_SLOTS = 256,			/* frames in flight with a trailer: no ring is longer */
	FRAME_MIN = 14,
	FRAME_MAX = UINT16_MAX, /* what lwIP can count */
	IRQ_BIT = 0,
};

/* Receive buffers. The sums are powers of two, as the kernel rounds up. */
static const struct {
	unsigned count, bytes;
} sizes[] = {
	[NIC_SMALL_FRAMES] = {128, 2048},
	[NIC_LARGE_FRAMES] = {256, 16384},
};

/* In front of every frame; the device fills in and we ignore all but the number of buffers. */
struct net_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers;
};
_Static_assert(sizeof(struct net_header) == NIC_HEADROOM, "virtio_net_hdr_mrg_rxbuf");

struct rx_buffer {
	struct pbuf_custom custom; /* first: a pbuf of ours is a buffer */
	struct rx_buffer *next_free;
	struct nic *nic;
	uint8_t *data;
	uint64_t phys;
};

/* A frame moved out of the device's buffers. */
struct moved_frame {
	struct pbuf_custom custom;
	size_t bytes;
	uint8_t data[];
};

struct nic {
	struct virtio_dev dev;
	struct virtq rx, tx;
	bool mergeable, any_layout;
	size_t header_bytes; /* 12, or 10 without num_buffers */
	unsigned rx_count, rx_bytes, rx_low;
	struct rx_buffer *buffers;
	struct rx_buffer *free_buffers;
	unsigned free_count;
	uint64_t header_phys; /* zeros */
	uint8_t *trailers;    /* TX_SLOTS of NIC_TRAILER bytes, used in turn */
	uint64_t trailers_phys;
	unsigned next_trailer;
	uint64_t queued, done; /* frames */
	uint8_t address[6];
	void (*wake)(void);
	struct nic_stats stats;
};

static struct nic cards[NIC_CARDS];
static unsigned card_count;
static uint8_t *arena; /* nic_memory */
static uint64_t arena_phys;
static size_t arena_bytes;
static size_t moved_bytes;

void *nic_memory(size_t bytes)
{
	arena = wh_dma_alloc_as_it_is(bytes, &arena_phys);
	if (!arena)
		serve_die("no memory for the send heap");
	arena_bytes = bytes;
	return arena;
}

const struct nic_stats *nic_stats(struct nic *n)
{
	n->stats.rx_held = n->rx_count - n->free_count - (n->rx.size - n->rx.free);
	return &n->stats;
}

const uint8_t *nic_address(const struct nic *n)
{
	return n->address;
}

/* ---- receiving ---- */

static void put_buffer(struct rx_buffer *b)
{
	struct nic *n = b->nic;

	b->next_free = n->free_buffers;
	n->free_buffers = b;
	n->free_count++;
}

static void refill(struct nic *n)
{
	while (n->free_buffers && n->rx.free > 0) {
		struct rx_buffer *b = n->free_buffers;
		struct virtio_seg seg = {.phys = b->phys, .len = n->rx_bytes};

		if (!virtq_add(&n->rx, &seg, 0, 1, b))
			break;
		n->free_buffers = b->next_free;
		n->free_count--;
	}
	virtq_kick(&n->rx);
}

static void free_rx_pbuf(struct pbuf *p)
{
	put_buffer((struct rx_buffer *)p);
}

static void free_moved(struct pbuf *p)
{
	moved_bytes -= ((struct moved_frame *)p)->bytes;
	free(p);
}

/* A frame as the device left it. */
struct parts {
	unsigned count;
	size_t total; /* bytes without the header */
	struct rx_buffer *part[RX_MAX_PARTS];
	uint32_t len[RX_MAX_PARTS];
};

/* As a chain of pbufs around its buffers. */
static struct pbuf *wrap(const struct nic *n, const struct parts *f)
{
	struct pbuf *frame = NULL;

	for (unsigned i = f->count; i-- > 0;) {
		size_t skip = i == 0 ? n->header_bytes : 0;
		struct rx_buffer *b = f->part[i];

		b->custom.custom_free_function = free_rx_pbuf;
		struct pbuf *p =
			pbuf_alloced_custom(PBUF_RAW, f->len[i] - skip, PBUF_REF, &b->custom,
					    b->data + skip, n->rx_bytes - skip);
		if (frame)
			pbuf_cat(p, frame);
		frame = p;
	}
	return frame;
}

static void put_parts(const struct parts *f)
{
	for (unsigned i = 0; i < f->count; i++)
		put_buffer(f->part[i]);
}

/* Moved together, its buffers given back. NULL: no memory. */
static struct pbuf *move_out(const struct nic *n, const struct parts *f)
{
	struct moved_frame *m =
		moved_bytes + f->total <= RX_MOVED_MAX ? malloc(sizeof(*m) + f->total) : NULL;
	size_t have = 0;

	for (unsigned i = 0; m && i < f->count; i++) {
		size_t skip = i == 0 ? n->header_bytes : 0;

		wmem_copy(m->data + have, f->part[i]->data + skip, f->len[i] - skip);
		have += f->len[i] - skip;
	}
	put_parts(f);
	if (!m)
		return NULL;
	m->bytes = f->total;
	f->part[0]->nic->stats.copied_bytes += f->total;
	moved_bytes += f->total;
	m->custom.custom_free_function = free_moved;
	return pbuf_alloced_custom(PBUF_RAW, f->total, PBUF_REF, &m->custom, m->data, f->total);
}

/* The next frame's buffers. 0: none is there; 1; or -1: the device contradicts itself. */
static int take_parts(struct nic *n, struct parts *f)
{
	unsigned count = 1;

	f->count = 0;
	f->part[0] = virtq_pop(&n->rx, &f->len[0]);
	if (!f->part[0])
		return 0;
	f->count = 1;
	if (f->len[0] < n->header_bytes + FRAME_MIN || f->len[0] > n->rx_bytes)
		return -1;
	f->total = f->len[0] - n->header_bytes;
	if (n->mergeable)
		count = ((struct net_header *)(void *)f->part[0]->data)->num_buffers;
	if (count == 0 || count > RX_MAX_PARTS)
		return -1;
	for (; f->count < count; f->count++) {
		unsigned i = f->count;

		f->part[i] = virtq_pop(&n->rx, &f->len[i]);
		if (!f->part[i])
			return -1;
		if (f->len[i] == 0 || f->len[i] > n->rx_bytes) {
			put_buffer(f->part[i]);
			return -1;
		}
		f->total += f->len[i];
	}
	return f->total > FRAME_MAX ? -1 : 1;
}

/* Take the next frame from the device. False: none. *frame NULL: it had to be dropped. */
static bool take_frame(struct nic *n, struct pbuf **frame)
{
	struct parts f;
	int got = take_parts(n, &f);

	*frame = NULL;
	if (got == 0)
		return false;
	if (got < 0) {
		n->stats.rx_bad++;
		put_parts(&f);
		return true;
	}
	n->stats.rx_frames++;
	n->stats.rx_bytes += f.total;
	if (f.total <= RX_SMALL)
		n->stats.rx_small++;
	else if (n->free_count + n->rx.size - n->rx.free < n->rx_low)
		n->stats.rx_copied++;
	else
		*frame = wrap(n, &f);
	if (!*frame)
		*frame = move_out(n, &f);
	n->stats.rx_no_room += !*frame;
	return true;
}

unsigned nic_poll(struct nic *n, unsigned budget, void (*input)(void *arg, struct pbuf *p),
		  void *arg)
{
	unsigned done = 0;
	struct pbuf *frame;

	virtq_interrupts(&n->rx, false);
	for (; done < budget && take_frame(n, &frame); done++) {
		if (frame)
			input(arg, frame);
	}
	if (n->free_buffers)
		refill(n);
	return done;
}

bool nic_sleep(struct nic *n)
{
	return !virtq_interrupts(&n->rx, true);
}

/* ---- sending ---- */

static void reclaim(struct nic *n)
{
	struct pbuf *p;

	while ((p = virtq_pop(&n->tx, NULL))) {
		pbuf_free(p);
		n->done++;
	}
}

/* Is there room in p's own memory for our header, before what it holds? Only pbufs that were
 * allocated in one piece with their data may be asked. */
static bool has_headroom(const struct pbuf *p)
{
	return p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS &&
	       (uint8_t *)p->payload - NIC_HEADROOM >=
		       (const uint8_t *)p + LWIP_MEM_ALIGN_SIZE(sizeof(*p));
}

/* The frame's parts as descriptors, with the header; 0: some of it is out of the device's reach. */
static unsigned segments(const struct nic *nic, const struct pbuf *p, struct virtio_seg *seg)
{
	unsigned n = 0;
	bool joined = nic->any_layout && has_headroom(p);

	if (!joined)
		seg[n++] = (struct virtio_seg){.phys = nic->header_phys, .len = nic->header_bytes};
	for (; p; p = p->next) {
		size_t off = (uintptr_t)p->payload - (uintptr_t)arena;
		size_t before = joined && n == 0 ? nic->header_bytes : 0;

		if (n >= TX_MAX_PARTS || off >= arena_bytes || p->len > arena_bytes - off)
			return 0;
		if (before)
			memset((uint8_t *)p->payload - before, 0, before);
		if (p->len > 0)
			seg[n++] = (struct virtio_seg){.phys = arena_phys + off - before,
						       .len = p->len + before};
	}
	return n;
}

err_t nic_send(struct nic *nic, struct pbuf *p, const void *tail, unsigned trailer)
{
	struct virtio_seg seg[TX_MAX_PARTS + 1];
	struct pbuf *copy = NULL;
	unsigned n = segments(nic, p, seg);

	if (n == 0) { /* received data sent back (echo), which lies in the receive buffers */
		copy = pbuf_clone(PBUF_LINK, PBUF_RAM, p);
		n = copy ? segments(nic, copy, seg) : 0;
		nic->stats.tx_copied++;
		nic->stats.copied_bytes += p->tot_len;
	}
	if (n > 0 && trailer > 0) {
		unsigned at = nic->next_trailer % TX_SLOTS * NIC_TRAILER;

		memcpy(nic->trailers + at, tail, NIC_TRAILER);
		seg[n++] = (struct virtio_seg){.phys = nic->trailers_phys + at, .len = NIC_TRAILER};
	}
	if (nic->tx.free < n)
		reclaim(nic);
	if (n == 0 || !virtq_add(&nic->tx, seg, n, 0, copy ? copy : p)) {
		nic->stats.tx_full++;
		if (copy)
			pbuf_free(copy);
		return ERR_MEM;
	}
	nic->next_trailer++;
	nic->queued++;
	if (!copy)
		pbuf_ref(p);
	nic->stats.tx_frames++;
	nic->stats.tx_bytes += p->tot_len;
	return ERR_OK;
}

void nic_flush(struct nic *n)
{
	n->stats.tx_kicks += virtq_kick(&n->tx);
	reclaim(n);
	/* An interrupt is only wanted when the ring is so full that its emptying is news. */
	if (virtq_interrupts(&n->tx, n->tx.free < n->tx.size / 2))
		reclaim(n);
}

uint64_t nic_queued(const struct nic *n)
{
	return n->queued;
}

uint64_t nic_done(const struct nic *n)
{
	return n->done;
}

/* ---- start ---- */

static void on_irq(void *arg, uint64_t bits)
{
	(void)arg;
	(void)bits;
	for (struct nic *n = cards; n < cards + card_count; n++) {
		if (!virtio_isr(&n->dev))
			continue;
		n->stats.interrupts++;
		n->wake();
	}
	/* The line may be the same, and may be another server's too. */
	for (struct nic *n = cards; n < cards + card_count; n++)
		wh_irq_ack(n->dev.line);
}

static void make_buffers(struct nic *n)
{
	uint64_t phys;
	uint8_t *mem = wh_dma_alloc_as_it_is((size_t)n->rx_count * n->rx_bytes, &phys);

	n->buffers = calloc(n->rx_count, sizeof(*n->buffers));
	if (!mem || !n->buffers)
		serve_die("no memory for receive buffers");
	for (unsigned i = 0; i < n->rx_count; i++) {
		n->buffers[i].nic = n;
		n->buffers[i].data = mem + (size_t)i * n->rx_bytes;
		n->buffers[i].phys = phys + (uint64_t)i * n->rx_bytes;
		put_buffer(&n->buffers[i]);
	}
}

/* Zeros for headers, and room for trailers: one page. */
static void make_extras(struct nic *n)
{
	uint8_t *page = wh_dma_alloc(NIC_TRAILER * (TX_SLOTS + 2), &n->header_phys);

	if (!page)
		serve_die("no memory for headers");
	n->trailers = page + 2 * NIC_TRAILER;
	n->trailers_phys = n->header_phys + 2 * NIC_TRAILER;
}

struct nic *nic_open(unsigned index, enum nic_size size, void (*wake)(void))
{
	struct nic *n = &cards[card_count];

	if (card_count == NIC_CARDS || virtio_find(&n->dev, VIRTIO_PCI_NET, index) < 0)
		return NULL;
	n->wake = wake;
	n->rx_count = sizes[size].count;
	n->rx_bytes = sizes[size].bytes;
	n->rx_low = n->rx_count / 4;
	virtio_negotiate(&n->dev, VIRTIO_NET_F_MAC | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_EVENT_IDX |
					  VIRTIO_F_ANY_LAYOUT);
	n->mergeable = n->dev.features & VIRTIO_NET_F_MRG_RXBUF;
	n->any_layout = n->dev.features & VIRTIO_F_ANY_LAYOUT;
	n->header_bytes = sizeof(struct net_header) - (n->mergeable ? 0 : 2);
	for (unsigned i = 0; i < sizeof(n->address); i++)
		n->address[i] = virtio_config8(&n->dev, i);
	if (virtio_queue_setup(&n->dev, RX_QUEUE, &n->rx) < 0 ||
	    virtio_queue_setup(&n->dev, TX_QUEUE, &n->tx) < 0)
		serve_die("network card %u has no queues", index);
	if (n->tx.size > 2 * TX_SLOTS) /* a frame with a trailer takes two descriptors */
		serve_die("network card %u has a queue of %u", index, n->tx.size);
	make_extras(n);
	make_buffers(n);
	virtio_start(&n->dev);
	refill(n);
	long err = wh_irq_bind(n->dev.line, IRQ_BIT);

	if (err < 0)
		serve_die("interrupt %u: %s", n->dev.line, strerror(-err));
	if (card_count++ == 0)
		serve_note(1ull << IRQ_BIT, on_irq, NULL);
	return n;
}
