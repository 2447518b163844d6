/* SPDX-License-Identifier: MIT */
/* Driver of the legacy virtio-serial device with several ports. See port.h. */
#include <string.h>

#include "port.h"
#include "serve.h"
#include "virtio.h"

enum { F_MULTIPORT = 1u << 1 };
enum { IRQ_BIT = 0 };
enum {
	RX_BUFFERS = 8,
	RX_BYTES = 4096 /* QEMU fills no more at a time */,
	TX_BUFFERS = 4,
	CONTROL_BUFFERS = 32
};

/* Control messages between driver and device. */
enum control_event {
	CONTROL_DEVICE_READY = 0,
	CONTROL_PORT_ADD = 1,
	CONTROL_PORT_READY = 3,
	CONTROL_PORT_OPEN = 6,
};

struct control {
	uint32_t id; /* port */
	uint16_t event;
	uint16_t value;
};

/* A piece of DMA memory; also the token of its request. */
struct buffer {
	uint8_t *mem;
	uint64_t phys;
	uint32_t size;
	uint32_t len, taken; /* received: bytes in it, bytes already read */
	struct buffer *next;
};

struct port {
	struct virtq rx, tx;
	struct buffer *got, **got_tail; /* received, oldest first */
	struct buffer *spare;		/* to send with */
	struct buffer rx_buf[RX_BUFFERS], tx_buf[TX_BUFFERS];
};

static struct virtio_dev dev;
static struct virtq control_rx, control_tx;
static struct buffer control_in[CONTROL_BUFFERS], control_out[CONTROL_BUFFERS];
static struct buffer *control_spare;
static struct port ports[AGENT_PORTS + 1]; /* by port number; port 0 is reserved for a console */

static void buffers_init(struct buffer *b, unsigned n, uint32_t size)
{
	uint64_t phys;
	uint8_t *mem = wh_dma_alloc((size_t)n * size, &phys);

	if (!mem)
		serve_die("no memory for serial buffers");
	for (unsigned i = 0; i < n; i++)
		b[i] = (struct buffer){
			.mem = mem + i * size, .phys = phys + i * size, .size = size};
}

/* Let the device fill it. */
static void give(struct virtq *q, struct buffer *b)
{
	struct virtio_seg seg = {b->phys, b->size};

	b->len = b->taken = 0;
	virtq_add(q, &seg, 0, 1, b); /* there are never more buffers than descriptors */
}

static void queue_init(unsigned index, struct virtq *q)
{
	int err = virtio_queue_setup(&dev, index, q);

	if (err < 0)
		serve_die("serial queue %u: error %d", index, -err);
}

static void control_send(uint32_t id, enum control_event event, uint16_t value)
{
	struct buffer *b;

	while ((b = virtq_pop(&control_tx, NULL))) {
		b->next = control_spare;
		control_spare = b;
	}
	b = control_spare;
	if (!b) {
		serve_log("serial device does not take control messages");
		return;
	}
	control_spare = b->next;
	struct control m = {.id = id, .event = event, .value = value};
	struct virtio_seg seg = {b->phys, sizeof(m)};

	memcpy(b->mem, &m, sizeof(m));
	virtq_add(&control_tx, &seg, 1, 0, b);
	virtq_kick(&control_tx);
}

static void on_interrupt(void *arg, uint64_t bits)
{
	(void)arg, (void)bits;
	/* Reading the status takes the level-triggered line down. The queues are looked at when the
	 * loop is idle. */
	virtio_isr(&dev);
	wh_irq_ack(dev.line);
}

static void port_init(unsigned k)
{
	struct port *p = &ports[k];
	unsigned first = 2 + 2 * k; /* queues 2 and 3 are the control queues */

	queue_init(first, &p->rx);
	queue_init(first + 1, &p->tx);
	virtq_interrupts(&p->tx, false);
	buffers_init(p->rx_buf, RX_BUFFERS, RX_BYTES);
	buffers_init(p->tx_buf, TX_BUFFERS, (PORT_TX_BYTES + 4095) & ~4095u);
	p->got_tail = &p->got;
	for (unsigned i = 0; i < RX_BUFFERS; i++)
		give(&p->rx, &p->rx_buf[i]);
	for (unsigned i = 0; i < TX_BUFFERS; i++) {
		p->tx_buf[i].next = p->spare;
		p->spare = &p->tx_buf[i];
	}
}

