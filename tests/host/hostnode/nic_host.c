/* SPDX-License-Identifier: MIT */
/* net/nic.h on a packet socket of the host, with faults. See wh_host.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nic.h"
#include "wh_host.h"

enum { FRAME_MAX = 65536 + NIC_TRAILER };

struct frame {
	struct pbuf_custom custom;
	uint8_t data[];
};

struct nic {
	struct nic_stats stats;
};

static struct nic the_one;

void *nic_memory(size_t bytes)
{
	return calloc(1, bytes);
}

struct nic *nic_open(unsigned index, enum nic_size size, void (*wake)(void))
{
	(void)size;
	(void)wake;
	return index == 0 ? &the_one : NULL;
}

const uint8_t *nic_address(const struct nic *n)
{
	static const uint8_t none[6];

	(void)n;
	return none;
}

const struct nic_stats *nic_stats(struct nic *n)
{
	return &n->stats;
}

static bool happens(uint32_t ppm)
{
	return ppm > 0 && host_rand() % 1000000 < ppm;
}

err_t nic_send(struct nic *nic, struct pbuf *p, const void *tail, unsigned trailer)
{
	static uint8_t buf[FRAME_MAX];
	const struct host_faults *f = host_get_faults();
	size_t n = pbuf_copy_partial(p, buf, p->tot_len, 0);

	if (trailer > 0)
		memcpy(buf + n, tail, trailer);
	n += trailer;
	nic->stats.tx_frames++;
	nic->stats.tx_bytes += n;
	if (happens(f->loss))
		return ERR_OK;
	if (happens(f->corrupt)) {
		for (unsigned k = 1 + host_rand() % 4; k > 0; k--)
			buf[host_rand() % n] ^= 1u << host_rand() % 8;
	}
	for (unsigned k = happens(f->dup) ? 2 : 1; k > 0; k--) {
		if (send(host_wire(), buf, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			nic->stats.tx_full++;
			return ERR_MEM; /* as a card whose queue is full */
		}
	}
	return ERR_OK;
}

static void free_frame(struct pbuf *p)
{
	free(p);
}

unsigned nic_poll(struct nic *nic, unsigned budget, void (*input)(void *arg, struct pbuf *p),
		  void *arg)
{
	static uint8_t buf[FRAME_MAX];
	unsigned n = 0;
	ssize_t len;

	for (; n < budget && (len = recv(host_wire(), buf, sizeof(buf), MSG_DONTWAIT)) > 0; n++) {
		struct frame *f = malloc(sizeof(*f) + len); /* its exact size: overruns are seen */

		memcpy(f->data, buf, len);
		f->custom.custom_free_function = free_frame;
		nic->stats.rx_frames++;
		input(arg, pbuf_alloced_custom(PBUF_RAW, len, PBUF_REF, &f->custom, f->data, len));
	}
	return n;
}

void nic_flush(struct nic *n)
{
	(void)n;
}

uint64_t nic_queued(const struct nic *n)
{
	return n->stats.tx_frames;
}

uint64_t nic_done(const struct nic *n)
{
	return n->stats.tx_frames; /* a frame is gone when it is sent */
}

bool nic_sleep(struct nic *n)
{
	(void)n;
	return true;
}
