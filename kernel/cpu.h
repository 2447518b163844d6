/* SPDX-License-Identifier: MIT */
/* The processor: descriptor tables, model-specific registers, ports, FPU ownership. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H
#include "types.h"
#include "trap.h"

struct thread;

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline u8 inb(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static inline u32 inl(u16 port)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline u16 inw(u16 port)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)));
}
static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}
static inline u64 read_cr2(void)
{
	u64 v;
	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

void cpu_init(void);
/* Kernel stack used at the next entry from user mode. */
extern u64 cpu_kstack_top;
extern struct cpu_tss {
	u32 reserved0;
	u64 rsp0, rsp1, rsp2, reserved1, ist[7], reserved2;
	u16 reserved3, iomap;
} __attribute__((packed)) cpu_tss;
static inline void cpu_set_kstack(u64 top)
{
	cpu_kstack_top = cpu_tss.rsp0 = top;
}
static inline void cpu_set_fs(u64 fs_base)
{
	/* Reading is the cheaper one under TCG, and relatives often have the same. (A program can clear it by
	 * loading fs, so what we last wrote does not tell.) */
	if (rdmsr(0xc0000100) != fs_base)
		wrmsr(0xc0000100, fs_base);
}
/* ds, es, fs, gs, 16 bits each: without meaning in long mode, but a program can load and read them. Loading fs clears
 * its base. */
static inline u64 cpu_selectors(void)
{
	u32 ds, es, fs, gs;
	__asm__ volatile("movl %%ds, %0; movl %%es, %1; movl %%fs, %2; movl %%gs, %3"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	return (u64)(ds & 0xffff) | (u64)(es & 0xffff) << 16 | (u64)(fs & 0xffff) << 32 |
	       (u64)gs << 48;
}
void cpu_load_selectors(u64 s);
bool cpu_selectors_valid(u64 s); /* user mode could have loaded them */
/* RDTSC in user mode traps (so that the clock class serves it) unless the process is a server. */
extern bool cpu_tsd;
void cpu_change_tsd(bool trap);
static inline void cpu_set_tsd(bool trap)
{
	if (UNLIKELY(trap != cpu_tsd))
		cpu_change_tsd(trap);
}
extern bool cpu_smap;
/* Let the kernel touch user pages (SMAP). */
static inline void user_access_begin(void)
{
	if (cpu_smap)
		__asm__ volatile("stac" ::: "memory");
}
static inline void user_access_end(void)
{
	if (cpu_smap)
		__asm__ volatile("clac" ::: "memory");
}

/* Lazy FPU: the registers belong to fpu_owner; others fault (#NM) on first use (facts.md: 229 ns
 * against 500). */
extern struct thread *fpu_owner;
extern bool fpu_trap_armed; /* CR0.TS: writing it is dear under TCG, so we remember it */
void fpu_arm_trap(bool on);
/* Arm or disarm the trap for t, on its way to user mode. */
static inline void fpu_switch_to(const struct thread *t)
{
	if (fpu_trap_armed != (fpu_owner != t))
		fpu_arm_trap(fpu_owner != t);
}
void fpu_trap(void);		 /* #NM: load current_thread's state */
void fpu_save(struct thread *t); /* bring t->fpu up to date */
/* Bits of MXCSR that this processor has; FXRSTOR faults on others. */
extern u32 cpu_mxcsr_mask;
void fpu_forget(struct thread *t); /* t->fpu was replaced or t is gone */

/* Interrupt lines 0..15 of the two 8259s. */
void irq_init(void);
void irq_set_kernel_handler(u32 line, void (*fn)(void));
void irq_dispatch(u32 line);
void irq_unmask(u32 line);
i64 irq_bind_server(u32 line, u32 service, u32 bit);
i64 irq_ack_server(u32 line, u32 service);
void irq_server_gone(u32 service);

void timer_init(void);
void timer_interrupt(void); /* LAPIC vector */
#define VEC_TIMER    0x40
#define VEC_SPURIOUS 0xff
#define VEC_IRQ0     0x20
#define VEC_SYSCALL  0x100

/* trap.S */
extern char syscall_entry[], trap_return[];
void context_switch(u64 *save_sp, u64 load_sp);
#endif
