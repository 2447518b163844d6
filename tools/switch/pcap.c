/* SPDX-License-Identifier: MIT */
/* Capture file: pcap with nanosecond time stamps of the host's real-time clock, link type Ethernet. */
#include <stdio.h>
#include <time.h>

#include "switch.h"

static FILE *file;
static bool unflushed;

bool pcap_open(const char *path)
{
	static const uint32_t header[6] = {0xa1b23c4d, 4u << 16 | 2, 0, 0, FRAME_MAX, 1};

	pcap_close();
	file = fopen(path, "wb");
	if (file) {
		fwrite(header, sizeof(header), 1, file);
		unflushed = true;
	}
	return file != NULL;
}

void pcap_close(void)
{
	if (file)
		fclose(file);
	file = NULL;
}

void pcap_frame(const uint8_t *frame, size_t len)
{
	struct timespec t;

	if (!file)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	uint32_t record[4] = {(uint32_t)t.tv_sec, (uint32_t)t.tv_nsec, (uint32_t)len,
			      (uint32_t)len};

	fwrite(record, sizeof(record), 1, file);
	fwrite(frame, len, 1, file);
	unflushed = true;
}

void pcap_flush(void)
{
	if (file && unflushed)
		fflush(file);
	unflushed = false;
}
