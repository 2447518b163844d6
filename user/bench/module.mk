# SPDX-License-Identifier: MIT
# Static programs that measure Whimbrel and Linux alike: nodebench (./run-qemu.sh bench node), nettest (bench net).
NODEBENCH := $(BUILD)/user/bench/nodebench
NETTEST := $(BUILD)/user/bench/nettest
PROGRAMS += $(NODEBENCH) $(NETTEST)

$(BUILD)/user/bench/%.o: user/bench/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -c -o $@ $<

$(NODEBENCH): $(patsubst %.c,$(BUILD)/%.o,$(wildcard user/bench/nodebench*.c))
	$(UCC) $(UCFLAGS) -o $@ $^
$(NETTEST): $(BUILD)/user/bench/nettest.o
	$(UCC) $(UCFLAGS) -o $@ $^
