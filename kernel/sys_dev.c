/* SPDX-License-Identifier: MIT */
/* Device calls of driver servers (contracts: servers/lib/wh.h). */
#include "cpu.h"
#include "frame.h"
#include "lib.h"
#include "proc.h"
#include "usercopy.h"
#include "vm_internal.h"

static bool is_driver(void)
{
	return current->privileged && current->port && (current_thread->tf->rflags & RFLAGS_IOPL);
}

i64 wh_sys_irq_bind(const u64 *arg)
{
	return is_driver() ? irq_bind_server((u32)arg[0], current->service, (u32)arg[1]) : -EPERM;
}

i64 wh_sys_irq_ack(const u64 *arg)
{
	return is_driver() ? irq_ack_server((u32)arg[0], current->service) : -EPERM;
}

i64 wh_sys_dma_alloc(const u64 *arg)
{
	u64 len = PAGE_UP(arg[0]);
	if (!is_driver())
		return -EPERM;
	if (!len || len > 8u << 20)
		return -EINVAL;
	u64 phys = frame_alloc_dma((u32)(len / PAGE_SIZE), !(arg[2] & WH_DMA_AS_IT_IS));
	if (!phys)
		return -ENOMEM;
	/* Mapped page by page over the block; a region without protection bits keeps faults away
	 * from it. */
	current->vm->wired = false;
	i64 at = vm_map(current->vm, 0, len, WH_RG_READ | WH_RG_WRITE | VM_RG_DMA, NULL, 0, 0,
			false);
	current->vm->wired = true;
	for (u64 off = 0; at > 0 && off < len; off += PAGE_SIZE)
		if (vm_install(current->vm, (u64)at + off, phys + off))
			return -ENOMEM;
	if (at > 0 && copy_to_user(arg[1], &phys, sizeof phys))
		return -EFAULT;
	return at;
}

i64 wh_sys_pci(const u64 *arg)
{
	u32 bdf = (u32)arg[0] & 0xffff, off = (u32)arg[1] & 0xff, width = (u32)arg[2];
	if (!is_driver())
		return -EPERM;
	outl(0xcf8, 0x80000000u | bdf << 8 | (off & 0xfc));
	u16 port = (u16)(0xcfc + (off & 3));
	if (arg[4]) {
		if (width == 1)
			outb(port, (u8)arg[3]);
		else if (width == 2)
			outw(port, (u16)arg[3]);
		else
			outl(port, (u32)arg[3]);
		return 0;
	}
	return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}
