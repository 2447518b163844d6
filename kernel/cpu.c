/* SPDX-License-Identifier: MIT */
/* Descriptor tables, system-call registers, protection features, lazy FPU. */
#include "cpu.h"
#include "lib.h"
#include "proc.h"

extern char trap_stubs[];
bool cpu_smap HOT_DATA, cpu_tsd HOT_DATA = true;
struct thread *fpu_owner HOT_DATA;
bool fpu_trap_armed HOT_DATA; /* ask_mxcsr_mask() leaves it off */
u32 cpu_mxcsr_mask;

static u64 gdt[7] HOT_DATA = {
	[SEL_KCODE / 8] = 0x00af9a000000ffff,
	[SEL_KDATA / 8] = 0x00cf92000000ffff,
	[SEL_UDATA / 8] = 0x00cff2000000ffff,
	[SEL_UCODE / 8] = 0x00affa000000ffff,
};
#define SEL_TSS 0x28

struct cpu_tss cpu_tss HOT_DATA;

static struct {
	u16 low, sel;
	u8 ist, type;
	u16 mid;
	u32 high, zero;
} idt[256];

struct descriptor_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

/* Double faults get a stack of their own: the usual one may be what is broken. */
static u8 double_fault_stack[4096] __attribute__((aligned(16)));

static void load_tables(void)
{
	u64 base = (u64)&cpu_tss;
	cpu_tss.iomap = sizeof cpu_tss;
	cpu_tss.ist[0] = (u64)double_fault_stack + sizeof double_fault_stack;
	gdt[5] = (sizeof cpu_tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		 (base >> 24 & 0xff) << 56;
	gdt[6] = base >> 32;
	struct descriptor_ptr g = {sizeof gdt - 1, (u64)gdt}, i = {sizeof idt - 1, (u64)idt};
	for (u32 v = 0; v < 256; v++) {
		u64 stub = (u64)trap_stubs + v * 16ul;
		idt[v].low = (u16)stub;
		idt[v].mid = (u16)(stub >> 16);
		idt[v].high = (u32)(stub >> 32);
		idt[v].sel = SEL_KCODE;
		idt[v].type = v == 3 ? 0xee : 0x8e; /* int3 may come from user mode */
		idt[v].ist = v == 8;
	}
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2\n\t"
			 "pushq %3; leaq 1f(%%rip), %%rax; pushq %%rax; lretq\n"
			 "1: movw %w4, %%ss"
			 :
			 : "m"(g), "m"(i), "r"(SEL_TSS), "i"(SEL_KCODE), "r"(SEL_KDATA)
			 : "rax", "memory");
}

static void enable_protections(void)
{
	u32 a = 7, b, c = 0, d, max = 0;
	u64 cr4;
	__asm__ volatile("cpuid" : "+a"(max), "=b"(b), "=c"(c), "=d"(d));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	if (max >= 7) {
		c = 0;
		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		if (b & 1u << 7)
			cr4 |= 1u << 20; /* SMEP */
		if (b & 1u << 20) {
			cr4 |= 1u << 21; /* SMAP */
			cpu_smap = true;
		}
		if (c & 1u << 2)
			cr4 |= 1u << 11; /* UMIP */
	}
	cr4 |= 1u << 2; /* TSD: rdtsc is an observation, served by the clock class */
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
}

static void ask_mxcsr_mask(void)
{
	static u8 area[512] __attribute__((aligned(16)));
	__asm__ volatile("clts; fxsave64 %0" : "=m"(area));
	memcpy(&cpu_mxcsr_mask, area + 28, sizeof cpu_mxcsr_mask);
	if (!cpu_mxcsr_mask) /* a processor from before the question */
		cpu_mxcsr_mask = 0xffbf;
}

void cpu_init(void)
{
	load_tables();
	cpu_load_selectors(0);
	enable_protections();
	ask_mxcsr_mask();
	wrmsr(0xc0000081, (u64)(SEL_KDATA | 3) << 48 | (u64)SEL_KCODE << 32); /* STAR */
	wrmsr(0xc0000082, (u64)syscall_entry);				      /* LSTAR */
	wrmsr(0xc0000084, 0x47700); /* FMASK: TF IF DF IOPL NT AC */
}

void cpu_load_selectors(u64 s)
{
	__asm__ volatile("movl %0, %%ds; movl %1, %%es; movl %2, %%fs; movl %3, %%gs" ::"r"(
				 (u32)(s & 0xffff)),
			 "r"((u32)(s >> 16 & 0xffff)), "r"((u32)(s >> 32 & 0xffff)),
			 "r"((u32)(s >> 48))
			 : "memory");
}

bool cpu_selectors_valid(u64 s)
{
	for (int i = 0; i < 4; i++, s >>= 16) {
		u32 index = s & 0xfffc;
		if (index && index != (SEL_UDATA & ~3) && index != (SEL_UCODE & ~3))
			return false;
	}
	return true;
}

void cpu_change_tsd(bool trap)
{
	u64 cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 = trap ? cr4 | 4 : cr4 & ~4ull;
	__asm__ volatile("mov %0, %%cr4" ::"r"(cr4));
	cpu_tsd = trap;
}

void fpu_arm_trap(bool on)
{
	u64 cr0;
	fpu_trap_armed = on;
	if (on) {
		__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
		__asm__ volatile("mov %0, %%cr0" ::"r"(cr0 | 8));
	} else {
		__asm__ volatile("clts");
	}
}

void fpu_save(struct thread *t)
{
	if (fpu_owner != t)
		return;
	fpu_arm_trap(false);
	__asm__ volatile("fxsave64 %0" : "=m"(t->fpu));
	fpu_switch_to(current_thread);
}

void fpu_trap(void)
{
	fpu_arm_trap(false);
	if (fpu_owner)
		__asm__ volatile("fxsave64 %0" : "=m"(fpu_owner->fpu));
	fpu_owner = current_thread;
	if (!current_thread->fpu_used) {
		memset(current_thread->fpu, 0, sizeof current_thread->fpu);
		current_thread->fpu[0] = 0x7f; /* x87 control word 0x37f */
		current_thread->fpu[1] = 0x03;
		current_thread->fpu[24] = 0x80; /* MXCSR 0x1f80 */
		current_thread->fpu[25] = 0x1f;
		current_thread->fpu_used = true;
	}
	__asm__ volatile("fxrstor64 %0" ::"m"(current_thread->fpu));
}

void fpu_forget(struct thread *t)
{
	if (fpu_owner == t)
		fpu_owner = NULL;
	if (current_thread)
		fpu_switch_to(current_thread);
}
