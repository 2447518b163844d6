/* SPDX-License-Identifier: MIT */
/*
 * Legacy virtio (0.9 layout, PCI I/O ports) for the user-level drivers: disk, network, serial.
 *
 * Two layers. virtq.c is the ring alone: plain memory, no device access, so that the host tests can
 * play the device. virtio.c finds the device, negotiates and rings the doorbell. A driver is
 * single-threaded and owns its device; nothing here blocks or allocates after virtio_queue_setup().
 *
 * The life of a request: virtq_add() links its segments into free descriptors, for as many requests
 * as the driver has; virtq_kick() shows them all to the device at once; virtq_pop() hands back the
 * token of each finished request. A device is a peer, not a friend: an impossible used entry is
 * dropped and counted in `bad`.
 */
#ifndef SERVERS_LIB_VIRTIO_H
#define SERVERS_LIB_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PCI device numbers of the transitional devices (vendor 0x1af4). */
enum virtio_id {
	VIRTIO_PCI_NET = 0x1000,
	VIRTIO_PCI_BLK = 0x1001,
	VIRTIO_PCI_SERIAL = 0x1003,
};

#define VIRTIO_F_EVENT_IDX (1u << 29) /* either side may say how far it wants to be left alone */

/* The shared ring, as the specification lays it out. */
struct vring_desc {
	uint64_t addr; /* physical */
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vring_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct vring_used_elem {
	uint32_t id;
	uint32_t len;
};

struct vring_used {
	uint16_t flags;
	uint16_t idx;
	struct vring_used_elem ring[];
};

/* One piece of a request: physically contiguous memory from wh_dma_alloc(). */
struct virtio_seg {
	uint64_t phys;
	uint32_t len; /* bytes */
};

struct virtq {
	volatile struct vring_desc *desc;
	volatile struct vring_avail *avail;
	volatile struct vring_used *used;
	void **token;	    /* by head descriptor; NULL = that head is not in flight */
	uint16_t size;	    /* descriptors in the ring, a power of two */
	uint16_t free;	    /* unused descriptors */
	uint16_t free_head; /* first of their list, linked by desc.next */
	uint16_t added;	    /* index of the next avail slot to fill */
	uint16_t shown;	    /* what the device has been told */
	uint16_t seen;	    /* used entries already popped */
	uint16_t index;	    /* number of the queue at its device */
	uint16_t io;	    /* port base of its device */
	bool event_idx;
	bool interrupts; /* wanted */
	unsigned bad;	 /* impossible used entries dropped */
};

/* The ring alone (virtq.c). */

/* Bytes of page-aligned, physically contiguous memory that a ring of `size` descriptors needs. */
size_t virtq_bytes(unsigned size);
/* `mem` is zeroed and lives as long as the queue; `token` has `size` entries. */
void virtq_init(struct virtq *q, unsigned size, void *mem, void **token, bool event_idx);
/*
 * Queue one request: `nout` segments the device reads, then `nin` segments it writes. `token` (not
 * NULL) comes back from virtq_pop(). False: not enough free descriptors (nothing was changed); try
 * again after a pop.
 */
bool virtq_add(struct virtq *q, const struct virtio_seg *seg, unsigned nout, unsigned nin,
	       void *token);
/* Show the device what was added; true if it asked to be notified of that. Use virtq_kick() on a
 * real device. */
bool virtq_publish(struct virtq *q);
/* Token of one finished request, with the bytes the device wrote to it in *written (may be NULL);
 * NULL if there is none. */
void *virtq_pop(struct virtq *q, uint32_t *written);
/*
 * Ask for interrupts (as after virtq_init), or to be spared them while polling. When switching on,
 * true means that something finished meanwhile: pop it before sleeping, or the interrupt for it
 * will never come. The same holds for sleeping before virtq_pop() has returned NULL.
 */
bool virtq_interrupts(struct virtq *q, bool on);

/* The device (virtio.c). Every int result: 0, or a negative errno. */

struct virtio_dev {
	uint16_t id;	   /* enum virtio_id */
	uint16_t io;	   /* port base */
	uint8_t slot;	   /* PCI device number on bus 0 */
	uint8_t line;	   /* interrupt line, as the firmware routed it; may be shared */
	uint32_t features; /* what both sides agreed on */
};

/* Find device `nth` (from 0, in the order of their slots) of that kind, enable its ports and bus
 * mastering, reset it. -ENODEV if there are not so many. */
int virtio_find(struct virtio_dev *d, enum virtio_id id, unsigned nth);
/* Agree on the features that both the device and `wanted` have. */
void virtio_negotiate(struct virtio_dev *d, uint32_t wanted);
/* Set up queue `index` with the size the device dictates. -ENOENT: the device has no such queue;
 * -ENOMEM. */
int virtio_queue_setup(struct virtio_dev *d, unsigned index, struct virtq *q);
/* Driver is ready: after all queues are set up, before the first kick. */
void virtio_start(struct virtio_dev *d);
/* Publish what was added and ring the doorbell if the device wants that. True: it was rung. */
bool virtq_kick(struct virtq *q);
/*
 * Read and clear the interrupt status: bit 0 a queue moved, bit 1 the configuration changed, 0 not
 * ours (shared line). Call it before wh_irq_ack(): the line is level-triggered.
 */
unsigned virtio_isr(struct virtio_dev *d);
/* Device-specific configuration, little-endian, byte offset from its start. */
uint8_t virtio_config8(struct virtio_dev *d, unsigned offset);
uint16_t virtio_config16(struct virtio_dev *d, unsigned offset);
uint32_t virtio_config32(struct virtio_dev *d, unsigned offset);
uint64_t virtio_config64(struct virtio_dev *d, unsigned offset);

#endif
