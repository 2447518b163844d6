# SPDX-License-Identifier: MIT
# The kernel: one ELF for GRUB (Multiboot 2) and for `qemu -kernel` (Multiboot 1).
KERNEL_C := $(wildcard kernel/*.c kernel/env/*.c boot/*.c)
KERNEL_S := $(wildcard kernel/*.S boot/*.S)
KERNEL_O := $(KERNEL_C:%.c=$(BUILD)/%.o) $(KERNEL_S:%.S=$(BUILD)/%.o) $(BUILD)/kernel/linux_names.o

$(BUILD)/kernel/%.o: kernel/%.c
	@mkdir -p $(@D)
	@echo "KCC $<"; $(KCC) $(KCFLAGS) -MMD -c $< -o $@
$(BUILD)/boot/%.o: boot/%.c
	@mkdir -p $(@D)
	@echo "KCC $<"; $(KCC) $(KCFLAGS) -MMD -c $< -o $@
$(BUILD)/kernel/%.o: kernel/%.S
	@mkdir -p $(@D)
	@echo "KCC $<"; $(KCC) $(KCFLAGS) -MMD -c $< -o $@
$(BUILD)/boot/%.o: boot/%.S
	@mkdir -p $(@D)
	@echo "KCC $<"; $(KCC) $(KCFLAGS) -MMD -c $< -o $@

# The names of Linux's calls, for the log line about one that we do not have. Facts of the ABI, so the build host's header will do.
$(BUILD)/kernel/linux_names.c: /usr/include/x86_64-linux-gnu/asm/unistd_64.h
	@mkdir -p $(@D)
	@{ echo 'extern const char *const linux_names[512];'; echo 'const char *const linux_names[512] = {'; \
	sed -nE 's/^#define __NR_(\w+) ([0-9]+)$$/\t[\2] = "\1",/p' $<; echo '};'; } > $@
$(BUILD)/kernel/linux_names.o: $(BUILD)/kernel/linux_names.c
	@echo "KCC $<"; $(KCC) $(KCFLAGS) -c $< -o $@

KLINK = $(CROSS)ld -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments -T boot/kernel.ld

# Linked twice: the second time with the addresses of the first, for symbolised backtraces. The table comes last
# in the read-only data, so the code does not move.
$(BUILD)/kernel/ksyms0.S:
	@mkdir -p $(@D)
	@: | tools/ksyms.sh > $@
$(BUILD)/kernel/ksyms1.S: $(BUILD)/whimbrel0.elf
	@$(CROSS)nm -n $< | tools/ksyms.sh > $@
$(BUILD)/kernel/ksyms%.o: $(BUILD)/kernel/ksyms%.S
	@echo "KCC $<"; $(KCC) $(KCFLAGS) -c $< -o $@
$(BUILD)/whimbrel0.elf: $(KERNEL_O) $(BUILD)/kernel/ksyms0.o boot/kernel.ld
	@echo "LD $@"; $(KLINK) -o $@ $(KERNEL_O) $(BUILD)/kernel/ksyms0.o
$(BUILD)/whimbrel.elf: $(KERNEL_O) $(BUILD)/kernel/ksyms1.o boot/kernel.ld
	@echo "LD $@"; $(KLINK) -o $@ $(KERNEL_O) $(BUILD)/kernel/ksyms1.o
