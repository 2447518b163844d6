# SPDX-License-Identifier: MIT
# Host tools: the switch, the client of the nodes' agents, the console.
TOOL_CFLAGS := $(HOSTCFLAGS) -D_GNU_SOURCE -Itools

HOST_TOOLS += $(BUILD)/host/switch $(BUILD)/host/ask $(BUILD)/host/console

$(BUILD)/host/switch: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tools/switch/*.c))
$(BUILD)/host/ask: $(BUILD)/tools/ask.o
$(BUILD)/host/console: $(BUILD)/tools/console.o

$(BUILD)/host/switch $(BUILD)/host/ask $(BUILD)/host/console:
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOL_CFLAGS) -o $@ $^

$(BUILD)/tools/%.o: tools/%.c
	@mkdir -p $(@D)
	$(HOSTCC) $(TOOL_CFLAGS) -MMD -c -o $@ $<
