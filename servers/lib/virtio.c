/* SPDX-License-Identifier: MIT */
/* Legacy virtio devices on PCI: find, negotiate, doorbell. See virtio.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/io.h>

#include "virtio.h"
#include "wh.h"

enum { PCI_VENDOR_VIRTIO = 0x1af4, PCI_SLOTS = 32 };

enum pci_config { /* byte offsets in configuration space */
		  PCI_VENDOR = 0x00,
		  PCI_DEVICE = 0x02,
		  PCI_COMMAND = 0x04,
		  PCI_BAR0 = 0x10,
		  PCI_LINE = 0x3c,
};
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MASTER = 4, PCI_BAR_IS_IO = 1 };

enum legacy_port { /* byte offsets from the port base */
		   REG_DEVICE_FEATURES = 0,
		   REG_DRIVER_FEATURES = 4,
		   REG_QUEUE_PFN = 8,
		   REG_QUEUE_SIZE = 12,
		   REG_QUEUE_SELECT = 14,
		   REG_QUEUE_NOTIFY = 16,
		   REG_STATUS = 18,
		   REG_ISR = 19,
		   REG_CONFIG = 20, /* without MSI-X */
};
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4 };

static unsigned bdf_of(unsigned slot)
{
	return slot << 3;
}

int virtio_find(struct virtio_dev *d, enum virtio_id id, unsigned nth)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		unsigned bdf = bdf_of(slot);

		if (wh_pci_read(bdf, PCI_VENDOR, 2) != PCI_VENDOR_VIRTIO ||
		    wh_pci_read(bdf, PCI_DEVICE, 2) != id)
			continue;
		uint32_t bar = wh_pci_read(bdf, PCI_BAR0, 4);

		if (!(bar & PCI_BAR_IS_IO) ||
		    nth-- > 0) /* not a transitional device, or not that one */
			continue;
		wh_pci_write(bdf, PCI_COMMAND, 2,
			     wh_pci_read(bdf, PCI_COMMAND, 2) | PCI_COMMAND_IO |
				     PCI_COMMAND_MASTER);
		*d = (struct virtio_dev){
			.id = id,
			.io = bar & ~3u,
			.slot = slot,
			.line = wh_pci_read(bdf, PCI_LINE, 1),
		};
		outb(0, d->io + REG_STATUS); /* reset */
		outb(STATUS_ACKNOWLEDGE | STATUS_DRIVER, d->io + REG_STATUS);
		return 0;
	}
	return -ENODEV;
}

void virtio_negotiate(struct virtio_dev *d, uint32_t wanted)
{
	d->features = inl(d->io + REG_DEVICE_FEATURES) & wanted;
	outl(d->features, d->io + REG_DRIVER_FEATURES);
}

int virtio_queue_setup(struct virtio_dev *d, unsigned index, struct virtq *q)
{
	outw(index, d->io + REG_QUEUE_SELECT);
	unsigned size = inw(d->io + REG_QUEUE_SIZE);

	if (size == 0)
		return -ENOENT;
	uint64_t phys;
	void *mem = wh_dma_alloc(virtq_bytes(size), &phys);
	void **token = calloc(size, sizeof(*token));

	if (!mem || !token) {
		free(token);
		return -ENOMEM;
	}
	virtq_init(q, size, mem, token, d->features & VIRTIO_F_EVENT_IDX);
	q->index = index;
	q->io = d->io;
	outl(phys >> 12, d->io + REG_QUEUE_PFN);
	return 0;
}

void virtio_start(struct virtio_dev *d)
{
	outb(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK, d->io + REG_STATUS);
}

bool virtq_kick(struct virtq *q)
{
	bool wanted = virtq_publish(q);

	if (wanted)
		outw(q->index, q->io + REG_QUEUE_NOTIFY);
	return wanted;
}

unsigned virtio_isr(struct virtio_dev *d)
{
	return inb(d->io + REG_ISR);
}

uint8_t virtio_config8(struct virtio_dev *d, unsigned offset)
{
	return inb(d->io + REG_CONFIG + offset);
}

uint16_t virtio_config16(struct virtio_dev *d, unsigned offset)
{
	return inw(d->io + REG_CONFIG + offset);
}

uint32_t virtio_config32(struct virtio_dev *d, unsigned offset)
{
	return inl(d->io + REG_CONFIG + offset);
}

uint64_t virtio_config64(struct virtio_dev *d, unsigned offset)
{
	return virtio_config32(d, offset) | (uint64_t)virtio_config32(d, offset + 4) << 32;
}
