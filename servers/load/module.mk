# SPDX-License-Identifier: MIT
# The load server; its pure parts (policy, detector, report) are tested on the host.
LOAD_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard servers/load/*.c))

$(BUILD)/servers/load/%.o: servers/load/%.c
	@mkdir -p $(@D)
	$(UCC) $(UCFLAGS) -MMD -c -o $@ $<

$(BUILD)/servers/load/load: $(LOAD_OBJS) $(BUILD)/servers/lib/libserver.a
	$(UCC) $(UCFLAGS) -o $@ $^
SERVERS += $(BUILD)/servers/load/load

LOAD_TESTS := test_policy test_policy_sim test_detector
$(LOAD_TESTS:%=$(BUILD)/tests/host/%): $(BUILD)/tests/host/%: tests/host/%.c $(wildcard servers/load/*.h) abi/whimbrel.h
	@mkdir -p $(@D)
	$(HOSTCC) $(HOSTCFLAGS) $(SANFLAGS) -Iservers/load -o $@ $(filter %.c,$^)

$(BUILD)/tests/host/test_policy $(BUILD)/tests/host/test_policy_sim: servers/load/policy.c
$(BUILD)/tests/host/test_detector: servers/load/detector.c servers/load/report.c

HOST_TESTS += $(LOAD_TESTS:%=$(BUILD)/tests/host/%)
