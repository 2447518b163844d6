# SPDX-License-Identifier: MIT
#   make dissector  Whimbrel's protocols for Wireshark: BUILD/whimbrel.lua, made of the headers
DISSECTED := $(wildcard abi/*.h abi/*.def servers/lib/*.h servers/file/remote.h servers/clock/probe.c servers/load/report.h)
HOST_TOOLS += $(BUILD)/whimbrel.lua
dissector: $(BUILD)/whimbrel.lua
$(BUILD)/whimbrel.lua: tools/wireshark/tables.sh tools/wireshark/whimbrel.lua $(DISSECTED)
	@mkdir -p $(@D)
	{ echo "local W = (function()"; CC=$(HOSTCC) tools/wireshark/tables.sh; echo "end)()"; cat tools/wireshark/whimbrel.lua; } > $@
.PHONY: dissector
