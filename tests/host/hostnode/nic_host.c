/* SPDX-License-Identifier: MIT */
/* net/nic.h on a packet socket of the host, with faults. See wh_host.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nic.h"
#include "wh_host.h"

enum { FRAME_MAX = 65536 };

struct frame {
	struct pbuf_custom custom;
	uint8_t data[];
};

static struct nic_stats stats;

void *nic_memory(size_t bytes)
{
	return calloc(1, bytes);
}

void nic_start(void (*wake)(void))
{
	(void)wake;
}

const struct nic_stats *nic_stats(void)
{
	return &stats;
}

static bool happens(uint32_t ppm)
{
	return ppm > 0 && host_rand() % 1000000 < ppm;
}

err_t nic_send(struct pbuf *p)
{
	static uint8_t buf[FRAME_MAX];
	const struct host_faults *f = host_get_faults();
	uint16_t n = pbuf_copy_partial(p, buf, p->tot_len, 0);

	stats.tx_frames++;
	stats.tx_bytes += n;
	if (happens(f->loss))
		return ERR_OK;
	if (happens(f->corrupt)) {
		for (unsigned k = 1 + host_rand() % 4; k > 0; k--)
			buf[host_rand() % n] ^= 1u << host_rand() % 8;
	}
	for (unsigned k = happens(f->dup) ? 2 : 1; k > 0; k--) {
		if (send(host_wire(), buf, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			stats.tx_full++;
	}
	return ERR_OK;
}

static void free_frame(struct pbuf *p)
{
	free(p);
}

unsigned nic_poll(unsigned budget, void (*input)(struct pbuf *p))
{
	static uint8_t buf[FRAME_MAX];
	unsigned n = 0;
	ssize_t len;

	for (; n < budget && (len = recv(host_wire(), buf, sizeof(buf), MSG_DONTWAIT)) > 0; n++) {
		struct frame *f = malloc(sizeof(*f) + len); /* its exact size: overruns are seen */

		memcpy(f->data, buf, len);
		f->custom.custom_free_function = free_frame;
		stats.rx_frames++;
		input(pbuf_alloced_custom(PBUF_RAW, len, PBUF_REF, &f->custom, f->data, len));
	}
	return n;
}

void nic_flush(void)
{
}

bool nic_sleep(void)
{
	return true;
}
