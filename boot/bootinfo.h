/* SPDX-License-Identifier: MIT */
/* What the loader told us, in one shape for Multiboot 1 and 2. */
#ifndef BOOT_BOOTINFO_H
#define BOOT_BOOTINFO_H
#include "types.h"

#define BOOT_MODULES 4
#define BOOT_RANGES  16

struct bootinfo {
	char cmdline[256];
	struct {
		u64 start, end; /* physical */
		char name[32];	/* last path component of its command line */
	} module[BOOT_MODULES];
	u32 modules;
	struct {
		u64 start, end; /* usable RAM */
	} ram[BOOT_RANGES];
	u32 ranges;
};
extern struct bootinfo bootinfo;
/* magic and info as the loader left them; panics on an unknown loader. */
void bootinfo_read(u64 magic, u64 info_phys);
/* Value of `key=` on the command line into buf; false if absent. */
bool boot_option(const char *key, char *buf, size_t cap);
i64 boot_option_int(const char *key, i64 absent);
/* Decimal seconds with fraction and sign ("-2.5") as ns. */
i64 boot_option_seconds(const char *key, i64 absent_ns);
#endif
