/* SPDX-License-Identifier: MIT */
/*
 * From the loader (32-bit protected mode, Multiboot 1 from `qemu -kernel`, Multiboot 2 from GRUB) to long mode
 * in the higher half. The first page tables map the first gigabyte three times with 2 MB pages: identity
 * (for these lines only), direct map, kernel image. kernel/pagetable.c replaces them by W^X ones.
 */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(sym) (sym - KERNEL_BASE)
#define MB1_MAGIC   0x1badb002
#define MB1_FLAGS   0x00010003 /* load addresses below are valid; align modules; memory map */
#define MB2_MAGIC   0xe85250d6

	.section .boot, "ax"
	.code32
	.align 8
mb1_header:
	.long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
	.long mb1_header     /* header address */
	.long load_start     /* load address: file offset = header offset - (header - load) */
	.long load_end
	.long bss_end
	.long boot_entry

	.align 8
mb2_header:
	.long MB2_MAGIC, 0, mb2_header_end - mb2_header
	.long -(MB2_MAGIC + (mb2_header_end - mb2_header))
	.align 8
	.short 3, 0 /* entry address: the ELF entry is the same */
	.long 12, boot_entry
	.align 8
	.short 6, 0 /* modules page aligned */
	.long 8
	.align 8
	.short 0, 0
	.long 8
mb2_header_end:

	.globl boot_entry
boot_entry:
	cld
	cli
	movl $PHYS(boot_stack_top), %esp
	movl %eax, %esi /* loader's magic */
	movl %ebx, %edi /* loader's information */

	/* PML4[0] identity, [256] direct map, [511] kernel image: all through one table of 2 MB pages */
	movl $PHYS(boot_pdpt_low), %eax
	orl $3, %eax
	movl %eax, PHYS(boot_pml4)
	movl %eax, PHYS(boot_pml4) + 256 * 8
	movl $PHYS(boot_pdpt_high), %eax
	orl $3, %eax
	movl %eax, PHYS(boot_pml4) + 511 * 8
	movl $PHYS(boot_pd), %eax
	orl $3, %eax
	movl %eax, PHYS(boot_pdpt_low)
	movl %eax, PHYS(boot_pdpt_high) + 510 * 8
	movl $0x83, %eax
	movl $PHYS(boot_pd), %ecx
1:	movl %eax, (%ecx)
	addl $0x200000, %eax
	addl $8, %ecx
	cmpl $PHYS(boot_pd) + 4096, %ecx
	jne 1b

	movl %cr4, %eax
	orl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $PHYS(boot_pml4), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx /* EFER: LME, NXE, SCE */
	rdmsr
	orl $0x901, %eax
	wrmsr
	movl %cr0, %eax
	andl $0xfffffffb, %eax /* EM off */
	orl $0x80010002, %eax  /* PG, WP, MP */
	movl %eax, %cr0
	lgdt boot_gdt_ptr
	ljmp $8, $boot_long

	.code64
boot_long:
	xorl %eax, %eax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %fs
	movw %ax, %gs
	movw %ax, %ss
	movl %edi, %edi
	movl %esi, %esi
	movq $kernel_boot_stack_top, %rsp
	xorl %ebp, %ebp
	movabsq $kernel_main, %rax
	xchgq %rdi, %rsi /* kernel_main(magic, info) */
	call *%rax
2:	hlt
	jmp 2b

	.align 8
boot_gdt:
	.quad 0, 0x00af9a000000ffff
boot_gdt_ptr:
	.short 15
	.long boot_gdt

	.section .boot.bss, "aw", @nobits
	.align 4096
	.globl boot_pml4
boot_pml4:
	.skip 4096
boot_pdpt_low:
	.skip 4096
boot_pdpt_high:
	.skip 4096
boot_pd:
	.skip 4096
	.skip 256
boot_stack_top:

	.section .bss
	.align 16
	.skip 16384
	.globl kernel_boot_stack_top
kernel_boot_stack_top:

	.section .note.GNU-stack, "", @progbits
