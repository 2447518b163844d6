# SPDX-License-Identifier: MIT
# Host tools: the switch, the client of the nodes' agents, the console.
TOOL_CFLAGS := $(HOSTCFLAGS) -D_GNU_SOURCE -Itools

HOST_TOOLS += $(BUILD)/host/switch $(BUILD)/host/whctl $(BUILD)/host/ask $(BUILD)/host/console

$(BUILD)/host/switch: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/switch/*.c))
$(BUILD)/host/whctl: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/whctl/*.c))
$(BUILD)/host/ask: $(BUILD)/tools/ask.o
$(BUILD)/host/console: $(BUILD)/tools/console.o

$(BUILD)/host/switch $(BUILD)/host/whctl $(BUILD)/host/ask $(BUILD)/host/console:
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOL_CFLAGS) -o $@ $^

$(BUILD)/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOL_CFLAGS) -MMD -c -o $@ $<

#   make switchbench  what the network switch alone can carry
switchbench: $(BUILD)/host/switch_load $(BUILD)/host/switch
	$^
$(BUILD)/host/switch_load: $(BUILD)/tools/bench/switch_load.o
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOL_CFLAGS) -o $@ $^
.PHONY: switchbench

# The root image and the boot CD. SERVERS, PROGRAMS and IMAGE_FILES (pairs FILE:PATH-IN-THE-IMAGE) are complete only when
# every module.mk has been read, hence recursive variables and second expansion.
IMAGE_SIZE ?= 256M
IMAGES = $(BUILD)/root.img $(BUILD)/whimbrel.iso $(BUILD)/boot/file
IMAGE_SERVERS = $(filter-out %/file %/init,$(SERVERS))
IMAGE_CONTENT = $(filter %/init,$(SERVERS)):/sbin/init $(foreach f,$(IMAGE_SERVERS),$(f):/servers/$(notdir $(f))) \
	$(foreach f,$(PROGRAMS),$(f):/bin/$(notdir $(f))) $(IMAGE_FILES)
IMAGE_SOURCES = $(foreach f,$(IMAGE_CONTENT),$(firstword $(subst :, ,$(f))))

.SECONDEXPANSION:
$(BUILD)/root.img: tools/mkimage.sh $$(shell find tools/rootfs -type f) $$(IMAGE_SOURCES)
	tools/mkimage.sh $@ $(IMAGE_SIZE) $(IMAGE_CONTENT)

# The boot module: the file server, which reads everything else from the disk.
$(BUILD)/boot/file: $$(filter %/file,$$(SERVERS))
	@mkdir -p $(@D)
	$(CROSS)strip -s -o $@ $<

$(BUILD)/whimbrel.iso: tools/mkiso.sh boot/grub.cfg $(BUILD)/whimbrel.elf $(BUILD)/boot/file
	CROSS=$(CROSS) tools/mkiso.sh $@ $(BUILD)/whimbrel.elf $(BUILD)/boot/file boot/grub.cfg

# For run-qemu.sh check, which runs and counts them one by one.
host-tests-list:
	@echo $(HOST_TESTS)
host-tests-built: $$(HOST_TESTS)
.PHONY: host-tests-list host-tests-built
