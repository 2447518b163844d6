/* SPDX-License-Identifier: MIT */
/* Read Multiboot 1 and 2 information. The loader is trusted; sizes are still bounded by our tables. */
#include "../boot/bootinfo.h"
#include "frame.h"
#include "lib.h"

struct bootinfo bootinfo;

static void add_ram(u64 start, u64 len)
{
	if (bootinfo.ranges < BOOT_RANGES && len)
		bootinfo.ram[bootinfo.ranges++] =
			(__typeof__(bootinfo.ram[0])){.start = start, .end = start + len};
}

static void add_module(u64 start, u64 end, const char *cmd)
{
	char path[128];
	if (bootinfo.modules == BOOT_MODULES)
		return;
	strlcpy(path, cmd, sizeof path);
	char *space = strchr(path, ' ');
	if (space)
		*space = 0;
	char *slash = strrchr(path, '/');
	strlcpy(bootinfo.module[bootinfo.modules].name, slash ? slash + 1 : path,
		sizeof bootinfo.module[0].name);
	bootinfo.module[bootinfo.modules].start = start;
	bootinfo.module[bootinfo.modules++].end = end;
}

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4],
		mmap_length, mmap_addr;
};
struct mb1_mod {
	u32 start, end, string, reserved;
};
struct mb1_mmap {
	u32 size;
	u64 addr, len;
	u32 type;
} __attribute__((packed));

static void read_mb1(const struct mb1_info *mb)
{
	if (mb->flags & 4)
		strlcpy(bootinfo.cmdline, P2V(mb->cmdline), sizeof bootinfo.cmdline);
	const struct mb1_mod *mod = P2V(mb->mods_addr);
	for (u32 i = 0; (mb->flags & 8) && i < mb->mods_count; i++)
		add_module(mod[i].start, mod[i].end, P2V(mod[i].string));
	for (u32 at = 0; (mb->flags & 64) && at < mb->mmap_length;) {
		const struct mb1_mmap *m = P2V(mb->mmap_addr + at);
		if (m->type == 1)
			add_ram(m->addr, m->len);
		at += m->size + 4;
	}
}

struct mb2_tag {
	u32 type, size;
};
struct mb2_mod {
	struct mb2_tag tag;
	u32 start, end;
	char string[];
};
struct mb2_mmap {
	struct mb2_tag tag;
	u32 entry_size, version;
	struct {
		u64 addr, len;
		u32 type, zero;
	} entry[];
};

static void read_mb2(const u8 *info)
{
	u32 total = *(const u32 *)(const void *)info;
	for (u32 at = 8; at + 8 <= total;) {
		const struct mb2_tag *t = (const void *)(info + at);
		if (t->type == 0)
			break;
		if (t->type == 1)
			strlcpy(bootinfo.cmdline, (const char *)(t + 1), sizeof bootinfo.cmdline);
		if (t->type == 3) {
			const struct mb2_mod *m = (const void *)t;
			add_module(m->start, m->end, m->string);
		}
		if (t->type == 6) {
			const struct mb2_mmap *m = (const void *)t;
			for (u32 i = 0; 16 + (i + 1) * m->entry_size <= t->size; i++)
				if (m->entry[i].type == 1)
					add_ram(m->entry[i].addr, m->entry[i].len);
		}
		at += (t->size + 7) & ~7u;
	}
}

void bootinfo_read(u64 magic, u64 info_phys)
{
	if (magic == 0x2badb002)
		read_mb1(P2V(info_phys));
	else if (magic == 0x36d76289)
		read_mb2(P2V(info_phys));
	else
		panic("unknown boot loader (magic %lx): boot with GRUB or qemu -kernel", magic);
}

bool boot_option(const char *key, char *buf, size_t cap)
{
	size_t n = strlen(key);
	for (const char *p = bootinfo.cmdline; p; p = strchr(p, ' ')) {
		while (*p == ' ')
			p++;
		if (strncmp(p, key, n) == 0 && p[n] == '=') {
			const char *end = strchr(p, ' ');
			size_t len = end ? (size_t)(end - p) : strlen(p);
			strlcpy(buf, p + n + 1, MIN(cap, len - n));
			return true;
		}
	}
	return false;
}

i64 boot_option_seconds(const char *key, i64 absent_ns)
{
	char v[32];
	i64 ns = 0, unit = 0;
	if (!boot_option(key, v, sizeof v))
		return absent_ns;
	const char *p = v + (v[0] == '-' || v[0] == '+');
	for (; *p && *p != 's'; p++) {
		if (*p == '.' && !unit) {
			ns *= (i64)NS_PER_SEC;
			unit = (i64)NS_PER_SEC;
		} else if (*p >= '0' && *p <= '9' && unit) {
			unit /= 10;
			ns += unit * (*p - '0');
		} else if (*p >= '0' && *p <= '9') {
			ns = ns * 10 + (*p - '0');
		} else {
			return absent_ns;
		}
	}
	if (!unit)
		ns *= (i64)NS_PER_SEC;
	return v[0] == '-' ? -ns : ns;
}

i64 boot_option_int(const char *key, i64 absent)
{
	char v[32];
	i64 n = 0;
	if (!boot_option(key, v, sizeof v))
		return absent;
	for (const char *p = v + (v[0] == '-' || v[0] == '+'); *p >= '0' && *p <= '9'; p++)
		n = n * 10 + (*p - '0');
	return v[0] == '-' ? -n : n;
}