void ports_init(void)
{
	if (virtio_find(&dev, VIRTIO_PCI_SERIAL, 0) < 0)
		serve_die("no virtio-serial device");
	virtio_negotiate(&dev, F_MULTIPORT | VIRTIO_F_EVENT_IDX);
	if (!(dev.features & F_MULTIPORT))
		serve_die("the virtio-serial device has only one port");
	queue_init(2, &control_rx);
	queue_init(3, &control_tx);
	virtq_interrupts(&control_tx, false);
	buffers_init(control_in, CONTROL_BUFFERS, 64);
	buffers_init(control_out, CONTROL_BUFFERS, 64);
	for (unsigned i = 0; i < CONTROL_BUFFERS; i++) {
		give(&control_rx, &control_in[i]);
		control_out[i].next = control_spare;
		control_spare = &control_out[i];
	}
	for (unsigned k = 1; k <= AGENT_PORTS; k++)
		port_init(k);
	serve_note(1ull << IRQ_BIT, on_interrupt, NULL);
	long err = wh_irq_bind(dev.line, IRQ_BIT);

	if (err < 0)
		serve_die("interrupt line %u: error %ld", dev.line, -err);
	virtio_start(&dev);
	virtq_kick(&control_rx);
	for (unsigned k = 1; k <= AGENT_PORTS; k++)
		virtq_kick(&ports[k].rx);
	control_send(0, CONTROL_DEVICE_READY, 1);
}

static void on_control(const struct control *m, void (*changed)(unsigned port, bool connected))
{
	if (m->id < 1 || m->id > AGENT_PORTS)
		return;
	if (m->event == CONTROL_PORT_ADD) {
		control_send(m->id, CONTROL_PORT_READY, 1);
		control_send(m->id, CONTROL_PORT_OPEN, 1);
	} else if (m->event == CONTROL_PORT_OPEN) {
		changed(m->id, m->value != 0);
	}
}

/*
 * Data first, control second: when the first byte of a new client is here, so is the message that
 * the old one left. The other way round that message could come too late and end the new client's
 * session.
 */
void ports_poll(void (*changed)(unsigned port, bool connected))
{
	struct buffer *b;
	uint32_t len;

	for (unsigned k = 1; k <= AGENT_PORTS; k++) {
		struct port *p = &ports[k];

		while ((b = virtq_pop(&p->rx, &len))) {
			b->len = len < b->size ? len : b->size;
			b->next = NULL;
			*p->got_tail = b;
			p->got_tail = &b->next;
		}
	}
	while ((b = virtq_pop(&control_rx, &len))) {
		struct control m;

		memcpy(&m, b->mem, sizeof(m));
		if (len >= sizeof(m))
			on_control(&m, changed);
		give(&control_rx, b);
		virtq_kick(&control_rx);
	}
}

void ports_flush(void)
{
	for (unsigned k = 1; k <= AGENT_PORTS; k++) {
		virtq_kick(&ports[k].rx);
		virtq_kick(&ports[k].tx);
	}
}

size_t port_read(unsigned port, void *buf, size_t len)
{
	struct port *p = &ports[port];
	size_t done = 0;

	while (p->got && done < len) {
		struct buffer *b = p->got;
		size_t n = b->len - b->taken;

		if (n > len - done)
			n = len - done;
		memcpy((uint8_t *)buf + done, b->mem + b->taken, n);
		done += n;
		b->taken += n;
		if (b->taken < b->len)
			break;
		p->got = b->next;
		if (!p->got)
			p->got_tail = &p->got;
		give(&p->rx, b);
	}
	return done;
}

void *port_buffer(unsigned port)
{
	struct port *p = &ports[port];
	struct buffer *b;

	while ((b = virtq_pop(&p->tx, NULL))) {
		b->next = p->spare;
		p->spare = b;
	}
	if (p->spare)
		return p->spare->mem;
	/* The next one to finish wakes us; unless it just did. */
	if (virtq_interrupts(&p->tx, true))
		return port_buffer(port);
	return NULL;
}

void port_send(unsigned port, size_t len)
{
	struct port *p = &ports[port];
	struct buffer *b = p->spare;
	struct virtio_seg seg = {b->phys, len};

	p->spare = b->next;
	virtq_add(&p->tx, &seg, 1, 0, b);
	virtq_interrupts(&p->tx, false);
}
