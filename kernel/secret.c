/* SPDX-License-Identifier: MIT */
/*
 * The cluster's key and this boot's own random bytes. Both come through QEMU's firmware configuration device, never through
 * the command line, which every process may read. The kernel does nothing with them but hand them to the services that talk to
 * their equals on other nodes: the net server, which reads what strangers sent, is none of these.
 */
#include "secret.h"
#include "../boot/bootinfo.h"
#include "cpu.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"

enum {
	SELECT_PORT = 0x510, /* 16 bits: which item */
	DATA_PORT = 0x511,   /* 8 bits: its next byte */
	ITEM_SIGNATURE = 0,
	ITEM_FILES = 0x19,
	FILES_MAX = 256, /* more than QEMU ever has: a device that is none answers all ones */
};

/* A row of the device's directory, big endian. */
struct file_row {
	u8 size[4], item[2], reserved[2];
	char name[56];
};
_Static_assert(sizeof(struct file_row) == 64, "the row is the device's");

static struct wh_secret secret;

static void read_bytes(void *to, u32 n)
{
	for (u8 *p = to; n > 0; n--)
		*p++ = inb(DATA_PORT);
}

/* Read the file of that name into `to`; false if there is none of exactly this size. */
static bool read_file(const char *name, void *to, u32 size)
{
	u8 head[4];
	struct file_row row;

	outw(SELECT_PORT, ITEM_FILES);
	read_bytes(head, sizeof head);
	u32 files = (u32)head[2] << 8 | head[3];
	for (u32 i = 0; i < MIN(files, FILES_MAX); i++) {
		read_bytes(&row, sizeof row);
		row.name[sizeof row.name - 1] = 0;
		if (strcmp(row.name, name))
			continue;
		if (row.size[0] || row.size[1] || row.size[2] || row.size[3] != size)
			return false;
		outw(SELECT_PORT, (u16)(row.item[0] << 8 | row.item[1]));
		read_bytes(to, size);
		return true;
	}
	return false;
}

void secret_read(void)
{
	char signature[4];

	outw(SELECT_PORT, ITEM_SIGNATURE);
	read_bytes(signature, sizeof signature);
	secret.plain = boot_option_int("plain", 0) != 0;
	if (memcmp(signature, "QEMU", sizeof signature) == 0 &&
	    read_file("opt/whimbrel/random", secret.random, sizeof secret.random))
		secret.has_key = read_file("opt/whimbrel/key", secret.key, sizeof secret.key);
	if (!secret.has_key)
		klog("no cluster key: this node talks to no other (QEMU's -fw_cfg opt/whimbrel/key and opt/whimbrel/random, 32 bytes each)");
	else if (secret.plain)
		klog("plain: what servers of different nodes tell each other is authenticated, but readable on the wire");
}

/* The services with a port (services.def) and nobody else. */
i64 wh_sys_secret(const u64 *arg)
{
	static const u16 ports[WH_SVC_MAX] = {
#define SERVICE(id, NAME, path, rank, port, flags) [id] = port,
#include "services.def"
#undef SERVICE
	};

	if (!ports[current->service])
		return -EPERM;
	secret.serial++; /* whoever asks again must not draw the same random numbers */
	return copy_to_user(arg[0], &secret, sizeof secret) < 0 ? -EFAULT : 0;
}
