# SPDX-License-Identifier: MIT
# nodebench: one static program that measures Whimbrel and Linux alike (./run-qemu.sh bench node).
NODEBENCH := $(BUILD)/user/bench/nodebench
PROGRAMS += $(NODEBENCH)

$(BUILD)/user/bench/%.o: user/bench/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -c -o $@ $<

$(NODEBENCH): $(patsubst %.c,$(BUILD)/%.o,$(wildcard user/bench/*.c))
	$(UCC) $(UCFLAGS) -o $@ $^
